"""Op samples of the compositions that move values: axes, order, repetition, padding, positions,
sorting. Each row is named after the op that its function ends in.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from sample import FIXED, Array, Sample, distinct, mask, normal, whole

import minigrad as mg


def _row(op: str, label: str, function: Callable[..., Any], reference: Any, *shapes: Any) -> Sample:
    return Sample(op, label, function, reference, tuple(normal(*shape) for shape in shapes))


def _same(op: str, name: str, shape: Any, other: Any = None, /, **how: Any) -> Sample:
    """A row of a function that NumPy has too, with the same arguments."""
    label = "_".join([name, str(len(shape)), *[f"{key}_{value}" for key, value in how.items()]])
    clean = "".join(c if c.isalnum() else "_" for c in label).strip("_")
    function, reference = getattr(mg, name), other or getattr(np, name)
    return _row(op, clean, partial(function, **how), partial(reference, **how), shape)


AXES = [
    _same("permute_dims", "moveaxis", (2, 3, 4), source=0, destination=-1),
    _same("permute_dims", "moveaxis", (2, 3, 4), source=(0, -1), destination=(1, 0)),
    _same("permute_dims", "moveaxis", (0, 3), source=1, destination=0),
    _same("reshape", "squeeze", (1, 3, 1)),
    _same("reshape", "squeeze", (1, 3, 1), axis=-1),
    _same("reshape", "squeeze", (1, 3, 1), axis=(0, 2)),
    _same("reshape", "squeeze", (1, 0)),
    _same("reshape", "expand_dims", (2, 3), axis=0),
    _same("reshape", "expand_dims", (2, 3), axis=-1),
    _same("reshape", "expand_dims", (2, 3), axis=(0, -2)),
    _same("reshape", "expand_dims", (), axis=0),
    _row("expand", "broadcast_arrays", lambda x, y: mg.concat(mg.broadcast_arrays(x, y)),
         lambda x, y: np.concatenate(np.broadcast_arrays(x, y)), (3, 1), (2, 1, 4)),
    *[
        _row("expand", f"meshgrid_{indexing}_{len(shapes)}",
             lambda *xs, how=indexing: mg.stack(mg.meshgrid(*xs, indexing=how)),
             lambda *xs, how=indexing: np.stack(np.meshgrid(*xs, indexing=how)), *shapes)
        for indexing in ("xy", "ij")
        for shapes in ([(3,), (4,)], [(3,), (4,), (2,)], [(2,)] * 4)
    ],
    _row("reshape", "meshgrid_of_one", lambda x: mg.meshgrid(x)[0], lambda x: np.meshgrid(x)[0],
         (3,)),
]  # fmt: skip

ORDER = [
    _same("getitem", "flip", (2, 3)),
    _same("getitem", "flip", (2, 3, 4), axis=-1),
    _same("getitem", "flip", (2, 3, 4), axis=(0, 2)),
    _same("getitem", "flip", ()),
    _same("getitem", "flip", (0, 3), axis=0),
    _same("concat", "roll", (2, 3), shift=1),
    _same("concat", "roll", (2, 5), shift=-7, axis=-1),
    _same("concat", "roll", (3, 4), shift=(1, -1), axis=(0, 1)),
    _same("concat", "roll", (3, 4), shift=2, axis=(0, 1)),
    _same("concat", "roll", (3, 4), shift=(1, 1), axis=1),
]

DIFFERENCES = [
    _same("subtract", "diff", (2, 4)),
    _same("subtract", "diff", (4, 3), n=2, axis=0),
    _same("subtract", "diff", (2, 3), n=5),
    _same("clone", "diff", (2, 3), n=0),
    _same("clone", "diff", (2, 0)),
    _row("subtract", "diff_after_a_number", lambda x: mg.diff(x, prepend=1.5),
         lambda x: np.diff(x, prepend=x.dtype.type(1.5)), (2, 3)),
    _row("subtract", "diff_joined", lambda x, a, b: mg.diff(x, prepend=a, append=b),
         lambda x, a, b: np.diff(x, prepend=a, append=b), (2, 3), (2, 1), (2, 2)),
    Sample("subtract", "diff_integers", mg.diff, np.diff, (whole(5),), **FIXED),
]  # fmt: skip

REPETITION = [
    _same("expand", "repeat", (2, 3), repeats=2),
    _same("expand", "repeat", (2, 3, 2), repeats=3, axis=1),
    _same("expand", "repeat", (), repeats=3),
    _same("expand", "repeat", (2, 3), repeats=0, axis=-1),
    _same("getitem", "repeat", (2, 3), repeats=[2, 0, 1], axis=1),
    _row("expand", "tile_of_vector", lambda x: mg.tile(x, 2), lambda x: np.tile(x, 2), (3,)),
    *[
        _row("expand", f"tile_{len(shape)}_by_{len(counts)}", partial(mg.tile, repetitions=counts),
             partial(np.tile, reps=counts), shape)
        for shape, counts in [((2, 3), (2, 2)), ((3,), (2, 1, 3)), ((2, 1, 3), (2,)), ((), (2,))]
    ],
    *[
        _row("concat", f"stack_{axis}".replace("-", "m"),
             lambda *xs, axis=axis: mg.stack(xs, axis),
             lambda *xs, axis=axis: np.stack(xs, axis), (2, 3), (2, 3))
        for axis in (0, 1, -1)
    ],
    _row("concat", "stack_0d", lambda *xs: mg.stack(xs), lambda *xs: np.stack(xs), (), ()),
    *[
        _row("getitem", f"split_{label}",
             lambda x, how=how, axis=axis, i=i: mg.split(x, how, axis)[i],
             lambda x, how=how, axis=axis, i=i: np.split(x, how, axis)[i], (4, 6))
        for label, how, axis, i in [
            ("halves", 2, 0, 1),
            ("thirds", 3, -1, 2),
            ("at_indices", [1, 4], 1, 1),
            ("backwards", [4, 1], 1, 1),
            ("beyond", [2, 9], 0, 2),
            ("nowhere", [], 0, 0),
        ]
    ],
    _row("getitem", "unstack", lambda x: mg.unstack(x, -1)[2], lambda x: x[..., 2], (2, 3)),
]  # fmt: skip

PADDING = [
    *[
        _row("concat", f"pad_{mode}_{label}", partial(mg.pad, pad_width=width, mode=mode),
             partial(np.pad, pad_width=width, mode=known), shape)
        for mode, known in [
            ("reflect", "reflect"),
            ("replicate", "edge"),
            ("edge", "edge"),
            ("circular", "wrap"),
            ("wrap", "wrap"),
        ]
        for label, width, shape in [
            ("all", 1, (2, 3)),
            ("sides", (2, 1), (3, 4)),
            ("axes", ((0, 0), (1, 0), (0, 2), (2, 2)), (2, 2, 3, 4)),
            ("more_than_there_is", 5, (3,)),
            ("of_one", ((0, 0), (2, 1)), (2, 1)),
        ]
    ],
    *[
        _row("setitem", f"pad_{label}", partial(mg.pad, pad_width=width, value=value),
             partial(np.pad, pad_width=width, constant_values=value), shape)
        for label, width, value, shape in [
            ("all", 1, 0, (2, 3)),
            ("sides", (2, 1), -1.5, (3, 4)),
            ("axes", ((0, 0), (1, 0), (0, 2)), 2.5, (2, 2, 3)),
            ("nothing", ((1, 1), (0, 0)), 3, (0, 2)),
            ("by_nothing", 0, 3, (2,)),
        ]
    ],
    Sample("setitem", "pad_integers", partial(mg.pad, pad_width=1, value=7),
           partial(np.pad, pad_width=1, constant_values=7), (whole(3, dtype="int8"),), **FIXED),
]  # fmt: skip


def _added_along(x: Array, i: Array, v: Array, axis: int) -> Array:
    shape = [n if a == axis % x.ndim else x.shape[a] for a, n in enumerate(i.shape)]
    places = [np.arange(n).reshape([-1 if a == b else 1 for b in range(x.ndim)])
              for a, n in enumerate(shape)]  # fmt: skip
    places[axis] = i
    y = x.copy()
    np.add.at(y, tuple(places), v)
    return y


def _changed(x: Array, v: Array, index: Any, change: Callable[..., Any]) -> Array:
    y = x.copy()
    change(y, index, v)
    return y


def _set(y: Array, index: Any, v: Array) -> None:
    y[index] = v


POSITIONS = [
    *[
        Sample("getitem", f"take_{label}", partial(mg.take, axis=axis), partial(np.take, axis=axis),
               (normal(4, 3), indices))
        for label, axis, indices in [
            ("flat", None, np.array([0, -1, 11])),
            ("rows", 0, np.array([3, 0, 0])),
            ("negative_axis", -1, np.array([2, -3])),
            ("one", 1, np.array(2)),
            ("matrix", 0, np.array([[0, 1], [2, 2]], np.int8)),
            ("none", 1, np.array([], np.int64)),
        ]
    ],
    *[
        Sample("getitem", f"take_along_axis_{label}", partial(mg.take_along_axis, axis=axis),
               partial(np.take_along_axis, axis=axis), (normal(3, 4), indices))
        for label, axis, indices in [
            ("rows", 0, whole(2, 4, low=0, high=3)),
            ("columns", -1, whole(3, 6, low=-4, high=4)),
            ("broadcast", 1, whole(1, 2, low=0, high=4)),
            ("none", 1, whole(3, 0)),
        ]
    ],
    *[
        Sample("index_add", f"scatter_add_{label}", partial(mg.scatter_add, axis=axis),
               partial(_added_along, axis=axis), (normal(3, 4), indices, normal(*values)))
        for label, axis, indices, values in [
            ("rows", 0, whole(5, 4, low=0, high=3), (5, 4)),
            ("columns", -1, whole(3, 6, low=-4, high=4), (3, 6)),
            ("broadcast", 1, whole(1, 2, low=0, high=4), (3, 1)),
            ("none", 1, whole(3, 0), (3, 0)),
        ]
    ],
    *[
        Sample(op, f"at_{method}_{label}",
               lambda x, v, method=method, index=index: getattr(x.at[index], method)(v),
               partial(_changed, index=index, change=change), (normal(4, 3), factors(*shape)))
        for op, method, change in [
            ("index_add", "add", np.add.at),
            ("index_add", "subtract", np.subtract.at),
            ("setitem", "multiply", np.multiply.at),
            ("setitem", "divide", np.divide.at),
            ("setitem", "set", _set),
            ("max_at", "max", np.maximum.at),
            ("min_at", "min", np.minimum.at),
        ]
        for label, index, shape in [
            ("row", 1, (3,)),
            ("slice", (slice(None), slice(0, 2)), (2,)),
            ("array", (np.array([2, 0]),), (2, 3)),
            ("mask", (np.array([True, False, True, False]),), (1, 3)),
            ("all", ..., ()),
        ]
        for factors in [lambda *shape: np.asarray(np.abs(normal(*shape)) + 0.5)]
    ],
    Sample("index_add", "at_add_duplicates", lambda x, v: x.at[[1, 1, 3]].add(v),
           partial(_changed, index=[1, 1, 3], change=np.add.at), (normal(4, 2), normal(3, 2))),
    *[
        Sample(op, f"at_{method}_{label}",
               lambda x, v, method=method, index=index: getattr(x.at[index], method)(v),
               partial(_changed, index=index, change=change),
               (distinct(4, 2), distinct(*shape) + 17 / 16))
        for op, method, change in [
            ("prod", "multiply", np.multiply.at),
            ("prod", "divide", np.divide.at),
            ("max_at", "max", np.maximum.at),
            ("min_at", "min", np.minimum.at),
        ]
        for label, index, shape in [
            ("duplicates", [1, 1, 3], (3, 2)),
            ("thrice", (slice(None), [0, 0, 0]), (4, 3)),
            ("pairs", ([0, 1, 0, -4], [1, 1, 1, 1]), (4,)),
        ]
    ],
    *[
        Sample(op, f"at_{method}_{x.dtype}",
               lambda x, method=method: getattr(x.at[[0, 1, 0]], method)(3),
               lambda x, change=change: _changed(x, np.asarray(3, x.dtype), [0, 1, 0], change),
               (x,), **FIXED)
        for op, method, change in [
            ("prod", "multiply", np.multiply.at),
            ("max_at", "max", np.maximum.at),
            ("min_at", "min", np.minimum.at),
        ]
        for x in (whole(4, dtype="int8"), whole(4))
    ],
    Sample("index_add", "at_add_number", lambda x: x.at[0].add(2),
           lambda x: _changed(x, np.asarray(2, x.dtype), 0, np.add.at), (normal(4, 2),)),
    Sample("getitem", "at_get", lambda x: x.at[1:].get(), lambda x: x[1:], (normal(3),)),
]  # fmt: skip


def _sorted(
    x: Array, kind: str, axis: int = -1, descending: bool = False, stable: bool = True
) -> Array:
    y = np.sort(x, axis=axis) if kind == "sort" else np.argsort(x, axis=axis)
    return np.flip(y, axis) if descending else y


SORTING = [
    *[
        Sample("argsort", f"{kind}_{label}", partial(function, **how),
               partial(_sorted, kind=kind, **how), (values,), differentiable=kind == "sort")
        for kind, function in [("sort", mg.sort), ("argsort", mg.argsort)]
        for label, how, values in [
            ("vector", {}, distinct(6)),
            ("descending", {"descending": True}, distinct(2, 5)),
            ("first_axis", {"axis": 0}, distinct(4, 3)),
            ("first_axis_descending", {"axis": 0, "descending": True}, distinct(4, 3)),
            ("amid", {"axis": -2, "stable": False}, distinct(2, 4, 2)),
            ("nothing", {}, distinct(2, 0)),
        ]
    ],
    Sample("argsort", "equal_elements", mg.argsort, lambda x: np.argsort(x, kind="stable"),
           (np.array([1, 0, 1, 0, 1]),), **FIXED),
    Sample("argsort", "equal_elements_descending", partial(mg.argsort, descending=True),
           lambda x: np.argsort(-x, kind="stable"), (np.array([1, 0, 1, 0, 1]),), **FIXED),
    Sample("argsort", "bytes_descending", partial(mg.sort, descending=True),
           lambda x: np.sort(x)[::-1], (whole(5, low=0, high=255, dtype="uint8"),), **FIXED),
    Sample("argsort", "booleans", mg.argsort, lambda x: np.argsort(x, kind="stable"), (mask(7),),
           **FIXED),
    *[
        Sample("argsort", f"topk_{label}", lambda x, how=how: mg.topk(x, 2, **how)[0],
               lambda x, how=how: _top(x, 2, **how), (distinct(4, 5),))
        for label, how in [
            ("last", {}),
            ("first", {"axis": 0}),
            ("smallest", {"axis": 1, "largest": False}),
        ]
    ],
    Sample("argsort", "topk_indices", lambda x: mg.topk(x, 2)[1],
           lambda x: np.argsort(-x, axis=-1)[..., :2], (distinct(3, 5),), **FIXED),
    *[
        Sample("searchsorted", f"{side}_of_{len(shape)}d_{max(shape, default=1)}",
               partial(mg.searchsorted, side=side),
               partial(np.searchsorted, side=side),
               (np.sort(whole(6)), whole(*shape)), **FIXED)
        for side in ("left", "right")
        for shape in [(5,), (2, 3), (), (0,)]
    ],
    *[
        Sample("isin", label, function, reference, (whole(*shape), np.array([1, -2, 4])), **FIXED)
        for shape in [(9,), (2, 3), (), (0,)]
        for label, function, reference in [
            (f"{len(shape)}d_{max(shape, default=1)}", mg.isin, np.isin),
            (f"not_{len(shape)}d_{max(shape, default=1)}", partial(mg.isin, invert=True),
             partial(np.isin, invert=True)),
        ]
    ],
    Sample("isin", "numbers", mg.isin, np.isin,
           (np.array([0.0, np.nan, 1.0, -0.0]), np.array([[np.nan], [0.0]])), **FIXED),
    Sample("searchsorted", "numbers", mg.searchsorted, np.searchsorted,
           (np.array([0.0, 1.0, 1.0, 2.5]), np.array([1.0, 3.0, -1.0])), **FIXED),
]  # fmt: skip


def _top(x: Array, k: int, axis: int = -1, largest: bool = True) -> Array:
    ordered = np.sort(-x if largest else x, axis=axis)
    taken = np.take(ordered, np.arange(k), axis=axis)
    return -taken if largest else taken


REARRANGED = [*AXES, *ORDER, *DIFFERENCES, *REPETITION, *PADDING, *POSITIONS, *SORTING]
