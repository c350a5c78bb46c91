"""PyTorch as the reference: names, signatures, first values, and the same numbers in float64."""

from __future__ import annotations

import inspect
import re
from typing import Any

import numpy as np
import pytest
import torch_networks
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad import models, nn, optim
from minigrad.errors import ShapeError

torch = pytest.importorskip("torch")


pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:Using padding='same'")]
DRAWN = settings(max_examples=200, deadline=None)
CLOSE = {"rtol": 1e-10, "atol": 1e-10}


def both(array: Any, requires_grad: bool = True) -> tuple[mg.Tensor, Any]:
    """One array as a tensor of minigrad and one of PyTorch."""
    theirs = torch.tensor(np.asarray(array))
    if requires_grad and theirs.is_floating_point():
        theirs.requires_grad_()
        return mg.tensor(np.asarray(array), requires_grad=True), theirs
    return mg.tensor(np.asarray(array)), theirs


def assert_close(ours: mg.Tensor | None, theirs: Any, what: str = "") -> None:
    assert ours is not None
    expected = theirs.detach().numpy()
    assert ours.shape == expected.shape, what
    np.testing.assert_allclose(ours.detach().numpy(), expected, err_msg=what, **CLOSE)


def assert_same_function(ours: Any, theirs: Any, *arrays: Any) -> None:
    """Same result, and the same gradient under one cotangent, of every array."""
    pairs = [both(array) for array in arrays]
    result, expected = ours(*[a for a, _ in pairs]), theirs(*[b for _, b in pairs])
    assert_close(result, expected, "result")
    cotangent = np.random.default_rng(1).normal(size=result.shape)
    result.backward(mg.tensor(cotangent))
    expected.backward(torch.tensor(cotangent))
    for i, (a, b) in enumerate(pairs):
        if b.requires_grad:
            assert_close(a.grad, b.grad, f"gradient {i}")


class TestLeNet5:
    def test_prints_and_keys_are_equal(self) -> None:
        ours, theirs = models.lenet5(), torch_networks.LeNet5()
        assert repr(ours) == repr(theirs)
        assert list(ours.state_dict()) == list(theirs.state_dict())

    def test_states_go_both_ways(self) -> None:
        ours, theirs = models.lenet5(), torch_networks.LeNet5()
        x = mg.rand((4, 1, 32, 32))
        ours.load_state_dict({key: value.numpy() for key, value in theirs.state_dict().items()})
        expected = theirs(torch.tensor(x.numpy())).detach().numpy()
        np.testing.assert_allclose(ours(x).detach().numpy(), expected, rtol=1e-4, atol=1e-5)
        fresh = torch_networks.LeNet5()
        state = {key: torch.tensor(t.numpy()) for key, t in ours.state_dict().items()}
        assert str(fresh.load_state_dict(state)) == "<All keys matched successfully>"
        for name, parameter in fresh.named_parameters():
            assert torch.equal(parameter, dict(theirs.named_parameters())[name])

    def test_outputs_and_gradients(self) -> None:
        ours, theirs = models.lenet5().double(), torch_networks.LeNet5().double()
        ours.load_state_dict({key: value.numpy() for key, value in theirs.state_dict().items()})
        rng = np.random.default_rng(0)
        x, x_theirs = both(rng.normal(size=(5, 1, 32, 32)))
        classes, classes_theirs = both(rng.integers(0, 10, 5))
        scores, scores_theirs = ours(x), theirs(x_theirs)
        assert_close(scores, scores_theirs)
        nn.functional.cross_entropy(scores, classes).backward()
        torch.nn.functional.cross_entropy(scores_theirs, classes_theirs).backward()
        assert_close(x.grad, x_theirs.grad, "input")
        for (name, a), (_, b) in zip(
            ours.named_parameters(), theirs.named_parameters(), strict=True
        ):
            assert_close(a.grad, b.grad, name)


