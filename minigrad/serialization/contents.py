"""The bytes of a file, which no claim inside it can make more of.

Every reader takes them from here: positions are checked against the file's size, and arrays
together never take more bytes than the file has, so parts that overlap cannot fill the memory.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from minigrad.errors import CheckpointError

Bytes = NDArray[np.uint8]


class Contents:
    """An open file: `bytes` for a few of its bytes, `array` for those of a tensor.

    With `mapped`, arrays are read-only views of a private memory map, which lives as long as they
    do; otherwise each is read into memory of its own.
    """

    def __init__(self, path: Path, mapped: bool) -> None:
        self.path = path
        self.file = path.open("rb", buffering=0)
        self.size = os.fstat(self.file.fileno()).st_size
        self.mapped = mapped and self.size > 0
        self._left = self.size
        if self.mapped:
            # ACCESS_COPY makes it private: nothing in this process can write through to the file.
            whole = mmap.mmap(self.file.fileno(), 0, access=mmap.ACCESS_COPY)
            self._whole = np.frombuffer(whole, np.uint8)
            self._whole.flags.writeable = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType
    ) -> None:
        self.file.close()

    def bytes(self, offset: int, count: int) -> bytes:
        """Up to `count` bytes from `offset`, fewer where the file ends."""
        count = max(0, min(count, self.size - offset))
        self.file.seek(offset)
        parts = []
        while count and (part := self.file.read(count)):
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def array(self, offset: int, count: int) -> Bytes:
        """Exactly `count` bytes from `offset`; raises CheckpointError if the file has them not."""
        if offset < 0 or count < 0 or offset + count > self.size:
            raise CheckpointError(
                f"it names {count} bytes from byte {offset} and has only {self.size}; it is cut "
                "short or damaged"
            )
        self._left -= count
        if self._left < 0:
            raise CheckpointError("its parts overlap")
        if self.mapped:
            return self._whole[offset : offset + count]
        array = np.empty(count, np.uint8)
        self.file.seek(offset)
        done = 0
        while done < count:
            read = self.file.readinto(array[done:].data)
            if not read:
                raise CheckpointError("it became shorter while it was read")
            done += read
        return array
