"""What the elements of a stored tensor are: bytes become an array of a dtype that minigrad has.

Half-precision floats become float32, which holds each of their values exactly.
"""

from __future__ import annotations

import numpy as np

from minigrad.errors import CheckpointError
from minigrad.serialization.contents import Bytes
from minigrad.tensor import Array

KINDS = {
    kind: np.dtype(kind).newbyteorder("<")
    for kind in (
        *("float32", "float64", "float16", "bool"),
        *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    )
} | {"bfloat16": np.dtype("<u2")}
"""The dtype in which the elements lie in a file, by their kind; little-endian all."""


def elements(raw: Bytes, kind: str) -> Array:
    """The bytes as a 1-d array; without a copy where they are aligned and need no conversion."""
    found = raw.view(KINDS[kind])
    if kind == "bool" and raw.size and raw.max() > 1:
        raise CheckpointError("a boolean tensor holds bytes other than 0 and 1")
    if kind == "float16":
        return found.astype(np.float32)
    if kind == "bfloat16":  # the upper half of a float32
        return (found.astype(np.uint32) << 16).view(np.float32)
    return np.require(found.astype(found.dtype.newbyteorder("="), copy=False), requirements="A")


def read_as(kind: str) -> np.dtype[np.generic]:
    """The dtype of what `elements` gives."""
    return np.dtype("float32" if kind.endswith("float16") else kind)
