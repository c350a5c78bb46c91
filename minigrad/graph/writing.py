"""A graph as JSON: see `docs/graph-schema.md`, which says what stands in the file."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.errors import CheckpointError, GraphError
from minigrad.graph import codec
from minigrad.graph.composite import Composite
from minigrad.graph.graph import Graph, Leaf, Role
from minigrad.graph.plain import dtype_name
from minigrad.op import Op
from minigrad.serialization import write_atomically
from minigrad.spec import Spec
from minigrad.tape import Frame, Node, Value

FORMAT = "minigrad.graph"
VERSION = 1
LISTED = 16
"""Constants of up to so many elements are written as numbers one can read."""


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a file of text, whole or not at all. Raises GraphError if that cannot be done."""
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file, whole or not at all. Raises GraphError if that cannot be done."""
    try:
        write_atomically(Path(path), lambda partial: partial.write_bytes(content))
    except CheckpointError as error:
        raise GraphError(str(error)) from None


def write(graph: Graph, path: str | os.PathLike[str]) -> None:
    """Write a graph as JSON. Raises GraphError if an op in it is not of the catalogue."""
    write_text(path, json.dumps(document(graph), allow_nan=False, separators=(",", ":")) + "\n")


def document(graph: Graph) -> dict[str, Any]:
    """The graph as plain data. Raises GraphError for ops that cannot be found again by name: those
    of a user's `Function` or `checkpoint`, which only a trace resolves."""
    strange = sorted({op.name for op in _ops(graph) if not codec.in_catalogue(op)})
    if strange:
        raise GraphError(
            f"{graph.name}: these ops are not in the catalogue, so no file can hold them: "
            f"{', '.join(strange)}; `trace` the program, which records what they are made of"
        )
    writer = _Writer()
    content = writer.graph(graph)
    absent = writer.absent()
    head = {"format": FORMAT, "version": VERSION}
    return {**head, "frames": writer.frames, **content, "absent": absent}


def _ops(graph: Graph) -> Iterator[Op]:
    """All ops that a file of the graph has to name, within composites too."""
    for node in graph.calls:
        ops = [node.op] if node.origin is None else [node.op, node.origin.op]
        for op in ops:
            if isinstance(op, Composite):
                yield from _ops(op.body)
            elif op is not None:
                yield op


class _Writer:
    """Numbers nodes and frames as it meets them, through all composites."""

    def __init__(self) -> None:
        self.numbers: dict[Node, int] = {}
        self.frames: list[dict[str, Any]] = []
        self._frames: dict[Frame, int] = {}
        self._origins: list[tuple[dict[str, Any], Node]] = []

    def graph(self, graph: Graph) -> dict[str, Any]:
        nodes = [self._node(graph, node) for node in graph.nodes]
        named = zip(graph.output_names, graph.outputs, strict=True)
        return {
            "name": graph.name,
            "nodes": nodes,
            "outputs": [{"name": name, "value": self._value(value)} for name, value in named],
            "updates": [
                {"leaf": self.numbers[leaf], "value": self._value(value)}
                for leaf, value in graph.updates
            ],
        }

    def absent(self) -> list[dict[str, Any]]:
        """Write what each node belongs to, now that all have numbers; the forward nodes among
        them that are not in the graph."""
        gone = dict.fromkeys(node for _, node in self._origins if node not in self.numbers)
        rows = []
        for node in gone:
            what = self._op(node.op)
            outputs = [_spec(spec) for spec in node.outputs]
            row = {"id": self._number(node), **what, "outputs": outputs, **self._where(node)}
            rows.append(row)
        for row, origin in self._origins:
            row["origin"] = self.numbers[origin]
        return rows

    def _number(self, node: Node) -> int:
        return self.numbers.setdefault(node, len(self.numbers))

    def _node(self, graph: Graph, node: Node) -> dict[str, Any]:
        if node.op is None:
            head: dict[str, Any] = {"id": self._number(node)}
            return head | _leaf(graph.leaves[node], node.outputs[0])
        what = self._op(node.op)  # numbers what is inside first
        row = {"id": self._number(node), **what, **self._where(node)}
        row["inputs"] = [self._value(value) for value in node.inputs]
        row["outputs"] = [_spec(spec) for spec in node.outputs]
        if True in node.needs:
            row["needs"] = [i for i, need in enumerate(node.needs) if need]
        if not node.recorded:
            row["recorded"] = False
        if node.origin is not None:
            self._origins.append((row, node.origin))
        if node.line is not None:
            row["line"] = node.line
        return row

    def _op(self, op: Op | None) -> dict[str, Any]:
        if isinstance(op, Composite):
            links = [[i, index] for i, index in op.links.items()]
            body = self.graph(op.body)
            return {"composite": {"name": op.name, "count": op.count, "links": links, "body": body}}
        if op is None:
            return {}
        given = codec.parameters(op)
        return {"op": op.name} | ({"parameters": given} if given else {})

    def _where(self, node: Node) -> dict[str, Any]:
        return {} if node.scope is None else {"frame": self._frame(node.scope)}

    def _frame(self, scope: Frame) -> int:
        for frame in scope.frames if scope not in self._frames else ():
            if frame not in self._frames:
                outer = None if frame.outer is None else self._frames[frame.outer]
                self._frames[frame] = len(self.frames)
                self.frames.append({"name": frame.name, "kind": frame.kind, "outer": outer})
        return self._frames[scope]

    def _value(self, value: Value) -> list[int]:
        node, index = value
        return [self.numbers[node], index]


def _spec(spec: Spec) -> dict[str, Any]:
    return {"shape": list(spec.shape), "dtype": dtype_name(spec.dtype)}


def _leaf(leaf: Leaf, spec: Spec) -> dict[str, Any]:
    row: dict[str, Any] = {"leaf": str(leaf.role), "name": leaf.name, "spec": _spec(spec)}
    if leaf.requires_grad:
        row["requires_grad"] = True
    if leaf.role == Role.CONSTANT and leaf.tensor is not None and not leaf.tensor.is_abstract:
        row |= _values(leaf.tensor.detach().numpy())
    return row


def _values(array: np.ndarray[Any, Any]) -> dict[str, Any]:
    """The elements in the order in which memory has them, since sums depend on it: the axes in
    this order where it is not the usual one, and those along which one element is repeated."""
    axes = range(array.ndim)
    repeated = [axis for axis in axes if array.shape[axis] > 1 and not array.strides[axis]]
    once = array[tuple([slice(1) if axis in repeated else slice(None) for axis in axes])]
    long = [axis for axis in axes if once.shape[axis] > 1]
    outer_first = iter(sorted(long, key=lambda axis: -abs(once.strides[axis])))
    order = [next(outer_first) if axis in long else axis for axis in axes]
    row: dict[str, Any] = {"values": _elements(once.transpose(order))}
    if order != list(axes):
        row["order"] = order
    if repeated:
        row["repeated"] = repeated
    return row


def _elements(array: np.ndarray[Any, Any]) -> Any:
    """A list of numbers, or base64 of their little-endian bytes where they are many or not all
    finite."""
    flat = array.reshape(-1)
    if array.size <= LISTED and np.isfinite(flat).all():
        return flat.tolist()
    little = flat.astype(flat.dtype.newbyteorder("<"))
    return base64.b64encode(little.tobytes()).decode("ascii")
