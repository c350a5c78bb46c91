"""NumPy's npz format: a zip archive with one array (npy) in each entry. No pickles are read."""

from __future__ import annotations

import io
import math
import tokenize
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.errors import ArgumentError, CheckpointError
from minigrad.serialization.archive import Archive
from minigrad.serialization.contents import Bytes
from minigrad.serialization.elements import KINDS, elements
from minigrad.serialization.skeleton import put_together
from minigrad.tensor import Array, constant

_SKELETON = "__minigrad__"
RESERVED = (_SKELETON,)
_ENDING = ".npy"
_LONGEST_NAME = 60_000  # bytes; a zip holds 65,535
_NO_HEADER = ValueError, LookupError, TypeError, SyntaxError, tokenize.TokenError
_HEADER = 2**14  # bytes; NumPy refuses descriptions above 10,000
_DATE = 1980, 1, 1, 0, 0, 0  # no clock: equal contents make equal files


def read(archive: Archive) -> dict[str, Any]:
    """What `save` wrote, or a flat dictionary of the archive's arrays."""
    arrays = {}
    for name in archive.names:
        if not name.endswith(_ENDING):
            raise CheckpointError(f"its part {name!r} is no array (.npy)")
        try:
            array = _array(archive.array(name, deflated=True))
        except CheckpointError as error:
            raise CheckpointError(f"{name!r}: {error}") from None
        arrays[name.removesuffix(_ENDING)] = array
    skeleton = arrays.pop(_SKELETON, None)
    tensors = {name: constant(array) for name, array in arrays.items()}
    return dict(tensors) if skeleton is None else put_together(skeleton.tobytes().decode(), tensors)


def _array(raw: Bytes) -> Array:
    """The array of one npy file."""
    start = io.BytesIO(raw[:_HEADER].tobytes())
    try:
        version = np.lib.format.read_magic(start)
        readers = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }
        shape, by_columns, dtype = readers[version](start)
    except (*_NO_HEADER, RecursionError, MemoryError) as error:
        raise CheckpointError(f"the array's header cannot be read ({error})") from None
    if dtype.name not in KINDS:
        raise CheckpointError(f"the array holds {dtype}, which minigrad does not compute with")
    body = raw[start.tell() :]
    if any(length < 0 for length in shape) or math.prod(shape) * dtype.itemsize != body.size:
        raise CheckpointError(f"{body.size} bytes are no {dtype} array of shape {shape}")
    if dtype.byteorder == ">":
        body = body.view(dtype).astype(dtype.newbyteorder("<")).view(np.uint8)
    return elements(body, dtype.name).reshape(shape, order="F" if by_columns else "C")


def writer(arrays: dict[str, Array], skeleton: str) -> Callable[[Path], Any]:
    """What writes an archive of these arrays to a path."""
    for name in arrays:
        if len(name.encode()) > _LONGEST_NAME:
            raise ArgumentError(f"save: the name {name[:40]!r}... is too long for npz")
    parts = {**arrays, _SKELETON: np.frombuffer(skeleton.encode(), np.uint8)}

    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for name, array in parts.items():
                entry = zipfile.ZipInfo(f"{name}{_ENDING}", _DATE)
                with archive.open(entry, "w", force_zip64=True) as opened:
                    np.lib.format.write_array(opened, array, allow_pickle=False)

    return write
