"""What ONNX's elementwise operators are in minigrad, but for those of the same operands: rules of
the table in `operators`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import minigrad.ops.arrays as mg
from minigrad.nn import functional
from minigrad.onnx.operator import Operator, Rule, plain
from minigrad.spec import FLOATING, float64
from minigrad.tensor import as_tensor


def folded(function: Callable[..., Any]) -> Rule:
    """An operator of any number of operands, from left to right."""

    def rule(op: Operator, *x: Any) -> Any:
        y = as_tensor(x[0])
        for operand in x[1:]:
            y = function(y, operand)
        return y

    return rule


def quotient(x: Any, y: Any) -> Any:
    """x / y; integers are divided towards 0."""
    x, y = as_tensor(x), as_tensor(y)
    if x.dtype in FLOATING:
        return mg.divide(x, y)
    below = mg.floor_divide(x, y)
    if x.dtype.kind == "u":
        return below
    differ = mg.not_equal(mg.less(x, 0), mg.less(y, 0))
    inexact = mg.not_equal(mg.multiply(below, y), x)
    return mg.add(below, mg.logical_and(differ, inexact).astype(x.dtype))


def modulo(op: Operator, x: Any, y: Any) -> Any:
    """The rest has the sign of y, with `fmod` that of x."""
    x = as_tensor(x)
    if not op.get("fmod", 0):
        return mg.remainder(x, y)
    whole = mg.trunc(mg.divide(x, y)) if x.dtype in FLOATING else quotient(x, y)
    return mg.subtract(x, mg.multiply(whole, y))


def power(op: Operator, x: Any, y: Any) -> Any:
    """The result has the dtype of x; the exponent may have another."""
    x, y = as_tensor(x), as_tensor(y)
    if x.dtype == y.dtype or x.dtype in FLOATING:
        return mg.pow(x, y.astype(x.dtype))
    return mg.pow(x.astype(float64), y.astype(float64)).astype(x.dtype)


def mean(op: Operator, *x: Any) -> Any:
    total = folded(mg.add)(op, *x)
    return mg.divide(total, len(x))


def clip(op: Operator, x: Any, low: Any = None, high: Any = None) -> Any:
    low = op.get("min") if low is None else low
    high = op.get("max") if high is None else high
    x = as_tensor(x)
    x = x if low is None else mg.maximum(x, low)
    return x if high is None else mg.minimum(x, high)


def hard_sigmoid(op: Operator, x: Any) -> Any:
    line = as_tensor(x) * op.get("alpha", 0.2) + op.get("beta", 0.5)
    return mg.minimum(mg.maximum(line, 0), 1)


def selu(op: Operator, x: Any) -> Any:
    alpha = op.get("alpha", 1.6732632423543772)
    return mg.multiply(functional.elu(x, alpha), op.get("gamma", 1.0507009873554805))


def shrink(op: Operator, x: Any) -> Any:
    x, edge, bias = as_tensor(x), op.get("lambd", 0.5), op.get("bias", 0.0)
    real = x if x.dtype in FLOATING else x.astype(float64)
    inside = mg.where(real > edge, real - bias, 0)
    return mg.where(real < -edge, real + bias, inside).astype(x.dtype)


def thresholded(op: Operator, x: Any) -> Any:
    x = as_tensor(x)
    return mg.where(x > op.get("alpha", 1.0), x, 0)


def is_infinite(op: Operator, x: Any) -> Any:
    x = as_tensor(x)
    found = mg.isinf(x)
    if not op.get("detect_negative", 1):
        found = mg.logical_and(found, mg.greater(x, 0))
    if not op.get("detect_positive", 1):
        found = mg.logical_and(found, mg.less(x, 0))
    return found


def shifted(op: Operator, x: Any, y: Any) -> Any:
    left = op.get("direction") == "LEFT"
    return (mg.bitwise_left_shift if left else mg.bitwise_right_shift)(x, y)


RULES: dict[str, Rule] = {
    "BitShift": shifted,
    "Celu": lambda op, x: functional.celu(x, op.get("alpha", 1.0)),
    "Clip": clip,
    "Div": lambda op, x, y: quotient(x, y),
    "Elu": lambda op, x: functional.elu(x, op.get("alpha", 1.0)),
    "Gelu": lambda op, x: functional.gelu(x, op.get("approximate", "none")),
    "HardSigmoid": hard_sigmoid,
    "HardSwish": plain(functional.hardswish),
    "IsInf": is_infinite,
    "LeakyRelu": lambda op, x: functional.leaky_relu(x, op.get("alpha", 0.01)),
    "Max": folded(mg.maximum),
    "Mean": mean,
    "Min": folded(mg.minimum),
    "Mish": plain(functional.mish),
    "Mod": modulo,
    "PRelu": lambda op, x, slope: mg.where(mg.less(x, 0), mg.multiply(x, slope), x),
    "Pow": power,
    "Reciprocal": lambda op, x: mg.divide(1, as_tensor(x)),
    "Relu": lambda op, x: mg.maximum(x, 0) if as_tensor(x).dtype.kind == "i" else mg.relu(x),
    "Selu": selu,
    "Shrink": shrink,
    "Sigmoid": plain(functional.sigmoid),
    "Softplus": lambda op, x: functional.softplus(x, threshold=1e4),
    "Softsign": plain(functional.softsign),
    "Sum": folded(mg.add),
    "Swish": lambda op, x: mg.multiply(x, mg.sigmoid(mg.multiply(x, op.get("alpha", 1.0)))),
    "ThresholdedRelu": thresholded,
}
"""By the operator's name."""
