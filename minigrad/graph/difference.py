"""`diff`: what of two graphs is the same, and what was added, removed or changed.

Modules are matched by their names, those of a sequence (named 0, 1, ...) by the kinds in order, so
a layer put in between is one addition. The ops that a module runs itself are matched in order.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from enum import StrEnum
from typing import Any

from minigrad.graph.graph import Graph, Role
from minigrad.op import Op
from minigrad.tape import Node

__all__ = ["Change", "Fate", "GraphDiff", "Pair", "diff"]


class Fate(StrEnum):
    """What became of a block or a node on the way from the first graph to the second."""

    SAME = "same"
    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True)
class Change:
    """One thing that differs between two nodes or blocks, as text; "" where there is none."""

    name: str
    before: str
    after: str


@dataclass(frozen=True)
class Pair:
    """A block or a node of the first graph beside that of the second; None where there is none.

    `path` is the module's, in the first graph if it is there; `depth` how deep it lies.
    """

    what: str
    fate: Fate
    path: str
    depth: int
    first: str | None
    second: str | None
    changes: tuple[Change, ...] = ()

    @property
    def is_of_shapes(self) -> bool:
        """Whether only shapes of inputs and outputs changed: mostly what another change entails."""
        shapes = [change.name.startswith(("input", "output")) for change in self.changes]
        return self.fate is Fate.CHANGED and all(shapes)


@dataclass(frozen=True)
class GraphDiff:
    """Two graphs side by side: all pairs, those of a block followed by what is in it."""

    first: str
    second: str
    pairs: tuple[Pair, ...]

    def _with(self, what: str, fate: Fate) -> tuple[Pair, ...]:
        return tuple([pair for pair in self.pairs if (pair.what, pair.fate) == (what, fate)])

    def blocks(self, fate: Fate) -> tuple[Pair, ...]:
        """The modules of this fate."""
        return self._with("block", fate)

    def nodes(self, fate: Fate) -> tuple[Pair, ...]:
        """The calls of ops of this fate."""
        return self._with("node", fate)

    @property
    def is_same(self) -> bool:
        """Whether nothing differs."""
        return all(pair.fate is Fate.SAME for pair in self.pairs)

    def __str__(self) -> str:
        from minigrad.graph.difference_view import text

        return text(self)

    def _repr_html_(self) -> str:
        from minigrad.graph.difference_view import table

        return table(self)

    def save_html(self, path: str | os.PathLike[str]) -> None:
        """Write a page with both graphs side by side."""
        from minigrad.graph.difference_view import save

        save(self, path)


@dataclass(eq=False)
class _Block:
    """A module with the calls of ops it made itself and the modules it called, by name."""

    name: str
    kind: str
    path: str
    nodes: list[Node] = field(default_factory=list)
    inner: dict[str, _Block] = field(default_factory=dict)


def diff(first: Graph, second: Graph) -> GraphDiff:
    """How the second graph differs from the first."""
    return GraphDiff(first.name, second.name, tuple(_pairs(first, second)))


def _pairs(first: Graph, second: Graph) -> Iterator[Pair]:
    """All pairs, a block's before those within it."""
    roots = _tree(first), _tree(second)
    stack: list[tuple[_Block | None, _Block | None, int]] = [(*roots, 0)]
    while stack:
        a, b, depth = stack.pop()
        if depth:
            yield _block_pair(a, b, depth)
        yield from _node_pairs(a, b, first, second, depth + 1)
        inner = [list(block.inner.values()) if block is not None else [] for block in (a, b)]
        stack += [(x, y, depth + 1) for x, y in reversed(_matched(*inner))]


def _tree(graph: Graph) -> _Block:
    """The modules of a graph; what ran in none is the outermost block's."""
    root = _Block("", "", "")
    for node in graph.calls:
        scope = (node.origin or node).scope
        block = root
        for frame in scope.frames[1:] if scope is not None else ():
            if frame.name not in block.inner:
                path = f"{block.path}.{frame.name}" if block.path else frame.name
                block.inner[frame.name] = _Block(frame.name, frame.kind, path)
            block = block.inner[frame.name]
        block.nodes.append(node)
    return root


def _matched(
    first: Sequence[_Block], second: Sequence[_Block]
) -> list[tuple[_Block | None, _Block | None]]:
    """Blocks side by side: by name, or by kinds in order where names only count."""
    numbered = all(block.name.isdecimal() for block in (*first, *second))
    keys = [[block.kind if numbered else block.name for block in side] for side in (first, second)]
    return list(_aligned(first, second, *keys))


