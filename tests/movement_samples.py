"""Op samples of what moves values: shapes, axes, joining, conversion, and indexing."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from sample import FIXED, Array, Sample, away, eighths, mask, normal, whole

import minigrad as mg
from minigrad import ops
from minigrad.ops.indexing import ARRAY, IndexAdd
from minigrad.tensor import apply


def _movement(op: str, label: str, function: Any, reference: Any, *shape: int) -> Sample:
    return Sample(op, label, function, reference, (normal(*shape),))


MOVEMENTS = [
    *[
        Sample(
            "reshape",
            label,
            partial(mg.reshape, shape=after),
            partial(np.reshape, shape=after),
            (normal(*before),),
        )
        for label, before, after in [
            ("split", (6, 4), (2, 3, 4)),
            ("found", (2, 3, 4), (3, -1)),
            ("row", (2, 3), -1),
            ("to_0d", (1, 1), ()),
            ("from_0d", (), (1, 1)),
            ("empty", (0, 3), (3, 0)),
            ("empty_found", (0, 3), (-1, 3)),
        ]
    ],
    _movement("reshape", "flatten", mg.flatten, lambda x: x.reshape(-1), 2, 3, 2),
    _movement("reshape", "flatten_0d", mg.flatten, lambda x: x.reshape(1)),
    _movement(
        "reshape", "flatten_from_1", lambda x: x.flatten(1), lambda x: x.reshape(2, 12), 2, 3, 2, 2
    ),
    _movement(
        "reshape",
        "flatten_the_middle",
        lambda x: mg.flatten(x, 1, -2),
        lambda x: x.reshape(2, 6, 4),
        2,
        3,
        2,
        4,
    ),
    *[
        Sample(
            "permute_dims",
            label,
            partial(mg.permute_dims, axes=axes),
            partial(np.transpose, axes=axes),
            (normal(*shape),),
        )
        for label, shape, axes in [
            ("cycle", (2, 3, 4), (1, 2, 0)),
            ("negative", (2, 3, 4), (-1, 0, -2)),
            ("0d", (), ()),
            ("empty", (0, 3), (1, 0)),
        ]
    ],
    _movement("permute_dims", "T", lambda x: x.T, lambda x: x.T, 2, 3, 4),
    _movement("permute_dims", "mT", lambda x: x.mT, lambda x: x.mT, 2, 3, 4),
    *[
        Sample(
            "expand",
            label,
            partial(mg.expand, shape=after),
            partial(np.broadcast_to, shape=after),
            (normal(*before),),
        )
        for label, before, after in [
            ("row", (1, 3), (4, 3)),
            ("new_axis", (3,), (2, 3)),
            ("both", (2, 1), (3, 2, 4)),
            ("0d", (), (2, 2)),
            ("to_nothing", (1, 3), (0, 3)),
        ]
    ],
    *[
        Sample(
            "concat",
            label,
            lambda *xs, axis=axis: mg.concat(xs, axis=axis),
            lambda *xs, axis=axis: np.concatenate(xs, axis=axis),
            tuple(normal(*shape) for shape in shapes),
        )
        for label, axis, shapes in [
            ("rows", 0, [(2, 3), (4, 3)]),
            ("columns", 1, [(2, 3), (2, 1), (2, 2)]),
            ("negative", -1, [(2, 1, 3), (2, 1, 2)]),
            ("channels", 1, [(2, 3, 2, 2), (2, 1, 2, 2)]),
            ("flattened", None, [(2, 3), (4,)]),
            ("one", 0, [(2, 3)]),
            ("with_nothing", 0, [(0, 3), (2, 3)]),
        ]
    ],
    Sample(
        "concat",
        "twice_the_same",
        lambda x: mg.concat([x, x]),
        lambda x: np.concatenate([x, x]),
        (normal(2, 3),),
    ),
    Sample("concat", "integers", lambda *x: mg.concat(x), lambda *x: np.concatenate(x),
           (whole(2), whole(3)), **FIXED),
    Sample("astype", "to_float32", lambda x: mg.astype(x, "float32"), lambda x: x.astype("float32"),
           (eighths(2, 3),), step=2**-6),
    Sample("astype", "to_integers", lambda x: x.astype("int64"), lambda x: x.astype("int64"),
           (away(2, 3),), **FIXED),
    Sample("astype", "to_booleans", lambda x: x.astype("bool"), lambda x: x.astype("bool"),
           (eighths(2, 3),), **FIXED),
    Sample("astype", "from_integers", lambda x: x.astype("float32"), lambda x: x.astype("float32"),
           (whole(2, 3),), **FIXED),
]  # fmt: skip

INDICES: dict[str, Any] = {
    "integer": 1,
    "negative": -2,
    "integers": (1, -1, 0),
    "slice": slice(1, 3),
    "backwards": slice(None, None, -1),
    "backwards_by_2": (slice(None), slice(4, 0, -2)),
    "nothing": slice(2, 2),
    "ellipsis": (..., 0),
    "ellipsis_amid": (1, ..., slice(0, 2)),
    "only_ellipsis": ...,
    "no_index": (),
    "new_axes": (None, 1, slice(None), None),
    "list": [0, 2],
    "duplicates": [0, 2, 2, 2],
    "negative_array": np.array([-1, 0, -4]),
    "bytes": np.array([-1, 0, 3], np.int8),
    "array_of_matrix": np.array([[0, 1], [2, 2]]),
    "two_arrays": (np.array([0, 1, 1]), np.array([4, 0, 0])),
    "arrays_broadcast": (np.array([[0], [1]]), np.array([4, 0, 3])),
    "arrays_apart": (np.array([0, 1]), slice(None), np.array([2, 0])),
    "arrays_around_new_axis": (np.array([0, 1]), None, np.array([2, 0])),
    "slice_and_array": (slice(1, 3), np.array([0, 0, 4])),
    "integer_and_array": (1, slice(None), np.array([2, 1])),
    "empty_list": [],
    "mask": mask(4, 5, 3),
    "mask_of_rows": np.array([True, False, True, True]),
    "mask_in_front": mask(4, 5),
    "mask_behind": (0, mask(5, 3)),
    "mask_and_array": (np.array([True, False, True, False]), np.array([4, 0])),
    "mask_of_none": np.zeros((4, 5), bool),
}


def _written(x: Array, value: Array, index: Any) -> Array:
    result = x.copy()
    result[index] = value
    return result


def _added(value: Array, *arrays: Array, shape: Any, index: Callable[..., Any]) -> Array:
    result = np.zeros(shape, value.dtype)
    np.add.at(result, index(*arrays), value)
    return result


INDEXING = [
    *[
        Sample(
            "getitem",
            label,
            lambda x, index=index: x[index],
            lambda x, index=index: x[index],
            (normal(4, 5, 3),),
        )
        for label, index in INDICES.items()
    ],
    Sample("getitem", "given_indices", lambda x, i: x[i], lambda x, i: x[i],
           (normal(4, 2), whole(3, low=-4, high=4, dtype="int32"))),
    Sample("getitem", "given_mask", lambda x, m: x[m], lambda x, m: x[m], (normal(4), mask(4))),
    Sample("getitem", "integer_values", lambda x: x[1:], lambda x: x[1:], (whole(3),), **FIXED),
    *[
        Sample(
            "setitem",
            label,
            lambda x, v, index=index: ops.setitem(x, index, v),
            partial(_written, index=index),
            (normal(4, 5, 3), normal(*np.empty((4, 5, 3))[index].shape)),
        )
        for label, index in INDICES.items()
    ],
    Sample("setitem", "number", lambda x: ops.setitem(x, 1, 7), lambda x: _written(x, 7, 1),
           (normal(3, 2),)),
    Sample("setitem", "broadcast", lambda x, v: ops.setitem(x, slice(1, 3), v),
           lambda x, v: _written(x, v, slice(1, 3)), (normal(3, 2), normal(2))),
    Sample("setitem", "broadcast_column", lambda x, v: ops.setitem(x, [2, 0], v),
           lambda x, v: _written(x, v, [2, 0]), (normal(3, 2), normal(2, 1))),
    Sample("setitem", "leading_axis", lambda x, v: ops.setitem(x, 0, v),
           lambda x, v: _written(x, v, 0), (normal(3, 2), normal(1, 1, 2))),
    Sample("setitem", "integer_values", lambda x: ops.setitem(x, 0, 9), lambda x: _written(x, 9, 0),
           (whole(3),), **FIXED),
    Sample("index_add", "duplicates",
           lambda v, i: apply(IndexAdd((ARRAY, slice(None)), (4, 2)), v, i),
           partial(_added, shape=(4, 2), index=lambda i: (i,)),
           (normal(5, 2), whole(5, low=0, high=4))),
    Sample("index_add", "slice", lambda v: apply(IndexAdd((slice(1, 3),), (4,)), v),
           partial(_added, shape=(4,), index=lambda: (slice(1, 3),)), (normal(2),)),
    Sample("index_add", "apart",
           lambda v, i, j: apply(IndexAdd((ARRAY, slice(None), ARRAY), (3, 2, 4)), v, i, j),
           partial(_added, shape=(3, 2, 4), index=lambda i, j: (i, slice(None), j)),
           (normal(5, 2), whole(5, low=0, high=3), whole(5, low=0, high=4))),
]  # fmt: skip
