"""What ONNX's reading and writing at indices is in minigrad: rules of the table in `operators`."""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad.ops.arrays as mg
from minigrad.onnx.operator import Operator, Rule
from minigrad.spec import int64
from minigrad.tensor import Tensor, as_tensor

WRITING = {"none": "set", "add": "add", "mul": "multiply", "max": "max", "min": "min"}


def slices(op: Operator, x: Any, *_: Any) -> Any:
    x = as_tensor(x)
    starts, ends = op.integers(1, "starts"), op.integers(2, "ends")
    axes = op.integers(3, "axes", list(range(len(starts))))
    steps = op.integers(4, "steps", [1] * len(starts))
    index = [slice(None)] * x.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        n = x.shape[axis]
        low, high = (0, n) if step > 0 else (-1, n - 1)
        first = min(max(start + n if start < 0 else start, 0), high)
        last = min(max(end + n if end < 0 else end, low), n)
        index[axis] = slice(first, None if last < 0 else last, step)
    return x[tuple(index)]


def gather(op: Operator, x: Any, indices: Any) -> Any:
    return mg.take(x, indices, axis=op.get("axis", 0))


def _lines(x: Tensor, indices: Tensor, axis: int) -> tuple[Any, ...]:
    """The index of x at [i, ..., indices[i, ..., j], ..., j]."""
    ndim = indices.ndim
    index: list[Any] = [
        np.arange(n).reshape([n if a == b else 1 for b in range(ndim)])
        for a, n in enumerate(indices.shape)
    ]
    index[axis] = indices
    return tuple(index)


def gather_elements(op: Operator, x: Any, indices: Any) -> Any:
    x, places = as_tensor(x), as_tensor(indices)
    return x[_lines(x, places, op.get("axis", 0))]


def scatter_elements(op: Operator, x: Any, indices: Any, updates: Any) -> Any:
    x, how = as_tensor(x), op.get("reduction", "none")
    at = x.at[_lines(x, _places(op, indices), op.get("axis", 0))]
    return getattr(at, WRITING[how])(updates)


def _places(op: Operator, indices: Any) -> Tensor:
    """The indices to write at, which have to be known where factors meet at one place."""
    known = op.get("reduction", "none") == "mul"
    return as_tensor(op.needed(1) if known else indices)


def _tuples(places: Tensor, batch: int) -> tuple[Any, ...]:
    """The index that the last axis of `places` is, behind so many axes that both have."""
    lengths = places.shape[:-1]
    counted = [
        np.arange(lengths[a]).reshape([lengths[a] if a == b else 1 for b in range(len(lengths))])
        for a in range(batch)
    ]
    return (*counted, *[places[..., i] for i in range(places.shape[-1])])


def gather_nd(op: Operator, x: Any, indices: Any) -> Any:
    return as_tensor(x)[_tuples(as_tensor(indices), op.get("batch_dims", 0))]


def scatter_nd(op: Operator, x: Any, indices: Any, updates: Any) -> Any:
    at = as_tensor(x).at[_tuples(_places(op, indices), 0)]
    return getattr(at, WRITING[op.get("reduction", "none")])(updates)


def compress(op: Operator, x: Any, condition: Any) -> Any:
    """The parts of x where a known condition is true."""
    x, axis = as_tensor(x), op.get("axis")
    (places,) = np.nonzero(op.needed(1).reshape(-1))
    return mg.take(x, places, axis=axis)


def nonzero(op: Operator, x: Any) -> Any:
    """Where a known array is not 0."""
    return np.stack(np.nonzero(np.atleast_1d(op.needed(0)))).astype(np.int64)


def unique(op: Operator, x: Any) -> Any:
    """The different elements (or parts along an axis) of a known array, where each is first, which
    one each element is, and how often it occurs; in order, or as they come."""
    array, axis = op.needed(0), op.get("axis")
    found, first, inverse, counts = np.unique(
        array, return_index=True, return_inverse=True, return_counts=True, axis=axis
    )
    inverse = inverse.reshape(-1)
    if not op.get("sorted", 1):
        order = np.argsort(first, kind="stable")
        found = np.take(found, order, axis=axis or 0)
        first, counts = first[order], counts[order]
        inverse = np.argsort(order, kind="stable")[inverse]
    return found, first.astype(np.int64), inverse.astype(np.int64), counts.astype(np.int64)


def reverse_sequence(op: Operator, x: Any, lengths: Any) -> Any:
    """The first so many elements along the axis of time in reverse, of each sequence of a batch."""
    x = as_tensor(x)
    time, batch = op.get("time_axis", 0), op.get("batch_axis", 1)
    steps = np.arange(x.shape[time]).reshape([-1 if a == time else 1 for a in range(x.ndim)])
    shape = [-1 if a == batch else 1 for a in range(x.ndim)]
    counts = mg.reshape(as_tensor(lengths).astype(int64), shape)
    places = mg.where(mg.less(steps, counts), mg.subtract(mg.subtract(counts, 1), steps), steps)
    return mg.take_along_axis(x, places, axis=time)


def tensor_scatter(op: Operator, x: Any, update: Any, starts: Any = None) -> Any:
    """A cache with rows written from `write_indices` on, for each part of the batch; "circular"
    goes on at the front."""
    x, update = as_tensor(x), as_tensor(update)
    axis = op.get("axis", -2) % x.ndim
    lengths = update.shape
    counted: list[Any] = [
        np.arange(n).reshape([n if a == b else 1 for b in range(x.ndim)])
        for a, n in enumerate(lengths)
    ]
    if starts is not None:
        first = mg.reshape(as_tensor(starts).astype(int64), (-1, *[1] * (x.ndim - 1)))
        counted[axis] = mg.add(first, counted[axis])
        if op.get("mode", "linear") == "circular":
            counted[axis] = mg.remainder(counted[axis], x.shape[axis])
    return x.at[tuple(counted)].set(update)


RULES: dict[str, Rule] = {
    "Compress": compress,
    "Gather": gather,
    "GatherElements": gather_elements,
    "GatherND": gather_nd,
    "NonZero": nonzero,
    "ReverseSequence": reverse_sequence,
    "Scatter": scatter_elements,
    "ScatterElements": scatter_elements,
    "ScatterND": scatter_nd,
    "Slice": slices,
    "TensorScatter": tensor_scatter,
    "Unique": unique,
}
"""By the operator's name."""
