"""Arguments that are plain numbers (a margin, an epsilon, a probability), checked."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad.errors import ArgumentError


def as_number(
    op: str, argument: str, value: Any, low: float = -math.inf, high: float = math.inf
) -> float:
    """`value` as a float from `low` to `high`; NaN, a tensor or text is an error."""
    is_number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not is_number or not low <= value <= high:
        bounds = "" if (low, high) == (-math.inf, math.inf) else f" from {low} to {high}"
        raise ArgumentError(f"{op}: {argument} takes a number{bounds}, got {value!r}")
    return float(value)
