"""Machine code on disk, so that a kernel is compiled once per machine and not once per process.

Numba's own cache sees only the file a function stands in, and its index can be overwritten by
another process. Here the folder's name carries a stamp of everything the code depends on, and
each signature has one file of its own: a digest, then the code. What cannot be read is compiled
again; what cannot be written is let be.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import platform
import sys
import uuid
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm
import numba
from numba.core.caching import _Cache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

__all__ = ["KernelCache", "cache_folder"]

DIGEST_BYTES = hashlib.sha256().digest_size

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
    digest.update(repr((versions, llvm.get_host_cpu_name(), features, settings)).encode())
    return digest.hexdigest()[:20]


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
        if payload is not None:
            # The digest held, so this is what some process wrote. Whatever else may be wrong
            # with it, compiling is the remedy.
            with contextlib.suppress(Exception):
                return CompileResult._rebuild(target_context, *pickle.loads(payload))
        self._on_miss()
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        path = self._path(sig, data.codegen)
        if path is not None and not data.lifted and not data.library.has_dynamic_globals:
            _write(path, dumps(data._reduce()))

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


def _write(path: Path, payload: bytes) -> None:
    # Written aside and renamed: another process sees the whole file or none.
    aside = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(hashlib.sha256(payload).digest() + payload)
        aside.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            aside.unlink()
