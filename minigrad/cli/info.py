"""`minigrad info`: what minigrad runs on, as a table to read or as JSON."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import minigrad
from minigrad import threads
from minigrad.kernels import buffers, cache, jit, precision
from minigrad.kernels.target import available, target

DEPENDENCIES = ("numpy", "numba", "llvmlite", "networkx", "safetensors", "rich", "typer")

# What the kernels' vectors depend on, in LLVM's words.
FEATURES = ("sse2", "avx", "avx2", "fma", "avx512f", "avx512dq", "avx512vl", "neon", "sve")


def run(as_json: bool) -> int:
    """Print it; returns 0."""
    facts = collect()
    if as_json:
        print(json.dumps(facts, indent=2))
        return 0
    console = Console(highlight=False)
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for topic, entries in facts.items():
        for i, (name, value) in enumerate(entries.items()):
            table.add_row(topic if i == 0 else "", name, _shown(name, value))
    console.print(table)
    return 0


def collect() -> dict[str, dict[str, Any]]:
    """Topic by topic, what `minigrad info --json` prints; sizes are in bytes."""
    return {
        "versions": _versions(),
        "processor": _processor(),
        "threads": _threads(),
        "blas": _blas(),
        "kernel cache": _cache(),
        "buffer pool": {"limit bytes": buffers.memory_stats().limit_bytes},
        "precision": {"float32": precision.get_precision()},
    }


def _versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {"minigrad": minigrad.__version__}
    found["python"] = platform.python_version()
    for name in DEPENDENCIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    found["system"] = platform.platform()
    return found


def _processor() -> dict[str, Any]:
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    return {
        "name": _model() or platform.processor() or platform.machine(),
        "llvm name": llvm.get_host_cpu_name(),
        "features": [name for name in FEATURES if features.get(name)],
        "vectors": target.name,
        "vector bits": 8 * target.bytes,
        "vector registers": target.registers,
        "other vectors": [kind.name for kind in available() if kind != target],
    }


def _model(path: Path = Path("/proc/cpuinfo")) -> str | None:
    """The processor's name as Linux tells it."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else None


def _threads() -> dict[str, Any]:
    return {
        "in use": threads.get_num_threads(),
        "at most": threads.pool_size(),
        "processors": os.cpu_count(),
        "allowed processors": len(os.sched_getaffinity(0)),
        "container limit": threads.cpu_quota(),
        "threading layer": jit.threading_layer(),
    }


def _blas() -> dict[str, Any]:
    from threadpoolctl import threadpool_info

    for pool in threadpool_info():
        if pool["user_api"] == "blas":
            return {
                "name": pool["internal_api"],
                "version": pool["version"],
                "architecture": pool.get("architecture"),
                "library": pool["filepath"],
            }
    return {"name": None}


def _cache() -> dict[str, Any]:
    folder = cache.cache_folder()
    files = cache.kernel_files(folder)
    sizes = [path.stat().st_size for path in files if path.exists()]
    return {
        "folder": None if folder is None else str(folder),
        "kernels": len(sizes),
        "bytes": sum(sizes),
    }


def _shown(name: str, value: Any) -> str:
    if isinstance(value, list):
        return " ".join(value) or "none"
    if value is None:
        return "none"
    if name.endswith("bytes"):
        return f"{value / (1 << 20):,.1f} MiB"
    return str(value)
