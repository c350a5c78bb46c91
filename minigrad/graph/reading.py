"""A graph from JSON: every statement of the file is checked, and every shape inferred again.

Nothing of the file is run, and what does not fit is a GraphError that says where it stands.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from minigrad.errors import GraphError, MinigradError
from minigrad.graph import codec
from minigrad.graph.composite import Composite
from minigrad.graph.graph import Graph, Leaf, Role
from minigrad.graph.writing import FORMAT, VERSION
from minigrad.op import Op
from minigrad.spec import FLOATING, Spec
from minigrad.tape import Frame, Node, Value
from minigrad.tensor import constant

NEGATIVE_AXES = frozenset({"argmax", "argmin"})
"""Ops that are handed the axis as the user gave it, and check it themselves."""

KINDS = {dict: "an object", list: "a list", str: "text", int: "an integer", bool: "true or false"}


def load(path: str | os.PathLike[str]) -> Graph:
    """The graph in a JSON file. Raises GraphError if it cannot be read or is not one."""
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8")
        data = json.loads(text, parse_constant=_no_constant)
    except OSError as error:
        raise GraphError(f"{file}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise GraphError(f"{file}: is not JSON ({error}); it may be cut short") from None
    try:
        return from_document(data)
    except RecursionError:
        raise GraphError(f"{file}: composites are nested too deep") from None
    except MinigradError as error:
        raise GraphError(f"{file}: {error}") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number of JSON")


def from_document(data: Any) -> Graph:
    """The graph from plain data, as `writing.document` makes it. Raises GraphError."""
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise GraphError(f"is no graph: the file's format is to be {FORMAT!r}")
    if data.get("version") != VERSION:
        raise GraphError(f"has version {data.get('version')!r}; this minigrad reads {VERSION}")
    reader = _Reader()
    reader.read_frames(_member(data, "frames", list, "the file"))
    graph = reader.graph(data, "")
    reader.read_absent(_member(data, "absent", list, "the file"))
    reader.link()
    return graph


def _member(row: Any, key: str, kind: type[Any], where: str) -> Any:
    """What stands under a key, which is to be of a kind."""
    if not isinstance(row, dict):
        raise GraphError(f"{where}: takes an object, got {type(row).__name__}")
    if key not in row:
        raise GraphError(f"{where}: has no {key!r}")
    if type(row[key]) is not kind:
        raise GraphError(f"{where}: {key!r} is {KINDS[kind]}, got {type(row[key]).__name__}")
    return row[key]


class _Reader:
    """The nodes and frames read so far, by their numbers in the file."""

    def __init__(self) -> None:
        self.nodes: dict[int, Node] = {}
        self.frames: list[Frame] = []
        self.origins: list[tuple[Node, int, str]] = []

    def read_frames(self, rows: list[Any]) -> None:
        for number, row in enumerate(rows):
            where = f"frames[{number}]"
            outer = row.get("outer") if isinstance(row, dict) else None
            if outer is not None and not (type(outer) is int and 0 <= outer < number):
                raise GraphError(f"{where}: 'outer' is a frame before it or null, got {outer!r}")
            name, kind = (_member(row, key, str, where) for key in ("name", "kind"))
            around = None if outer is None else self.frames[outer]
            self.frames.append(Frame(around, None, name, kind))

    def graph(self, data: Any, where: str) -> Graph:
        nodes: list[Node] = []
        leaves: dict[Node, Leaf] = {}
        here: dict[int, Node] = {}
        for position, row in enumerate(_member(data, "nodes", list, where or "the file")):
            place = f"{where}nodes[{position}]"
            if isinstance(row, dict) and "leaf" in row:
                node, leaf = self._leaf(row, place)
                leaves[node] = leaf
            else:
                node = self._call(row, here, place)
            number = self._enter(row, node, place)
            here[number] = node
            nodes.append(node)
        outputs, names, updates = [], [], []
        for i, row in enumerate(_member(data, "outputs", list, where or "the file")):
            place = f"{where}outputs[{i}]"
            names.append(_member(row, "name", str, place))
            outputs.append(_value(_member(row, "value", list, place), here, place))
        for i, row in enumerate(_member(data, "updates", list, where or "the file")):
            place = f"{where}updates[{i}]"
            updated, _ = _value([_member(row, "leaf", int, place), 0], here, place)
            value = _value(_member(row, "value", list, place), here, place)
            if updated not in leaves or updated.outputs[0] != value[0].outputs[value[1]]:
                raise GraphError(f"{place}: takes a leaf and a value of its spec")
            updates.append((updated, value))
        name = _member(data, "name", str, where or "the file")
        return Graph(tuple(nodes), leaves, tuple(outputs), tuple(names), tuple(updates), name)

    def _enter(self, row: Any, node: Node, where: str) -> int:
        number: int = _member(row, "id", int, where)
        if number in self.nodes:
            raise GraphError(f"{where}: another node has the id {number}")
        self.nodes[number] = node
        return number

    def _leaf(self, row: Any, where: str) -> tuple[Node, Leaf]:
        role = _member(row, "leaf", str, where)
        if role not in list(Role):
            raise GraphError(f"{where}: a leaf is one of {', '.join(Role)}, got {role!r}")
        spec = _spec(_member(row, "spec", dict, where), where)
        needed = row.get("requires_grad", False)
        if needed not in (True, False) or (needed and spec.dtype not in FLOATING):
            raise GraphError(f"{where}: 'requires_grad' is true or false, and false for {spec}")
        tensor = None
        if row.get("values") is not None:
            if role != Role.CONSTANT:
                raise GraphError(f"{where}: only a constant has values")
            tensor = constant(_values(row, spec, where))
        leaf = Leaf(_member(row, "name", str, where), Role(role), tensor, bool(needed))
        return Node(None, (), (), (spec,)), leaf

    def _call(self, row: Any, here: dict[int, Node], where: str) -> Node:
        op = self._op(row, where)
        given = _member(row, "inputs", list, where)
        inputs = [_value(v, here, f"{where}.inputs[{i}]") for i, v in enumerate(given)]
        specs = [node.outputs[index] for node, index in inputs]
        inferred = _inferred(op, specs, where)
        stated = tuple([_spec(s, where) for s in _member(row, "outputs", list, where)])
        if stated != inferred:
            raise GraphError(
                f"{where}: {op.name} of {specs} gives {list(inferred)}, the file says "
                f"{list(stated)}"
            )
        needed = row.get("needs", [])
        if not isinstance(needed, list) or any(n not in range(len(inputs)) for n in needed):
            raise GraphError(f"{where}: 'needs' lists inputs by their number, got {needed!r}")
        needs = tuple([i in needed for i in range(len(inputs))])
        reads = op.reads(needs) if True in needs else ((), ())
        node = Node(op, tuple(inputs), needs, inferred, reads)
        node.recorded = "recorded" not in row or _member(row, "recorded", bool, where)
        if "origin" in row:
            self.origins.append((node, _member(row, "origin", int, where), where))
        line = row.get("line")
        node.line = _member(row, "line", str, where) if line is not None else None
        self._place(row, node, where)
        return node

    def _place(self, row: Any, node: Node, where: str) -> None:
        node.scope = None
        if "frame" in row:
            number = _member(row, "frame", int, where)
            if not 0 <= number < len(self.frames):
                raise GraphError(f"{where}: there is no frame {number}")
            node.scope = self.frames[number]

    def _op(self, row: Any, where: str) -> Op:
        if isinstance(row, dict) and "composite" in row:
            return self._composite(_member(row, "composite", dict, where), where)
        name = _member(row, "op", str, where)
        try:
            return codec.decode_op(name, row.get("parameters", {}))
        except MinigradError as error:
            raise GraphError(f"{where}: {error}") from None

    def _composite(self, row: Any, where: str) -> Op:
        name = _member(row, "name", str, where)
        count, links = _member(row, "count", int, where), _member(row, "links", list, where)
        body = self.graph(_member(row, "body", dict, where), f"{where}.body.")
        pairs = {}
        for link in links:
            if not _is_pair(link) or link[0] >= len(body.inputs) or link[1] >= len(body.outputs):
                raise GraphError(f"{where}: a link is an input and an output, got {link!r}")
            pairs[link[0]] = link[1]
            if body.input_specs[link[0]] != body.output_specs[link[1]]:
                raise GraphError(f"{where}: the link {link} joins values of two specs")
        values = count * (len(body.outputs) + len(body.inputs))
        if not count >= 1 or (count > 1 and values > len(body.inputs) + 10**7):
            raise GraphError(f"{where}: a count of {count} blocks")
        return Composite(name, body, count, pairs)

    def read_absent(self, rows: list[Any]) -> None:
        """Forward nodes that are gone: only what they were and where they stood is known."""
        for i, row in enumerate(rows):
            where = f"absent[{i}]"
            op = self._op(row, where)
            specs = tuple([_spec(s, where) for s in _member(row, "outputs", list, where)])
            node = Node(op, (), (), specs)
            self._place(row, node, where)
            self._enter(row, node, where)

    def link(self) -> None:
        """Give every node its forward node."""
        for node, number, where in self.origins:
            origin = self.nodes.get(number)
            if origin is None or origin.op is None:
                raise GraphError(f"{where}: 'origin' is a call, and {number} is none")
            node.origin = origin


def _is_pair(data: Any) -> bool:
    return (
        isinstance(data, list)
        and len(data) == 2
        and all(type(number) is int and number >= 0 for number in data)
    )


def _value(data: Any, here: dict[int, Node], where: str) -> Value:
    """A value: a node that stands before this place, and the number of one of its outputs."""
    if not _is_pair(data):
        raise GraphError(f"{where}: a value is the id of a node and an output, got {data!r}")
    number, index = data
    if number not in here:
        raise GraphError(
            f"{where}: no node {number} stands before it; the nodes of a graph follow those that "
            "they read, so there is no cycle"
        )
    if index >= len(here[number].outputs):
        raise GraphError(f"{where}: node {number} has {len(here[number].outputs)} outputs")
    return here[number], index


def _spec(data: Any, where: str) -> Spec:
    shape, dtype = _member(data, "shape", list, where), _member(data, "dtype", str, where)
    try:
        return Spec(shape, dtype)
    except MinigradError as error:
        raise GraphError(f"{where}: {error}") from None


def _inferred(op: Op, specs: list[Spec], where: str) -> tuple[Spec, ...]:
    for name in ("axis", "axes"):
        if op.name in NEGATIVE_AXES or not specs:
            continue
        if not _within(getattr(op, name, None), specs[0].ndim):
            raise GraphError(f"{where}: {op.name} has no such {name} in {specs[0]}")
    try:
        inferred = op.infer(*specs)
    except Exception as error:  # parameters of the right types may still be nonsense
        raise GraphError(f"{where}: {op.name} does not take these inputs: {error}") from None
    return (inferred,) if isinstance(inferred, Spec) else tuple(inferred)


def _within(axes: Any, ndim: int) -> bool:
    """Whether axes, as public functions hand them to an op, are those of an array."""
    listed = axes if isinstance(axes, tuple) else () if axes is None else (axes,)
    return len(set(listed)) == len(listed) and all(0 <= axis < ndim for axis in listed)


def _values(row: Any, spec: Spec, where: str) -> np.ndarray[Any, Any]:
    """The elements of a constant: see `writing._values`."""
    axes = list(range(spec.ndim))
    order, repeated = row.get("order", axes), row.get("repeated", [])
    if not _are_axes(order, axes) or len(order) != spec.ndim or not _are_axes(repeated, axes):
        raise GraphError(f"{where}: 'order' and 'repeated' list axes of {spec}, each once")
    lengths = [1 if axis in repeated else spec.shape[axis] for axis in axes]
    try:
        flat = _elements(row["values"], spec)
        once = flat.reshape([lengths[axis] for axis in order])
        placed = once.transpose(np.argsort(order).tolist()) if axes else once
        placed = np.broadcast_to(placed, spec.shape) if repeated else placed
    except (ValueError, OverflowError, binascii.Error) as error:
        raise GraphError(f"{where}: the values are not those of {spec} ({error})") from None
    return placed


def _are_axes(data: Any, axes: list[int]) -> bool:
    listed = isinstance(data, list) and all(type(axis) is int and axis in axes for axis in data)
    return listed and len(set(data)) == len(data)


def _elements(data: Any, spec: Spec) -> np.ndarray[Any, Any]:
    if isinstance(data, str):
        raw = base64.b64decode(data, validate=True)
        return np.frombuffer(raw, spec.dtype.newbyteorder("<")).astype(spec.dtype)
    if not isinstance(data, list) or not all(type(n) in (int, float, bool) for n in data):
        raise ValueError("they are numbers, or base64 text")
    flat = np.array(data, spec.dtype)
    if spec.dtype not in FLOATING and flat.tolist() != data:
        raise ValueError("they would be rounded")
    return flat
