"""All ops by their public names, and the table that makes them methods of `Tensor`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minigrad.ops import protocol
from minigrad.ops.activation import relu, sigmoid, tanh
from minigrad.ops.arithmetic import (
    add,
    divide,
    multiply,
    positive,
    power,
    reciprocal,
    square,
    subtract,
)
from minigrad.ops.bitwise import (
    bitwise_and,
    bitwise_invert,
    bitwise_left_shift,
    bitwise_or,
    bitwise_right_shift,
    bitwise_xor,
)
from minigrad.ops.comparison import (
    equal,
    greater,
    greater_equal,
    less,
    less_equal,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    not_equal,
)
from minigrad.ops.convolution import conv2d
from minigrad.ops.cumulative import cumulative_prod, cumulative_sum, prod
from minigrad.ops.decompositions import cholesky, eigh, eigvalsh, qr, svd, svdvals
from minigrad.ops.einsum import einsum
from minigrad.ops.elementwise import abs, exp, is_number, log, negative, sqrt, where
from minigrad.ops.exponential import exp2, expm1, log1p, log2, log10, logaddexp
from minigrad.ops.extrema import clip, maximum, minimum
from minigrad.ops.floating import (
    copysign,
    isfinite,
    isinf,
    isnan,
    nextafter,
    sign,
    signbit,
)
from minigrad.ops.gathering import at, scatter_add, take, take_along_axis
from minigrad.ops.hyperbolic import acosh, asinh, atanh, cosh, sinh
from minigrad.ops.indexing import assign_item, getitem, setitem
from minigrad.ops.inverse import det, inv, matrix_power, pinv, slogdet, solve
from minigrad.ops.linear import matmul
from minigrad.ops.loss import (
    bernoulli_loss,
    cross_entropy,
    log_softmax,
    logistic_loss,
    nll_loss,
)
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
from minigrad.ops.normalization import batch_normalize, standardize
from minigrad.ops.norms import matrix_norm, norm, vector_norm
from minigrad.ops.padding import pad
from minigrad.ops.pooling import avg_pool2d, max_pool2d
from minigrad.ops.products import cross, inner, kron, outer, tensordot, vecdot
from minigrad.ops.random import dropout
from minigrad.ops.rearrange import (
    broadcast_arrays,
    expand_dims,
    flip,
    meshgrid,
    moveaxis,
    repeat,
    roll,
    split,
    squeeze,
    stack,
    tile,
    unstack,
)
from minigrad.ops.reduction import amax, amin, argmax, argmin, max, mean, min, sum
from minigrad.ops.rounding import ceil, floor, floor_divide, remainder, round, trunc
from minigrad.ops.softmax import softmax
from minigrad.ops.sorting import argsort, nonzero, searchsorted, sort, topk, unique, unique_values
from minigrad.ops.special import erf, gelu, softplus
from minigrad.ops.statistics import all, any, count_nonzero, logsumexp, std, var
from minigrad.ops.triangle import diag, diagonal, trace, tril, triu
from minigrad.ops.trigonometric import (
    acos,
    asin,
    atan,
    atan2,
    cos,
    hypot,
    sin,
    sinc,
    tan,
)
from minigrad.tensor import Tensor

__all__ = [
    "abs",
    "acos",
    "acosh",
    "add",
    "all",
    "amax",
    "amin",
    "any",
    "argmax",
    "argmin",
    "argsort",
    "asin",
    "asinh",
    "astype",
    "atan",
    "atan2",
    "atanh",
    "avg_pool2d",
    "batch_normalize",
    "bernoulli_loss",
    "bitwise_and",
    "bitwise_invert",
    "bitwise_left_shift",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "broadcast_arrays",
    "broadcast_to",
    "ceil",
    "cholesky",
    "clip",
    "clone",
    "concat",
    "conv2d",
    "copysign",
    "cos",
    "cosh",
    "count_nonzero",
    "cross",
    "cross_entropy",
    "cumulative_prod",
    "cumulative_sum",
    "det",
    "diag",
    "diagonal",
    "divide",
    "dropout",
    "eigh",
    "eigvalsh",
    "einsum",
    "equal",
    "erf",
    "exp",
    "exp2",
    "expand",
    "expand_dims",
    "expm1",
    "flatten",
    "flip",
    "floor",
    "floor_divide",
    "gelu",
    "getitem",
    "greater",
    "greater_equal",
    "hypot",
    "inner",
    "inv",
    "isfinite",
    "isinf",
    "isnan",
    "kron",
    "less",
    "less_equal",
    "log",
    "log1p",
    "log2",
    "log10",
    "log_softmax",
    "logaddexp",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "logistic_loss",
    "logsumexp",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_transpose",
    "max",
    "max_pool2d",
    "maximum",
    "mean",
    "meshgrid",
    "min",
    "minimum",
    "moveaxis",
    "multiply",
    "negative",
    "nextafter",
    "nll_loss",
    "nonzero",
    "norm",
    "not_equal",
    "outer",
    "pad",
    "permute_dims",
    "pinv",
    "positive",
    "power",
    "prod",
    "qr",
    "reciprocal",
    "relu",
    "remainder",
    "repeat",
    "reshape",
    "roll",
    "round",
    "scatter_add",
    "searchsorted",
    "setitem",
    "sigmoid",
    "sign",
    "signbit",
    "sin",
    "sinc",
    "sinh",
    "slogdet",
    "softmax",
    "softplus",
    "solve",
    "sort",
    "split",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "standardize",
    "std",
    "subtract",
    "sum",
    "svd",
    "svdvals",
    "take",
    "take_along_axis",
    "tan",
    "tanh",
    "tensordot",
    "tile",
    "topk",
    "trace",
    "tril",
    "triu",
    "trunc",
    "unique",
    "unique_values",
    "unstack",
    "var",
    "vecdot",
    "vector_norm",
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
    "floordiv": floor_divide,
    "mod": remainder,
    "and": bitwise_and,
    "or": bitwise_or,
    "xor": bitwise_xor,
    "lshift": bitwise_left_shift,
    "rshift": bitwise_right_shift,
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
    "__pos__": positive,
    "__abs__": abs,
    "__invert__": bitwise_invert,
    "__getitem__": getitem,
    "__setitem__": assign_item,
    "T": property(lambda self: permute_dims(self, range(self.ndim)[::-1])),
    "all": all,
    "any": any,
    "argmin": argmin,
    "argsort": argsort,
    "flip": flip,
    "logsumexp": logsumexp,
    "mT": property(matrix_transpose),
    "at": property(at),
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
    "min": min,
    "permute_dims": _variadic(permute_dims),
    "prod": prod,
    "relu": relu,
    "reshape": _variadic(reshape),
    "sigmoid": sigmoid,
    "sort": sort,
    "sqrt": sqrt,
    "squeeze": squeeze,
    "std": std,
    "sum": sum,
    "tanh": tanh,
    "var": var,
    "acos": acos,
    "acosh": acosh,
    "asin": asin,
    "asinh": asinh,
    "atan": atan,
    "atanh": atanh,
    "ceil": ceil,
    "clip": clip,
    "cos": cos,
    "cosh": cosh,
    "erf": erf,
    "exp2": exp2,
    "expm1": expm1,
    "floor": floor,
    "isfinite": isfinite,
    "isinf": isinf,
    "isnan": isnan,
    "log10": log10,
    "log1p": log1p,
    "log2": log2,
    "reciprocal": reciprocal,
    "round": round,
    "sign": sign,
    "sin": sin,
    "sinh": sinh,
    "softmax": softmax,
    "square": square,
    "tan": tan,
    "trunc": trunc,
}
METHODS |= {f"__{name}__": _operator(function) for name, function in OPERATORS.items()}
METHODS |= {f"__r{name}__": _reflected(function) for name, function in OPERATORS.items()}
METHODS |= {f"__{name}__": _operator(function) for name, function in COMPARISONS.items()}


for _name, _method in {**METHODS, **protocol.METHODS}.items():
    setattr(Tensor, _name, _method)

protocol.register({name: globals()[name] for name in __all__})
