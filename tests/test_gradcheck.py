"""`gradcheck`: its verdicts, what it takes, what it leaves alone, and its report."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.checking import GradcheckReport, Verdict
from minigrad.errors import ArgumentError, GradcheckError, MinigradError
from minigrad.tensor import Tensor

X = np.random.default_rng(5).uniform(0.5, 1.5, (3, 4))


def check(function: Any, *inputs: Any, **options: Any) -> GradcheckReport:
    return mg.gradcheck(function, *inputs, raise_on_failure=False, **options)


def verdicts(function: Any, *inputs: Any, **options: Any) -> list[Verdict]:
    return [result.verdict for result in check(function, *inputs, **options).results]


def half_right(x: Tensor) -> Tensor:
    """x² with the gradient x."""
    return x * x.detach()


class Cube(mg.Function):
    """x³ whose gradient cannot be differentiated right: it forgets the factor 3 of the second."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return grad * 3 * x * x.detach()


# -- verdicts ---------------------------------------------------------------------------------


@pytest.mark.parametrize("fast", [False, True])
def test_right_in_both_orders(fast: bool) -> None:
    report = mg.gradcheck(lambda x, y: x.exp() @ y, X, X.T, order=2, fast=fast)
    assert report.ok
    assert [r.name for r in report.results] == [
        "input 0",
        "input 1",
        "cotangent of output 0",
        "input 0",
        "input 1",
    ]
    assert {r.verdict for r in report.results} == {Verdict.RIGHT}


@pytest.mark.parametrize("fast", [False, True])
def test_a_wrong_formula(fast: bool) -> None:
    with pytest.raises(GradcheckError, match="wrong formula") as caught:
        mg.gradcheck(half_right, X, fast=fast)
    assert isinstance(caught.value, (ValueError, RuntimeError))
    (result,) = caught.value.report.results
    assert result.analytic == pytest.approx(result.numeric / 2)
    assert result.error == pytest.approx(abs(result.numeric) / 2)
    assert result.estimate < 1e-6
    assert len(result.index) == (1 if fast else 2)


def test_the_worst_element_is_named() -> None:
    weight = np.ones((3, 4))
    weight[1, 2] = 5

    def function(x: Tensor) -> Tensor:
        kept = mg.tensor(np.where(weight == 5, 0.0, 1.0))
        return x * kept + x.detach() * (1 - kept)

    (result,) = check(function, X).results
    assert (result.verdict, result.index) == (Verdict.WRONG, (1, 2))


def test_only_the_second_order_wrong() -> None:
    assert check(Cube.apply, X).ok
    report = check(Cube.apply, X, order=2)
    assert [r.verdict for r in report.results] == [Verdict.RIGHT, Verdict.RIGHT, Verdict.WRONG]


def test_an_error_far_below_one_percent_is_found() -> None:
    assert verdicts(lambda x: x * 1.0001 - 0.0001 * x.detach(), X) == [Verdict.WRONG]


def test_detached_is_told() -> None:
    (result,) = check(lambda x: x.detach() * 2, X).results
    assert result.verdict is Verdict.MISSING
    assert "does not depend" in result.hint


def test_what_the_output_does_not_depend_on_is_right() -> None:
    assert verdicts(lambda x, y: x * 2, X, X, order=2) == [Verdict.RIGHT] * 5


KINKS = {
    "relu": (lambda x: x.relu(), [1.0, 0.0, -1.0]),
    "abs": (lambda x: x.abs(), [0.0, 2.0]),
    "sqrt": (lambda x: x.sqrt(), [0.0, 2.0]),
    "max": (lambda x: x.max(), [2.0, 2.0, 1.0]),
    "maximum_of_itself": (lambda x: mg.where(x > 0, x, -2 * x), [0.0, 3.0]),
    "near": (lambda x: x.relu(), [1e-9, 0.5]),
}


@pytest.mark.parametrize("name", KINKS)
@pytest.mark.parametrize("order", [1, 2])
def test_a_kink_is_no_failure(name: str, order: int) -> None:
    function, values = KINKS[name]
    report = mg.gradcheck(function, np.array(values), order=order)
    assert report.ok
    assert report.results[0].verdict is Verdict.KINK
    assert "elements" in report.results[0].hint


def test_a_tie_in_max_pooling_is_a_kink() -> None:
    (result,) = mg.gradcheck(nn.MaxPool2d(2), np.zeros((1, 1, 4, 4))).results
    assert result.verdict is Verdict.KINK


