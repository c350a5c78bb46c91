"""Every network as an ONNX file: checked by onnx, computed alike by onnxruntime, and read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from minigrad import models, nn

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from test_onnx_export import session  # noqa: E402

NAMES = [
    name if name == "lenet5" else pytest.param(name, marks=pytest.mark.slow)
    for name in models.names()
]
PICTURES = {"lenet5": (1, 32), "alexnet": (1, 224)}  # channels and size, else 3 and 224


def learn_moments(network: nn.Module, x: np.ndarray) -> None:
    """Give batch normalizations the moments of x; with those of the start the values of a deep
    network grow without bound."""
    layers = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    for layer in layers:
        layer.momentum = 1.0
    if layers:
        network.train()(mg.tensor(x))
    network.eval()


@pytest.mark.parametrize("name", NAMES)
def test_a_network_is_written_and_read(name: str, tmp_path: Path) -> None:
    channels, size = PICTURES.get(name, (3, 224))
    path = tmp_path / "net.onnx"
    network = models.create(name)
    x = np.random.default_rng(1).standard_normal((2, channels, size, size)).astype(np.float32)
    with mg.no_grad():
        learn_moments(network, x)
        expected = network(mg.tensor(x)).numpy()
    assert 1e-3 < abs(expected).max() < 1e3
    mg.onnx.export(network, mg.Spec((1, *x.shape[1:])), path, external_data=True)
    names = {parameter for parameter, _ in network.named_parameters()}
    del network
    onnx.checker.check_model(str(path), full_check=True)
    loaded = session(path)
    for batch in (1, 2):
        (got,) = loaded.run(None, {loaded.get_inputs()[0].name: x[:batch]})
        np.testing.assert_allclose(got, expected[:batch], rtol=1e-4, atol=1e-4)
    del loaded
    graph = mg.onnx.load(path, batch=2)
    assert graph.input_specs == (mg.Spec(x.shape),)
    assert names <= {leaf.name for leaf in graph.leaves.values()}
    with mg.no_grad():
        again = graph(x).numpy()
    np.testing.assert_allclose(again, expected, rtol=1e-4, atol=1e-4)
