"""Floor 0: arrays in, arrays out. The numerical loops of minigrad, which know of no tensors.

Numba takes long to import, so a kernel's module is imported when it is first asked for:
`kernels.convolution.convolve(...)` brings it in, `import minigrad` does not.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from minigrad.kernels import (
        convolution,
        jit,
        matmul,
        normalization,
        pooling,
        pooling_windows,
        response,
        softmax,
    )

__all__ = [
    "convolution",
    "jit",
    "matmul",
    "normalization",
    "pooling",
    "pooling_windows",
    "response",
    "softmax",
]


def __getattr__(name: str) -> ModuleType:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f"{__name__}.{name}")
