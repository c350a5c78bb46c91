"""All ops by their public names, and the table that makes them methods of `Tensor`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minigrad.ops.activation import relu, sigmoid, tanh
from minigrad.ops.arithmetic import add, divide, multiply, power, subtract
from minigrad.ops.comparison import (
    equal,
    greater,
    greater_equal,
    less,
    less_equal,
    logical_and,
    logical_not,
    logical_or,
    not_equal,
)
from minigrad.ops.convolution import conv2d
from minigrad.ops.elementwise import abs, exp, is_number, log, negative, sqrt, where
from minigrad.ops.indexing import assign_item, getitem, setitem
from minigrad.ops.linear import matmul
from minigrad.ops.loss import cross_entropy, log_softmax, nll_loss
from minigrad.ops.movement import (
    astype,
    broadcast_to,
    clone,
    concat,
    expand,
    flatten,
    matrix_transpose,
    permute_dims,
    reshape,
)
from minigrad.ops.pooling import avg_pool2d, max_pool2d
from minigrad.ops.random import dropout
from minigrad.ops.reduction import argmax, max, mean, sum
from minigrad.tensor import Tensor

__all__ = [
    "abs",
    "add",
    "argmax",
    "astype",
    "avg_pool2d",
    "broadcast_to",
    "clone",
    "concat",
    "conv2d",
    "cross_entropy",
    "divide",
    "dropout",
    "equal",
    "exp",
    "expand",
    "flatten",
    "getitem",
    "greater",
    "greater_equal",
    "less",
    "less_equal",
    "log",
    "log_softmax",
    "logical_and",
    "logical_not",
    "logical_or",
    "matmul",
    "matrix_transpose",
    "max",
    "max_pool2d",
    "mean",
    "multiply",
    "negative",
    "nll_loss",
    "not_equal",
    "permute_dims",
    "power",
    "relu",
    "reshape",
    "setitem",
    "sigmoid",
    "sqrt",
    "subtract",
    "sum",
    "tanh",
    "where",
]


def _operator(function: Callable[[Any, Any], Tensor]) -> Callable[[Tensor, Any], Any]:
    """`function` as a binary operator: Python may ask the other operand, if it is foreign."""

    def method(self: Tensor, other: Any) -> Any:
        return function(self, other) if is_number(other) else NotImplemented

    return method


def _reflected(function: Callable[[Any, Any], Tensor]) -> Callable[[Tensor, Any], Any]:
    return _operator(lambda self, other: function(other, self))


def _variadic(function: Callable[[Any, Any], Tensor]) -> Callable[..., Tensor]:
    """`function` of a shape or axes: x.reshape(2, 3) as well as x.reshape((2, 3))."""

    def method(self: Tensor, *lengths: Any) -> Tensor:
        single = len(lengths) == 1 and isinstance(lengths[0], (tuple, list))
        return function(self, lengths[0] if single else lengths)

    return method


OPERATORS = {
    "add": add,
    "sub": subtract,
    "mul": multiply,
    "truediv": divide,
    "pow": power,
    "matmul": matmul,
    "and": logical_and,
    "or": logical_or,
}
COMPARISONS = {
    "eq": equal,
    "ne": not_equal,
    "lt": less,
    "le": less_equal,
    "gt": greater,
    "ge": greater_equal,
}
METHODS: dict[str, Any] = {
    "__neg__": negative,
    "__pos__": clone,
    "__abs__": abs,
    "__invert__": logical_not,
    "__getitem__": getitem,
    "__setitem__": assign_item,
    "T": property(lambda self: permute_dims(self, range(self.ndim)[::-1])),
    "mT": property(matrix_transpose),
    "abs": abs,
    "argmax": argmax,
    "astype": astype,
    "clone": clone,
    "exp": exp,
    "expand": _variadic(expand),
    "flatten": flatten,
    "log": log,
    "log_softmax": log_softmax,
    "max": max,
    "mean": mean,
    "permute_dims": _variadic(permute_dims),
    "relu": relu,
    "reshape": _variadic(reshape),
    "sigmoid": sigmoid,
    "sqrt": sqrt,
    "sum": sum,
    "tanh": tanh,
}
METHODS |= {f"__{name}__": _operator(function) for name, function in OPERATORS.items()}
METHODS |= {f"__r{name}__": _reflected(function) for name, function in OPERATORS.items()}
METHODS |= {f"__{name}__": _operator(function) for name, function in COMPARISONS.items()}

for _name, _method in METHODS.items():
    setattr(Tensor, _name, _method)
