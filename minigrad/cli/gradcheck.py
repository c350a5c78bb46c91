"""`minigrad gradcheck`: import a layer of the user's as Python would, and check its gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.checking import gradcheck
from minigrad.cli.importing import find, shape
from minigrad.errors import ArgumentError
from minigrad.random import manual_seed
from minigrad.spec import Shape
from minigrad.tensor import Tensor, tensor


def run(layer: str, inputs: Sequence[str], seed: int, **options: Any) -> int:
    """Print the report; returns 0 if it is ok and 1 otherwise. `options` are `gradcheck`'s."""
    shapes = [_shape(text) for text in inputs]
    manual_seed(seed)
    function = find(layer, "gradcheck")
    rng = np.random.default_rng(seed)
    drawn: list[Tensor] = [tensor(np.asarray(rng.standard_normal(shape))) for shape in shapes]
    try:
        report = gradcheck(function, *drawn, seed=seed, raise_on_failure=False, **options)
    except TypeError as error:
        raise ArgumentError(f"gradcheck: {layer} with {len(drawn)} inputs: {error}") from None
    print(report)
    return 0 if report.ok else 1


def _shape(text: str) -> Shape:
    """The shape of an input, if it is not too large."""
    found = shape(text, "gradcheck")
    if np.prod([float(length) for length in found]) > 1e8:
        raise ArgumentError(f"gradcheck: --input {text} is too large to check element by element")
    return found
