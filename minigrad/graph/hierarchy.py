"""A graph as people think of it: modules within modules, the forward pass and beside it the
backward pass, with repeated blocks folded.

The views draw one `Group` at a time: its children, and the edges between them, where `IN` and
`OUT` stand for all that lies outside. They are complete in every group, whatever is open.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from minigrad.graph.graph import Graph, Role
from minigrad.tape import Frame, Node

IN, OUT = "in", "out"
LIMIT = 120
"""More children than this are bundled into parts, for nobody reads (or lays out) more at once."""


@dataclass(eq=False)
class Group:
    """The call of a module or, where `backward`, what differentiates it.

    `children` are nodes and groups in the order they were computed in, then the leaves they read.
    `count` is more than 1 where the group stands for that many equal blocks, its children, each of
    which follows the other.
    """

    name: str
    kind: str
    path: str
    backward: bool
    outer: Group | None = None
    children: list[Item] = field(default_factory=list)
    edges: dict[tuple[End, End], None] = field(default_factory=dict)
    count: int = 1

    @property
    def depth(self) -> int:
        depth, group = 0, self.outer
        while group is not None:
            depth, group = depth + 1, group.outer
        return depth


Item = Node | Group
End = Node | Group | str


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """The groups of a graph: those of the forward pass within `forward`, those of the backward
    pass, if there is one, within `backward`.

    `homes` tells in which group each node is. A module that only one op is called in has no group
    of its own; `captions` has its name, by that node. `crossing` are the edges from the forward to
    the backward pass, that is what the one keeps for the other.
    """

    graph: Graph
    forward: Group
    backward: Group | None
    homes: Mapping[Node, Group]
    captions: Mapping[Node, str]
    crossing: Sequence[tuple[Node, Node]]

    @property
    def roots(self) -> tuple[Group, ...]:
        return (self.forward,) if self.backward is None else (self.forward, self.backward)

    def groups(self) -> Iterator[Group]:
        """All groups, each before those in it."""
        for root in self.roots:
            yield from groups_of(root)


def groups_of(root: Group) -> Iterator[Group]:
    """A group and all in it, each before those in it."""
    stack = [root]
    while stack:
        group = stack.pop()
        yield group
        stack.extend([child for child in reversed(group.children) if isinstance(child, Group)])


def hierarchy(graph: Graph) -> Hierarchy:
    """The hierarchy of a graph's modules."""
    forest = _Forest(graph)
    for node in graph.calls:
        forest.add(node)
    captions: dict[Node, str] = {}
    roots = forest.forward, forest.backward
    for root in roots:
        _lift_single(root, captions)
        _bundle(root)
    homes = _homes(*roots)
    for node in graph.nodes:
        if node.op is None:  # stands with the first that reads it; an input at the top
            users = graph.users[node]
            outside = graph.leaves[node].role == Role.INPUT or not users
            homes[node] = forest.forward if outside else homes[users[0]]
            homes[node].children.append(node)
    crossing = _connect(graph, homes, roots)
    for root in roots:
        _fold(root)
    homes = _homes(*roots)
    backward = forest.backward if forest.backward.children else None
    return Hierarchy(graph, forest.forward, backward, homes, captions, crossing)


def _homes(*roots: Group) -> dict[Node, Group]:
    return {
        child: group
        for root in roots
        for group in groups_of(root)
        for child in group.children
        if isinstance(child, Node)
    }


