"""`save` and `load`: nested dictionaries of tensors and plain values in one safetensors file.

A file holds numbers and JSON only, so loading one runs no code. Writing is atomic: whoever reads
the path sees the old file or the whole new one.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.errors import ArgumentError, CheckpointError
from minigrad.tensor import Array, Tensor, asarray

_TENSOR = "\0tensor"
_METADATA = "minigrad"


def save(obj: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write a dictionary of tensors, arrays, numbers, text, lists and further dictionaries.

    Tensors are stored under their path in the dictionary, joined with dots, as state_dicts name
    them; the rest as JSON in the header. Raises ArgumentError for what cannot be stored, and
    CheckpointError if the file cannot be written; an older file is then still whole.
    """
    from safetensors.numpy import save as to_bytes

    if not isinstance(obj, Mapping):
        raise ArgumentError(f"save: takes a dictionary, got {type(obj).__name__}")
    arrays: dict[str, Array] = {}
    try:
        skeleton = _take_apart(obj, "", arrays)
    except RecursionError:
        raise ArgumentError("save: the dictionary is nested too deep, or holds itself") from None
    data = to_bytes(arrays, metadata={_METADATA: json.dumps(skeleton)})
    write_atomically(Path(path), lambda partial: partial.write_bytes(data))


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read what `save` wrote, or any safetensors file as a flat dictionary of tensors.

    Raises CheckpointError if there is no such file or it is damaged.
    """
    from safetensors import SafetensorError, safe_open

    # numpy lacks a dtype that a file may name, or the JSON is nested too deep.
    unreadable = SafetensorError, OSError, ValueError, LookupError, TypeError, AttributeError

    file = Path(path)
    if not file.is_file():
        what = "is a folder" if file.is_dir() else "no such file"
        raise CheckpointError(f"{file}: {what}")
    try:
        with safe_open(file, framework="np") as opened:
            metadata = opened.metadata() or {}
            tensors = {key: asarray(opened.get_tensor(key)) for key in opened.keys()}  # noqa: SIM118
        if _METADATA not in metadata:
            return dict(tensors)
        result = _put_together(json.loads(metadata[_METADATA]), tensors)
    except (*unreadable, RecursionError) as error:
        raise CheckpointError(f"{file}: cannot be read ({error}); it may be cut short") from None
    if not isinstance(result, dict):
        raise CheckpointError(f"{file}: holds no dictionary")
    return result


def write_atomically(path: Path, write: Callable[[Path], Any]) -> None:
    """Have `write` make a file beside `path`, then put it in its place in one step."""
    partial = path.parent / f".{secrets.token_hex(4)}.partial"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(partial)
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.replace(path)
    except (OSError, ValueError) as error:  # ValueError: the path holds a zero byte
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(f"{path}: cannot be written ({reason})") from None
    finally:
        with contextlib.suppress(OSError, ValueError):
            partial.unlink(missing_ok=True)


def _take_apart(value: Any, path: str, arrays: dict[str, Array]) -> Any:
    """The JSON form of a value; tensors go to `arrays` and leave their key behind."""
    if isinstance(value, Tensor):
        return _take_out(value.detach().numpy(), path, arrays)
    if isinstance(value, np.ndarray):
        return _take_out(asarray(value).numpy(), path, arrays)
    if isinstance(value, Mapping):
        taken = {}
        for key, item in value.items():
            if not isinstance(key, (str, int)) or key == _TENSOR:
                raise ArgumentError(f"save: keys are text or integers, got {key!r}")
            name = str(key)
            if name in taken:
                raise ArgumentError(f"save: the key {name!r} is there twice, as text and as number")
            taken[name] = _take_apart(item, f"{path}.{name}" if path else name, arrays)
        return taken
    if isinstance(value, (list, tuple)):
        return [_take_apart(item, f"{path}.{i}", arrays) for i, item in enumerate(value)]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise ArgumentError(f"save: {path or 'the top'} is a {type(value).__name__}, which has no form")


def _take_out(array: Array, path: str, arrays: dict[str, Array]) -> dict[str, str]:
    # Paths may coincide, as those of {"a.b": x, "a": {"b": y}}; one is the format's own.
    key = path.encode(errors="replace").decode()
    while key in arrays or key == "__metadata__":
        key += "'"
    # ascontiguousarray alone would make a 0-d array 1-d.
    arrays[key] = np.ascontiguousarray(array).reshape(array.shape)
    return {_TENSOR: key}


def _put_together(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, dict):
        if value.keys() == {_TENSOR}:
            return tensors[value[_TENSOR]]
        return {key: _put_together(item, tensors) for key, item in value.items()}
    if isinstance(value, list):
        return [_put_together(item, tensors) for item in value]
    return value