def pairs(low: int, high: int) -> st.SearchStrategy[Any]:
    number = st.integers(low, high)
    return number | st.tuples(number, number)


def axis(value: Any, i: int) -> int:
    return value[i] if isinstance(value, tuple) else value


def planes(draw: Any, channels: int, ties: bool) -> Any:
    shape = draw(st.integers(1, 2)), channels, draw(st.integers(1, 9)), draw(st.integers(1, 9))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    return rng.integers(-1, 2, shape).astype(float) if ties else rng.normal(size=shape)


def assume_fits(x: Any, kernel: Any, padding: Any, dilation: Any) -> None:
    for i in range(2):
        span = axis(dilation, i) * (axis(kernel, i) - 1) + 1
        assume(span <= x.shape[2 + i] + 2 * axis(padding, i))


class TestFunctions:
    @DRAWN
    @given(data=st.data())
    def test_avg_pool2d(self, data: st.DataObject) -> None:
        x, options = self._pooling(data, 1)
        options["count_include_pad"] = data.draw(st.booleans())
        assert_same_function(
            lambda x: nn.functional.avg_pool2d(x, **options),
            lambda x: torch.nn.functional.avg_pool2d(x, **options),
            x,
        )

    @DRAWN
    @given(data=st.data())
    def test_max_pool2d(self, data: st.DataObject) -> None:
        x, options = self._pooling(data, 2)
        if not torch.nn.functional.max_pool2d(torch.tensor(x), **options).isfinite().all():
            with pytest.raises(ShapeError, match="nothing but padding"):
                nn.functional.max_pool2d(mg.tensor(x), **options)
            return
        assert_same_function(
            lambda x: nn.functional.max_pool2d(x, **options),
            lambda x: torch.nn.functional.max_pool2d(x, **options),
            x,
        )
        _, found = nn.functional.max_pool2d(mg.tensor(x), return_indices=True, **options)
        _, expected = torch.nn.functional.max_pool2d(
            torch.tensor(x), return_indices=True, **options
        )
        np.testing.assert_array_equal(found.numpy(), expected.numpy())

    @staticmethod
    def _pooling(data: st.DataObject, dilations: int) -> tuple[Any, dict[str, Any]]:
        kernel = data.draw(pairs(1, 4))
        half = st.tuples(*(st.integers(0, axis(kernel, i) // 2) for i in range(2)))
        options = {
            "kernel_size": kernel,
            "stride": data.draw(st.none() | pairs(1, 4)),
            "padding": data.draw(half),
            "ceil_mode": data.draw(st.booleans()),
        }
        if dilations > 1:
            options["dilation"] = data.draw(pairs(1, dilations))
        x = planes(data.draw, 2, ties=data.draw(st.booleans()))
        assume_fits(x, kernel, options["padding"], options.get("dilation", 1))
        return x, options

    @DRAWN
    @given(data=st.data())
    def test_cross_entropy(self, data: st.DataObject) -> None:
        n, c = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 5))
        rest = data.draw(st.lists(st.integers(1, 3), max_size=2))
        rng = np.random.default_rng(data.draw(st.integers(0, 99)))
        scale = data.draw(st.sampled_from([0.0, 1.0, 1e3]))
        reduction = data.draw(st.sampled_from(["mean", "sum", "none"]))
        assert_same_function(
            lambda x, t: nn.functional.cross_entropy(x, t, reduction=reduction),
            lambda x, t: torch.nn.functional.cross_entropy(x, t, reduction=reduction),
            rng.normal(size=(n, c, *rest)) * scale,
            rng.integers(0, c, (n, *rest)),
        )

    @pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh"])
    def test_activations(self, name: str) -> None:
        x = np.concatenate([np.linspace(-40, 40, 41), [0.0, -0.0, 800.0, -800.0]])
        assert_same_function(getattr(nn.functional, name), getattr(torch, name), x)

    def test_linear_and_log_softmax(self) -> None:
        rng = np.random.default_rng(0)
        for shape in [(3,), (4, 3), (2, 4, 3)]:
            arrays = rng.normal(size=shape), rng.normal(size=(5, 3)), rng.normal(size=5)
            assert_same_function(nn.functional.linear, torch.nn.functional.linear, *arrays)
        for dim in (0, 1, -1):
            assert_same_function(
                lambda x, dim=dim: nn.functional.log_softmax(x, dim=dim),
                lambda x, dim=dim: torch.nn.functional.log_softmax(x, dim=dim),
                rng.normal(size=(2, 3, 4)),
            )


TRAINED: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.01, "momentum": 0.9, "maximize": True, "weight_decay": 0.1}),
    *[
        (name, options)
        for name in ("Adam", "AdamW")
        for options in (
            {},
            {"lr": 0.1, "betas": (0.5, 0.8), "eps": 1e-3},
            {"lr": 0.1, "weight_decay": 0.2},
            {"lr": 0.1, "weight_decay": 0.0, "amsgrad": True, "betas": (0.9, 0.5)},
            {"lr": 0.1, "weight_decay": 0.2, "amsgrad": True, "maximize": True},
        )
    ],
]


