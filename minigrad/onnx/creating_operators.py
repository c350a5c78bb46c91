"""What ONNX's operators of shapes, dtypes and given values are in minigrad: rules of the table in
`operators`. They give arrays where they can, so that what follows is known."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import numpy_helper

import minigrad.ops.arrays as mg
from minigrad.nn import functional
from minigrad.onnx.operator import MOST_ELEMENTS, Operator, Rule
from minigrad.onnx.reading import dtype_of
from minigrad.spec import bool_, int64
from minigrad.tensor import as_tensor


def given_constant(op: Operator) -> Any:
    ((kind, value),) = op.attributes.items()
    if kind == "value":
        dtype_of(value.data_type, op.name)
        return numpy_helper.to_array(value)
    if "string" in kind or kind == "sparse_value":
        raise op.refuse(f"a constant of kind {kind} is not known")
    return np.asarray(value, np.float32 if "float" in kind else np.int64)


def cast(op: Operator, x: Any) -> Any:
    return as_tensor(x).astype(dtype_of(op.get("to"), op.name))


def cast_like(op: Operator, x: Any, like: Any) -> Any:
    return as_tensor(x).astype(as_tensor(like).dtype)


def bit_cast(op: Operator, x: Any) -> Any:
    """The bits of numbers as those of another dtype of the same width."""
    dtype = dtype_of(op.get("to"), op.name)
    array = op.needed(0)
    if array.dtype.itemsize != dtype.itemsize:
        raise op.refuse(f"{array.dtype} has not the width of {dtype}")
    return np.ascontiguousarray(array).view(dtype).reshape(array.shape)


def shape(op: Operator, x: Any) -> Any:
    lengths = np.asarray(as_tensor(x).shape, np.int64)
    return lengths[op.get("start", 0) : op.get("end")]


def size(op: Operator, x: Any) -> Any:
    return np.asarray(as_tensor(x).size, np.int64)


def dropout(op: Operator, x: Any, ratio: Any = None, training: Any = None) -> Any:
    """The input itself, unless `training_mode` is asked for."""
    x, rate, trains = as_tensor(x), op.array(1), op.array(2)
    p = op.get("ratio", 0.5) if rate is None else float(rate.reshape(-1)[0])
    if trains is not None and trains.reshape(-1)[0] and p > 0:
        return functional.dropout(x, p, training=True)
    return x, np.ones(x.shape, bool_)


def numbers(op: Operator, *_: Any) -> Any:
    start, end, step = [op.needed(i).reshape(-1)[0].item() for i in range(3)]
    if not abs((end - start) / step) < MOST_ELEMENTS:
        raise op.refuse(f"{start} to {end} by {step} has too many elements")
    return np.arange(start, end, step, dtype=op.needed(0).dtype)


def filled(op: Operator, shape: Any) -> Any:
    filling, target = op.get("value"), op.needed(0)
    value = np.zeros(1, np.float32) if filling is None else numpy_helper.to_array(filling)
    if filling is not None:
        dtype_of(filling.data_type, op.name)
    lengths = op.bounded([int(n) for n in target])
    return np.full(lengths, value.reshape(-1)[0])


def eye_like(op: Operator, x: Any) -> Any:
    x = as_tensor(x)
    dtype = dtype_of(op.get("dtype"), op.name) if op.get("dtype") is not None else x.dtype
    rows, columns = x.shape
    return np.eye(rows, columns, k=op.get("k", 0), dtype=dtype)


def one_hot(op: Operator, indices: Any, depth: Any, values: Any) -> Any:
    """The second value where a new axis counts the index, the first elsewhere; negative indices
    count from the end."""
    length = int(op.needed(1).reshape(-1)[0])
    if length > MOST_ELEMENTS:
        raise op.refuse(f"a depth of {length} has too many elements")
    places = as_tensor(indices).astype(int64)
    places = mg.where(mg.less(places, 0), mg.add(places, length), places)
    axis = op.get("axis", -1) % (places.ndim + 1)
    lengths = [length if a == axis else 1 for a in range(places.ndim + 1)]
    hot = mg.equal(mg.expand_dims(places, axis), np.arange(length).reshape(lengths))
    off, on = as_tensor(values)[0], as_tensor(values)[1]
    return mg.where(hot, on, off)


RULES: dict[str, Rule] = {
    "BitCast": bit_cast,
    "Cast": cast,
    "CastLike": cast_like,
    "Constant": given_constant,
    "ConstantOfShape": filled,
    "Dropout": dropout,
    "EyeLike": eye_like,
    "OneHot": one_hot,
    "Range": numbers,
    "Shape": shape,
    "Size": size,
}
"""By the operator's name."""
