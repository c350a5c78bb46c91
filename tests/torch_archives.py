"""Files in PyTorch's two formats, put together by hand: pickles from their instructions, archives
from their parts. No PyTorch is needed, and what it would never write can be written.
"""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C
NO_HOOKS = b"ccollections\nOrderedDict\n)R"


def name(module: str, attribute: str) -> bytes:
    """The instruction that pushes a global."""
    return f"c{module}\n{attribute}\n".encode()


def plain(value: Any) -> bytes:
    """The instructions that push a plain value."""
    return pickle.dumps(value, protocol=2)[2:-1]


def group(*parts: bytes) -> bytes:
    """The instructions that push a tuple."""
    return b"(" + b"".join(parts) + b"t"


def call(function: bytes, *arguments: bytes) -> bytes:
    """The instructions that call a function."""
    return function + group(*arguments) + b"R"


def mapping(items: Mapping[str, bytes]) -> bytes:
    """The instructions that push a dictionary."""
    return b"}(" + b"".join(plain(key) + value for key, value in items.items()) + b"u"


def storage(kind: str, key: str, count: Any, *more: bytes) -> bytes:
    """The instructions that refer to a storage."""
    identity = plain("storage"), name("torch", kind), plain(key), plain("cpu"), plain(count)
    return group(*identity, *more) + b"Q"


def tensor(stored: bytes, offset: Any, shape: Any, strides: Any) -> bytes:
    """The instructions that make a tensor on a storage."""
    where = plain(offset), plain(shape), plain(strides)
    rebuild = name("torch._utils", "_rebuild_tensor_v2")
    return call(rebuild, stored, *where, b"\x89", NO_HOOKS)


def program(body: bytes) -> bytes:
    """A whole pickle."""
    return b"\x80\x02" + body + b"."


def archive(
    body: bytes,
    storages: Mapping[str, bytes] | None = None,
    records: Mapping[str, bytes] | None = None,
    compression: int = zipfile.ZIP_STORED,
) -> bytes:
    """A file as PyTorch writes since 1.6; `records` are further parts, or others instead."""
    parts = {"data.pkl": program(body), "byteorder": b"little", "version": b"3\n"}
    parts |= {f"data/{key}": data for key, data in (storages or {}).items()} | dict(records or {})
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as opened:
        for part, data in parts.items():
            opened.writestr(f"archive/{part}", data)
    return file.getvalue()


def sequence(
    body: bytes,
    storages: Sequence[tuple[str, int, bytes]] = (),
    little_endian: Any = True,
    magic: int = MAGIC,
) -> bytes:
    """A file as PyTorch wrote before 1.6; storages are (key, number of elements, bytes)."""
    machine = {"protocol_version": 1001, "little_endian": little_endian, "type_sizes": {}}
    head = [pickle.dumps(value, protocol=2) for value in (magic, 1001, machine)]
    keys = pickle.dumps([key for key, _, _ in storages], protocol=2)
    behind = [struct.pack("<q", count) + data for _, count, data in storages]
    return b"".join([*head, program(body), keys, *behind])


NUMBERS = np.arange(6, dtype=np.float32)
ONE_TENSOR = tensor(storage("FloatStorage", "0", 6), 0, (2, 3), (3, 1))
FILES = {
    "archive": archive(mapping({"x": ONE_TENSOR}), {"0": NUMBERS.tobytes()}),
    "sequence": sequence(mapping({"x": ONE_TENSOR}), [("0", 6, NUMBERS.tobytes())]),
}
"""A sound file in each format, of {"x": a tensor of 2 x 3 numbers}."""


def file_of(form: str, body: bytes, storages: Mapping[str, bytes], itemsize: int = 4) -> bytes:
    """A file of either format."""
    if form == "archive":
        return archive(body, storages)
    return sequence(body, [(k, len(data) // itemsize, data) for k, data in storages.items()])
