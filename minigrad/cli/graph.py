"""`minigrad graph`: a network's graph as text, or in a file of any format that graphs have."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from minigrad.cli.network import batch_specs, network
from minigrad.errors import ArgumentError
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
    """Write the graph, or print it; returns 0. A network is taken as it is used: in training with
    its backward pass, else in evaluation."""
    graph = load(named, inputs, batch, backward, backward)
    options: dict[str, Any] = {} if depth is None else {"depth": depth}
    console = Console(highlight=False, soft_wrap=True)
    if output is None:
        console.print(graph.text(**options), markup=False)
        return 0
    graph.save(output, **options)
    console.print(f"{graph.name}: {len(graph.calls)} calls of ops, in {output}", markup=False)
    return 0


def load(
    named: str,
    inputs: Sequence[str],
    batch: int,
    backward: bool,
    train: bool,
    command: str = "graph",
) -> Graph:
    """The graph of a network, in training or in evaluation, or that of a file (.json, .onnx)."""
    if Path(named).suffix in READERS and ":" not in named:
        return READERS[Path(named).suffix](named)
    model = network(named, command)
    specs = batch_specs(model, named, inputs, batch, command)
    if isinstance(model, Module):
        model.train(train)
    return trace(model, *specs, backward=backward)


def _from_json(path: str) -> Graph:
    return Graph.load(path)


def _from_onnx(path: str) -> Graph:
    try:
        graph: Graph = importlib.import_module("minigrad.onnx").load(path)
    except ModuleNotFoundError as error:
        raise ArgumentError(f"{path}: ONNX files cannot be read here: {error}") from None
    return graph


READERS = {".json": _from_json, ".onnx": _from_onnx}
