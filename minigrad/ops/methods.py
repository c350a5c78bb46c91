"""The ops that are operators and methods of `Tensor`, each said once.

Type checkers and editors see `Tensor` derive from `Methods`. Where the program runs, a tensor
stands a floor below the ops, so they are bound to it here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minigrad import gradients
from minigrad.ops import (
    activation,
    arithmetic,
    bitwise,
    comparison,
    cumulative,
    elementwise,
    exponential,
    extrema,
    floating,
    gathering,
    hyperbolic,
    indexing,
    linear,
    movement,
    notebook,
    protocol,
    rearrange,
    reduction,
    rounding,
    sorting,
    special,
    statistics,
    trigonometric,
)
from minigrad.ops.elementwise import is_number
from minigrad.ops.softmax import log_softmax, softmax
from minigrad.tensor import Operand, Tensor

Binary = Callable[[Any, Operand], Tensor]


def _operator(function: Binary) -> Binary:
    """`function` as a binary operator: Python may ask the other operand, if it is foreign."""

    def method(self: Tensor, other: Operand) -> Tensor:
        return function(self, other) if is_number(other) else NotImplemented

    return method


def _reflected(function: Binary) -> Binary:
    return _operator(lambda self, other: function(other, self))


def _variadic(function: Callable[[Any, Any], Tensor]) -> Callable[..., Tensor]:
    """`function` of a shape or axes: x.reshape(2, 3) as well as x.reshape((2, 3))."""

    def method(self: Tensor, *lengths: Any) -> Tensor:
        single = len(lengths) == 1 and isinstance(lengths[0], (tuple, list))
        return function(self, lengths[0] if single else lengths)

    return method


class Methods:
    """What the floors above give every tensor."""

    backward = gradients.backward

    # -- Python's operators ---------------------------------------------------------------------

    __add__ = _operator(arithmetic.add)
    __radd__ = _reflected(arithmetic.add)
    __sub__ = _operator(arithmetic.subtract)
    __rsub__ = _reflected(arithmetic.subtract)
    __mul__ = _operator(arithmetic.multiply)
    __rmul__ = _reflected(arithmetic.multiply)
    __truediv__ = _operator(arithmetic.divide)
    __rtruediv__ = _reflected(arithmetic.divide)
    __pow__ = _operator(arithmetic.power)
    __rpow__ = _reflected(arithmetic.power)
    __matmul__ = _operator(linear.matmul)
    __rmatmul__ = _reflected(linear.matmul)
    __floordiv__ = _operator(rounding.floor_divide)
    __rfloordiv__ = _reflected(rounding.floor_divide)
    __mod__ = _operator(rounding.remainder)
    __rmod__ = _reflected(rounding.remainder)
    __and__ = _operator(bitwise.bitwise_and)
    __rand__ = _reflected(bitwise.bitwise_and)
    __or__ = _operator(bitwise.bitwise_or)
    __ror__ = _reflected(bitwise.bitwise_or)
    __xor__ = _operator(bitwise.bitwise_xor)
    __rxor__ = _reflected(bitwise.bitwise_xor)
    __lshift__ = _operator(bitwise.bitwise_left_shift)
    __rlshift__ = _reflected(bitwise.bitwise_left_shift)
    __rshift__ = _operator(bitwise.bitwise_right_shift)
    __rrshift__ = _reflected(bitwise.bitwise_right_shift)
    __lt__ = _operator(comparison.less)
    __le__ = _operator(comparison.less_equal)
    __gt__ = _operator(comparison.greater)
    __ge__ = _operator(comparison.greater_equal)
    __neg__ = elementwise.negative
    __pos__ = arithmetic.positive
    __abs__ = elementwise.abs
    __invert__ = bitwise.bitwise_invert
    __getitem__ = indexing.getitem
    __setitem__ = indexing.assign_item

    # Written out: assigned, they would have the type of `object`'s for some type checkers, which
    # promises a bool; tensors compare element by element, as all arrays do.
    def __eq__(self, other: Operand) -> Tensor:  # type: ignore[override]
        return comparison.equal(self, other) if is_number(other) else NotImplemented

    def __ne__(self, other: Operand) -> Tensor:  # type: ignore[override]
        return comparison.not_equal(self, other) if is_number(other) else NotImplemented

    # -- NumPy's and DLPack's protocols ---------------------------------------------------------

    __array_function__ = protocol.array_function
    __array_ufunc__ = protocol.array_ufunc
    __dlpack__ = protocol.dlpack
    __dlpack_device__ = protocol.dlpack_device

    # -- views ----------------------------------------------------------------------------------

    @property
    def T(self) -> Tensor:
        """The tensor with its axes in reverse order."""
        return protocol.transpose(self)

    @property
    def mT(self) -> Tensor:
        """The tensor with its last two axes exchanged."""
        return movement.matrix_transpose(self)

    @property
    def at(self) -> gathering.At:
        """The places of the tensor: `x.at[index].add(v)` is x with v added at the index."""
        return gathering.at(self)

    # -- functions of the same name -------------------------------------------------------------

    abs = elementwise.abs
    acos = trigonometric.acos
    acosh = hyperbolic.acosh
    all = statistics.all
    any = statistics.any
    argmax = reduction.argmax
    argmin = reduction.argmin
    argsort = sorting.argsort
    asin = trigonometric.asin
    asinh = hyperbolic.asinh
    astype = movement.astype
    atan = trigonometric.atan
    atanh = hyperbolic.atanh
    ceil = rounding.ceil
    clip = extrema.clip
    clone = movement.clone
    cos = trigonometric.cos
    cosh = hyperbolic.cosh
    erf = special.erf
    exp = elementwise.exp
    exp2 = exponential.exp2
    expand = _variadic(movement.expand)
    expm1 = exponential.expm1
    flatten = movement.flatten
    flip = rearrange.flip
    floor = rounding.floor
    isfinite = floating.isfinite
    isinf = floating.isinf
    isnan = floating.isnan
    log = elementwise.log
    log10 = exponential.log10
    log1p = exponential.log1p
    log2 = exponential.log2
    log_softmax = log_softmax
    logsumexp = statistics.logsumexp
    max = reduction.max
    mean = reduction.mean
    min = reduction.min
    permute_dims = _variadic(movement.permute_dims)
    prod = cumulative.prod
    reciprocal = arithmetic.reciprocal
    relu = activation.relu
    reshape = _variadic(movement.reshape)
    round = rounding.round
    sigmoid = activation.sigmoid
    sign = floating.sign
    sin = trigonometric.sin
    sinh = hyperbolic.sinh
    softmax = softmax
    sort = sorting.sort
    sqrt = elementwise.sqrt
    square = arithmetic.square
    squeeze = rearrange.squeeze
    std = statistics.std
    sum = reduction.sum
    tan = trigonometric.tan
    tanh = activation.tanh
    trunc = rounding.trunc
    var = statistics.var
    _repr_html_ = notebook.html


METHODS: dict[str, Any] = {
    name: value
    for name, value in vars(Methods).items()
    if callable(value) or isinstance(value, property)
}
"""Every method of `Methods` by its name."""


def bind() -> None:
    """Give `Tensor` its methods."""
    for name, method in METHODS.items():
        setattr(Tensor, name, method)
