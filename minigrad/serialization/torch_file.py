"""The files that PyTorch's `torch.save` writes: zip archives, and before version 1.6 a sequence of
pickles with the storages behind them. PyTorch is not needed to read them.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from minigrad.errors import CheckpointError
from minigrad.serialization.archive import Archive
from minigrad.serialization.contents import Bytes, Contents
from minigrad.serialization.pickle_machine import Machine
from minigrad.serialization.torch_tensors import NAMES, WITHOUT_TENSORS, Storage, StorageKind

PICKLE = "data.pkl"
MAGIC = 0x1950A86A20F9469CFC6C
# The longest pickle that is read; those of the largest networks take a few MB.
MOST_PICKLE = 2**26

_COUNT = 8  # bytes of the number of elements before an old file's storage


def read_archive(archive: Archive) -> Any:
    """What was saved by PyTorch 1.6 or newer."""
    pickles = [name for name in archive.names if name.rpartition("/")[2] == PICKLE]
    if len(pickles) != 1:
        raise CheckpointError(f"a file of PyTorch has one {PICKLE}, this one has {len(pickles)}")
    folder = pickles[0].removesuffix(PICKLE)
    if folder + "byteorder" in archive.names:
        order = archive.array(folder + "byteorder").tobytes()
        if order != b"little":
            raise CheckpointError(f"its numbers are {order[:20]!r}-endian; only little-endian")
    storages: dict[tuple[str, str], Storage] = {}
    raw: dict[str, Bytes] = {}

    def storage(identity: Any) -> Storage:
        kind, key, count, _ = _parsed(identity)
        if key not in raw:
            raw[key] = archive.array(f"{folder}data/{key}")
        if count * kind.itemsize > raw[key].size:
            raise CheckpointError(
                f"storage {key!r} has {raw[key].size} bytes, too few for {count} of {kind.kind}"
            )
        return storages.setdefault((key, kind.kind), Storage(raw[key], kind.kind))

    pickled = archive.array(pickles[0])
    if pickled.size > MOST_PICKLE:
        raise CheckpointError(f"its pickle is longer than {MOST_PICKLE:,} bytes")
    return _unpickled(io.BytesIO(pickled.tobytes()), storage)


def read_sequence(contents: Contents) -> Any:
    """What was saved by PyTorch before 1.6, or by `_use_new_zipfile_serialization=False`.

    The pickles are: a magic number, the version of the format, facts of the machine, the object,
    and the keys of its storages in the order in which they follow.
    """
    stream = io.BytesIO(contents.bytes(0, MOST_PICKLE))
    magic, _, machine = [_unpickled(stream, _no_storage) for _ in range(3)]
    if magic != MAGIC:
        raise CheckpointError("it is a pickle, but not one of PyTorch's")
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise CheckpointError("its numbers are big-endian; only little-endian ones are read")
    # Where the storages lie is known only behind the object that names their kinds: so it is
    # read twice, first with empty storages.
    start = stream.tell()
    kinds: dict[str, StorageKind] = {}

    def note(identity: Any) -> Any:
        kind, key, _, _ = _parsed(identity)
        if kinds.setdefault(key, kind) != kind:
            raise CheckpointError(f"storage {key!r} is named as of two kinds")
        return None

    _unpickled(stream, note, WITHOUT_TENSORS)
    keys = _unpickled(stream, _no_storage)
    storages = _storages(contents, stream.tell(), keys, kinds)

    def storage(identity: Any) -> Storage:
        _, key, count, view = _parsed(identity)
        if key not in storages:
            raise CheckpointError(f"storage {key!r} is missing")
        begin = 0
        if view is not None:
            _, begin, count = view
        return storages[key].part(begin, count)

    stream.seek(start)
    return _unpickled(stream, storage)


def _storages(
    contents: Contents, position: int, keys: Any, kinds: dict[str, StorageKind]
) -> dict[str, Storage]:
    """The storages behind the pickles: each a count of elements, and the elements."""
    if not isinstance(keys, list):
        raise CheckpointError("it does not list its storages")
    storages = {}
    for key in keys:
        if key not in kinds or key in storages:
            raise CheckpointError(f"it lists a storage {key!r} that no tensor lies on, or twice")
        (count,) = struct.unpack("<q", contents.array(position, _COUNT).tobytes())
        size = count * kinds[key].itemsize
        storages[key] = Storage(contents.array(position + _COUNT, size), kinds[key].kind)
        position += _COUNT + size
    return storages


def _unpickled(
    stream: BinaryIO, persistent: Callable[[Any], Any], names: Mapping[str, Any] = NAMES
) -> Any:
    try:
        return Machine(names, persistent).run(stream)
    except CheckpointError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
        raise CheckpointError(f"its pickle is damaged ({error})") from None


def _no_storage(identity: Any) -> Any:
    raise CheckpointError("it has a storage where none can be")


def _parsed(identity: Any) -> tuple[StorageKind, str, int, Any]:
    """Kind, key, number of elements and, in old files, the part that is meant."""
    if type(identity) is not tuple or len(identity) not in (5, 6) or identity[0] != "storage":
        raise CheckpointError("its pickle refers to something that is no storage")
    _, kind, key, _, count, *view = identity
    if type(kind) is not StorageKind or type(key) is not str or type(count) is not int or count < 0:
        raise CheckpointError(f"it describes a storage as {identity!r}"[:200])
    part = view[0] if view else None
    if part is not None and [type(value) for value in part] != [str, int, int]:
        raise CheckpointError(f"it describes a part of a storage as {part!r}"[:200])
    return kind, key, count, part
