"""Nested dictionaries taken apart into named arrays and a skeleton of JSON, and put together again.

In the skeleton a tensor is `{"\\0tensor": key}`; its key is its path, joined with dots, as
state_dicts name their tensors.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from minigrad.errors import ArgumentError, CheckpointError
from minigrad.tensor import Array, Tensor, asarray

_TENSOR = "\0tensor"


def take_apart(obj: Mapping[str, Any], reserved: Collection[str]) -> tuple[dict[str, Array], str]:
    """The arrays by key, none of them `reserved`, and the rest as JSON.

    Raises ArgumentError for what has no form.
    """
    if not isinstance(obj, Mapping):
        raise ArgumentError(f"save: takes a dictionary, got {type(obj).__name__}")
    arrays: dict[str, Array] = {}
    try:
        return arrays, json.dumps(_taken(obj, "", arrays, reserved))
    except RecursionError:
        raise ArgumentError("save: the dictionary is nested too deep, or holds itself") from None


def put_together(skeleton: str, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """The dictionary that was taken apart; raises CheckpointError if there is none."""
    result = _restored(json.loads(skeleton), tensors)
    if not isinstance(result, dict):
        raise CheckpointError("it holds no dictionary")
    return result


def _taken(value: Any, path: str, arrays: dict[str, Array], reserved: Collection[str]) -> Any:
    """The JSON form of a value; tensors go to `arrays` and leave their key behind."""
    if isinstance(value, Tensor):
        return _key_of(value.detach().numpy(), path, arrays, reserved)
    if isinstance(value, np.ndarray):
        return _key_of(asarray(value).numpy(), path, arrays, reserved)
    if isinstance(value, Mapping):
        taken = {}
        for key, item in value.items():
            if not isinstance(key, (str, int)) or key == _TENSOR:
                raise ArgumentError(f"save: keys are text or integers, got {key!r}")
            name = str(key)
            if name in taken:
                raise ArgumentError(f"save: the key {name!r} is there twice, as text and as number")
            taken[name] = _taken(item, f"{path}.{name}" if path else name, arrays, reserved)
        return taken
    if isinstance(value, (list, tuple)):
        return [_taken(item, f"{path}.{i}", arrays, reserved) for i, item in enumerate(value)]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise ArgumentError(f"save: {path or 'the top'} is a {type(value).__name__}, which has no form")


def _key_of(
    array: Array, path: str, arrays: dict[str, Array], reserved: Collection[str]
) -> dict[str, str]:
    # Paths may coincide, as those of {"a.b": x, "a": {"b": y}}; a zero byte ends a name in a zip.
    key = path.encode(errors="replace").decode().replace("\0", "?")
    while key in arrays or key in reserved:
        key += "'"
    # ascontiguousarray alone would make a 0-d array 1-d.
    arrays[key] = np.ascontiguousarray(array).reshape(array.shape)
    return {_TENSOR: key}


def _restored(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, dict):
        if value.keys() == {_TENSOR}:
            return tensors[value[_TENSOR]]
        return {key: _restored(item, tensors) for key, item in value.items()}
    if isinstance(value, list):
        return [_restored(item, tensors) for item in value]
    return value
