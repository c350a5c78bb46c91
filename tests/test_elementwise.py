"""Conventions of elementwise functions and activations: ties, kinks, infinities, printing."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.errors import ArgumentError, GradientError, ShapeError
from minigrad.nn import functional

INF, NAN = math.inf, math.nan


def slopes(function: Callable[..., mg.Tensor], *points: list[float]) -> list[list[float]]:
    """The gradients of the sum by every input, in float64."""
    inputs = [mg.tensor(p, "float64", requires_grad=True) for p in points]
    return [g.tolist() for g in mg.grad(function(*inputs).sum(), inputs)]


@pytest.mark.parametrize(
    ("function", "points", "expected"),
    [
        (mg.maximum, ([1, 2, 3], [2, 2, 2]), [[0, 0.5, 1], [1, 0.5, 0]]),
        (mg.minimum, ([1, 2, 3], [2, 2, 2]), [[1, 0.5, 0], [0, 0.5, 1]]),
        (lambda x: mg.clip(x, -1, 1), ([-2, -1, 0, 1, 2],), [[0, 1, 1, 1, 0]]),
        (mg.clip, ([0, 3, 9], [1, 1, 5], [4, 4, 4]), [[0, 1, 0], [1, 0, 0], [0, 0, 1]]),
        (mg.sign, ([-2, 0, 3],), [[0, 0, 0]]),
        (mg.floor, ([-1, 0.5, 2],), [[0, 0, 0]]),
        (mg.remainder, ([5, -5], [3, 3]), [[1, 1], [-1, 2]]),
        (mg.copysign, ([2, -2, 0], [-1, -1, -1]), [[-1, 1, 0], [0, 0, 0]]),
        (mg.hypot, ([0, 3], [0, 4]), [[0, 0.6], [0, 0.8]]),
        (mg.atan2, ([0, 1], [0, 1]), [[0, 0.5], [0, -0.5]]),
        (mg.logaddexp, ([INF, -INF, 0], [INF, -INF, 0]), [[0.5] * 3, [0.5] * 3]),
        (mg.sinc, ([0],), [[0]]),
        (functional.relu6, ([-1, 0, 3, 6, 7],), [[0, 0, 1, 0, 0]]),
        (functional.hardtanh, ([-1, 0, 1],), [[0, 1, 0]]),
        (functional.hardswish, ([-3, 0, 3, 4],), [[0, 0.5, 1, 1]]),
        (functional.leaky_relu, ([-1, 0, 1],), [[0.01, 0.01, 1]]),
        (functional.elu, ([0, 1000],), [[1, 1]]),
        (functional.celu, ([0, 1000],), [[1, 1]]),
        (functional.softsign, ([0, 1],), [[1, 0.25]]),
        (functional.logsigmoid, ([0, 1000, -1000],), [[0.5, 0, 1]]),
    ],
)
def test_gradients_at_kinks_and_ties(function: Any, points: Any, expected: Any) -> None:
    np.testing.assert_allclose(slopes(function, *points), expected, atol=1e-15)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("y", [0.0, 1.0, 2.5])
@pytest.mark.parametrize("x", [1.0, 2.5, 0.25])
def test_second_derivatives_of_powers(x: float, y: float, dtype: str) -> None:
    """By x twice, by x and y in either order, and by y twice; at y = 0 the first by x is 0."""
    a, b = (mg.tensor(v, dtype, requires_grad=True) for v in (x, y))
    by_x, by_y = mg.grad(a**b, [a, b], create_graph=True)
    log = math.log(x)
    assert by_x.item() == pytest.approx(y * x ** (y - 1), rel=1e-6, abs=1e-12)
    for first, expected in [
        (by_x, (y * (y - 1) * x ** (y - 2), x ** (y - 1) * (1 + y * log))),
        (by_y, (x ** (y - 1) * (1 + y * log), x**y * log**2)),
    ]:
        second = mg.grad(first, [a, b], create_graph=True)
        assert [g.item() for g in second] == pytest.approx(expected, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("x", [0.0, -0.0, 1e-320, 1.0, -2.5, -1e300, INF, -INF, NAN])
def test_the_power_0_is_constant(x: float) -> None:
    """1 with all derivatives by x 0, whatever x is and whether or not y has a gradient."""
    for y in (0, mg.tensor(0.0, "float64"), mg.tensor(0.0, "float64", requires_grad=True)):
        a = mg.tensor(x, "float64", requires_grad=True)
        z = a**y
        (first,) = mg.grad(z, a, create_graph=True)
        (second,) = mg.grad(first, a)
        assert (z.item(), first.item(), second.item()) == (1, 0, 0)


def test_powers_of_zero_have_their_one_sided_derivatives() -> None:
    """0^y is 0 for every y > 0, so constant by y; by x it is 1 for y = 1 and 0 for y > 1."""
    x = mg.tensor([0.0] * 4, "float64", requires_grad=True)
    y = mg.tensor([1.0, 1.5, 2.0, 3.0], "float64", requires_grad=True)
    by_x, by_y = mg.grad((x**y).sum(), [x, y])
    assert by_x.tolist() == [1, 0, 0, 0]
    assert by_y.tolist() == [0] * 4


@pytest.mark.parametrize(
    ("values", "decimals", "expected"),
    [
        ([1.25, -1.35, 0.5], 1, [1.2, -1.4, 0.5]),
        ([1234.5, -50, 150], -2, [1200, -0.0, 200]),
        ([1.5, -INF, INF], 400, [1.5, -INF, INF]),
        ([1.5, -INF, INF], -(10**20), [0, -INF, INF]),
        ([1e300, 3.0], 300, [1e300, 3.0]),
    ],
)
def test_rounding_to_decimals(values: list[float], decimals: int, expected: list[float]) -> None:
    x = mg.tensor([*values, NAN], "float64", requires_grad=True)
    y = mg.round(x, decimals)
    np.testing.assert_array_equal(y.detach().numpy(), [*expected, NAN])
    assert not mg.grad(y.sum(), x)[0].numpy().any()


def test_integers_are_rounded_without_a_float_between() -> None:
    large = 2**62 + 51
    assert mg.round(mg.tensor([large, -large, 25, 35, -25]), -1).tolist() == [
        10 * ((large + 5) // 10),
        -10 * ((large + 5) // 10),
        20,
        40,
        -20,
    ]
    assert mg.round(mg.tensor([7, 250], "uint8"), -2).tolist() == [0, 200]
    assert mg.round(mg.tensor([7, -120], "int8"), -3).tolist() == [0, 0]
    assert mg.round(mg.tensor([7, 8]), 3).tolist() == [7, 8]
    with pytest.raises(ArgumentError, match="decimals"):
        mg.round(1.5, 0.5)


EVERYWHERE_FINITE = "celu elu gelu hardsigmoid hardswish hardtanh leaky_relu logsigmoid mish relu"
EVERYWHERE_FINITE += " relu6 selu sigmoid silu softplus softsign tanh"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", EVERYWHERE_FINITE.split())
def test_activations_overflow_nowhere(name: str, dtype: str) -> None:
    x = mg.tensor([-1e30, -1e3, -90, -20, 0, 20, 90, 1e3, 1e30], dtype, requires_grad=True)
    y = getattr(functional, name)(x)
    (first,) = mg.grad(y.sum(), x, create_graph=True)
    assert first is not None
    values = [y, first]
    if first.requires_grad:
        values += [g for g in mg.grad(first.sum(), x, allow_unused=True) if g is not None]
    for value in values:
        assert np.isfinite(value.detach().numpy()).all()


def test_gelu_by_tanh_overflows_nowhere() -> None:
    x = mg.tensor([-1e30, -12, 12, 1e30], requires_grad=True)
    y = mg.gelu(x, "tanh")
    (first,) = mg.grad(y.sum(), x, create_graph=True)
    assert first is not None
    assert first.tolist() == [0, 0, 1, 1]
    (second,) = mg.grad(first.sum(), x)
    assert second is not None
    assert second.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_erf_is_exact_to_a_few_units_in_the_last_place(dtype: str) -> None:
    x = np.concatenate([np.linspace(-7, 7, 2001), [1e-30, 1e30, -1e30, INF, -INF]]).astype(dtype)
    exact = np.array([math.erf(v) for v in x])
    found = mg.erf(mg.tensor(x)).numpy()
    assert (np.abs(found - exact) <= 4 * np.finfo(dtype).eps * np.abs(exact)).all()
    assert np.isnan(mg.erf(mg.tensor([NAN])).item())


def test_nan_and_bounds_win_as_in_numpy() -> None:
    x = mg.tensor([NAN, 1.0, 2.0])
    assert np.isnan(mg.maximum(x, 0).tolist()[0]) and np.isnan(mg.clip(x, 0, 1).tolist()[0])
    assert np.isnan(mg.clip(mg.tensor([1.0]), NAN).item())
    assert mg.clip(mg.tensor([0.0, 5.0]), 3, 1).tolist() == [1, 1]


def test_operators_on_integers_and_booleans() -> None:
    x, mask = mg.tensor([5, -7]), mg.tensor([True, False])
    for y, expected in [
        (x // 2, [2, -4]),
        (x % 3, [2, 2]),
        (7 // x, [1, -1]),
        (7 % x, [2, 0]),
        (x & 3, [1, 1]),
        (x | 8, [13, -7]),
        (1 ^ x, [4, -8]),
        (x << 1, [10, -14]),
        (x >> 1, [2, -4]),
        (~x, [-6, 6]),
        (mask ^ True, [False, True]),
        (~mask, [False, True]),
    ]:
        assert y.tolist() == expected


def test_nextafter_has_no_gradient() -> None:
    x = mg.ones(2, requires_grad=True)
    with pytest.raises(GradientError):
        mg.nextafter(x, 2.0).sum().backward()


@pytest.mark.parametrize(
    ("module", "printed"),
    [
        (nn.LeakyReLU(0.2, inplace=True), "LeakyReLU(negative_slope=0.2, inplace=True)"),
        (nn.ELU(), "ELU(alpha=1.0)"),
        (nn.SELU(inplace=True), "SELU(inplace=True)"),
        (nn.CELU(), "CELU(alpha=1.0)"),
        (nn.GELU("tanh"), "GELU(approximate='tanh')"),
        (nn.SiLU(), "SiLU()"),
        (nn.Mish(), "Mish()"),
        (nn.Softplus(), "Softplus(beta=1.0, threshold=20.0)"),
        (nn.Softsign(), "Softsign()"),
        (nn.Hardtanh(), "Hardtanh(min_val=-1.0, max_val=1.0)"),
        (nn.Hardswish(inplace=True), "Hardswish()"),
        (nn.Hardsigmoid(), "Hardsigmoid()"),
        (nn.ReLU6(), "ReLU6()"),
        (nn.LogSigmoid(), "LogSigmoid()"),
        (nn.Softmax(dim=1), "Softmax(dim=1)"),
        (nn.Softmin(), "Softmin(dim=None)"),
        (nn.LogSoftmax(1), "LogSoftmax(dim=1)"),
        (nn.PReLU(), "PReLU(num_parameters=1)"),
        (nn.GLU(), "GLU(dim=-1)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_modules_compute_what_they_print(module: nn.Module, printed: str) -> None:
    assert repr(module) == printed
    x = mg.tensor([[-2.0, 0.5, 1.0, 3.0]])
    name = {"LeakyReLU": "leaky_relu", "LogSoftmax": "log_softmax"}.get(type(module).__name__)
    function = getattr(functional, name or type(module).__name__.lower())
    if isinstance(module, nn.PReLU):
        assert module(x).tolist() == function(x, module.weight).tolist()
    elif not printed.endswith(("()", "None)")) and "inplace" not in printed:
        settings = dict(item.split("=") for item in printed.split("(")[1][:-1].split(", "))
        arguments = {k: v.strip("'") if "'" in v else float(v) for k, v in settings.items()}
        arguments |= {"dim": int(arguments["dim"])} if "dim" in arguments else {}
        assert module(x).tolist() == function(x, **arguments).tolist()


def test_the_default_axis_of_softmax_is_that_of_pytorch() -> None:
    for shape, axis in [((3,), 0), ((2, 3), 1), ((2, 3, 2), 0), ((2, 3, 2, 2), 1)]:
        x = mg.randn(shape)
        for function in (functional.softmax, functional.softmin, functional.log_softmax):
            assert function(x).tolist() == function(x, axis).tolist()


def test_what_activations_refuse() -> None:
    with pytest.raises(ShapeError, match=r"glu.*even"):
        functional.glu(mg.zeros((2, 3)))
    with pytest.raises(ShapeError, match=r"prelu.*\(2,\)"):
        functional.prelu(mg.zeros((2, 3)), mg.zeros(2))
    with pytest.raises(ArgumentError, match="hardtanh: min_val"):
        functional.hardtanh(mg.zeros(2), 2, 1)
    with pytest.raises(ArgumentError, match="celu: alpha"):
        functional.celu(mg.zeros(2), 0)
