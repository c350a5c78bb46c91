"""All kernels there are, by example: a call of each compiles it, or finds it compiled on disk.

A module with kernels has a function `examples(dtype)` that yields calls, each for a few kernels, on
the smallest arrays that reach them; together they make every kernel compile for that dtype.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np

import minigrad.kernels

__all__ = ["example_calls", "modules"]


def modules() -> Iterator[ModuleType]:
    """The modules of this package, by their names."""
    for found in sorted(pkgutil.iter_modules(minigrad.kernels.__path__)):
        yield importlib.import_module(f"{minigrad.kernels.__name__}.{found.name}")


def example_calls(*dtypes: Any) -> list[tuple[str, Callable[[], object]]]:
    """The module's name, and a call, for every example."""
    return [
        (module.__name__.rpartition(".")[2], call)
        for module in modules()
        if hasattr(module, "examples")
        for dtype in map(np.dtype, dtypes)
        for call in module.examples(dtype)
    ]
