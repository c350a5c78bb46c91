"""Functions that move values, each a short composition of the ops of `movement` and `indexing`.

Where an axis is None, the array is taken flat, as in NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.errors import ArgumentError, AxisError, ShapeError
from minigrad.ops.indexing import getitem
from minigrad.ops.movement import (
    concat,
    expand,
    flatten,
    listed,
    part,
    permute_dims,
    require_integers,
    reshape,
)
from minigrad.spec import (
    Axis,
    as_integer,
    broadcast_shapes,
    normalize_axes,
    normalize_axis,
)
from minigrad.tensor import Operand, Tensor, as_tensor

__all__ = [
    "broadcast_arrays",
    "expand_dims",
    "flip",
    "meshgrid",
    "moveaxis",
    "repeat",
    "roll",
    "split",
    "squeeze",
    "stack",
    "tile",
    "unstack",
]


def _listed_axes(op: str, axis: Any, ndim: int) -> list[int]:
    """One or several axes counted from the front, in the order given, none twice."""
    given = axis if isinstance(axis, (tuple, list)) else (axis,)
    axes = [normalize_axis(op, a, ndim) for a in given]
    if len(set(axes)) != len(axes):
        raise AxisError(f"{op}: axis {axis} names an axis twice")
    return axes


def moveaxis(x: Operand, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """x with the axes `source` at the places `destination`, the others in their order."""
    x = as_tensor(x)
    origins = _listed_axes("moveaxis", source, x.ndim)
    targets = _listed_axes("moveaxis", destination, x.ndim)
    if len(origins) != len(targets):
        raise AxisError(f"moveaxis: source {source} and destination {destination} differ in number")
    order = [axis for axis in range(x.ndim) if axis not in origins]
    for target, origin in sorted(zip(targets, origins, strict=True)):
        order.insert(target, origin)
    return permute_dims(x, order)


def squeeze(x: Operand, axis: Axis = None) -> Tensor:
    """x without its axes `axis`, which have length 1, or (None) without all such axes.

    Raises ShapeError for an axis of another length.
    """
    x = as_tensor(x)
    if axis is None:
        return reshape(x, tuple([n for n in x.shape if n != 1]))
    axes = normalize_axes("squeeze", axis, x.ndim)
    for a in axes:
        if x.shape[a] != 1:
            raise ShapeError(f"squeeze: axis {a} of shape {x.shape} has length {x.shape[a]}, not 1")
    return reshape(x, tuple([n for a, n in enumerate(x.shape) if a not in axes]))


def expand_dims(x: Operand, axis: int | Sequence[int] = 0) -> Tensor:
    """x with new axes of length 1, which are the axes `axis` of the result."""
    x = as_tensor(x)
    added = len(axis) if isinstance(axis, (tuple, list)) else 1
    axes = _listed_axes("expand_dims", axis, x.ndim + added)
    lengths = iter(x.shape)
    shape = [1 if a in axes else next(lengths) for a in range(x.ndim + added)]
    return reshape(x, tuple(shape))


def broadcast_arrays(*arrays: Operand) -> list[Tensor]:
    """The arrays, all broadcast to one shape."""
    tensors = listed("broadcast_arrays", arrays)
    shape = broadcast_shapes("broadcast_arrays", *[x.shape for x in tensors])
    return [expand(x, shape) for x in tensors]


def flip(x: Operand, axis: Axis = None) -> Tensor:
    """x with the order of its elements reversed along `axis`: one, several, or all axes."""
    x = as_tensor(x)
    axes = normalize_axes("flip", axis, x.ndim)
    backwards, forwards = slice(None, None, -1), slice(None)
    return getitem(x, tuple([backwards if a in axes else forwards for a in range(x.ndim)]))


def roll(x: Operand, shift: int | Sequence[int], axis: Axis = None) -> Tensor:
    """x with its elements moved on by `shift` along `axis`; the last come in at the front.

    Several shifts go with as many axes, or one shift with all. Raises ArgumentError, AxisError.
    """
    x = as_tensor(x)
    if axis is None:
        return reshape(roll(flatten(x), shift, 0), x.shape)
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    shifts = shift if isinstance(shift, (tuple, list)) else (shift,) * max(len(axes), 1)
    if len(axes) == 1:
        axes = tuple(axes) * len(shifts)
    if axes and len(shifts) != len(axes):
        raise ArgumentError(f"roll: shift {shift!r} and axis {axis!r} differ in number")
    places = [normalize_axis("roll", a, x.ndim) for a in axes]
    steps = [as_integer("roll", "shift", s) for s in shifts]
    for a, step in zip(places, steps, strict=False):
        cut = -step % x.shape[a] if x.shape[a] else 0
        if cut:
            x = concat([part(x, a, slice(cut, None)), part(x, a, slice(0, cut))], a)
    return x


def repeat(x: Operand, repeats: int | Operand, axis: int | None = None) -> Tensor:
    """Each element of x `repeats` times along `axis`: one count, or one for every element.

    Raises ArgumentError, DtypeError, ShapeError.
    """
    x = as_tensor(x)
    if axis is None:
        x, axis = flatten(x), 0
    a = normalize_axis("repeat", axis, x.ndim)
    counts = as_tensor(repeats)
    require_integers("repeat", "repeats", counts)
    if counts.size and counts.numpy().min() < 0:
        raise ArgumentError(f"repeat: repeats must not be negative, got {counts.tolist()}")
    before, length, behind = x.shape[:a], x.shape[a], x.shape[a + 1 :]
    if counts.size == 1:
        times = counts.item()
        widened = expand(
            reshape(x, (*before, length, 1, *behind)), (*before, length, times, *behind)
        )
        return reshape(widened, (*before, length * times, *behind))
    if counts.shape != (length,):
        raise ShapeError(
            f"repeat: repeats takes one count or {length}, one for each place along axis {a}, "
            f"got shape {counts.shape}"
        )
    return part(x, a, np.repeat(np.arange(length), counts.numpy()))


def tile(x: Operand, repetitions: int | Sequence[int]) -> Tensor:
    """x repeated as a whole, `repetitions[i]` times along axis i, counted from the last."""
    x = as_tensor(x)
    given = repetitions if isinstance(repetitions, (tuple, list)) else (repetitions,)
    counts = [as_integer("tile", "repetitions", n) for n in given]
    if min(counts, default=0) < 0:
        raise ArgumentError(f"tile: repetitions must not be negative, got {repetitions!r}")
    ndim = max(x.ndim, len(counts))
    counts = [1] * (ndim - len(counts)) + counts
    lengths = [1] * (ndim - x.ndim) + list(x.shape)
    apart = reshape(x, [n for length in lengths for n in (1, length)])
    pairs = list(zip(counts, lengths, strict=True))
    filled = expand(apart, [n for pair in pairs for n in pair])
    return reshape(filled, [count * length for count, length in pairs])


def stack(arrays: Sequence[Operand], axis: int = 0) -> Tensor:
    """The arrays, all of one shape, joined along a new axis."""
    tensors = listed("stack", arrays)
    for x in tensors:
        if x.shape != tensors[0].shape:
            raise ShapeError(f"stack: shapes must be equal, got {[x.shape for x in tensors]}")
    a = normalize_axis("stack", axis, tensors[0].ndim + 1)
    return concat([expand_dims(x, a) for x in tensors], a)


def split(x: Operand, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """x cut along `axis` into so many equal parts, or before each of the indices, as NumPy does.

    Raises ShapeError where the parts would not be equal.
    """
    x = as_tensor(x)
    a = normalize_axis("split", axis, x.ndim)
    length = x.shape[a]
    if isinstance(indices_or_sections, (tuple, list)):
        cuts = [as_integer("split", "indices_or_sections", i) for i in indices_or_sections]
    else:
        sections = as_integer("split", "indices_or_sections", indices_or_sections)
        if sections < 1 or length % sections:
            raise ShapeError(
                f"split: axis {a} of shape {x.shape} has no {sections} equal parts; give the "
                "indices to cut at"
            )
        cuts = [i * (length // sections) for i in range(1, sections)]
    edges = zip([0, *cuts], [*cuts, length], strict=True)
    return [part(x, a, slice(start, stop)) for start, stop in edges]


def unstack(x: Operand, axis: int = 0) -> tuple[Tensor, ...]:
    """The parts of x along `axis`, each without it."""
    x = as_tensor(x)
    a = normalize_axis("unstack", axis, x.ndim)
    return tuple([part(x, a, i) for i in range(x.shape[a])])


def meshgrid(*arrays: Operand, indexing: str = "xy") -> list[Tensor]:
    """The coordinates of a grid, one array for each axis, from the vectors of its axes.

    With `indexing="ij"` vector i runs along axis i; with "xy" the first two axes are exchanged.
    """
    if indexing not in ("xy", "ij"):
        raise ArgumentError(f"meshgrid: indexing takes 'xy' or 'ij', got {indexing!r}")
    tensors = listed("meshgrid", arrays)
    for x in tensors:
        if x.ndim > 1:
            raise ShapeError(f"meshgrid: takes vectors, got shape {x.shape}")
    ndim = len(tensors)
    places = [1, 0, *range(2, ndim)] if indexing == "xy" and ndim > 1 else list(range(ndim))
    vectors = [
        reshape(x, [x.size if axis == place else 1 for axis in range(ndim)])
        for x, place in zip(tensors, places, strict=True)
    ]
    return broadcast_arrays(*vectors)
