"""Writing a file in one step: whoever reads the path sees the old file or the whole new one."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minigrad.errors import CheckpointError


def write_atomically(path: Path, write: Callable[[Path], Any]) -> None:
    """Have `write` make a file beside `path`, then put it in its place in one step.

    Where `path` is a symbolic link, the place is that of the file it points to.
    """
    try:
        place = Path(os.path.realpath(path)) if path.is_symlink() else path
        if place.exists() and not (place.is_file() or place.is_dir()):
            raise OSError("it is a device or a pipe, which a file would replace")
        place.parent.mkdir(parents=True, exist_ok=True)
        partial = place.parent / f".{secrets.token_hex(4)}.partial"
        try:
            write(partial)
            with partial.open("rb") as written:
                os.fsync(written.fileno())
            partial.replace(place)
        finally:
            with contextlib.suppress(OSError, ValueError):
                partial.unlink(missing_ok=True)
    except (OSError, ValueError) as error:  # ValueError: the path holds a zero byte
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(f"{path}: cannot be written ({reason})") from None
