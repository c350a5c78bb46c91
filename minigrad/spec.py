"""What is known of an array without its numbers: shape and dtype, and the arithmetic on shapes.

Broadcasting, axes and the sizes of sliding windows are computed here and nowhere else, so an
abstract trace and an eager run cannot disagree. `op` is the name of who asks, for the errors.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.errors import ArgumentError, AxisError, DtypeError, ShapeError

Shape = tuple[int, ...]
Axis = int | Sequence[int] | None
Padding = tuple[tuple[int, int], ...]

float32, float64 = np.dtype("float32"), np.dtype("float64")
int8, int16, int32, int64 = (np.dtype(f"int{bits}") for bits in (8, 16, 32, 64))
uint8, uint16, uint32, uint64 = (np.dtype(f"uint{bits}") for bits in (8, 16, 32, 64))
bool_ = np.dtype("bool")

FLOATING = frozenset({float32, float64})
DTYPES = FLOATING | {int8, int16, int32, int64, uint8, uint16, uint32, uint64, bool_}


class Spec:
    """Shape and dtype of an array: all that a shape rule, a trace or a cost may depend on.

    Compares by value and can be hashed.
    """

    __slots__ = ("dtype", "shape")

    shape: Shape
    dtype: np.dtype[Any]

    def __init__(self, shape: int | Sequence[int], dtype: Any = float32) -> None:
        self.shape = as_shape("Spec", shape)
        self.dtype = as_dtype(dtype)

    @staticmethod
    def of(shape: Shape, dtype: np.dtype[Any]) -> Spec:
        """A spec from values already known to be valid."""
        spec = object.__new__(Spec)
        spec.shape = shape
        spec.dtype = dtype
        return spec

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return size_of(self.shape)

    @property
    def plane(self) -> tuple[int, int]:
        """Height and width: the two last lengths."""
        height, width = self.shape[-2:]
        return height, width

    @property
    def nbytes(self) -> int:
        """Bytes that the elements take."""
        return self.size * self.dtype.itemsize

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Spec):
            return NotImplemented
        return self.shape == other.shape and self.dtype == other.dtype

    def __hash__(self) -> int:
        return hash((self.shape, self.dtype))

    def __repr__(self) -> str:
        return f"Spec({self.shape}, {self.dtype})"


def size_of(shape: Sequence[int]) -> int:
    """Number of elements of an array of this shape."""
    size = 1
    for length in shape:
        size *= length
    return size


def as_integer(op: str, argument: str, value: Any) -> int:
    """`value` as a Python integer; a float, a string or a boolean is an error."""
    if type(value) is int:
        return value
    if isinstance(value, (bool, np.bool_)):
        raise ArgumentError(f"{op}: {argument} takes an integer, got {value!r}")
    try:
        return operator.index(value)
    except TypeError:
        raise ArgumentError(f"{op}: {argument} takes an integer, got {value!r}") from None


def as_shape(op: str, shape: int | Sequence[int]) -> Shape:
    """`shape` as a tuple of lengths, none negative."""
    listed = shape if isinstance(shape, (tuple, list)) else (shape,)
    lengths = tuple([as_integer(op, "shape", length) for length in listed])
    if any(length < 0 for length in lengths):
        raise ShapeError(f"{op}: a shape has no negative lengths, got {lengths}")
    if size_of(lengths) > sys.maxsize // 8:
        raise ShapeError(f"{op}: no memory holds an array of shape {lengths}")
    return lengths


def as_dtype(dtype: Any) -> np.dtype[Any]:
    """`dtype` as one of the dtypes minigrad computes with."""
    try:
        found = np.dtype("" if dtype is None else dtype)  # NumPy takes None for float64
    except (TypeError, ValueError, SyntaxError):
        raise DtypeError(
            f"{dtype!r} is not a dtype; one is 'float32' or minigrad.float32"
        ) from None
    if found not in DTYPES:
        names = ", ".join(sorted(str(d) for d in DTYPES))
        raise DtypeError(f"dtype {found} is not supported; supported are {names}")
    return found


def require_floating(op: str, *specs: Spec) -> None:
    """Raise unless every spec has a floating-point dtype."""
    for spec in specs:
        if spec.dtype not in FLOATING:
            raise DtypeError(
                f"{op}: takes float32 or float64, got {spec.dtype} of shape {spec.shape}; "
                "convert with x.astype('float32')"
            )


def common_dtype(op: str, *specs: Spec) -> np.dtype[Any]:
    """The one dtype of all specs: nothing is promoted silently."""
    dtype = specs[0].dtype
    for spec in specs:
        if spec.dtype != dtype:
            got = " and ".join(str(s.dtype) for s in specs)
            raise DtypeError(
                f"{op}: dtypes do not mix: {got}; convert one with x.astype({str(dtype)!r})"
            )
    return dtype


def broadcast_shapes(op: str, *shapes: Shape) -> Shape:
    """The shape that all broadcast to (array API standard, section Broadcasting)."""
    first = shapes[0]
    if shapes.count(first) == len(shapes):
        return first
    ndim = max(len(shape) for shape in shapes)
    result = [1] * ndim
    for shape in shapes:
        for axis, length in enumerate(shape, start=ndim - len(shape)):
            if length != 1:
                if result[axis] not in (1, length):
                    listed = " and ".join(str(s) for s in shapes)
                    raise ShapeError(
                        f"{op}: shapes {listed} do not broadcast: axis {axis - ndim} has "
                        f"lengths {result[axis]} and {length}, which must be equal or 1"
                    )
                result[axis] = length
    return tuple(result)


def normalize_axis(op: str, axis: int, ndim: int) -> int:
    """`axis` counted from the front."""
    index = as_integer(op, "axis", axis)
    if not -ndim <= index < ndim:
        raise AxisError(f"{op}: axis {index} is out of range for an array of {ndim} axes")
    return index % ndim


def normalize_axes(op: str, axis: Axis, ndim: int) -> tuple[int, ...]:
    """`axis` as a tuple of axes counted from the front, in order; None is all of them."""
    if axis is None:
        return tuple(range(ndim))
    listed = axis if isinstance(axis, (tuple, list)) else (axis,)
    axes = sorted(normalize_axis(op, a, ndim) for a in listed)
    if len(set(axes)) != len(axes):
        raise AxisError(f"{op}: axis {axis} names an axis twice")
    return tuple(axes)


def reduced_shape(shape: Shape, axes: tuple[int, ...], keepdims: bool) -> Shape:
    """The shape that is left when `axes` are reduced."""
    if keepdims:
        return tuple([1 if axis in axes else n for axis, n in enumerate(shape)])
    return tuple([n for axis, n in enumerate(shape) if axis not in axes])


def per_axis(op: str, argument: str, value: Any, axes: int, minimum: int) -> tuple[int, ...]:
    """One integer for all of so many axes, or one for each, every one at least `minimum`."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,) * axes
    if len(values) != axes:
        counted = f"one integer or {axes}" if axes > 1 else "one integer"
        raise ArgumentError(f"{op}: {argument} takes {counted}, got {value!r}")
    integers = values
    if {*map(type, values)} != {int}:
        integers = tuple([as_integer(op, argument, v) for v in values])
    if min(integers) < minimum:
        raise ArgumentError(f"{op}: {argument} must be at least {minimum}, got {value!r}")
    return integers


