"""A node of an ONNX file as the rules of `operators` see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.errors import GraphError


@dataclass(frozen=True)
class Operator:
    """A node of the file: its attributes by name, and the arrays that are known of its inputs."""

    kind: str
    name: str
    opset: int
    attributes: dict[str, Any]
    known: tuple[np.ndarray | None, ...]

    def get(self, attribute: str, default: Any = None) -> Any:
        return self.attributes.get(attribute, default)

    def refuse(self, why: str) -> GraphError:
        return GraphError(f"onnx: {self.kind} {self.name!r}: {why}")

    def array(self, index: int) -> np.ndarray | None:
        """The values of an input, None where it is left out. Raises GraphError where it is computed
        from the program's inputs."""
        if index < len(self.known) and isinstance(self.known[index], np.ndarray):
            return self.known[index]
        if index >= len(self.known):
            return None
        raise self.refuse(f"its input {index} has to be known before the program runs")

    def integers(self, index: int, attribute: str, default: Any = None) -> Any:
        """A list of integers, an attribute in older opsets and an input in newer ones."""
        if attribute in self.attributes:
            return [int(n) for n in np.atleast_1d(self.attributes[attribute])]
        array = self.array(index)
        return default if array is None else [int(n) for n in array.reshape(-1)]
