"""`minigrad summary`: a network's layers, parameters and costs, on shapes alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigrad.cli.network import network, sample_shapes
from minigrad.errors import ArgumentError
from minigrad.graph.summaries import summary
from minigrad.nn import Module


def run(named: str, inputs: Sequence[str], columns: Sequence[str], **options: Any) -> int:
    """Print the table; returns 0. `options` are `summary`'s."""
    model = network(named, "summary")
    if not isinstance(model, Module):
        raise ArgumentError(
            f"summary: {named} is a function; a summary lists the layers of a module"
        )
    shapes = sample_shapes(model, named, inputs, "summary")
    if columns:
        options["columns"] = tuple(columns)
    print(summary(model, shapes, **options))
    return 0
