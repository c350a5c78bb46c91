"""Layers: what they compute, against NumPy, their first values, their errors, and their print."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import minigrad as mg
from minigrad import nn
from minigrad.errors import ArgumentError, AxisError, IndexingError, MinigradError, ShapeError


def numbers(*shape: int) -> NDArray[np.float64]:
    return np.random.default_rng(sum(shape)).normal(size=shape)


def windows(x: NDArray, size: int, stride: int, padding: int = 0, fill: float = 0) -> NDArray:
    """(N, C, OH, OW, size, size)"""
    sides = ((0, 0), (0, 0), (padding, padding), (padding, padding))
    padded = np.pad(x, sides, constant_values=fill)
    found = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(2, 3))
    return found[:, :, ::stride, ::stride]


X = numbers(2, 4, 7, 7)
ELEMENTWISE = [
    (nn.Sigmoid(), lambda x: 1 / (1 + np.exp(-x))),
    (nn.Tanh(), np.tanh),
    (nn.ReLU(), lambda x: np.maximum(x, 0)),
    (nn.ReLU(inplace=True), lambda x: np.maximum(x, 0)),
    (nn.Identity(3, name="any"), lambda x: x),
    (nn.Flatten(), lambda x: x.reshape(2, -1)),
    (nn.Flatten(2), lambda x: x.reshape(2, 4, -1)),
    (nn.Flatten(0, -1), lambda x: x.reshape(-1)),
    (nn.Flatten(0, 1), lambda x: x.reshape(8, 7, 7)),
    (nn.AvgPool2d(2), lambda x: windows(x, 2, 2).mean((-2, -1))),
    (nn.AvgPool2d(3, 1, 1), lambda x: windows(x, 3, 1, 1).mean((-2, -1))),
    (nn.MaxPool2d(3, stride=2), lambda x: windows(x, 3, 2).max((-2, -1))),
    (nn.MaxPool2d(3, 2, 1), lambda x: windows(x, 3, 2, 1, -np.inf).max((-2, -1))),
    (nn.Dropout(0.5).eval(), lambda x: x),
]


@pytest.mark.parametrize(("layer", "formula"), ELEMENTWISE, ids=lambda v: repr(v).split(" ")[0])
def test_layers_without_weights(layer: nn.Module, formula: Callable[..., NDArray]) -> None:
    before = X.copy()
    result = layer(mg.tensor(X)).numpy()
    np.testing.assert_allclose(result, formula(X), rtol=1e-13)
    np.testing.assert_array_equal(X, before)
    assert not list(layer.parameters())


def test_average_that_leaves_the_padding_out() -> None:
    counts = windows(np.ones_like(X), 3, 2, 1).sum((-2, -1))
    layer = nn.AvgPool2d(3, 2, 1, count_include_pad=False)
    expected = windows(X, 3, 2, 1).sum((-2, -1)) / counts
    np.testing.assert_allclose(layer(mg.tensor(X)).numpy(), expected, rtol=1e-13)


def test_max_pooling_gives_indices_into_each_plane() -> None:
    values, indices = nn.MaxPool2d(2, return_indices=True)(mg.tensor(X))
    planes = X.reshape(2, 4, 49)
    picked = np.take_along_axis(planes, indices.numpy().reshape(2, 4, -1), axis=2)
    np.testing.assert_array_equal(picked.reshape(values.shape), values.numpy())


@pytest.mark.parametrize("shape", [(3,), (5, 3), (2, 5, 3), (0, 3)])
@pytest.mark.parametrize("bias", [True, False])
def test_linear(shape: tuple[int, ...], bias: bool) -> None:
    layer = nn.Linear(3, 2, bias, dtype="float64")
    x = numbers(*shape)
    expected = np.einsum("...i,oi->...o", x, layer.weight.detach().numpy())
    if bias:
        expected = expected + layer.bias.detach().numpy()
    np.testing.assert_allclose(layer(mg.tensor(x)).detach().numpy(), expected, rtol=1e-13)
    assert list(layer.state_dict()) == ["weight", "bias"][: 1 + bias]


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("padding", [0, 1, "same", (1, 1), "valid"])
def test_conv2d(groups: int, padding: Any) -> None:
    layer = nn.Conv2d(4, 8, 3, padding=padding, groups=groups, dtype="float64")
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    pads = 0 if padding in (0, "valid") else 1
    parts = zip(np.split(X, groups, 1), np.split(weight, groups), strict=True)
    maps = [np.einsum("nchwrs,kcrs->nkhw", windows(x, 3, 1, pads), w) for x, w in parts]
    expected = np.concatenate(maps, 1) + bias[:, None, None]
    np.testing.assert_allclose(layer(mg.tensor(X)).detach().numpy(), expected, rtol=1e-11)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy(reduction: str) -> None:
    scores, classes = numbers(5, 3), np.array([0, 2, 1, 1, 0])
    losses = np.log(np.exp(scores).sum(1)) - scores[np.arange(5), classes]
    expected = losses if reduction == "none" else getattr(np, reduction)(losses)
    loss = nn.CrossEntropyLoss(reduction=reduction)(mg.tensor(scores), mg.tensor(classes))
    np.testing.assert_allclose(loss.numpy(), expected, rtol=1e-12)


class TestFunctional:
    def test_linear_checks_its_bias(self) -> None:
        x, weight = mg.ones((2, 3)), mg.ones((4, 3))
        assert nn.functional.linear(x, weight, mg.ones(4)).tolist() == [[4.0] * 4] * 2
        for bias in (mg.ones((2, 4)), mg.ones(1), 1.0):
            with pytest.raises(ShapeError, match=r"the bias takes shape \(4,\)"):
                nn.functional.linear(x, weight, bias)
        with pytest.raises(ShapeError, match=r"got shapes \(2, 3\) and \(3,\)"):
            nn.functional.linear(x, mg.ones(3))

    def test_log_softmax_takes_a_dim(self) -> None:
        x = numbers(2, 3)
        expected = x - np.log(np.exp(x).sum(1, keepdims=True))
        found = nn.functional.log_softmax(mg.tensor(x), dim=1)
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)


class TestDropout:
    def test_zeroes_a_share_and_scales_the_rest(self) -> None:
        mg.manual_seed(1)
        x, p = mg.ones((400, 500), requires_grad=True), 0.3
        y = nn.Dropout(p)(x)
        zeros = float((y.detach().numpy() == 0).mean())
        assert abs(zeros - p) < 5 * np.sqrt(p * (1 - p) / x.size)
        np.testing.assert_allclose(np.unique(y.detach().numpy()), [0, 1 / (1 - p)], rtol=1e-6)
        y.sum().backward()
        assert x.grad is not None
        np.testing.assert_array_equal(x.grad.numpy(), y.detach().numpy())

    def test_every_call_draws_anew(self) -> None:
        layer, x = nn.Dropout(), mg.ones(1000)
        assert not np.array_equal(layer(x).numpy(), layer(x).numpy())

    def test_the_ends_of_the_range(self) -> None:
        x = mg.tensor([1.0, float("inf"), float("nan")])
        assert nn.Dropout(0)(x) is x
        assert nn.Dropout(1)(x).tolist() == [0, 0, 0]
        state = mg.get_rng_state()
        assert nn.Dropout(0.5).eval()(x) is x
        assert mg.get_rng_state() == state

    @pytest.mark.parametrize("p", [-0.1, 1.1, float("nan"), "half", None])
    def test_not_a_probability(self, p: Any) -> None:
        with pytest.raises(ArgumentError, match="p is a probability"):
            nn.Dropout(p)


class TestFirstValues:
    @pytest.mark.parametrize(
        ("layer", "bound"),
        [
            (lambda: nn.Linear(16, 500), 1 / 4),
            (lambda: nn.Linear(1, 500), 1.0),
            (lambda: nn.Conv2d(4, 100, 4), 1 / 8),
            (lambda: nn.Conv2d(16, 400, (2, 2), groups=4), 1 / 4),
        ],
    )
    def test_uniform_within_the_bound(self, layer: Callable[[], Any], bound: float) -> None:
        mg.manual_seed(0)
        made = layer()
        for parameter in (made.weight, made.bias):
            found = parameter.detach().numpy()
            assert np.abs(found).max() <= bound * (1 + 1e-6)
            assert np.abs(found).max() > 0.95 * bound
            assert abs(found.std() / (bound / np.sqrt(3)) - 1) < 0.15
            assert abs(found.mean()) < 5 * bound / np.sqrt(3 * found.size)

    def test_a_seed_gives_the_same_network(self) -> None:
        def drawn(seed: int) -> bytes:
            mg.manual_seed(seed)
            layer = nn.Linear(3, 4)
            return layer.weight.detach().numpy().tobytes() + layer.bias.detach().numpy().tobytes()

        assert drawn(3) == drawn(3)
        assert drawn(3) != drawn(4)

    def test_reset_draws_anew_into_the_same_parameters(self) -> None:
        for layer in (nn.Linear(3, 4), nn.Conv2d(1, 2, 3, bias=False)):
            weight, before = layer.weight, layer.weight.detach().numpy()
            layer.reset_parameters()
            assert layer.weight is weight
            assert not np.array_equal(weight.detach().numpy(), before)

    def test_initializers(self) -> None:
        mg.manual_seed(0)
        w = nn.Parameter(mg.zeros((40, 10, 3, 3)))  # fan in 90, fan out 360
        for write, std in [
            (lambda: nn.init.uniform_(w, -1, 3), 4 / np.sqrt(12)),
            (lambda: nn.init.normal_(w, 1, 2), 2.0),
            (lambda: nn.init.xavier_uniform_(w, 2.0), 2 * np.sqrt(2 / 450)),
            (lambda: nn.init.xavier_normal_(w), np.sqrt(2 / 450)),
            (lambda: nn.init.kaiming_uniform_(w, nonlinearity="relu"), np.sqrt(2 / 90)),
            (lambda: nn.init.kaiming_normal_(w, mode="fan_out"), np.sqrt(2 / 360)),
            (lambda: nn.init.zeros_(w), 0.0),
            (lambda: nn.init.ones_(w), 0.0),
        ]:
            assert write() is w
            assert abs(w.detach().numpy().std() - std) <= 0.05 * std
        assert w.requires_grad
        assert set(w.detach().numpy().ravel()) == {1.0}

    @pytest.mark.parametrize("write", [nn.init.uniform_, nn.init.normal_])
    def test_initializers_draw_in_the_dtype_of_the_tensor(
        self, write: Callable[[mg.Tensor], mg.Tensor]
    ) -> None:
        double = write(mg.zeros(50, "float64")).numpy()
        assert double.dtype == np.float64
        assert (double != double.astype("float32")).mean() > 0.9
        assert write(mg.zeros(50)).dtype == np.float32
        assert write(mg.zeros(())).shape == ()

    @pytest.mark.parametrize(
        "call",
        [
            lambda w: nn.init.normal_(w, std=-1),
            lambda w: nn.init.uniform_(w, 0, float("inf")),
            lambda w: nn.init.kaiming_uniform_(w, mode="both"),
            lambda w: nn.init.kaiming_uniform_(w, nonlinearity="step"),
            lambda w: nn.init.xavier_normal_(mg.zeros(3)),
        ],
    )
    def test_initializers_refuse(self, call: Callable[[mg.Tensor], Any]) -> None:
        with pytest.raises(MinigradError):
            call(mg.zeros((2, 2)))


class TestSequential:
    def test_is_a_list_of_modules(self) -> None:
        relu, linear = nn.ReLU(), nn.Linear(2, 2)
        net = nn.Sequential(relu, linear, relu)
        assert len(net) == 3
        assert list(net) == [relu, linear, relu]
        assert net[1] is net[-2] is linear
        assert list(net[1:].named_children()) == [("1", linear), ("2", relu)]
        assert len(net[3:]) == 0
        assert net.append(nn.Tanh()) is net
        assert [name for name, _ in net.named_modules(remove_duplicate=False)][1:] == list("0123")
        for index in (4, -5):
            with pytest.raises(IndexingError, match="out of range for 4 modules"):
                net[index]

    def test_calls_every_entry_also_the_same_module_twice(self) -> None:
        layer = nn.Linear(2, 2)
        x = mg.ones((1, 2))
        twice = nn.Sequential(layer, layer)(x)
        np.testing.assert_array_equal(twice.detach().numpy(), layer(layer(x)).detach().numpy())
        assert nn.Sequential()(x) is x

    def test_a_name_without_a_module_stands_for_none(self) -> None:
        net = nn.Sequential(nn.ReLU())
        net.add_module("1", None)
        net.append(nn.Tanh())
        assert (len(net), [type(layer) for layer in net]) == (2, [nn.ReLU, nn.Tanh])
        x = mg.tensor([-1.0, 2.0])
        assert net(x).tolist() == net[1](net[0](x)).tolist()

    def test_names_from_a_dictionary(self) -> None:
        net = nn.Sequential(OrderedDict(conv=nn.Conv2d(1, 2, 3), act=nn.ReLU()))
        assert net.conv is net[0]
        assert list(net.state_dict()) == ["conv.weight", "conv.bias"]
        assert list(net[:1].state_dict()) == ["conv.weight", "conv.bias"]

    def test_refuses_what_is_no_module_and_what_would_be_lost(self) -> None:
        for wrong in (3, "relu", lambda x: x, nn.ReLU):
            with pytest.raises(ArgumentError, match="is to be a Module"):
                nn.Sequential(nn.ReLU(), wrong)
        tail = nn.Sequential(nn.ReLU(), nn.Tanh(), nn.Sigmoid())[1:]
        with pytest.raises(ArgumentError, match="append would replace the module named '2'"):
            tail.append(nn.ReLU())


BAD: list[Callable[[], Any]] = [
    lambda: nn.Linear(0, 1),
    lambda: nn.Linear(1, -1),
    lambda: nn.Linear(1.5, 1),
    lambda: nn.Linear(True, 1),
    lambda: nn.Linear(1, 1, dtype="int32"),
    lambda: nn.Conv2d(0, 1, 3),
    lambda: nn.Conv2d(1, 0, 3),
    lambda: nn.Conv2d(1, 1, 0),
    lambda: nn.Conv2d(1, 1, (3, 3, 3)),
    lambda: nn.Conv2d(1, 1, "3"),
    lambda: nn.Conv2d(1, 1, 3, stride=0),
    lambda: nn.Conv2d(1, 1, 3, padding=-1),
    lambda: nn.Conv2d(1, 1, 3, padding=0.5),
    lambda: nn.Conv2d(1, 1, 3, padding="full"),
    lambda: nn.Conv2d(1, 1, 3, stride=2, padding="same"),
    lambda: nn.Conv2d(1, 1, 3, dilation=0),
    lambda: nn.Conv2d(3, 4, 3, groups=2),
    lambda: nn.Conv2d(4, 3, 3, groups=2),
    lambda: nn.Conv2d(4, 4, 3, groups=0),
    lambda: nn.AvgPool2d(0),
    lambda: nn.AvgPool2d(2, stride=0),
    lambda: nn.AvgPool2d(2, padding=-1),
    lambda: nn.MaxPool2d(2, dilation=0),
    lambda: nn.MaxPool2d((2, 2, 2)),
    lambda: nn.MaxPool2d(2, padding=2)(mg.tensor(X)),
    lambda: nn.AvgPool2d(9)(mg.tensor(X)),
    lambda: nn.Conv2d(4, 1, 9, dtype="float64")(mg.tensor(X)),
    lambda: nn.Conv2d(4, 1, 3)(mg.tensor(X)),
    lambda: nn.Linear(7, 1)(mg.tensor(X)),
    lambda: nn.Linear(7, 1)(mg.tensor(3.0)),
    lambda: nn.CrossEntropyLoss(reduction="max")(mg.ones((1, 2)), mg.tensor([0])),
    lambda: nn.CrossEntropyLoss()(mg.ones((1, 2)), mg.tensor([2])),
]


@pytest.mark.parametrize("call", BAD, ids=range(len(BAD)))
def test_bad_arguments(call: Callable[[], Any]) -> None:
    with pytest.raises(MinigradError):
        call()


def test_flatten_of_axes_that_do_not_exist() -> None:
    with pytest.raises(AxisError):
        nn.Flatten(1, 4)(mg.tensor(X))


class Outer(nn.Module):
    """Prints arguments of its own, and a name without a module."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.ReLU())
        self.add_module("none", None)

    def extra_repr(self) -> str:
        return "width=3"


