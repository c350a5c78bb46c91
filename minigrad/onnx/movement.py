"""How ops that move values are written: reshape, transpose, concat, reading and writing at an
index, padding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.onnx.batch import Line
from minigrad.onnx.model import RefusedError, Site
from minigrad.ops.indexing import ARRAY, Template
from minigrad.spec import Shape, int64

END = np.iinfo(np.int64).max  # of a slice that goes to the end of its axis
REDUCTIONS = {"index_add": "add", "max_at": "max", "min_at": "min", "setitem": "none"}


def reshape(site: Site) -> str:
    return site.reshape(site.inputs[0], site.out_shape)


def permute_dims(site: Site) -> str:
    return str(site.add("Transpose", *site.inputs, perm=site.op.axes))


def expand(site: Site) -> str:
    return str(site.add("Expand", *site.inputs, site.integers(site.op.shape)))


def concat(site: Site) -> str:
    return str(site.add("Concat", *site.inputs, axis=site.op.axis))


def astype(site: Site) -> str:
    return site.cast(site.inputs[0], site.op.dtype)


def triangle(site: Site) -> str:
    upper = int(site.op.name == "triu")
    return str(site.add("Trilu", *site.inputs, site.number(site.op.k, int64), upper=upper))


def argsort(site: Site) -> str:
    """TopK of all elements; equal ones stay in their order."""
    axis = site.op.axis
    length = site.integers([site.shapes[0][axis]])
    largest = int(site.op.descending)
    _, order = site.add("TopK", *site.inputs, length, outputs=2, axis=axis, largest=largest)
    return str(order)


def getitem(site: Site) -> str:
    """First the slices, then the integers, then the arrays, then the new axes."""
    x, *arrays = site.inputs
    entries = [entry for entry in site.op.template if entry is not None]
    x = _sliced(site, x, entries)
    whole = [a for a, entry in enumerate(entries) if isinstance(entry, int)]
    x = site.add("Squeeze", x, site.integers(whole)) if whole else x
    left = [entry for entry in site.op.template if not isinstance(entry, int)]
    if arrays:
        return _gathered(site, x, arrays, left)
    new = [i for i, entry in enumerate(left) if entry is None]
    return str(site.add("Unsqueeze", x, site.integers(new)) if new else site.add("Identity", x))


def _sliced(site: Site, x: str, entries: Sequence[Any]) -> str:
    """x cut by the slices; an integer is a slice of length 1."""
    starts, ends, axes, steps = [], [], [], []
    for axis, entry in enumerate(entries):
        if entry == ARRAY or entry == slice(None):
            continue
        if isinstance(entry, int):
            # A Line loses its slope in a sum, so what is counted from a growing end is refused.
            site.static(entry)
            entry = slice(entry, entry + 1 if entry != -1 else None)
        step = entry.step or 1
        starts.append(entry.start if entry.start is not None else (0 if step > 0 else END))
        ends.append(entry.stop if entry.stop is not None else (END if step > 0 else -END))
        axes.append(axis)
        steps.append(step)
    if not axes:
        return x
    return str(site.add("Slice", x, *[site.integers(v) for v in (starts, ends, axes, steps)]))


def _gathered(site: Site, x: str, arrays: list[str], template: list[object]) -> str:
    """x at arrays of positions, where the template has slices, arrays and new axes."""
    new = [i for i, entry in enumerate(template) if entry is None]
    x = site.add("Unsqueeze", x, site.integers(new)) if new else x
    axes = places = [i for i, entry in enumerate(template) if entry == ARRAY]
    if len(arrays) == 1:
        return str(site.add("Gather", x, *arrays, axis=axes[0]))
    others = [a for a in range(len(template)) if a not in axes]
    front = site.add("Transpose", x, perm=[*axes, *others])
    found = site.add("GatherND", front, _stacked(site, arrays, site.shapes[1:]))
    positions = [i for i, entry in enumerate(site.op.template) if entry == ARRAY]
    if positions[-1] - positions[0] != len(positions) - 1 or places[0] == 0:
        return str(found)
    common = len(site.out_shape) - len(others)
    before = [common + i for i in range(places[0])]
    behind = [common + i for i in range(places[0], len(others))]
    return str(site.add("Transpose", found, perm=[*before, *range(common), *behind]))


def _stacked(site: Site, arrays: list[str], shapes: list[Shape]) -> str:
    """Arrays of positions, broadcast, as the last axis of one."""
    ndim = max(len(shape) for shape in shapes)
    padded = [(*[1] * (ndim - len(shape)), *shape) for shape in shapes]
    common: list[int] = []
    for lengths in zip(*padded, strict=True):
        longer = [n for n in lengths if isinstance(n, Line) or n != 1]
        common.append(longer[0] if longer else 1)
    columns = []
    for array in arrays:
        wide = site.add("Expand", site.cast(array, int64), site.integers(common))
        columns.append(site.add("Unsqueeze", wide, site.integers([-1])))
    return str(site.add("Concat", *columns, axis=-1))


def write_at(site: Site) -> str:
    """x with values at an index: a padding where x is one number everywhere and the index a block,
    else what ScatterND does."""
    template, name = site.op.template, site.op.name
    target = site.out_shape
    adding = name == "index_add"
    v = site.inputs[0 if adding else 1]
    arrays = site.inputs[1 if adding else 2 :]
    shapes = site.shapes[1 if adding else 2 :]
    value = 0 if adding else site.uniform(0)
    if value is not None and name in ("setitem", "index_add"):
        pads = _pads(template, target)
        if pads is not None:
            return str(site.add("Pad", v, site.integers(pads), site.number(value)))
    x = _zeros(site, target) if adding else site.inputs[0]
    how = REDUCTIONS[name]
    if arrays and all(e == ARRAY or _is_all(e, n) for e, n in zip(template, target, strict=True)):
        return _scattered(site, x, v, _stacked(site, arrays, shapes), how)
    site.static(*target)
    if arrays:
        raise RefusedError("values written at slices and arrays at once")
    numbers = np.arange(int(np.prod(target)), dtype=np.int64).reshape(target)
    places = site.model.constant(numbers[template].reshape(-1, 1))
    flat = site.add(
        "ScatterND", site.reshape(x, (-1,)), places, site.reshape(v, (-1,)), reduction=how
    )
    return site.reshape(flat, target)


def _scattered(site: Site, x: str, v: str, positions: str, how: str) -> str:
    """x with values at arrays of positions along some axes, and along all of the others: these
    axes are brought to the front."""
    template, ndim = site.op.template, len(site.out_shape)
    axes = [a for a in range(ndim) if template[a] == ARRAY]
    others = [a for a in range(ndim) if a not in axes]
    values = site.shapes[0 if site.op.name == "index_add" else 1]
    common = len(values) - len(others)
    together = axes[-1] - axes[0] == len(axes) - 1
    start = axes[0] if together else 0
    front = [*range(start, start + common)]
    v = site.add("Transpose", v, perm=[*front, *[a for a in range(len(values)) if a not in front]])
    x = site.add("Transpose", x, perm=[*axes, *others])
    y = site.add("ScatterND", x, positions, v, reduction=how)
    return str(site.add("Transpose", y, perm=[[*axes, *others].index(a) for a in range(ndim)]))


def _is_all(entry: object, length: int) -> bool:
    """Whether an entry takes all of its axis."""
    if not isinstance(entry, slice) or not _is_block(entry, length):
        return False
    return isinstance(length, Line) or entry.indices(length) == (0, length, 1)


def _zeros(site: Site, shape: Shape) -> str:
    return str(site.add("Expand", site.number(0), site.integers(shape)))


def _pads(template: Template, shape: Shape) -> list[int] | None:
    """The widths around a block of an array, before all axes and behind them; None for another
    index."""
    before, behind = [], []
    for entry, length in zip(template, shape, strict=False):
        if entry == slice(None):
            before.append(0)
            behind.append(0)
        elif not isinstance(entry, slice) or not _is_block(entry, length):
            return None
        else:
            start, stop, _ = entry.indices(length)
            before.append(start)
            behind.append(length - stop)
    return [*before, *behind] if len(before) == len(shape) else None


def _is_block(entry: slice, length: int) -> bool:
    """Whether a slice takes neighbours; along an axis that goes with the batch, all of them."""
    if entry.step not in (None, 1):
        return False
    if not isinstance(length, Line):
        return True
    stop = entry.stop
    to_the_end = stop is None or (
        isinstance(stop, Line) and (stop.slope, stop.start) == (length.slope, length.start)
    )
    return to_the_end and not isinstance(entry.start, Line) and entry.start in (None, 0)


RULES: dict[str, Callable[[Site], str]] = {
    **dict.fromkeys(REDUCTIONS, write_at),
    "argsort": argsort,
    "astype": astype,
    "concat": concat,
    "expand": expand,
    "getitem": getitem,
    "permute_dims": permute_dims,
    "reshape": reshape,
    "tril": triangle,
    "triu": triangle,
}