def test_a_kink_does_not_hide_a_wrong_element() -> None:
    x = np.array([0.0, 1.0, 2.0])
    assert verdicts(lambda x: 2 * x.relu() - x.relu().detach(), x) == [Verdict.WRONG]


def test_near_a_kink_the_gradient_is_right() -> None:
    assert verdicts(lambda x: x.relu(), np.array([1e-5, -1e-5, 3.0])) == [Verdict.RIGHT]


def test_random_functions() -> None:
    rng = np.random.default_rng(0)
    (result,) = check(lambda x: x * float(rng.random()), X).results
    assert result.verdict is Verdict.RANDOM
    count = itertools.count()
    assert verdicts(lambda x: x * next(count), X) == [Verdict.RANDOM]


def test_dropout_repeats_itself() -> None:
    mg.manual_seed(3)
    state = mg.get_rng_state()
    assert mg.gradcheck(nn.Dropout(0.5), X, order=2).ok
    assert mg.get_rng_state() == state


# -- what it takes ----------------------------------------------------------------------------


def test_a_module_and_its_inputs_stay_as_they_are() -> None:
    layer = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2))
    before = {key: value.numpy().copy() for key, value in layer.state_dict().items()}
    x = mg.tensor(np.random.default_rng(0).standard_normal((2, 2, 4, 4)), "float32")
    report = mg.gradcheck(layer, x, order=2)
    assert [r.name for r in report.results[:5]] == [
        "input 0",
        "0.weight",
        "0.bias",
        "3.weight",
        "3.bias",
    ]
    assert x.dtype == mg.float32 and not x.requires_grad and x.grad is None
    for key, value in layer.state_dict().items():
        assert value.dtype == mg.float32
        np.testing.assert_array_equal(value.numpy(), before[key])
    assert all(p.grad is None for p in layer.parameters())


