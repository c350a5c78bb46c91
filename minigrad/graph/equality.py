"""When two graphs are equal: the same nodes in the same order, wired alike.

Ops with their parameters, specs, names, roles, modules and the values of constants count; what the
nodes are as objects, the lines of the program, and the values of parameters and buffers do not.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from minigrad.graph import codec
from minigrad.graph.composite import Composite
from minigrad.graph.graph import Graph, Leaf, Role
from minigrad.op import Op
from minigrad.tape import Frame, Node


def equal(first: Graph, second: Graph) -> bool:
    """Whether two graphs are equal; see above."""
    return len(first.nodes) == len(second.nodes) and signature(first) == signature(second)


def signature(graph: Graph, named: bool = True) -> Hashable:
    """Equal for two graphs if and only if they are; without names, for those of equal structure:
    whatever their leaves, outputs and modules are called, and wherever they stand."""
    return _Signature(named).of(graph)


def identity(op: Op) -> Hashable:
    """Equal for two ops if they compute the same, whatever a composite and its parts are called."""
    if not isinstance(op, Composite):
        return codec.identity(op)
    return (op.count, tuple(op.links.items()), signature(op.body, named=False))


class _Signature:
    """What is known on the way through a graph and the composites in it: a forward node may stand
    in another body than its backward."""

    def __init__(self, named: bool) -> None:
        self.named = named
        self.numbers: dict[Node, int] = {}
        self.paths: dict[Frame, Hashable] = {}

    def of(self, graph: Graph) -> Hashable:
        nodes = []
        for node in graph.nodes:
            self.numbers[node] = len(self.numbers)
            op = node.op
            nodes.append(
                self._leaf(graph.leaves[node], node) if op is None else self._call(node, op)
            )
        outputs = tuple([(self.numbers[node], index) for node, index in graph.outputs])
        updates = tuple([(self._number(n), self.numbers[m], i) for n, (m, i) in graph.updates])
        names = (graph.name, graph.output_names) if self.named else ()
        return (tuple(nodes), outputs, updates, names)

    def _number(self, node: Node) -> int:
        return self.numbers.get(node, -1)

    def _leaf(self, leaf: Leaf, node: Node) -> Hashable:
        known = leaf.role == Role.CONSTANT and leaf.tensor is not None
        value = None
        if known and leaf.tensor is not None and not leaf.tensor.is_abstract:
            value = leaf.tensor.detach().numpy().tobytes()
        name = leaf.name if self.named else ""
        return (name, leaf.role, leaf.requires_grad, node.outputs[0], value)

    def _call(self, node: Node, op: Op) -> Hashable:
        inputs = tuple([(self.numbers[source], index) for source, index in node.inputs])
        common = (self._op(op), inputs, node.outputs, node.needs, node.recorded)
        if not self.named:
            return common
        path = self._path(node.scope)
        return (*common, path, node.origin is not None, self._origin(node.origin))

    def _op(self, op: Op) -> Hashable:
        if not isinstance(op, Composite):
            return codec.identity(op)
        name = op.name if self.named else ""
        return (name, op.count, tuple(op.links.items()), self.of(op.body))

    def _origin(self, origin: Node | None) -> Any:
        """The number of the forward node; of one that is not in the graph, what it was."""
        if origin is None or origin in self.numbers:
            return self.numbers.get(origin) if origin is not None else None
        return (origin.name, origin.outputs, self._path(origin.scope))

    def _path(self, scope: Frame | None) -> Hashable:
        if scope is None:
            return ()
        if scope not in self.paths:
            self.paths[scope] = tuple([(frame.name, frame.kind) for frame in scope.frames])
        return self.paths[scope]
