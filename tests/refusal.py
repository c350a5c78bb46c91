"""What a row of the tables of refused calls is, and the tensors that the calls take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import minigrad as mg
from minigrad import ops
from minigrad.errors import (
    MinigradError,
)
from minigrad.spec import Padding

X = mg.zeros((2, 3))
V = mg.zeros(3)
WHOLE = mg.zeros((2, 3), "int64")
BOOLS = mg.zeros((2, 3), "bool")
IMAGE = mg.zeros((1, 2, 5, 6))
WEIGHT = mg.zeros((4, 2, 3, 3))
CLASSES = mg.tensor([0, 2])
NONE: Padding = ((0, 0), (0, 0))

Row = tuple[str, Callable[[], Any], type[MinigradError], list[str]]


def of_all(
    names: str, arguments: tuple, error: type[MinigradError], got: list[str], **options: Any
) -> list[Row]:
    """The same mistake in several functions, each named in its message."""
    return [
        (name, lambda name=name: getattr(ops, name)(*arguments, **options), error, got)
        for name in names.split()
    ]
