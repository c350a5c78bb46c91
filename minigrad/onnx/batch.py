"""What of a program goes with the batch: several traces, of other batches, laid over each other.

Where all traces agree the number is the program's; where a length grows in a line with the batch
it becomes a `Line`; all else depends on the batch in a way that a file cannot say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np

from minigrad.errors import GraphError
from minigrad.graph.graph import Graph, Role
from minigrad.op import Op
from minigrad.tape import Node, Value


class Line(int):
    """The length `slope` · batch + `start`; as an integer, what it is in the first trace."""

    slope: int
    start: int

    @staticmethod
    def through(lengths: Sequence[int], batches: Sequence[int]) -> Line:
        """The line through these points. Raises `UnevenError` where there is none."""
        rise, run = lengths[1] - lengths[0], batches[1] - batches[0]
        slope = rise // run
        start = lengths[0] - slope * batches[0]
        if any(slope * b + start != n for n, b in zip(lengths, batches, strict=True)):
            raise UnevenError(f"lengths {tuple(lengths)} for batches of {tuple(batches)}")
        line = Line(lengths[0])
        line.slope, line.start = slope, start
        return line


class UnevenError(Exception):
    """Something depends on the batch, but not as a length in a line; the text says what."""


@dataclass(frozen=True)
class Fill:
    """A constant that goes with the batch: one `value`, itself perhaps a `Line`, everywhere, or
    (None) 0, 1, 2, ..."""

    value: Any
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Program:
    """A graph, with its ops and shapes as they are for every batch (`Line`s in them), and the
    constants that go with the batch."""

    graph: Graph
    ops: dict[Node, Op]
    shapes: dict[Value, tuple[int, ...]]
    fills: dict[Node, Fill]


def program(graphs: Sequence[Graph], batches: Sequence[int]) -> Program:
    """One program of the traces for these batches; of a single trace, that one as it is.

    Raises GraphError that lists whatever depends on the batch otherwise than by a length.
    """
    first = graphs[0]
    ops: dict[Node, Op] = {}
    shapes: dict[Value, tuple[int, ...]] = {}
    fills: dict[Node, Fill] = {}
    uneven: list[str] = []
    _require_alike(graphs)
    for nodes in zip(*[graph.nodes for graph in graphs], strict=True):
        node = nodes[0]
        try:
            for index in range(len(node.outputs)):
                shapes[node, index] = merged([n.outputs[index].shape for n in nodes], batches)
            if node.op is not None:
                ops[node] = merged([n.op for n in nodes], batches)
            elif first.leaves[node].role == Role.CONSTANT:
                arrays = [_array(g, n) for g, n in zip(graphs, nodes, strict=True)]
                fill = _fill(arrays, batches)
                if fill is not None:
                    fills[node] = fill
        except UnevenError as reason:
            uneven.append(f"{first.labels[node]}: {reason}")
    if uneven:
        raise GraphError(
            f"onnx: {first.name} depends on the batch in a way that a file cannot say: "
            f"{'; '.join(uneven[:20])}; export it for one batch with dynamic_batch=False"
        )
    return Program(first, ops, shapes, fills)


def _require_alike(graphs: Sequence[Graph]) -> None:
    """Raise unless the graphs have the same ops, wired alike."""

    def wiring(graph: Graph) -> list[Any]:
        places = {node: i for i, node in enumerate(graph.nodes)}
        found = [(n.name, [(places[s], i) for s, i in n.inputs]) for n in graph.nodes]
        return [*found, [(places[n], i) for n, i in graph.outputs]]

    if len(graphs) > 1 and any(wiring(graph) != wiring(graphs[0]) for graph in graphs[1:]):
        raise GraphError(
            f"onnx: {graphs[0].name} calls other ops for other batches, so no file is right for "
            "all of them; export it for one batch with dynamic_batch=False"
        )


def merged(values: Sequence[Any], batches: Sequence[int]) -> Any:
    """What these values, one for each batch, are for every batch. Raises `UnevenError`."""
    first = values[0]
    kinds = {type(value) for value in values}
    if len(kinds) == 1 and all(value == first for value in values[1:]):
        return first
    if kinds == {int}:
        return Line.through(values, batches)
    if kinds == {tuple} and len({len(value) for value in values}) == 1:
        return tuple([merged(parts, batches) for parts in zip(*values, strict=True)])
    if kinds == {slice}:
        parts = [(value.start, value.stop, value.step) for value in values]
        return slice(*merged(parts, batches))
    if len(kinds) == 1 and isinstance(first, Op) and is_dataclass(first):
        names = [field.name for field in fields(first)]
        found = {n: merged([getattr(v, n) for v in values], batches) for n in names}
        return replace(first, **found)
    if len(kinds) == 1 and isinstance(first, Op):
        return first
    raise UnevenError(f"{first!r} for a batch of {batches[0]}, {values[-1]!r} for {batches[-1]}")


def _array(graph: Graph, node: Node) -> np.ndarray:
    tensor = graph.leaves[node].tensor
    if tensor is None or tensor.is_abstract:
        raise UnevenError("a constant without values")
    return tensor.detach().numpy()


def _fill(arrays: Sequence[np.ndarray], batches: Sequence[int]) -> Fill | None:
    """What a constant that differs among the batches is made of; None for one that does not."""
    first = arrays[0]
    if all(a.shape == first.shape and a.tobytes() == first.tobytes() for a in arrays):
        return None
    shape = merged([a.shape for a in arrays], batches)
    if first.size and all((a == first.flat[0]).all() for a in arrays):
        return Fill(first.flat[0], shape)
    if all(a.dtype.kind == "i" and (a.ravel() == np.arange(a.size)).all() for a in arrays):
        return Fill(None, shape)
    if all(a.size == 1 and float(a.flat[0]).is_integer() for a in arrays):
        return Fill(Line.through([int(a.flat[0]) for a in arrays], batches), shape)
    raise UnevenError("the values of a constant go with the batch")
