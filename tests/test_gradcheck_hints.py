"""Hints of `gradcheck`: each known shape of an error is recognized, and nothing else is claimed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.checking import Verdict
from minigrad.tensor import Tensor

rng = np.random.default_rng(11)
SQUARE, WIDE, ROW = (rng.standard_normal(shape) for shape in ((4, 4), (3, 5), (5,)))
Backward = Callable[..., Any]


ONE_NAN = np.where(np.arange(15).reshape(3, 5) == 7, np.nan, 0.0)


def op(forward: Backward, backward: Backward) -> Backward:
    """A function with a gradient of one's own: backward(grad, *inputs)."""

    class Own(mg.Function):
        @staticmethod
        def forward(ctx: Any, *inputs: Tensor) -> Tensor:
            ctx.save_for_backward(*inputs)
            return forward(*inputs)

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> Any:
            return backward(grad, *ctx.saved_tensors)

    return Own.apply


def rolled(g: Tensor, shift: int, axis: int) -> Tensor:
    order = np.roll(np.arange(g.shape[axis]), shift)
    return g[(slice(None),) * axis + (mg.tensor(order),)]


def cut(g: Tensor, kept: Any) -> Tensor:
    return g * mg.tensor(np.asarray(kept, np.float64))


def softmax_diagonal(g: Tensor, x: Tensor) -> Tensor:
    y = (x - x.exp().sum(axis=-1, keepdims=True).log()).exp()
    return g * y


CASES = {
    "not finite: 1 of 15 analytic values": (
        op(lambda x: x.exp(), lambda g, x: g * x.exp() + cut(g, ONE_NAN)),
        [WIDE],
    ),
    "zero everywhere": (op(lambda x: x.exp(), lambda g, x: g * 0), [WIDE]),
    "wrong sign": (op(lambda x: x.exp(), lambda g, x: -g * x.exp()), [WIDE]),
    "is 2 times": (op(lambda x: x.exp(), lambda g, x: 2 * g * x.exp()), [WIDE]),
    "is 1/3 times": (op(lambda x: x.sum(), lambda g, x: (g / 3).expand(3, 5)), [WIDE]),
    "0.123457 times": (op(lambda x: x.exp(), lambda g, x: 0.123457 * g * x.exp()), [WIDE]),
    "1 / the length of output axis 0": (
        op(lambda x, b: x + b, lambda g, x, b: (g, g.mean(axis=0))),
        [WIDE, ROW],
    ),
    "gradient by input 1": (
        op(lambda x, y: x * y, lambda g, x, y: (g * x, g * x)),
        [SQUARE, SQUARE.T + 1],
    ),
    "axes 0 and 1 are exchanged": (op(lambda x: x.exp(), lambda g, x: (g * x.exp()).T), [SQUARE]),
    "exchanged before a reshape": (
        op(lambda x: x.exp(), lambda g, x: (g * x.exp()).T.reshape(3, 5)),
        [WIDE],
    ),
    "flipped along axis 1": (
        op(lambda x: x.exp(), lambda g, x: (g * x.exp())[:, ::-1]),
        [WIDE],
    ),
    "one position to the right along axis 1": (
        op(lambda x: x.exp(), lambda g, x: rolled(g * x.exp(), 1, 1)),
        [WIDE],
    ),
    "one position to the left along axis 0": (
        op(
            lambda x: x.exp(),
            lambda g, x: mg.concat([(g * x.exp())[1:], mg.zeros((1, 5), dtype="float64")]),
        ),
        [WIDE],
    ),
    "only position 0 of axis 0 of output 0": (
        op(lambda x, b: x * b, lambda g, x, b: (g * b, (g * x)[0])),
        [WIDE, ROW],
    ),
    "missing sum over a broadcast axis: a gradient of shape (3, 5)": (
        op(lambda x, b: x * b, lambda g, x, b: (g * b, g * x)),
        [WIDE, ROW],
    ),
    "own element is there": (
        op(
            lambda x: (x - x.exp().sum(axis=-1, keepdims=True).log()).exp(),
            lambda g, x: softmax_diagonal(g, x) * (1 - softmax_diagonal(g * 0 + 1, x)),
        ),
        [WIDE],
    ),
    "constant along axis 1": (
        op(lambda x: x * x - x.mean(axis=1, keepdims=True), lambda g, x: 2 * g * x),
        [WIDE],
    ),
    "right except at position 2 of axis 0": (
        op(lambda x: x.exp(), lambda g, x: cut(g * x.exp(), [[1], [1], [0.5]])),
        [WIDE],
    ),
    "right except for 2 elements": (
        op(lambda x: x.exp(), lambda g, x: cut(g * x.exp(), 1 - np.eye(3, 5) * [0, 1, 1, 1, 1])),
        [WIDE],
    ),
}


@pytest.mark.parametrize("text", CASES)
def test_the_shape_of_an_error_is_told(text: str) -> None:
    function, inputs = CASES[text]
    report = mg.gradcheck(function, *inputs, raise_on_failure=False)
    wrong = [r for r in report.results if r.verdict is Verdict.WRONG]
    assert wrong
    assert any(text in r.hint for r in wrong), report


def test_the_missing_output_is_told() -> None:
    def function(x: Tensor) -> tuple[Tensor, Tensor]:
        return x.exp(), (x.detach() * 3).sum(axis=0)

    (result,) = mg.gradcheck(function, WIDE, raise_on_failure=False).results
    assert "what output 1 contributes is missing" in result.hint


@pytest.mark.parametrize(
    "function",
    [
        op(lambda x: x.exp(), lambda g, x: g * x),
        op(lambda x: x.exp(), lambda g, x: g),
        op(lambda x: x * x * x, lambda g, x: g * (3 * x * x + x)),
        op(lambda x: x.tanh(), lambda g, x: g * (1 - x * x)),
    ],
)
def test_nothing_is_made_up(function: Backward) -> None:
    (result,) = mg.gradcheck(function, WIDE, raise_on_failure=False).results
    assert (result.verdict, result.hint) == (Verdict.WRONG, "")


def test_one_element_tells_of_no_odd_factor() -> None:
    function = op(lambda x: x.exp(), lambda g, x: 0.123457 * g * x.exp())
    (result,) = mg.gradcheck(function, np.array(0.3), raise_on_failure=False).results
    assert (result.verdict, result.hint) == (Verdict.WRONG, "")


def test_directions_tell_of_sign_and_factor() -> None:
    for factor, text in (
        (-1, "wrong sign"),
        (2, "is 2 times"),
        (0, "zero everywhere"),
        (np.nan, "4 of 4 analytic values"),
    ):
        function = op(lambda x: x.exp(), lambda g, x, c=factor: c * g * x.exp())
        (result,) = mg.gradcheck(function, WIDE, fast=True, raise_on_failure=False).results
        assert text in result.hint
