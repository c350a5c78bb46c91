"""`Rebuild`: how a pass makes a new graph from an old one, node by node in the old one's order.

A node is taken over as it is where nothing about it changes; else a twin with other inputs takes
its place, with its module, line, age and the link to its forward node kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from minigrad.graph.composite import Composite
from minigrad.graph.graph import Graph, Leaf
from minigrad.op import Op
from minigrad.tape import Node, Value


class Rebuild:
    """A graph being made. `values` and `twins` tell what has taken the place of the old graph's
    values and nodes, where that is not themselves."""

    def __init__(self, graph: Graph, twins: dict[Node, Node] | None = None) -> None:
        self.graph = graph
        self.nodes: list[Node] = []
        self.leaves: dict[Node, Leaf] = {}
        self.values: dict[Value, Value] = {}
        self.twins = twins if twins is not None else {}

    def inputs(self, node: Node) -> tuple[Value, ...]:
        """The values that a node of the old graph reads in the new one."""
        return tuple([self.values.get(value, value) for value in node.inputs])

    def origin(self, node: Node) -> Node | None:
        """The forward node, in the new graph, of a node of the old one."""
        origin = node.origin
        while origin in self.twins:
            origin = self.twins[origin]
        return origin

    def keep(self, node: Node) -> Node:
        """Take a node over, or a twin of it where something that it points to has changed."""
        if node.op is None:
            return self.add_leaf(node, self.graph.leaves[node])
        inputs, origin, op = self.inputs(node), self.origin(node), self._inside(node.op)
        if inputs == node.inputs and origin is node.origin and op is node.op:
            self.nodes.append(node)
            return node
        return self.add(node, twin(node, op, inputs, origin))

    def add(self, old: Node, new: Node) -> Node:
        """Add a node that takes the place of one with the same outputs."""
        self.nodes.append(new)
        self.stands_for(new, old)
        return new

    def add_leaf(self, node: Node, leaf: Leaf) -> Node:
        """Add a leaf, the old graph's or a new one."""
        self.nodes.append(node)
        self.leaves[node] = leaf
        return node

    def stands_for(self, new: Node, old: Node, first: int = 0) -> None:
        """Whoever reads `old` or belongs to it, reads and belongs to `new` from here on; the
        outputs of `old` are those of `new` from number `first` on."""
        self.twins[old] = new
        for index in range(len(old.outputs)):
            self.values[old, index] = (new, first + index)

    def _inside(self, op: Op) -> Op:
        """A composite whose body's nodes point to the forward nodes of now."""
        if not isinstance(op, Composite):
            return op
        body = self.inside(op.body)
        return op if body is op.body else Composite(op.name, body, op.count, op.links)

    def inside(self, body: Graph) -> Graph:
        """A composite's body whose nodes point to the forward nodes of now."""
        inner = Rebuild(body, self.twins)
        for node in body.nodes:
            inner.keep(node)
        changed = any(new is not old for new, old in zip(inner.nodes, body.nodes, strict=True))
        return inner.graph_of_new() if changed else body

    def graph_of_new(self) -> Graph:
        """The new graph: outputs, their names and updates are the old one's."""
        values, old = self.values, self.graph
        return replace(
            old,
            nodes=tuple(self.nodes),
            leaves=self.leaves,
            outputs=tuple([values.get(value, value) for value in old.outputs]),
            updates=tuple([(leaf, values.get(value, value)) for leaf, value in old.updates]),
        )


def twin(node: Node, op: Op | None, inputs: Sequence[Value], origin: Node | None) -> Node:
    """A node like another, with another op, other inputs and another forward node."""
    new = Node(op, tuple(inputs), node.needs, node.outputs, node.reads)
    new.scope, new.origin, new.line, new.age = node.scope, origin, node.line, node.age
    new.recorded = node.recorded
    return new