class _Forest:
    """The two trees while they grow: a group for every call of a module and for its backward."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.groups: dict[tuple[Frame, bool], Group] = {}
        self.homes: dict[Node, Group] = {}
        outermost = {_outermost(node.scope) for node in graph.calls if node.scope is not None}
        # All within one network: it is the whole picture, and needs no box.
        self.network = outermost.pop() if len(outermost) == 1 else None
        kind = self.network.kind if self.network is not None else ""
        self.forward = Group(graph.name, kind, "", False)
        self.backward = Group(graph.name, kind, "", True)

    def add(self, node: Node) -> None:
        """Place a call where its module was called; of a backward, where its forward was."""
        backward = self.graph.is_backward(node)
        base = node
        while base.origin is not None:
            base = base.origin
        if base.scope is not None:
            group = self._group(base.scope, backward)
        elif backward and base is node:
            group = self._common(node)
        else:
            group = self._root(backward)
        self._put(node, group)

    def _put(self, node: Node, group: Group) -> None:
        self.homes[node] = group
        group.children.append(node)

    def _root(self, backward: bool) -> Group:
        return self.backward if backward else self.forward

    def _group(self, frame: Frame, backward: bool) -> Group:
        missing: list[Frame] = []
        outer: Frame | None = frame
        while outer is not None and outer is not self.network:
            if (outer, backward) in self.groups:
                break
            missing.append(outer)
            outer = outer.outer
        known = outer is not None and outer is not self.network
        group = self.groups[outer, backward] if known and outer else self._root(backward)
        for inner in reversed(missing):
            path = f"{group.path}.{inner.name}" if group.path else inner.name
            made = Group(inner.name, inner.kind, path, backward, group)
            group.children.append(made)
            group = self.groups[inner, backward] = made
        return group

    def _common(self, node: Node) -> Group:
        """Cotangents are added in the innermost group that has them all."""
        groups = [self.homes[s] for s, _ in node.inputs if s in self.homes]
        groups = [group for group in groups if group.backward]
        common = groups[0] if groups else self.backward
        for group in groups[1:]:
            while common is not group:
                deeper = common.depth >= group.depth
                common = (common.outer or common) if deeper else common
                group = group if deeper else (group.outer or group)
        return common


def _outermost(frame: Frame) -> Frame:
    while frame.outer is not None:
        frame = frame.outer
    return frame


def _lift_single(root: Group, captions: dict[Node, str]) -> None:
    """Dissolve the groups in which a single op is called, which take its name along."""
    for group in reversed(list(groups_of(root))):
        children: list[Item] = []
        for child in group.children:
            only = child.children[0] if isinstance(child, Group) else None
            if isinstance(child, Group) and isinstance(only, Node) and len(child.children) == 1:
                inner = captions.get(only)
                captions[only] = f"{child.name}.{inner}" if inner else child.name
                children.append(only)
            else:
                children.append(child)
        group.children = children


def _bundle(root: Group) -> None:
    """Where there are too many calls to look at, bundle them into parts, and these again."""
    for group in list(groups_of(root)):
        size = 1  # how many calls each child stands for
        while len(group.children) > LIMIT:
            size *= LIMIT
            group.children = _parts(group, size)


def _parts(group: Group, size: int) -> list[Item]:
    parts: list[Item] = []
    for start in range(0, len(group.children), LIMIT):
        members = group.children[start : start + LIMIT]
        first = len(parts) * size
        name = f"{first + 1} to {first + size}"
        part = Group(name, "part", group.path, group.backward, group, members)
        for member in members:
            if isinstance(member, Group):
                member.outer = part
        parts.append(part)
    return parts


def _connect(
    graph: Graph, homes: Mapping[Node, Group], roots: Sequence[Group]
) -> list[tuple[Node, Node]]:
    """Give every group the edges between its children; returns those between the two passes."""
    depths = {group: group.depth for root in roots for group in groups_of(root)}
    crossing: dict[tuple[Node, Node], None] = {}
    for node in graph.calls:
        for source, _ in node.inputs:
            start, end = homes[source], homes[node]
            if start.backward != end.backward:
                crossing[source, node] = None
                continue
            a: Item = source
            b: Item = node
            while start is not end:
                above, below = depths[start], depths[end]
                if above >= below and start.outer is not None:
                    start.edges[a, OUT] = None
                    a, start = start, start.outer
                if below >= above and end.outer is not None:
                    end.edges[IN, b] = None
                    b, end = end, end.outer
            start.edges[a, b] = None
    return list(crossing)


def _fold(root: Group) -> None:
    """Put equal groups that follow one another into one that counts them."""
    numbers: dict[Any, int] = {}  # of every structure that was met
    structure: dict[Group, int] = {}
    for group in reversed(list(groups_of(root))):
        place: dict[End, int] = {child: i for i, child in enumerate(group.children)}
        place |= {IN: -1, OUT: -2}
        edges = tuple(sorted([(place[a], place[b]) for a, b in group.edges]))
        parts = tuple(
            [structure[c] if isinstance(c, Group) else _structure(c) for c in group.children]
        )
        key = group.kind, parts, edges
        structure[group] = numbers.setdefault(key, -1 - len(numbers))
        for run in _runs(group, structure):
            _fold_run(group, run)


def _structure(node: Node) -> Any:
    """What must be equal in nodes of equal blocks."""
    parameters = repr(vars(node.op)) if node.op is not None else ""
    return node.name, parameters, node.outputs


def _runs(group: Group, structure: Mapping[Group, int]) -> list[list[Group]]:
    """Sibling groups of equal structure, none of which computes anything else in between."""
    runs: list[list[Group]] = [[]]
    for child in group.children:
        if isinstance(child, Node):
            if child.op is not None:
                runs.append([])
        elif runs[-1] and child.kind != "part" and structure[runs[-1][-1]] == structure[child]:
            runs[-1].append(child)
        else:
            runs.append([child])
    return [run for run in runs if len(run) > 1]


def _fold_run(group: Group, run: list[Group]) -> None:
    name = f"{run[0].name} to {run[-1].name}"
    fold = Group(name, run[0].kind, group.path, group.backward, group, [*run], {}, len(run))
    at = group.children.index(run[0])
    group.children[at] = fold
    members = set(run)
    group.children = [c for c in group.children if c not in members]
    edges, group.edges = group.edges, {}
    for a, b in edges:
        if a not in members and b not in members:
            group.edges[a, b] = None
        elif a in members and b in members:
            fold.edges[a, b] = None
        elif a in members:
            fold.edges[a, OUT] = group.edges[fold, b] = None
        else:
            fold.edges[IN, b] = group.edges[a, fold] = None
    for member in run:
        member.outer = fold
