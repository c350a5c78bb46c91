"""ONNX files: what onnxruntime computes from them is what the program does, for any batch; what
cannot be written is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graph_networks import residual

import minigrad as mg
from minigrad import models, nn
from minigrad.creation import abstract
from minigrad.errors import ArgumentError, GraphError
from minigrad.nn import functional

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

Program = Callable[[mg.Tensor], mg.Tensor]


def small(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(*layers)


# A program and the shape of its input, whose first axis is the batch.
PROGRAMS: dict[str, tuple[Program, tuple[int, ...]]] = {
    "batch norm": (small(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)), (2, 3, 8, 8)),
    "batch's own moments": (nn.BatchNorm2d(3, track_running_stats=False), (2, 3, 5, 5)),
    "layer norm": (small(nn.Linear(6, 5), nn.LayerNorm(5)), (2, 4, 6)),
    "group norm": (nn.GroupNorm(2, 4), (2, 4, 5, 5)),
    "instance norm": (nn.InstanceNorm2d(3), (2, 3, 5, 5)),
    "response of 5": (nn.LocalResponseNorm(5), (2, 6, 4, 4)),
    "response of 4": (nn.LocalResponseNorm(4, alpha=0.5), (2, 6, 4, 4)),
    "response of a line": (nn.LocalResponseNorm(3, alpha=0.5), (2, 6, 7)),
    "conv1d": (nn.Conv1d(3, 4, 3, stride=2, padding=2, dilation=2), (2, 3, 11)),
    "conv2d groups": (nn.Conv2d(4, 6, (3, 2), stride=(1, 2), groups=2), (2, 4, 7, 8)),
    "conv2d sides": (small(nn.Conv2d(3, 2, 3, padding=((0, 2), (1, 0)))), (2, 3, 5, 6)),
    "conv3d": (nn.Conv3d(2, 3, 2, padding=1), (2, 2, 4, 4, 4)),
    "transposed 1d": (nn.ConvTranspose1d(3, 4, 3, stride=2, padding=1), (2, 3, 5)),
    "transposed 2d": (nn.ConvTranspose2d(4, 6, 3, 2, 1, 1, groups=2), (2, 4, 5, 5)),
    "max pool": (nn.MaxPool2d(3, 2, 1, dilation=2), (2, 3, 9, 8)),
    "max pool ceil": (nn.MaxPool2d(3, 2, 1, ceil_mode=True), (2, 3, 8, 8)),
    "max pool places": (
        lambda x: functional.max_pool2d(x, 3, 2, 1, return_indices=True)[1],
        (2, 3, 8, 8),
    ),
    "max pool 3d": (nn.MaxPool3d(2), (2, 2, 4, 4, 4)),
    "avg pool": (nn.AvgPool2d(3, 2, 1), (2, 3, 8, 8)),
    "avg pool ceil": (nn.AvgPool2d(3, 2, 1, ceil_mode=True), (2, 3, 8, 8)),
    "avg pool inside": (nn.AvgPool2d(3, 2, 1, True, count_include_pad=False), (2, 3, 8, 8)),
    "avg pool divisor": (nn.AvgPool2d(3, 2, 1, divisor_override=5), (2, 3, 8, 8)),
    "adaptive avg pool": (nn.AdaptiveAvgPool2d((2, 1)), (2, 3, 8, 5)),
    "adaptive max pool": (nn.AdaptiveMaxPool2d(2), (2, 3, 8, 4)),
    "upsample nearest": (nn.Upsample(scale_factor=2), (2, 3, 4, 4)),
    "upsample linear": (nn.Upsample(scale_factor=2, mode="bilinear"), (2, 3, 4, 4)),
    "pixel shuffle": (nn.PixelShuffle(2), (2, 8, 3, 3)),
    "unfold": (nn.Unfold(2), (2, 3, 4, 4)),
    "fold": (nn.Fold((4, 4), 2), (2, 12, 9)),
    "embedding": (lambda x: functional.embedding((x > 0).astype(mg.int64), mg.eye(3)), (2, 4)),
    "flatten and linear": (small(nn.Flatten(), nn.Linear(12, 3)), (2, 3, 4)),
    "pad": (lambda x: mg.pad(x, ((0, 0), (1, 2), (0, 1)), value=3), (2, 3, 4)),
    "pad the batch": (lambda x: mg.pad(x, ((0, 0), (2, 1)), mode="reflect"), (2, 5)),
    "basic index": (lambda x: x[:, None, 1:, ::-1][..., 0], (2, 4, 5)),
    "array index": (lambda x: x[:, mg.asarray([0, 2]), mg.asarray([1, 1])], (2, 4, 5)),
    "split arrays": (lambda x: x[:, mg.asarray([0, 2]), :, mg.asarray([1, 1])], (2, 4, 5, 3)),
    "without the first": (lambda x: x[1:], (5, 4)),
    "along an axis": (lambda x: mg.take_along_axis(x, mg.argsort(x, axis=1), axis=1), (2, 6)),
    "roll": (lambda x: mg.roll(x, 2, 0), (5, 6)),
    "set": (lambda x: x.at[:, mg.asarray([1, 3])].set(0.0), (2, 4)),
    "all in a row": (lambda x: x.reshape((-1,)), (2, 6)),
    "mean by hand": (lambda x: x.sum(axis=0) / x.shape[0], (2, 6)),
    "variance": (lambda x: mg.var(x, axis=1), (2, 6)),
    "norm": (lambda x: mg.linalg.vector_norm(x, axis=1), (2, 6)),
    "two lengths of batch": (lambda x: mg.matmul(x, x.T).reshape((x.shape[0], 1, -1)), (2, 6)),
    "einsum": (lambda x: mg.einsum("bij,bkj->bik", x, x), (2, 3, 4)),
    "cumulative": (lambda x: mg.cumulative_sum(x, axis=1), (2, 6)),
    "triangle": (lambda x: mg.tril(x, k=1), (2, 4, 4)),
    "argmax": (lambda x: mg.argmax(x, axis=1), (2, 6)),
    "argmax of all": (lambda x: mg.argmax(x), (2, 6)),
    "any": (lambda x: mg.any(x > 1, axis=1), (2, 6)),
    "order of booleans": (lambda x: (x > 0) <= (x > 1), (2, 6)),
    "remainder": (lambda x: mg.remainder(x * 5, 1.7), (2, 6)),
    "rounding": (lambda x: mg.round(x * 3) + mg.trunc(x * 3) + mg.floor(x) + mg.ceil(x), (2, 6)),
    "logarithms": (lambda x: mg.log2(abs(x)) + mg.log10(abs(x)) + mg.log1p(abs(x)), (2, 6)),
    "exponentials": (lambda x: mg.exp2(x) + mg.expm1(x) + mg.logaddexp(x, -x), (2, 6)),
    "hypot": (lambda x: mg.hypot(x, x + 1), (2, 6)),
    "whole numbers": (lambda x: (x * 9).astype(mg.int64) % 4, (2, 6)),
    "finite": (lambda x: mg.isfinite(1 / mg.floor(x)), (2, 6)),
    "where": (lambda x: mg.where(x > 0, x, x * 2), (2, 6)),
    "loss": (lambda x: functional.cross_entropy(x, mg.argmax(x * 3 - 1, axis=1)), (2, 6)),
    "binary loss": (
        lambda x: functional.binary_cross_entropy(x.exp() / 99, (x > 0).astype(mg.float32)),
        (2, 6),
    ),
    "softplus": (lambda x: functional.softplus(30 * x, beta=2, threshold=5), (2, 6)),
    "the input itself": (lambda x: x, (2, 6)),
    "angles": (lambda x: mg.atan2(mg.round(x), mg.round(x[:, ::-1])), (2, 40)),
    "angles of zeros": (lambda x: mg.atan2(x * 0, mg.where(x > 0, x, -0.0)), (2, 6)),
    "sinc": (lambda x: mg.sinc(mg.round(x * 3) / 2), (2, 20)),
    "signs": (lambda x: mg.where(mg.signbit(mg.ceil(x)), 1, mg.copysign(2, x * 1)), (2, 9)),
    "whole quotients": (
        lambda x: mg.floor_divide((x * 9).astype(mg.int64), mg.asarray([3, -2, 7, 0])),
        (2, 4),
    ),
    "whole rests": (
        lambda x: mg.remainder((x * 9).astype(mg.int32), mg.asarray([3, -2, 7, 0], mg.int32)),
        (2, 4),
    ),
    "bits moved left": (lambda x: mg.bitwise_left_shift((x * 99).astype(mg.int32), 3), (2, 6)),
    "bits moved right": (lambda x: mg.bitwise_right_shift((x * 99).astype(mg.int64), 2), (2, 6)),
    "products of all before": (lambda x: mg.cumulative_prod(x, axis=1), (2, 5, 3)),
    "diagonal": (lambda x: mg.diagonal(x, -1), (2, 4, 3)),
    "diagonals above": (lambda x: mg.diagonal(x, 1, 1, 3), (2, 4, 3, 5)),
    "matrix of a diagonal": (lambda x: mg.diag(x.sum(axis=0), 1), (2, 5)),
    "elements of": (lambda x: mg.isin(mg.round(x), mg.asarray([1.0, 0.0])), (2, 9)),
    "places in order": (
        lambda x: mg.searchsorted(mg.asarray([-1.0, 0.0, 0.5]), mg.round(x * 2) / 2, "right"),
        (2, 9),
    ),
    "logarithm of determinants": (lambda x: mg.linalg.slogdet(x)[1], (2, 3, 3)),
    "decimals": (lambda x: mg.round(x, 2) + mg.round(x * 999, -1), (2, 9)),
    "new axis and arrays": (lambda x: x[:, None, mg.asarray([0, 2]), ..., None], (2, 4, 5)),
    "uneven averages": (nn.AdaptiveAvgPool2d((3, 5)), (2, 3, 8, 5)),
    "uneven maxima": (nn.AdaptiveMaxPool2d((3, 2)), (2, 3, 8, 5)),
    "uneven averages 1d": (nn.AdaptiveAvgPool1d(4), (2, 3, 7)),
}  # fmt: skip
ACTIVATIONS = [
    "CELU", "ELU", "GELU", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyReLU", "LogSigmoid",
    "Mish", "PReLU", "ReLU", "ReLU6", "SELU", "SiLU", "Sigmoid", "Softplus", "Softsign", "Tanh",
]  # fmt: skip
PROGRAMS |= {name: (getattr(nn, name)(), (2, 5)) for name in ACTIVATIONS}


def session(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def agrees(program: Program, shape: tuple[int, ...], path: Path, tolerance: float = 1e-4) -> None:
    """The file gives what the program does, for its own batch and for another."""
    loaded = session(path)
    if isinstance(program, nn.Module):
        program.eval()
    for batch in (shape[0], 4):
        x = np.random.default_rng(3).standard_normal((batch, *shape[1:])).astype(np.float32)
        expected = program(mg.tensor(x)).detach().numpy()
        (got,) = loaded.run(None, {loaded.get_inputs()[0].name: x})
        assert got.dtype == expected.dtype
        assert got.shape == expected.shape
        np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", PROGRAMS)
def test_onnxruntime_computes_the_same(name: str, tmp_path: Path) -> None:
    program, shape = PROGRAMS[name]
    mg.onnx.export(program, mg.Spec(shape), tmp_path / "x.onnx")
    agrees(program, shape, tmp_path / "x.onnx")


@pytest.mark.parametrize("opset", [20, 21, 24, None])
def test_lenet5_in_every_opset(opset: int | None, tmp_path: Path) -> None:
    network, path = models.lenet5(), tmp_path / "lenet5.onnx"
    mg.onnx.export(network, mg.Spec((2, 1, 32, 32)), path, opset=opset)
    agrees(network, (2, 1, 32, 32), path)
    proto = onnx.load(path)
    assert opset is None or proto.opset_import[0].version == opset
    names = {tensor.name for tensor in proto.graph.initializer}
    assert {name for name, _ in network.named_parameters()} <= names
    assert proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert proto.graph.output[0].type.tensor_type.shape.dim[0].dim_param == "batch"


def test_a_residual_network_keeps_its_mode(tmp_path: Path) -> None:
    network = residual().train()
    mg.onnx.export(network, mg.Spec((2, 2, 5, 5)), tmp_path / "x.onnx")
    assert all(module.training for module in network.modules())
    agrees(network, (2, 2, 5, 5), tmp_path / "x.onnx")


def test_names_of_inputs_and_outputs(tmp_path: Path) -> None:
    def both(a: mg.Tensor, b: mg.Tensor) -> tuple[mg.Tensor, mg.Tensor, mg.Tensor]:
        return a + b, a * b, a

    specs, path = (mg.Spec((2, 3)), mg.Spec((3,))), tmp_path / "x.onnx"
    mg.onnx.export(both, specs, path, input_names=["left", "r/2"], output_names=["s", "p", "i"])
    loaded = session(path)
    assert [i.name for i in loaded.get_inputs()] == ["left", "r/2"]
    assert [i.shape for i in loaded.get_inputs()] == [["batch", 3], [3]]
    assert [o.name for o in loaded.get_outputs()] == ["s", "p", "i"]
    a, b = np.ones((5, 3), np.float32), np.full(3, 2, np.float32)
    s, p, i = loaded.run(None, {"left": a, "r/2": b})
    assert (s == 3).all() and (p == 2).all() and (i == a).all()
    for wrong in (["one"], "ab", ["s", "left"], ["", "x"], ["x", "x"]):
        with pytest.raises(ArgumentError, match="name"):
            mg.onnx.export(both, specs, path, input_names=wrong, output_names=["s", "p", "i"])


def test_weights_beside_the_file(tmp_path: Path) -> None:
    network, path = models.lenet5(), tmp_path / "new" / "net.onnx"
    for _ in range(2):  # the second takes the place of the first
        mg.onnx.export(network, mg.Spec((2, 1, 32, 32)), path, external_data=True)
        size = sum(p.size for p in network.parameters()) * 4
        assert (path.parent / "net.onnx.data").stat().st_size < size * 1.2 + 100_000
        assert path.stat().st_size < 20_000
        assert sorted(f.name for f in path.parent.iterdir()) == ["net.onnx", "net.onnx.data"]
    agrees(network, (2, 1, 32, 32), path)


def test_a_graph_saves_for_its_own_shapes(tmp_path: Path) -> None:
    network = models.lenet5().eval()
    graph = mg.trace(network, mg.Spec((2, 1, 32, 32)))
    graph.save(tmp_path / "g.onnx", opset=21)
    x = np.random.default_rng(0).standard_normal((2, 1, 32, 32)).astype(np.float32)
    loaded = session(tmp_path / "g.onnx")
    assert loaded.get_inputs()[0].shape == [2, 1, 32, 32]
    (got,) = loaded.run(None, {loaded.get_inputs()[0].name: x})
    np.testing.assert_allclose(got, graph(x).detach().numpy(), atol=1e-5)
    with pytest.raises(ArgumentError, match="no option 'batch'"):
        graph.save(tmp_path / "g.onnx", batch=3)


def test_all_calls_without_a_counterpart_are_listed(tmp_path: Path) -> None:
    network = models.lenet5()
    graph = mg.trace(network, mg.Spec((2, 1, 32, 32)), backward=True)
    with pytest.raises(GraphError, match=r"conv2d_weight_grad x 2.*lenet5") as caught:
        graph.save(tmp_path / "g.onnx")
    assert "avg_pool_backward x 2" in str(caught.value)
    assert not list(tmp_path.iterdir())
    with pytest.raises(GraphError, match=r"dropout x 1.*eval"):
        mg.onnx.export(lambda x: functional.dropout(x), mg.Spec((2, 3)), tmp_path / "g.onnx")
    places = nn.AdaptiveMaxPool2d(3, return_indices=True)
    with pytest.raises(GraphError, match="unequal lengths"):
        mg.onnx.export(places, mg.Spec((2, 3, 8, 8)), tmp_path / "g.onnx")


def test_what_depends_on_the_batch_otherwise(tmp_path: Path) -> None:
    path, spec = tmp_path / "x.onnx", mg.Spec((4, 3))

    def branches(x: mg.Tensor) -> mg.Tensor:
        return x + 1 if x.shape[0] % 2 else x * 2

    def halves(x: mg.Tensor) -> mg.Tensor:
        return x[: x.shape[0] // 2]

    def table(x: mg.Tensor) -> mg.Tensor:
        return x * mg.linspace(0, 1, x.shape[0]).reshape((-1, 1))

    for program, reason in ((branches, "other ops"), (halves, "lengths"), (table, "values of a")):
        with pytest.raises(GraphError, match=rf"{reason}.*dynamic_batch=False"):
            mg.onnx.export(program, spec, path)
        mg.onnx.export(program, spec, path, dynamic_batch=False)
        x = np.ones((4, 3), np.float32)
        (got,) = session(path).run(None, {"x": x})
        np.testing.assert_allclose(got, program(mg.tensor(x)).numpy(), rtol=1e-6)
    with pytest.raises(GraphError, match="does not run"):
        mg.onnx.export(lambda x: x + mg.ones((4, 3)), spec, path)


def test_bad_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, spec = tmp_path / "x.onnx", mg.Spec((4, 3))
    for opset in (7, 99, "20"):
        with pytest.raises(ArgumentError, match="there are 20 to"):
            mg.onnx.export(functional.relu, spec, path, opset=opset)
    with pytest.raises(ArgumentError, match="no input"):
        mg.onnx.export(functional.relu, mg.Spec(()), path)
    with pytest.raises(GraphError, match="cannot be written"):
        mg.onnx.export(functional.relu, spec, tmp_path)
    with pytest.raises(GraphError, match="cannot be written"):
        mg.onnx.export(functional.relu, spec, "a\0b.onnx")
    with abstract():
        network = nn.Linear(3, 2)
    with pytest.raises(GraphError, match="no values"):
        mg.onnx.export(network, spec, path)
    monkeypatch.setattr("minigrad.onnx.exporting.find_spec", lambda name: None)
    with pytest.raises(ArgumentError, match=r"pip install 'minigrad\[onnx\]'"):
        mg.onnx.export(functional.relu, spec, path)
    assert not path.exists()