def as_padding(op: str, value: Any, axes: int) -> Padding:
    """`value` as a pair (before, after) for each of so many axes: given as one integer, one an
    axis, or the pairs."""
    if isinstance(value, (tuple, list)) and not {tuple, list}.isdisjoint(map(type, value)):
        if len(value) != axes:
            raise ArgumentError(
                f"{op}: padding takes {axes} pair(s) (before, after), one an axis, got {value!r}"
            )
        pairs = [per_axis(op, "padding", pair, 2, 0) for pair in value]
        return tuple([(before, after) for before, after in pairs])
    return tuple([(n, n) for n in per_axis(op, "padding", value, axes, 0)])


@dataclass(frozen=True)
class Window:
    """A window sliding over the last axes, those of space: of a convolution or a pooling.

    The output has floor((n + before + after - dilation * (kernel - 1) - 1) / stride) + 1
    positions along an axis of length n (Dumoulin and Visin, 2016, relationship 15).
    With `ceil_mode` the quotient is rounded up, as long as the last window starts inside the
    array or its padding before.
    """

    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: Padding
    dilation: tuple[int, ...]
    ceil_mode: bool = False

    @staticmethod
    def of(
        op: str,
        axes: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
    ) -> Window:
        """A window over so many axes from what a user gives: one integer for all, or one each."""
        return Window(
            per_axis(op, "kernel_size", kernel_size, axes, 1),
            per_axis(op, "stride", stride, axes, 1),
            as_padding(op, padding, axes),
            per_axis(op, "dilation", dilation, axes, 1),
            bool(ceil_mode),
        )

    def output_size(self, op: str, input_size: Shape) -> Shape:
        """Lengths of the output for an input of these lengths."""
        return tuple([self._positions(op, input_size, axis) for axis in range(len(input_size))])

    def _positions(self, op: str, input_size: Shape, axis: int) -> int:
        (before, after), stride = self.padding[axis], self.stride[axis]
        span = self.dilation[axis] * (self.kernel_size[axis] - 1) + 1
        padded = input_size[axis] + before + after
        if span > padded:
            name = ("depth", "height", "width")[axis - len(input_size)]
            raise ShapeError(
                f"{op}: a window of {span} (kernel_size {self.kernel_size}, dilation "
                f"{self.dilation}) does not fit the {name} of {padded} "
                f"(input {input_size}, padding {self.padding})"
            )
        if not self.ceil_mode:
            return (padded - span) // stride + 1
        positions = -(-(padded - span) // stride) + 1
        if (positions - 1) * stride >= input_size[axis] + before:
            positions -= 1
        return positions
