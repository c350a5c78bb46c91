"""What ONNX's operators along axes are in minigrad (reductions, shares, orders): rules of the table
in `operators`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import minigrad.ops.arrays as mg
from minigrad.onnx.elementwise_operators import quotient
from minigrad.onnx.operator import Operator, Rule
from minigrad.ops.softmax import log_softmax, softmax
from minigrad.spec import FLOATING, bool_, int32, int64
from minigrad.tensor import Tensor, as_tensor, constant


def reduced(function: Callable[..., Any], before: Any = None, after: Any = None) -> Rule:
    """A reduction over `axes`, all of them by default; the result has the operand's dtype."""

    def rule(op: Operator, x: Any, _: Any = None) -> Any:
        x = as_tensor(x)
        y = function(
            before(x) if before else x,
            axis=_axes(op, x),
            keepdims=bool(op.get("keepdims", 1)),
        )
        return (after(y) if after else y).astype(x.dtype)

    return rule


def _axes(op: Operator, x: Tensor) -> tuple[int, ...]:
    axes = op.integers(1, "axes")
    if axes:
        return tuple(axes)
    return () if op.get("noop_with_empty_axes", 0) else tuple(range(x.ndim))


def _mean(x: Tensor, axis: tuple[int, ...], keepdims: bool) -> Any:
    if x.dtype in FLOATING:
        return mg.mean(x, axis=axis, keepdims=keepdims)
    count = math.prod([x.shape[a] for a in axis])
    total = mg.sum(x, axis=axis, keepdims=keepdims)
    return quotient(total, np.asarray(count, total.dtype))


def _extreme(function: Callable[..., Any], sign: int) -> Callable[..., Any]:
    """Of nothing it is the least (largest) number; booleans are compared as integers."""

    def reduce(x: Tensor, axis: tuple[int, ...], keepdims: bool) -> Any:
        if math.prod([x.shape[a] for a in axis]):
            compared = x.astype(int32) if x.dtype == bool_ else x
            return function(compared, axis=axis, keepdims=keepdims)
        if x.dtype in FLOATING:
            number: Any = sign * math.inf
        elif x.dtype == bool_:
            number = sign > 0
        else:
            number = np.iinfo(x.dtype).max if sign > 0 else np.iinfo(x.dtype).min
        places = {a % x.ndim for a in axis}
        shape = [1 if a in places else n for a, n in enumerate(x.shape)]
        kept = constant(np.full(shape, number, x.dtype))
        return kept if keepdims else mg.squeeze(kept, tuple(sorted(places)))

    return reduce


def _log_sum_exp(x: Tensor, axis: tuple[int, ...], keepdims: bool) -> Any:
    if x.size:
        return mg.logsumexp(x, axis=axis, keepdims=keepdims)
    return mg.log(mg.sum(x, axis=axis, keepdims=keepdims))


def extremum(function: Callable[..., Any]) -> Rule:
    """Where the first extremum is, or the last."""

    def rule(op: Operator, x: Any) -> Any:
        x, axis, keep = as_tensor(x), op.get("axis", 0), bool(op.get("keepdims", 1))
        if not op.get("select_last_index", 0):
            return function(x, axis=axis, keepdims=keep)
        backward = function(mg.flip(x, axis), axis=axis, keepdims=keep)
        return mg.subtract(x.shape[axis] - 1, backward)

    return rule


def cumulative(function: Callable[..., Any], neutral: int) -> Rule:
    """Sums or products of all before; `exclusive` leaves an element itself out."""

    def rule(op: Operator, x: Any, _: Any) -> Any:
        x, axis = as_tensor(x), op.integers(1, "axis")[0]
        x = mg.flip(x, axis) if op.get("reverse", 0) else x
        if op.get("exclusive", 0):
            edges = [(0, 0)] * x.ndim
            edges[axis] = (1, 0)
            x = mg.take(mg.pad(x, edges, value=neutral), np.arange(x.shape[axis]), axis=axis)
        y = function(x, axis=axis).astype(x.dtype)
        return mg.flip(y, axis) if op.get("reverse", 0) else y

    return rule


def top_k(op: Operator, x: Any, _: Any = None) -> Any:
    x, axis = as_tensor(x), op.get("axis", -1)
    order = mg.argsort(x, axis=axis, descending=bool(op.get("largest", 1)))
    order = mg.take(order, np.arange(op.integers(1, "k")[0]), axis=axis)
    return mg.take_along_axis(x, order, axis=axis), order


def shares(function: Callable[..., Any]) -> Rule:
    """Before opset 13 over all axes from `axis` on, taken as one."""

    def rule(op: Operator, x: Any) -> Any:
        x = as_tensor(x)
        if op.opset >= 13:
            return function(x, op.get("axis", -1))
        axis = op.get("axis", 1)
        front = math.prod(x.shape[: axis if axis >= 0 else axis + x.ndim])
        flat = mg.reshape(x, (front, x.size // max(front, 1)))
        return mg.reshape(function(flat, 1), x.shape)

    return rule


def _hardmax(x: Tensor, axis: int) -> Tensor:
    """1 at the first maximum, else 0."""
    places = mg.argmax(x, axis=axis, keepdims=True)
    lengths = [1] * x.ndim
    lengths[axis] = x.shape[axis]
    numbers = np.arange(x.shape[axis], dtype=int64).reshape(lengths)
    return mg.equal(places, numbers).astype(x.dtype)


def lp_normalization(op: Operator, x: Any) -> Any:
    """x divided by its norm along an axis; 0 where that is 0."""
    x, axis = as_tensor(x), op.get("axis", -1)
    if op.get("p", 2) == 1:
        norm = mg.sum(mg.abs(x), axis=axis, keepdims=True)
    else:
        norm = mg.sqrt(mg.sum(mg.square(x), axis=axis, keepdims=True))
    empty = mg.equal(norm, 0)
    return mg.where(empty, 0, mg.divide(x, mg.where(empty, 1, norm)))


RULES: dict[str, Rule] = {
    "ArgMax": extremum(mg.argmax),
    "ArgMin": extremum(mg.argmin),
    "CumProd": cumulative(mg.cumulative_prod, 1),
    "CumSum": cumulative(mg.cumulative_sum, 0),
    "Hardmax": shares(_hardmax),
    "LogSoftmax": shares(log_softmax),
    "LpNormalization": lp_normalization,
    "ReduceL1": reduced(mg.sum, before=mg.abs),
    "ReduceL2": reduced(mg.sum, before=mg.square, after=mg.sqrt),
    "ReduceLogSum": reduced(mg.sum, after=mg.log),
    "ReduceLogSumExp": reduced(_log_sum_exp),
    "ReduceMax": reduced(_extreme(mg.max, -1)),
    "ReduceMean": reduced(_mean),
    "ReduceMin": reduced(_extreme(mg.min, 1)),
    "ReduceProd": reduced(mg.prod),
    "ReduceSum": reduced(mg.sum),
    "ReduceSumSquare": reduced(mg.sum, before=mg.square),
    "Softmax": shares(softmax),
    "TopK": top_k,
}
"""By the operator's name."""
