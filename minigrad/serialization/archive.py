"""The entries of a zip archive, as npz and PyTorch's files are. Nothing is extracted to disk.

An entry that is stored is read in place and takes no more memory than the file has bytes; one
that is deflated is refused before it can grow beyond a bound.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from typing import NoReturn

import numpy as np

from minigrad.errors import CheckpointError
from minigrad.serialization.contents import Bytes, Contents

# A deflated archive may grow by MOST_GROWTH, and by EXPANSION times its size: far more than
# weights do, far less than the factor of 1,000 that a crafted one reaches.
MOST_GROWTH = 2**28
EXPANSION = 16

_LOCAL_HEADER = struct.Struct("<4s22xHH")  # signature, lengths of the name and of the extra field
_ENCRYPTED = 1
_UTF8 = 0x800

_BROKEN = (
    *(zipfile.BadZipFile, NotImplementedError, zlib.error, struct.error, EOFError),
    *(OSError, ValueError, LookupError, OverflowError, RuntimeError, TypeError),
)


class Archive:
    """A zip archive; raises CheckpointError where it is damaged."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        try:
            self._zip = zipfile.ZipFile(contents.file)
        except _BROKEN as error:
            _refuse(error)
        listed = self._zip.infolist()
        self._entries = {entry.filename: entry for entry in listed}
        if len(self._entries) < len(listed):
            raise CheckpointError("two parts of the archive have the same name")
        self._left = MOST_GROWTH + EXPANSION * contents.size

    @property
    def names(self) -> list[str]:
        return list(self._entries)

    def array(self, name: str, deflated: bool = False) -> Bytes:
        """The bytes of an entry; `deflated` takes compressed ones too.

        Their checksum is verified, unless the file is mapped: that would read all of it.
        """
        entry = self._entries.get(name)
        if entry is None:
            raise CheckpointError(f"its part {name!r} is missing")
        if entry.flag_bits & _ENCRYPTED:
            raise CheckpointError(f"its part {name!r} is encrypted")
        if entry.compress_type == zipfile.ZIP_DEFLATED and deflated:
            return self._inflated(entry)
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
            raise CheckpointError(f"its part {name!r} is compressed, which no such file is")
        raw = self._contents.array(self._start(entry), entry.file_size)
        if not self._contents.mapped and zlib.crc32(raw.data) != entry.CRC:
            raise CheckpointError(f"its part {name!r} does not have its checksum (CRC-32)")
        return raw

    def _start(self, entry: zipfile.ZipInfo) -> int:
        """Where the bytes of an entry begin: behind a header that repeats its name."""
        size = _LOCAL_HEADER.size
        header = self._contents.bytes(entry.header_offset, size)
        if len(header) == size and header.startswith(b"PK\3\4"):
            _, name_length, extra_length = _LOCAL_HEADER.unpack(header)
            name = self._contents.bytes(entry.header_offset + size, name_length)
            encoding = "utf-8" if entry.flag_bits & _UTF8 else "cp437"
            if name == entry.orig_filename.encode(encoding, errors="replace"):
                return entry.header_offset + size + name_length + extra_length
        raise CheckpointError(f"its part {entry.filename!r} is not where the archive says")

    def _inflated(self, entry: zipfile.ZipInfo) -> Bytes:
        self._left -= entry.file_size
        if self._left < 0:
            raise CheckpointError(
                f"{entry.filename!r} would grow to {entry.file_size:,} bytes from a file of "
                f"{self._contents.size:,}; save such an archive uncompressed"
            )
        raw = np.empty(entry.file_size, np.uint8)
        try:
            with self._zip.open(entry) as opened:
                done = 0
                while done < raw.size and (part := opened.read(min(raw.size - done, 2**20))):
                    raw[done : done + len(part)] = np.frombuffer(part, np.uint8)
                    done += len(part)
                more = opened.read(1)  # at its end the checksum is compared
        except _BROKEN as error:
            _refuse(error)
        if done < raw.size or more:
            raise CheckpointError(f"its part {entry.filename!r} is cut short")
        return raw


def _refuse(error: Exception) -> NoReturn:
    raise CheckpointError(f"{error or type(error).__name__}; the archive is damaged") from None
