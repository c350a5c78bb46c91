"""The machine that figures were measured on, as far as they depend on it, and no further."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

__all__ = ["describe", "sentence"]

PACKAGES = ("minigrad", "numpy", "numba", "llvmlite", "torch")


def describe(threads: int) -> dict[str, Any]:
    """Processor, cores, threads in use, memory in bytes, and versions (of what is installed)."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "memory": _memory(),
        "system": platform.system(),
        "versions": versions,
    }


def sentence(machine: dict[str, Any]) -> str:
    """The description in one line."""
    memory = machine["memory"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    size = f", {memory / 2**30:.0f} GiB" if memory else ""
    return (
        f"{machine['processor']}, {_counted(machine['cores'], 'core')}, "
        f"{_counted(machine['threads'], 'thread')}{size}, {machine['system']}; {versions}"
    )


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _processor() -> str:
    """Its model as the system tells it, else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