def test_a_wrong_parameter_is_named() -> None:
    class Scale(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Module()
            self.inner.gain = nn.Parameter(np.array([1.5, 0.5, 2.0, 3.0]))

        def forward(self, x: Tensor) -> Tensor:
            gain = self.inner.gain
            return x * (2 * gain.detach() - gain)

    report = check(Scale(), X)
    assert [(r.name, r.verdict) for r in report.results] == [
        ("input 0", Verdict.RIGHT),
        ("inner.gain", Verdict.WRONG),
    ]
    assert "wrong sign" in report.results[1].hint


def test_several_outputs_lists_and_other_arguments() -> None:
    def function(parts: Any, index: Tensor, power: int) -> Any:
        return {"both": mg.concat(parts)[index] ** power, "count": index}, parts[0].sum()

    def flat(*arguments: Any) -> Any:
        named, total = function(*arguments)
        return named["both"], total

    report = mg.gradcheck(flat, [mg.tensor(X), mg.tensor(X + 1)], mg.tensor([0, 5]), 3)
    assert [r.name for r in report.results] == ["input 0[0]", "input 0[1]"]


def test_arrays_in_nested_lists_are_checked() -> None:
    def function(parts: Any, plain: Any) -> Tensor:
        assert plain is names
        (x, (y, k)), index = parts
        return (x * y**k)[index]

    names = ["a", ["b"]]
    report = mg.gradcheck(function, [(X, [mg.tensor(X + 1), 2]), np.array([0, 2])], names)
    assert [r.name for r in report.results] == ["input 0[0][0]", "input 0[0][1][0]"]


@pytest.mark.parametrize("kind", [list, tuple])
def test_lists_stay_lists_and_tuples_tuples(kind: type) -> None:
    def function(parts: Any) -> Tensor:
        assert type(parts) is kind
        return parts[0] * parts[1]

    assert mg.gradcheck(function, kind([mg.tensor(X), mg.tensor(X + 1)])).ok


def test_the_whole_jacobian() -> None:
    report = mg.gradcheck(lambda x: x.exp().sum(axis=0), X, jacobian=True)
    assert report.results[0].numeric_values.shape == (4, 12)
    assert verdicts(half_right, X, jacobian=True) == [Verdict.WRONG]


@pytest.mark.parametrize("shape", [(), (0, 3), (1,)])
def test_small_inputs(shape: tuple[int, ...]) -> None:
    assert mg.gradcheck(lambda x: x.exp(), np.ones(shape), order=2).ok
    assert mg.gradcheck(lambda x: x.exp(), np.ones(shape), fast=True).ok


def test_a_function_that_takes_gradients_itself() -> None:
    def penalty(x: Tensor) -> Tensor:
        (g,) = mg.grad((x * x * x).sum(), x, create_graph=True)
        return g * g

    assert mg.gradcheck(penalty, X).ok


def test_differences_record_nothing_and_the_jacobian_takes_one_record() -> None:
    recorded = []

    def function(x: Tensor) -> Tensor:
        recorded.append(mg.tape.is_grad_enabled())
        return x.exp()

    assert mg.gradcheck(function, X, jacobian=True).ok
    assert len(recorded) > 4 * X.size
    assert sum(recorded) == 4  # twice at the point, the analytic sweeps, the dtypes on the way


def test_the_same_report_each_time() -> None:
    layer = nn.Linear(4, 2)
    assert str(check(layer, X, fast=True)) == str(check(layer, X, fast=True))
    assert str(check(layer, X, seed=1)) != str(check(layer, X))


@pytest.mark.parametrize(
    ("function", "inputs", "options"),
    [
        (3, (X,), {}),
        (nn.ReLU, (X,), {}),
        (lambda x: x, (), {}),
        (lambda x: x, (np.array([1, 2]),), {}),
        (lambda x: x, (np.array([1.0, np.nan]),), {}),
        (lambda x: 1, (X,), {}),
        (lambda x: x > 0, (X,), {}),
        (lambda x: x, (X,), {"order": 3}),
        (lambda x: x, (X,), {"order": True}),
        (lambda x: x, (X,), {"seed": -1}),
        (lambda x: x, (X,), {"seed": 0.5}),
        (lambda x: x, (X,), {"rtol": -1}),
        (lambda x: x, (X,), {"atol": "small"}),
        (lambda x: x, (X,), {"eps": 0}),
        (lambda x: x, (X,), {"eps": 2}),
        (lambda x: x, (X,), {"directions": 0}),
        (lambda x: x, (X,), {"fast": True, "directions": 1.5}),
    ],
)
def test_bad_arguments(function: Any, inputs: Any, options: Any) -> None:
    with pytest.raises(ArgumentError, match=r"gradcheck|takes"):
        mg.gradcheck(function, *inputs, **options)


# -- the report -------------------------------------------------------------------------------


def test_the_report_prints_a_table() -> None:
    lines = str(check(half_right, X, order=2)).splitlines()
    assert lines[0] == "gradcheck of half_right: failed (1 right, 1 wrong formula, 1 no gradient)"
    assert lines[1].split()[:2] == ["gradient", "by"]
    assert lines[2].startswith("input 0 ")
    assert lines[3].startswith("    hint: constant factor")


def test_the_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    report = check(lambda x: half_right(x).relu(), np.array([[0.0, 1.0, -2.0]]), order=2)
    report.plot(tmp_path / "check.png")
    assert (tmp_path / "check.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(MinigradError, match="cannot write"):
        report.plot(tmp_path / "nowhere" / "check.png")


def test_without_matplotlib_the_picture_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MinigradError, match=r"minigrad\[plot\]"):
        check(half_right, X).plot()


@pytest.mark.parametrize("divisor", [1e-30, 1e-12, 1e-7, 0.3])
@pytest.mark.parametrize("x", [0.0, 0.5, 1.7])
def test_stairs_finer_than_the_digits_are_not_called_wrong(x: float, divisor: float) -> None:
    at = mg.tensor([x, x + 1], "float64")
    report = mg.gradcheck(lambda v: mg.floor_divide(v, divisor), at, raise_on_failure=False)
    assert report.results[0].verdict not in (Verdict.RIGHT, Verdict.WRONG)


def test_gradient_of_0_is_still_wrong_for_a_slope() -> None:
    class Lost(mg.Function):
        @staticmethod
        def forward(ctx: Any, x: mg.Tensor) -> mg.Tensor:
            return x * 1024

        @staticmethod
        def backward(ctx: Any, grad: mg.Tensor) -> mg.Tensor:
            return grad * 0

    report = mg.gradcheck(Lost.apply, mg.tensor([1.0, 2.0]), raise_on_failure=False)
    assert report.results[0].verdict == Verdict.WRONG