@pytest.mark.parametrize(("name", "options"), TRAINED)
def test_optimizers(name: str, options: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    starts = [rng.normal(size=shape) for shape in ((4, 3), (3,), ())]
    x = rng.normal(size=(6, 4))
    ours, theirs = zip(*[both(start) for start in starts], strict=True)
    inputs, inputs_theirs = both(x, requires_grad=False)
    trainer = getattr(optim, name)(ours, **options)
    reference = getattr(torch.optim, name)(theirs, **options)
    for _ in range(20):
        trainer.zero_grad()
        reference.zero_grad()
        ((inputs @ ours[0] + ours[1]).sigmoid() * ours[2]).sum().backward()
        ((inputs_theirs @ theirs[0] + theirs[1]).sigmoid() * theirs[2]).sum().backward()
        trainer.step()
        reference.step()
    for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        assert_close(a, b, f"parameter {i}")
    state = reference.state_dict()
    for number, entries in trainer.state_dict()["state"].items():
        assert not entries or entries.keys() == state["state"][number].keys()
    resumed = getattr(optim, name)(ours, **options)
    resumed.load_state_dict(
        {
            "state": {
                number: {key: entry.numpy() for key, entry in entries.items()}
                for number, entries in state["state"].items()
            },
            "param_groups": state["param_groups"],
        }
    )
    for entry in (trainer, resumed):
        for group, expected in zip(entry.param_groups, state["param_groups"], strict=True):
            settings = {key: group[key] for key in entry.defaults}
            assert settings == {key: expected[key] for key in settings}


LAYERS: list[tuple[str, dict[str, Any]]] = [
    ("Linear", {"in_features": 50, "out_features": 2000}),
    ("Conv2d", {"in_channels": 4, "out_channels": 2000, "kernel_size": (3, 5)}),
    ("Conv2d", {"in_channels": 8, "out_channels": 2000, "kernel_size": 3, "groups": 4}),
]


@pytest.mark.parametrize(("name", "arguments"), LAYERS)
def test_first_values_have_the_same_spread(name: str, arguments: dict[str, Any]) -> None:
    mg.manual_seed(0)
    torch.manual_seed(0)
    ours, theirs = getattr(nn, name)(**arguments), getattr(torch.nn, name)(**arguments)
    for (key, a), (_, b) in zip(
        ours.state_dict().items(), theirs.state_dict().items(), strict=True
    ):
        found, expected = a.numpy(), b.numpy()
        assert found.shape == expected.shape
        assert abs(np.abs(found).max() / np.abs(expected).max() - 1) < 0.02, key
        assert abs(found.std() / expected.std() - 1) < 0.1, key


INITIALIZERS = ["uniform_", "normal_", "zeros_", "ones_", "constant_", "calculate_gain"]
INITIALIZERS += [f"{who}_{how}_" for who in ("kaiming", "xavier") for how in ("uniform", "normal")]

# Functions of which PyTorch tells no names of parameters.
WITHOUT_SIGNATURE = ["avg_pool2d", "bilinear", "cosine_similarity", "linear"]
WITHOUT_SIGNATURE += ["max_pool2d", "one_hot", "pairwise_distance", "pixel_shuffle"]
WITHOUT_SIGNATURE += ["pixel_unshuffle", "relu", "sigmoid", "tanh"]
WITHOUT_SIGNATURE += ["avg_pool1d", "avg_pool3d", "max_pool1d", "max_pool3d"]
WITHOUT_SIGNATURE += ["adaptive_avg_pool1d", *[f"adaptive_max_pool{n}d" for n in (1, 2, 3)]]
WITHOUT_SIGNATURE += [f"conv{kind}{n}d" for kind in ("", "_transpose") for n in (1, 2, 3)]

# What PyTorch writes as x[..., ::s, ::s].
WITHOUT_COUNTERPART = ["subsample", *[f"Subsample{n}d" for n in (1, 2, 3)]]

OF_TORCH: list[tuple[Any, Any]] = [
    *[
        (getattr(nn, name), getattr(torch.nn, name))
        for name in nn.__all__
        if inspect.isclass(getattr(nn, name))
        and name not in ("Identity", "Module", "Sequential", *WITHOUT_COUNTERPART)
    ],
    *[(getattr(optim, name), getattr(torch.optim, name)) for name in ("SGD", "Adam", "AdamW")],
    *[(getattr(nn.init, name), getattr(torch.nn.init, name)) for name in INITIALIZERS],
    *[
        (getattr(nn.functional, name), getattr(torch.nn.functional, name))
        for name in nn.functional.__all__
        if name not in (*WITHOUT_SIGNATURE, *WITHOUT_COUNTERPART)
    ],
    *[
        (getattr(nn.Module, name), getattr(torch.nn.Module, name))
        for name, member in vars(nn.Module).items()
        if inspect.isfunction(member) and not name.startswith("_") and name not in ("to",)
    ],
]


def parameters_of(function: Any) -> Any:
    """The parameters of a function, for a builtin as its documentation gives them."""
    try:
        return inspect.signature(function).parameters
    except ValueError:
        written = re.search(r"\w+\((.*?)\) *->", function.__doc__)
        assert written is not None
        return inspect.signature(eval(f"lambda {written[1]}: None")).parameters


@pytest.mark.parametrize(
    ("ours", "theirs"), OF_TORCH, ids=[ours.__qualname__ for ours, _ in OF_TORCH]
)
def test_signatures(ours: Any, theirs: Any) -> None:
    """Every parameter of ours has its name, its default and its place in the order there."""
    found, expected = (parameters_of(f) for f in (ours, theirs))
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in expected.values()):
        return
    for name, parameter in found.items():
        if name == "dtype":
            continue
        assert name in expected, f"{name} is not a parameter of PyTorch's"
        assert parameter.default in (parameter.empty, expected[name].default), name
    order, expected_order = (
        [n for n, p in s.items() if p.kind is p.POSITIONAL_OR_KEYWORD and n != "dtype"]
        for s in (found, expected)
    )
    assert order == expected_order[: len(order)]


class TestSharing:
    def test_keys_of_shared_modules(self) -> None:
        def keys(module: Any) -> tuple[list[str], ...]:
            layer, other = module.Linear(2, 2), module.Linear(2, 2)
            other.weight = layer.weight
            net = module.Sequential(layer, module.Sequential(layer, other), layer)
            return (
                list(net.state_dict()),
                [name for name, _ in net.named_parameters()],
                [name for name, _ in net.named_modules()],
                [name for name, _ in net.named_children()],
                [name for name, _ in net.named_modules(remove_duplicate=False)],
            )

        assert keys(nn) == keys(torch.nn)
