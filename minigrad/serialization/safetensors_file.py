"""The safetensors format: a header in JSON, then the bytes of all tensors.

The safetensors library judges whether a file is sound and writes new ones.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minigrad.errors import CheckpointError
from minigrad.serialization.contents import Contents
from minigrad.serialization.elements import elements
from minigrad.serialization.skeleton import put_together
from minigrad.tensor import Array, constant

RESERVED = ("__metadata__",)
_SKELETON = "minigrad"  # in the file's metadata
_LENGTH = 8  # bytes that hold the header's length

_KINDS = {
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
    "F64": "float64",
    "BOOL": "bool",
    **{f"I{bits}": f"int{bits}" for bits in (8, 16, 32, 64)},
    **{f"U{bits}": f"uint{bits}" for bits in (8, 16, 32, 64)},
}


def read(contents: Contents) -> dict[str, Any]:
    """What `save` wrote, or a flat dictionary of tensors in the order of the header."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(contents.path, framework="np") as opened:
            metadata = opened.metadata() or {}
    except SafetensorError as error:
        raise CheckpointError(f"{error}; it is cut short or no checkpoint") from None
    length = int.from_bytes(contents.bytes(0, _LENGTH), "little")
    header = json.loads(contents.bytes(_LENGTH, length))
    tensors = {}
    for key, entry in header.items():
        if key in RESERVED:
            continue
        if entry["dtype"] not in _KINDS:
            raise CheckpointError(f"{key!r} has dtype {entry['dtype']}, which minigrad has not")
        start, end = entry["data_offsets"]
        raw = contents.array(_LENGTH + length + start, end - start)
        array = elements(raw, _KINDS[entry["dtype"]]).reshape(entry["shape"])
        tensors[key] = constant(array)
    return put_together(metadata[_SKELETON], tensors) if _SKELETON in metadata else dict(tensors)


def writer(arrays: dict[str, Array], skeleton: str) -> Callable[[Path], Any]:
    """What writes a file of these arrays to a path."""
    from safetensors.numpy import save

    data = save(arrays, metadata={_SKELETON: skeleton})
    return lambda path: path.write_bytes(data)
