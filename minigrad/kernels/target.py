"""The vectors of the processor that kernels are compiled for.

Everything in the kernels that depends on the machine follows from two numbers: how wide a vector
register is and how many there are. `MINIGRAD_SIMD` forces a narrower vector than the host has.
"""

from __future__ import annotations

import os
from typing import NamedTuple

import llvmlite.binding as llvm

from minigrad.errors import ArgumentError

__all__ = ["VARIABLE", "Target", "available", "target"]

VARIABLE = "MINIGRAD_SIMD"


class Target(NamedTuple):
    """A kind of vector register."""

    name: str
    bytes: int
    registers: int

    def lanes(self, itemsize: int) -> int:
        """How many elements of so many bytes a register holds."""
        return self.bytes // itemsize

    def rows(self, vectors: int) -> int:
        """Rows of a tile `vectors` wide that stay in registers through an inner product.

        All rows' accumulators, one vector of each column block, the broadcast value, and one
        register to spare: rows * vectors + vectors + 2 <= registers.
        """
        return (self.registers - vectors - 2) // vectors


# Widest first: what the host must have, by LLVM's name of the feature.
FEATURES = {
    Target("avx512", 64, 32): "avx512f",
    Target("avx2", 32, 16): "fma",
    Target("neon", 16, 32): "neon",
    Target("sse", 16, 16): "sse2",
}
# What is known of no other processor either: LLVM splits vectors it does not have.
PORTABLE = Target("portable", 16, 16)


def available() -> list[Target]:
    """The targets that this machine can execute, widest first."""
    features = llvm.get_host_cpu_features()
    found = [kind for kind, feature in FEATURES.items() if features.get(feature)]
    return found or [PORTABLE]


def _chosen() -> Target:
    found = available()
    wanted = os.environ.get(VARIABLE, "").strip().lower()
    if not wanted:
        return found[0]
    for kind in found:
        if kind.name == wanted:
            return kind
    raise ArgumentError(
        f"the environment variable {VARIABLE} must be one of "
        f"{', '.join(kind.name for kind in found)} on this machine, got {wanted!r}"
    )


target = _chosen()
