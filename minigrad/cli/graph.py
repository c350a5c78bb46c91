"""`minigrad graph`: a network's graph as text, or in a file of any format that graphs have."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from minigrad.cli.network import batch_specs, network
from minigrad.graph import Graph, trace
from minigrad.nn import Module


def run(
    named: str,
    output: Path | None,
    inputs: Sequence[str],
    batch: int,
    backward: bool,
    depth: int | None,
) -> int:
    """Write the graph, or print it; returns 0."""
    graph = load(named, inputs, batch, backward)
    options: dict[str, Any] = {} if depth is None else {"depth": depth}
    console = Console(highlight=False, soft_wrap=True)
    if output is None:
        console.print(graph.text(**options), markup=False)
        return 0
    graph.save(output, **options)
    console.print(f"{graph.name}: {len(graph.calls)} calls of ops, in {output}", markup=False)
    return 0


def load(named: str, inputs: Sequence[str] = (), batch: int = 1, backward: bool = False) -> Graph:
    """The graph of a network, or that of a file (.json, .onnx).

    A network is traced as it is used: in training with its backward pass, else in evaluation.
    """
    if Path(named).suffix in READERS and ":" not in named:
        return READERS[Path(named).suffix](named)
    model = network(named, "graph")
    specs = batch_specs(model, named, inputs, batch, "graph")
    if isinstance(model, Module):
        model.train(backward)
    return trace(model, *specs, backward=backward)


def _from_json(path: str) -> Graph:
    return Graph.load(path)


def _from_onnx(path: str) -> Graph:
    from minigrad import onnx

    return onnx.load(path)


READERS = {".json": _from_json, ".onnx": _from_onnx}