PRINTED = [
    (nn.ReLU(), "ReLU()"),
    (nn.ReLU(inplace=True), "ReLU(inplace=True)"),
    (nn.Dropout(p=0.5), "Dropout(p=0.5, inplace=False)"),
    (nn.Identity(), "Identity()"),
    (nn.Flatten(), "Flatten(start_dim=1, end_dim=-1)"),
    (nn.CrossEntropyLoss(), "CrossEntropyLoss()"),
    (nn.Linear(2, 3, bias=False), "Linear(in_features=2, out_features=3, bias=False)"),
    (
        nn.MaxPool2d(kernel_size=3, stride=2),
        "MaxPool2d(kernel_size=3, stride=2, padding=0, dilation=1, ceil_mode=False)",
    ),
    (nn.AvgPool2d((2, 3)), "AvgPool2d(kernel_size=(2, 3), stride=(2, 3), padding=0)"),
    (
        nn.Conv2d(1, 64, kernel_size=11, stride=4, padding=2),
        "Conv2d(1, 64, kernel_size=(11, 11), stride=(4, 4), padding=(2, 2))",
    ),
    (
        nn.Conv2d(4, 4, 3, padding="same", dilation=2, groups=4, bias=False),
        "Conv2d(4, 4, kernel_size=(3, 3), stride=(1, 1), padding=same, dilation=(2, 2), groups=4, "
        "bias=False)",
    ),
    (
        nn.Conv2d(1, 1, 3, padding=np.int64(1)),
        "Conv2d(1, 1, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))",
    ),
    (Outer(), "Outer(\n  width=3\n  (inner): Sequential(\n    (0): ReLU()\n  )\n  (none): None\n)"),
    (nn.Sequential(), "Sequential()"),
]


@pytest.mark.parametrize(("layer", "text"), PRINTED, ids=lambda v: repr(v).split("(")[0])
def test_printed_as_pytorch_prints(layer: nn.Module, text: str) -> None:
    assert repr(layer) == text
