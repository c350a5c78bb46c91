"""`gradcheck` where numbers are large, small, noisy or none: what they settle and what not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.checking import GradcheckReport, Verdict
from minigrad.errors import GradcheckError
from minigrad.tensor import Tensor

X = np.random.default_rng(5).uniform(0.5, 1.5, (3, 4))


def check(function: Any, *inputs: Any, **options: Any) -> GradcheckReport:
    return mg.gradcheck(function, *inputs, raise_on_failure=False, **options)


def verdicts(function: Any, *inputs: Any, **options: Any) -> list[Verdict]:
    return [result.verdict for result in check(function, *inputs, **options).results]


def half_right(x: Tensor) -> Tensor:
    """x² with the gradient x."""
    return x * x.detach()


def test_single_precision_inside_is_allowed_for() -> None:
    def function(x: Tensor) -> Tensor:
        return x.astype("float32").exp().astype("float64")

    assert verdicts(function, X) == [Verdict.RIGHT]
    assert verdicts(lambda x: half_right(x.astype("float32")), X) == [Verdict.WRONG]


def test_values_that_are_not_finite_settle_nothing() -> None:
    report = check(lambda x: (x - 10).log(), X)
    assert [r.verdict for r in report.results] == [Verdict.UNDECIDED]
    assert not report.ok
    assert "12 of 12" in report.results[0].hint


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("slope", [0.0, 1e-12, 1.0])
def test_a_gradient_that_is_not_finite_is_wrong_where_the_function_is_smooth(
    value: float, slope: float
) -> None:
    broken = np.zeros(X.shape)
    broken[1, 2] = value

    class Broken(mg.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x * slope

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> Tensor:
            return grad * slope + mg.tensor(broken)

    for options in ({}, {"fast": True}):
        assert verdicts(Broken.apply, X, **options) == [Verdict.WRONG]
    assert check(Broken.apply, X).results[0].index == (1, 2)


def test_no_gradient_is_wrong_where_its_value_has_no_number() -> None:
    x = np.array([1.0, 5e-305])
    assert Verdict.WRONG not in verdicts(lambda x: 1 / x, x)


def partly_lost(x: Tensor) -> Tensor:
    """x, whose first row comes with noise: no step is large enough to see through it."""
    return mg.concat([x[:1] + (1e12 * x[:1].detach()).sin() / 10, x[1:]])


def test_what_is_partly_settled_is_a_warning() -> None:
    report = mg.gradcheck(partly_lost, X)
    assert [r.verdict for r in report.results] == [Verdict.IMPRECISE]
    assert report.ok and report.results[0].ok and report.warnings == report.results
    lines = str(report).splitlines()
    assert lines[0] == "gradcheck of partly_lost: ok (1 not enough precision)"
    assert lines[3].startswith("    warning: numeric differences do not settle 4 of 12 elements")
    assert "eps" in lines[3] and "float64" in lines[3]
    assert "4 of 4 directions" in check(partly_lost, X, fast=True).results[0].hint
    with pytest.raises(GradcheckError, match=r"failed \(1 not enough precision\)"):
        mg.gradcheck(partly_lost, X, strict=True)


def test_a_wrong_element_is_not_excused_by_others_that_are_not_settled() -> None:
    assert verdicts(lambda x: partly_lost(half_right(x)), X) == [Verdict.WRONG]


def test_a_kink_among_what_is_not_settled_confirms_nothing() -> None:
    def function(x: Tensor) -> Tensor:
        return mg.concat([x[:1].relu(), (x[1:] - 10).log()])

    assert verdicts(function, np.zeros(3)) == [Verdict.UNDECIDED]
    assert mg.gradcheck(lambda x: x.relu(), np.zeros(3), strict=True).ok


def test_eps_sets_the_step() -> None:
    seen: list[float] = []

    def function(x: Tensor) -> Tensor:
        seen.append(float(x.detach().numpy().max()))
        return x * x

    assert mg.gradcheck(function, np.array([0.5]), eps=1e-3).ok
    assert max(seen) == 0.5 + 2.0**-10
    assert mg.gradcheck(lambda x: (x * 1e-9).sin() * 1e9, X, eps=0.5).ok


def test_noise_is_not_called_wrong() -> None:
    assert Verdict.WRONG not in verdicts(lambda x: (x + 1e12) - 1e12, X)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(
    ("function", "x"),
    [
        (lambda x: x.sum(), np.linspace(-3, 3, 2_000)),
        (lambda x: x.exp(), np.linspace(19, 21, 6)),
        (lambda x: x.exp().sum(), np.linspace(-20, 20, 9)),
        (lambda x: (x + 1e6) * (x + 1e6), np.linspace(-1, 1, 4)),
        (lambda x: (x**5).sum(), np.linspace(10, 100, 6)),
        (lambda x: x.log(), np.array([1e-6, 1e-4, 1.0])),
        (lambda x: 1 / x, np.array([-1e-5, 1e-3, 2.0])),
    ],
    ids=["sum", "exp20", "exp_sum", "offset", "powers", "log", "inverse"],
)
def test_large_and_small_numbers_are_precise_enough(function: Any, x: Any, order: int) -> None:
    assert set(verdicts(function, x, order=order, fast=x.size > 100)) == {Verdict.RIGHT}


def test_what_lies_between_kinks_and_poles_is_not_called_wrong() -> None:
    x = 1e-7 * np.array([1.3, -0.7, 0.4, -2.1])
    for fast in (False, True):
        assert check(lambda x: x.relu(), x, fast=fast).ok
        assert check(lambda x: 1 / x, 100 * x, fast=fast).ok
