"""`x[index]`, `x[index] = v`, and `index_add`, which is the gradient of the first.

The public functions bring an index to a normal form: a template with one entry an axis, in which
`ARRAY` stands for an integer array, and the arrays themselves, which are inputs of the op. A
boolean mask becomes the integer arrays of its true positions, so every shape is known beforehand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from minigrad.errors import DtypeError, IndexingError, ShapeError
from minigrad.op import Call, Cost, Reads, bytes_moved
from minigrad.ops.elementwise import operands
from minigrad.ops.movement import Movement, expand, reshape
from minigrad.spec import FLOATING, Shape, Spec, broadcast_shapes, common_dtype
from minigrad.tensor import Array, Operand, Tensor, apply, as_tensor, constant

__all__ = ["getitem", "setitem"]

ARRAY = "array"
"""Stands in a template where an integer array indexes."""

Template = tuple[Any, ...]


def _assemble(template: Template, arrays: Sequence[Array]) -> tuple[Any, ...]:
    """The index as NumPy takes it."""
    remaining = iter(arrays)
    return tuple([next(remaining) if entry == ARRAY else entry for entry in template])


def indexed_shape(op: str, shape: Shape, template: Template, arrays: Sequence[Spec]) -> Shape:
    """Shape of x[index] (NumPy manual, "Combining advanced and basic indexing")."""
    axes = iter(shape)
    result: list[int] = []
    places: list[int] = []
    start = 0
    for position, entry in enumerate(template):
        if entry is None:
            result.append(1)
            continue
        length = next(axes)
        if isinstance(entry, slice):
            result.append(len(range(*entry.indices(length))))
        elif entry == ARRAY:
            start = start if places else len(result)
            places.append(position)
        elif not -length <= entry < length:
            raise IndexingError(f"{op}: index {entry} lies outside an axis of length {length}")
    if not places:
        return tuple(result)
    if places[-1] - places[0] != len(places) - 1:
        start = 0
    common = broadcast_shapes(f"{op} (the index arrays)", *[spec.shape for spec in arrays])
    return (*result[:start], *common, *result[start:])


@dataclass(frozen=True)
class GetItem(Movement):
    """y = x[index]. The gradient of x is zeros with the cotangent added at the index."""

    name: ClassVar[str] = "getitem"
    template: Template

    def infer(self, x: Spec, *arrays: Spec) -> Spec:
        return Spec.of(indexed_shape("getitem", x.shape, self.template, arrays), x.dtype)

    def forward(self, x: Array, *arrays: Array) -> Array:
        return np.asarray(x[_assemble(self.template, arrays)])

    def reads(self, needs: tuple[bool, ...]) -> Reads:
        return tuple(range(1, len(needs))), ()

    def backward(self, call: Call, cotangent: Tensor) -> tuple[Tensor | None, ...]:
        arrays = call.inputs[1:]
        shape = call.input_specs[0].shape
        gradient: Tensor = apply(IndexAdd(self.template, shape), cotangent, *arrays)
        return gradient, *[None] * len(arrays)


@dataclass(frozen=True)
class IndexAdd(Movement):
    """y = zeros(shape), then y[index] += v, where an index that occurs twice adds twice. The
    gradient of v is the cotangent at the index."""

    name: ClassVar[str] = "index_add"
    template: Template
    shape: Shape

    def infer(self, v: Spec, *arrays: Spec) -> Spec:
        expected = indexed_shape("index_add", self.shape, self.template, arrays)
        if v.shape != expected:
            raise ShapeError(f"index_add: the index takes values of {expected}, got {v.shape}")
        return Spec.of(self.shape, v.dtype)

    def forward(self, v: Array, *arrays: Array) -> Array:
        y = np.zeros(self.shape, v.dtype)
        index = _assemble(self.template, arrays)
        if arrays:
            np.add.at(y, index, v)
        else:
            y[index] = v
        return y

    def reads(self, needs: tuple[bool, ...]) -> Reads:
        return tuple(range(1, len(needs))), ()

    def backward(self, call: Call, cotangent: Tensor) -> tuple[Tensor | None, ...]:
        arrays = call.inputs[1:]
        gradient: Tensor = apply(GetItem(self.template), cotangent, *arrays)
        return gradient, *[None] * len(arrays)


@dataclass(frozen=True)
class SetItem(Movement):
    """y = x, then y[index] = v. The gradient of x is the cotangent with zeros at the index, that
    of v the cotangent at the index; where an index occurs twice, the value that was written last
    receives it."""

    name: ClassVar[str] = "setitem"
    template: Template

    def infer(self, x: Spec, v: Spec, *arrays: Spec) -> Spec:
        expected = indexed_shape("setitem", x.shape, self.template, arrays)
        if v.shape != expected:
            raise ShapeError(f"setitem: the index takes values of {expected}, got {v.shape}")
        return Spec.of(x.shape, common_dtype("setitem", x, v))

    def forward(self, x: Array, v: Array, *arrays: Array) -> Array:
        y = x.copy(order="K")
        y[_assemble(self.template, arrays)] = v
        return y

    def reads(self, needs: tuple[bool, ...]) -> Reads:
        return tuple(range(2, len(needs))), ()

    def backward(self, call: Call, cotangent: Tensor) -> tuple[Tensor | None, ...]:
        arrays = call.inputs[2:]
        v = call.input_specs[1]
        by_x = by_v = None
        if call.needs[0]:
            by_x = apply(self, cotangent, constant(np.zeros(v.shape, v.dtype)), *arrays)
        if call.needs[1]:
            by_v = apply(GetItem(self.template), cotangent, *arrays)
            if arrays:
                by_v = by_v * self._written_last(call.input_specs[0].shape, arrays, v)
        return by_x, by_v, *[None] * len(arrays)

    def _written_last(self, shape: Shape, arrays: Sequence[Tensor], v: Spec) -> Tensor:
        """1 for the values that still stand in y, 0 for those that were overwritten."""
        order = constant(np.arange(v.size).reshape(v.shape))
        nobody = constant(np.full(shape, -1))
        writer = apply(self, nobody, order, *arrays)
        still: Tensor = apply(GetItem(self.template), writer, *arrays) == order
        return still.astype(v.dtype)


@dataclass(frozen=True)
class ExtremumAt(Movement):
    """y = x, then y[index] = the larger, or smaller, of y[index] and v, for one value after the
    other. The cotangent at a place is shared equally by the element of x and the values v that
    are equal to y there (a subgradient, as at the ties of `max`). NaN wins."""

    function: ClassVar[np.ufunc]
    template: Template

    def infer(self, x: Spec, v: Spec, *arrays: Spec) -> Spec:
        expected = indexed_shape(self.name, x.shape, self.template, arrays)
        if v.shape != expected:
            raise ShapeError(f"{self.name}: the index takes values of {expected}, got {v.shape}")
        return Spec.of(x.shape, common_dtype(self.name, x, v))

    def forward(self, x: Array, v: Array, *arrays: Array) -> Array:
        y = x.copy(order="K")
        index = _assemble(self.template, arrays)
        if arrays:
            self.function.at(y, index, v)
        else:
            y[index] = self.function(y[index], v)
        return y

    def reads(self, needs: tuple[bool, ...]) -> Reads:
        return tuple(range(len(needs))), (0,)

    def backward(self, call: Call, cotangent: Tensor) -> tuple[Tensor | None, ...]:
        x, v, *arrays = call.inputs
        (y,) = call.outputs
        read = GetItem(self.template)
        kept = (x == y).astype(x.dtype)
        written = (v == apply(read, y, *arrays)).astype(x.dtype)
        ties = kept + apply(IndexAdd(self.template, x.shape), written, *arrays)
        by_x = cotangent * kept / ties if call.needs[0] else None
        by_v = apply(read, cotangent / ties, *arrays) * written if call.needs[1] else None
        return by_x, by_v, *[None] * len(arrays)

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return Cost(0, inputs[1].size, bytes_moved(inputs, outputs))


class MaxAt(ExtremumAt):
    """y = x, then y[index] = max(y[index], v), one value after the other; equal ones share the
    gradient."""

    name = "max_at"
    function = np.maximum


class MinAt(ExtremumAt):
    """y = x, then y[index] = min(y[index], v), one value after the other; equal ones share the
    gradient."""

    name = "min_at"
    function = np.minimum


# -- from Python's index to the normal form ----------------------------------------------------


def normalize_index(op: str, x: Tensor, index: Any) -> tuple[Template, list[Tensor]]:
    """The template and the integer arrays of an index, all bounds checked."""
    entries = _expand_ellipsis(op, x, [_entry(op, e) for e in _as_tuple(index)])
    fancy = any(isinstance(entry, (np.ndarray, Tensor)) for entry in entries)
    template: list[Any] = []
    arrays: list[Tensor] = []
    axis = 0
    for entry in entries:
        if entry is None:
            template.append(None)
            continue
        if isinstance(entry, slice):
            template.append(entry)
            axis += 1
            continue
        if isinstance(entry, Tensor):
            template.append(ARRAY)
            arrays.append(entry)
            axis += 1
            continue
        masks = entry.nonzero() if _is_mask(entry) else (np.asarray(entry),)
        if _is_mask(entry) and entry.shape != x.shape[axis : axis + entry.ndim]:
            raise IndexingError(
                f"{op}: a mask of shape {entry.shape} does not fit the axes "
                f"{x.shape[axis : axis + entry.ndim]} of an array of shape {x.shape}"
            )
        for positions in masks:
            positions = _in_bounds(op, positions, x.shape, axis)
            template.append(ARRAY if fancy else int(positions))
            if fancy:
                arrays.append(constant(positions))
            axis += 1
    return tuple(template), arrays


def _as_tuple(index: Any) -> tuple[Any, ...]:
    return index if isinstance(index, tuple) else (index,)


def _is_mask(entry: Any) -> bool:
    return isinstance(entry, np.ndarray) and entry.dtype == np.bool_


def _entry(op: str, entry: Any) -> Any:
    """One entry as None, Ellipsis, a slice, an integer, or an array of integers or booleans; in a
    trace, integers whose values are not known stay a tensor."""
    if entry is None or entry is Ellipsis:
        return entry
    if isinstance(entry, slice):
        return _slice(op, entry)
    if isinstance(entry, (int, np.integer)) and not isinstance(entry, bool):
        return int(entry)
    if isinstance(entry, Tensor) and entry.is_abstract and entry.dtype.kind in "iu":
        return entry
    if isinstance(entry, (Tensor, np.ndarray, list, tuple, bool, np.bool_)):
        array = Tensor(entry)._array  # a copy, since what is recorded must not change
        if isinstance(entry, (list, tuple)) and array.size == 0:
            array = array.astype(np.int64)
        if array.dtype not in FLOATING and (array.dtype != np.bool_ or array.ndim):
            return array if array.ndim or array.dtype == np.bool_ else int(array)
        raise IndexingError(f"{op}: an index takes integers or a mask, got {array.dtype}")
    raise IndexingError(
        f"{op}: an index takes integers, slices, None, ..., or arrays of integers or booleans, "
        f"got {type(entry).__name__}"
    )


def _slice(op: str, entry: slice) -> slice:
    try:
        entry.indices(0)
        parts = [None if p is None else int(p) for p in (entry.start, entry.stop, entry.step)]
    except (TypeError, ValueError, DtypeError) as error:
        raise IndexingError(f"{op}: {entry} is not a slice of integers ({error})") from None
    return slice(*parts)


def _expand_ellipsis(op: str, x: Tensor, entries: list[Any]) -> list[Any]:
    """The entries with one for every axis of x."""
    used = sum(e.ndim if _is_mask(e) else 1 for e in entries if e is not None and e is not Ellipsis)
    dots = [i for i, e in enumerate(entries) if e is Ellipsis]
    if len(dots) > 1:
        raise IndexingError(f"{op}: an index takes one '...', got {len(dots)}")
    if used > x.ndim:
        raise IndexingError(f"{op}: {used} indices for an array of shape {x.shape}")
    fill = [slice(None)] * (x.ndim - used)
    at = dots[0] if dots else len(entries)
    return [*entries[:at], *fill, *entries[at + len(dots) :]]


def _in_bounds(op: str, positions: Array, shape: Shape, axis: int) -> Array:
    """Positions along an axis, counted from its front."""
    length = shape[axis]
    if positions.size:
        low, high = int(positions.min()), int(positions.max())
        if low < -length or high >= length:
            wrong = low if low < -length else high
            raise IndexingError(
                f"{op}: index {wrong} is out of range for axis {axis} of length {length} "
                f"(shape {shape})"
            )
        if low < 0:
            positions = positions.astype(np.int64)
            return np.where(positions < 0, positions + length, positions)
    return positions


def getitem(x: Operand, index: Any) -> Tensor:
    """x[index], as in NumPy: integers, slices, None, `...`, integer arrays, boolean masks."""
    x = as_tensor(x)
    template, arrays = normalize_index("getitem", x, index)
    return apply(GetItem(template), x, *arrays)


def fitted(op: str, value: Tensor, shape: Shape) -> Tensor:
    """`value` broadcast to the shape that an index takes; more axes than that may lead, of 1."""
    while value.ndim > len(shape) and value.shape[0] == 1:
        value = reshape(value, value.shape[1:])
    if broadcast_shapes(op, value.shape, shape) != shape:
        raise ShapeError(f"{op}: the index takes values of {shape}, got {value.shape}")
    return expand(value, shape)


def setitem(x: Operand, index: Any, value: Operand) -> Tensor:
    """x with `value`, broadcast, at the index; x itself stays as it was."""
    x, value = operands("setitem", as_tensor(x), value)
    template, arrays = normalize_index("setitem", x, index)
    shape = indexed_shape("setitem", x.shape, template, [a.spec for a in arrays])
    return apply(SetItem(template), x, fitted("setitem", value, shape), *arrays)


def assign_item(x: Tensor, index: Any, value: Operand) -> None:
    """x[index] = value: gives x the value of `setitem`; what was recorded of x keeps its own."""
    x._become(setitem(x, index, value))
