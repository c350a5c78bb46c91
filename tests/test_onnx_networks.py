"""Every network as an ONNX file: checked by onnx, computed alike by onnxruntime, and read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_onnx_export import session

import minigrad as mg
from minigrad import models

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


NAMES = [
    name if name == "lenet5" else pytest.param(name, marks=pytest.mark.slow)
    for name in models.names()
]
PICTURES = {"lenet5": (1, 32), "alexnet": (1, 224)}  # channels and size, else 3 and 224


def close(got: np.ndarray, expected: np.ndarray) -> bool:
    """To 1e-4 of the largest score: with its first moments the scores of a residual network grow
    to 1e8, while moments learned from noise multiply any rounding."""
    return bool(abs(got - expected).max() <= 1e-4 * abs(expected).max())


@pytest.mark.parametrize("name", NAMES)
def test_a_network_is_written_and_read(name: str, tmp_path: Path) -> None:
    channels, size = PICTURES.get(name, (3, 224))
    path = tmp_path / "net.onnx"
    network = models.create(name).eval()
    x = np.random.default_rng(1).standard_normal((2, channels, size, size)).astype(np.float32)
    with mg.no_grad():
        expected = network(mg.tensor(x)).numpy()
    assert np.isfinite(expected).all() and expected.any()
    mg.onnx.export(network, mg.Spec((1, *x.shape[1:])), path, external_data=True)
    names = {parameter for parameter, _ in network.named_parameters()}
    del network
    onnx.checker.check_model(str(path), full_check=True)
    loaded = session(path)
    for batch in (1, 2):
        (got,) = loaded.run(None, {loaded.get_inputs()[0].name: x[:batch]})
        assert got.shape == expected[:batch].shape and close(got, expected[:batch])
    del loaded
    graph = mg.onnx.load(path, batch=2)
    assert graph.input_specs == (mg.Spec(x.shape),)
    assert names <= {leaf.name for leaf in graph.leaves.values()}
    with mg.no_grad():
        again = graph(x).numpy()
    assert again.shape == expected.shape and close(again, expected)