def _aligned(
    first: Sequence[Any], second: Sequence[Any], first_keys: Any, second_keys: Any
) -> Iterator[tuple[Any, Any]]:
    """Two sequences side by side, equal keys beside one another and None beside what is alone."""
    matcher = SequenceMatcher(None, first_keys, second_keys, autojunk=False)
    for tag, a, a_end, b, b_end in matcher.get_opcodes():
        if tag == "equal":
            yield from zip(first[a:a_end], second[b:b_end], strict=True)
        else:
            yield from [(x, None) for x in first[a:a_end]]
            yield from [(None, y) for y in second[b:b_end]]


def _fate(first: object, second: object, changes: Sequence[Change]) -> Fate:
    if first is None:
        return Fate.ADDED
    if second is None:
        return Fate.REMOVED
    return Fate.CHANGED if changes else Fate.SAME


def _block_pair(a: _Block | None, b: _Block | None, depth: int) -> Pair:
    changes = []
    if a is not None and b is not None and a.kind != b.kind:
        changes = [Change("kind", a.kind, b.kind)]
    first, second = [
        f"{block.name} ({block.kind})" if block is not None else None for block in (a, b)
    ]
    shown = a or b
    assert shown is not None  # one of a pair is there
    return Pair("block", _fate(a, b, changes), shown.path, depth, first, second, tuple(changes))


def _node_pairs(
    a: _Block | None, b: _Block | None, first: Graph, second: Graph, depth: int
) -> Iterator[Pair]:
    """The calls of two matched blocks, in order."""
    sides = [block.nodes if block is not None else [] for block in (a, b)]
    keys = [
        [(node.name, graph.is_backward(node)) for node in nodes]
        for nodes, graph in zip(sides, (first, second), strict=True)
    ]
    shown = a or b
    assert shown is not None
    for x, y in _aligned(*sides, *keys):
        changes = _changes(x, y, first, second) if x is not None and y is not None else []
        before = _told(x, first) if x is not None else None
        after = _told(y, second) if y is not None else None
        fate = _fate(x, y, changes)
        yield Pair("node", fate, shown.path, depth, before, after, tuple(changes))


def _told(node: Node, graph: Graph) -> str:
    """An op with its parameters and the shapes of its results."""
    listed = ", ".join([f"{name}={value}" for name, value in parameters(node.op).items()])
    shapes = ", ".join([_shape(spec) for spec in node.outputs])
    back = "backward: " if graph.is_backward(node) else ""
    return f"{back}{node.name}({listed}) -> {shapes}"


def parameters(op: Op | None) -> dict[str, str]:
    """What a call of an op was given besides arrays, as text; not which random numbers it drew."""
    found: dict[str, str] = {}
    for name, value in getattr(op, "__dict__", {}).items():
        if name == "draw":
            continue
        within = getattr(value, "__dataclass_fields__", None)
        if within is None:
            found[name] = repr(value)
        else:  # a window: its own fields say more
            found |= {inner: repr(getattr(value, inner)) for inner in within}
    return found


def _changes(x: Node, y: Node, first: Graph, second: Graph) -> list[Change]:
    """What differs between two calls of the same op: parameters, shapes, and which leaves."""
    before, after = _facts(x, first), _facts(y, second)
    return [
        Change(name, before.get(name, ""), after.get(name, ""))
        for name in {**before, **after}
        if before.get(name) != after.get(name)
    ]


def _facts(node: Node, graph: Graph) -> dict[str, str]:
    facts = parameters(node.op)
    for i, (source, index) in enumerate(node.inputs):
        leaf = graph.leaves.get(source)
        known = leaf is not None and leaf.role in (Role.PARAMETER, Role.BUFFER)
        name = f"input {i}"
        if leaf is not None and known:
            name = leaf.name.rpartition(".")[2] or name
        facts[name] = _shape(source.outputs[index])
    for i, spec in enumerate(node.outputs):
        facts[f"output {i}" if i else "output"] = _shape(spec)
    return facts


def _shape(spec: Any) -> str:
    dtype = "" if str(spec.dtype) == "float32" else f" {spec.dtype}"
    return " x ".join([str(length) for length in spec.shape]) + dtype or "()"
