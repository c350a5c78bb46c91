"""Machine code on disk, so that a kernel is compiled once per machine and not once per process.

Numba's own cache sees only the file a function stands in, and its index can be overwritten by
another process. Here the folder's name carries a stamp of everything the code depends on, and
each signature has one file of its own: a digest, then the code. What cannot be read is compiled
again; what cannot be written is let be. The folder's time says when it was last used, and folders
of other stamps are removed when that is 30 days ago.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import platform
import re
import stat
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm

from minigrad.kernels.launch import numba

# isort: split

from numba.core.caching import _Cache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

from minigrad.kernels.target import target

__all__ = ["KernelCache", "cache_folder", "clear", "counts", "kernel_files", "remove_unused"]

DIGEST_BYTES = hashlib.sha256().digest_size

counts: Counter[str] = Counter()
"""In this process: how many kernels were "loaded" from the cache, and how many "kept" in it."""

FOLDER = re.compile(r"kernels-[0-9a-f]{20}")
DAY = 24 * 3600.0
UNUSED = 30 * DAY

# Settings of Numba that change the machine code and are not in its own key.
SETTINGS = (
    "BOUNDSCHECK",
    "CPU_FEATURES",
    "CPU_NAME",
    "DEBUGINFO_DEFAULT",
    "ENABLE_AVX",
    "LOOP_VECTORIZE",
    "OPT",
    "SLP_VECTORIZE",
)


def cache_folder() -> Path | None:
    """Where compiled kernels are kept, or None where no such place can be named."""
    stamp = _stamp()
    if stamp is None:
        return None
    if root := os.environ.get("MINIGRAD_CACHE_DIR"):
        return Path(root) / f"kernels-{stamp}"
    if (root := os.environ.get("XDG_CACHE_HOME")) and Path(root).is_absolute():
        return Path(root) / "minigrad" / f"kernels-{stamp}"
    try:
        return Path.home() / ".cache" / "minigrad" / f"kernels-{stamp}"
    except RuntimeError:  # the user has no home
        return None


@lru_cache(maxsize=1)
def _stamp() -> str | None:
    """Names the sources of all kernels, the compiler and the processor, together."""
    digest = hashlib.sha256()
    try:
        sources = sorted(Path(__file__).parent.glob("*.py"))
        for path in sources:
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    except OSError:
        return None
    if not sources:  # imported from an archive: a changed source would go unseen
        return None
    features = sorted(llvm.get_host_cpu_features().items())
    settings = [str(getattr(numba.config, name, None)) for name in SETTINGS]
    versions = numba.__version__, llvmlite.__version__, sys.version, platform.machine()
    processor = llvm.get_host_cpu_name(), features, target
    digest.update(repr((versions, processor, settings)).encode())
    return digest.hexdigest()[:20]


def kernel_files(folder: Path | None) -> list[Path]:
    """The compiled kernels in a cache folder."""
    try:
        return [] if folder is None else sorted(folder.glob("*.bin"))
    except OSError:
        return []


def clear(folder: Path) -> int:
    """Remove what this module wrote to a folder, and the folder; returns how many kernels that was.

    What somebody else put there stays, and the folder with it. Follows no symbolic link.
    """
    removed = 0
    with contextlib.suppress(OSError):
        place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            # By the open folder, not by its name, which may lead elsewhere by now.
            for name in [entry.name for entry in os.scandir(place)]:
                if name.endswith((".bin", ".tmp")):
                    with contextlib.suppress(OSError):  # somebody else was faster
                        os.unlink(name, dir_fd=place)
                        removed += name.endswith(".bin")
        finally:
            os.close(place)
        folder.rmdir()
    return removed


def remove_unused(root: Path, own: Path) -> None:
    """Remove the folders of other stamps under `root` that nobody used for 30 days.

    A process that starts to use one at this moment finds its kernels gone and compiles them.
    """
    try:
        folders = [path for path in root.iterdir() if FOLDER.fullmatch(path.name) and path != own]
    except OSError:
        return
    for folder in folders:
        with contextlib.suppress(OSError):
            status = folder.lstat()
            if stat.S_ISDIR(status.st_mode) and time.time() - status.st_mtime > UNUSED:
                clear(folder)


def _mark_used(folder: Path) -> None:
    """Say, once a day, that a folder is in use, and see to the others."""
    with contextlib.suppress(OSError):  # there is none yet, or it belongs to somebody else
        if time.time() - folder.stat().st_mtime > DAY:
            os.utime(folder)
            remove_unused(folder.parent, folder)


class KernelCache(_Cache):
    """One dispatcher's cache; `on_miss` is called when its code has to be compiled.

    `name` must tell apart whatever shares a folder: the kernel, and its variant.
    """

    def __init__(self, name: str, on_miss: Callable[[], None]) -> None:
        self._name = name
        self._on_miss = on_miss

    @property
    def cache_path(self) -> str | None:
        folder = cache_folder()
        return None if folder is None else str(folder)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        target_context.refresh()
        path = self._path(sig, target_context.codegen())
        payload = None if path is None else _read(path)
        if path is not None and payload is not None:
            _mark_used(path.parent)
            # The digest held, so this is what some process wrote. Whatever else may be wrong
            # with it, compiling is the remedy.
            with contextlib.suppress(Exception):
                found = CompileResult._rebuild(target_context, *pickle.loads(payload))
                counts["loaded"] += 1
                return found
        self._on_miss()
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        path = self._path(sig, data.codegen)
        if path is not None and not data.lifted and not data.library.has_dynamic_globals:
            counts["kept"] += _write(path, dumps(data._reduce()))

    def enable(self) -> None:
        """Part of Numba's protocol; this cache is always on."""

    def disable(self) -> None:
        """Part of Numba's protocol; this cache is always on."""

    def flush(self) -> None:
        """Part of Numba's protocol; a stale file is never looked at, its folder's stamp differs."""

    def _path(self, sig: Any, codegen: Any) -> Path | None:
        folder = cache_folder()
        key = hashlib.sha256(repr((sig, codegen.magic_tuple())).encode()).hexdigest()
        return None if folder is None else folder / f"{self._name}.{key[:20]}.bin"


def _read(path: Path) -> bytes | None:
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, payload = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
    return payload if hashlib.sha256(payload).digest() == digest else None


def _write(path: Path, payload: bytes) -> bool:
    # Written aside and renamed: another process sees the whole file or none.
    aside = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        if not path.parent.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            remove_unused(path.parent.parent, path.parent)
        aside.write_bytes(hashlib.sha256(payload).digest() + payload)
        aside.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            aside.unlink()
        return False
    return True
