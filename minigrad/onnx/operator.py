"""A node of an ONNX file as the rules of `operators` see it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.errors import GraphError


class UnknownError(GraphError):
    """A value is asked for that is computed from the program's inputs; `index` is the operator's
    input that has it, None if all of them count. `sources` are, once they are looked for, the
    program's inputs that it comes from."""

    sources: list[str] | None = None

    def __init__(self, message: str, index: int | None) -> None:
        super().__init__(message)
        self.index = index


MOST_ELEMENTS = 2**28
"""Of an array that a file only tells the size of."""


@dataclass(frozen=True)
class Operator:
    """A node of the file: its attributes by name, and by their places those of its inputs that are
    known, as arrays, None for one left out. `outputs` is the number of its outputs up to the last
    that has a name."""

    kind: str
    name: str
    opset: int
    attributes: dict[str, Any]
    known: dict[int, np.ndarray | None]
    inputs: int
    outputs: int

    def get(self, attribute: str, default: Any = None) -> Any:
        """An attribute; text comes as a string."""
        value = self.attributes.get(attribute, default)
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else value

    def refuse(self, why: str) -> GraphError:
        return GraphError(f"onnx: {self.kind} {self.name!r}: {why}")

    def array(self, index: int) -> np.ndarray | None:
        """The values of an input, None where it is left out. Raises UnknownError where it is
        computed from the program's inputs."""
        if index in self.known or index >= self.inputs:
            return self.known.get(index)
        why = f"its input {index} has to be known before the program runs"
        raise UnknownError(f"onnx: {self.kind} {self.name!r}: {why}", index)

    def bounded(self, shape: Sequence[int]) -> tuple[int, ...]:
        """The shape, where a file may ask for an array as large."""
        if math.prod(shape) > MOST_ELEMENTS:
            raise self.refuse(f"shape {tuple(shape)} has too many elements")
        return tuple(shape)

    def needed(self, index: int) -> np.ndarray:
        """The values of an input that may not be left out."""
        array = self.array(index)
        if array is None:
            raise self.refuse(f"its input {index} is missing")
        return array

    def integers(self, index: int, attribute: str, default: Any = None) -> Any:
        """A list of integers, an attribute in older opsets and an input in newer ones."""
        if attribute in self.attributes:
            return [int(n) for n in np.atleast_1d(self.attributes[attribute])]
        array = self.array(index)
        return default if array is None else [int(n) for n in array.reshape(-1)]


Rule = Callable[..., Any]
"""Takes the operator and its inputs, tensors or arrays that are known (None for one left out), and
returns a tensor or array, or several."""


def plain(function: Callable[..., Any]) -> Rule:
    """An operator that is a function of its operands."""
    return lambda op, *x: function(*x)
