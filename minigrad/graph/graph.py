"""`Graph`: the record of a computation, closed: its nodes, what its leaves are, what it gives.

Nodes are the tape's own, so everything that a node knows (op, specs, cost, module, line) is known
here. Graphs are not changed; passes make new ones.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any

from minigrad.errors import ArgumentError, TraceError
from minigrad.op import Cost
from minigrad.spec import Spec
from minigrad.tape import Node, Value
from minigrad.tensor import Tensor

if TYPE_CHECKING:
    import networkx


class Role(StrEnum):
    """What a leaf is in a graph."""

    INPUT = "input"
    PARAMETER = "parameter"
    BUFFER = "buffer"
    CONSTANT = "constant"


@dataclass(frozen=True)
class Leaf:
    """A value that no op of the graph computes. `tensor` holds it where it is known: the module's
    own parameter or buffer, or a constant; an input has none."""

    name: str
    role: Role
    tensor: Tensor | None
    requires_grad: bool = False


@dataclass(frozen=True, eq=False)
class Graph:
    """A computation as data, called like the function it was traced from.

    `nodes` stand in an order in which each follows its inputs; `leaves` tells of those without an
    op what they are. A value is a pair of a node and the index of one of its outputs. `outputs`
    are the values that a call returns, `updates` pairs of a leaf and the value that a call assigns
    to it (running statistics). `name` is the function's or network's.
    """

    nodes: tuple[Node, ...]
    leaves: Mapping[Node, Leaf]
    outputs: tuple[Value, ...]
    output_names: tuple[str, ...]
    updates: tuple[tuple[Node, Value], ...] = ()
    name: str = "graph"

    def __post_init__(self) -> None:
        known: set[Node] = set()
        for node in self.nodes:
            if node.op is None and node not in self.leaves:
                raise ArgumentError(f"Graph: {node} has no op and is not among the leaves")
            late = [source for source, _ in node.inputs if source not in known]
            if late:
                raise ArgumentError(f"Graph: {node} stands before its input {late[0]}")
            known.add(node)
        for node, index in (*self.outputs, *[value for _, value in self.updates]):
            if node not in known or index >= len(node.outputs):
                raise ArgumentError(f"Graph: the output {index} of {node} is not in the graph")

    # -- what is in it ------------------------------------------------------------------------

    def with_role(self, role: Role) -> list[Node]:
        """The leaves of this role, in order."""
        return [node for node in self.nodes if node.op is None and self.leaves[node].role == role]

    @cached_property
    def inputs(self) -> tuple[Node, ...]:
        """The leaves that a call takes values for, in order."""
        return tuple(self.with_role(Role.INPUT))

    @property
    def input_names(self) -> tuple[str, ...]:
        return tuple([self.leaves[node].name for node in self.inputs])

    @property
    def input_specs(self) -> tuple[Spec, ...]:
        return tuple([node.outputs[0] for node in self.inputs])

    @property
    def output_specs(self) -> tuple[Spec, ...]:
        return tuple([node.outputs[index] for node, index in self.outputs])

    @cached_property
    def calls(self) -> tuple[Node, ...]:
        """The nodes that are calls of ops."""
        return tuple([node for node in self.nodes if node.op is not None])

    @cached_property
    def users(self) -> Mapping[Node, tuple[Node, ...]]:
        """For each node, those that read it, once for every operand that does."""
        users: dict[Node, list[Node]] = {node: [] for node in self.nodes}
        for node in self.nodes:
            for source, _ in node.inputs:
                users[source].append(node)
        return {node: tuple(readers) for node, readers in users.items()}

    @cached_property
    def labels(self) -> Mapping[Node, str]:
        """A name of its own for every node: of a leaf its name, of a call the path of its module,
        without the network, and the op. What would stand twice is numbered."""
        labels: dict[Node, str] = {}
        taken: dict[str, int] = {}
        for node in self.nodes:
            label = base = self._label(node)
            while label in taken:
                taken[base] += 1
                label = f"{base}_{taken[base]}"
            taken[label] = taken.get(label, 1)
            labels[node] = label
        return labels

    def _label(self, node: Node) -> str:
        if node.op is None:
            leaf = self.leaves[node]
            return leaf.name or str(leaf.role)
        path = node.module_path.partition(".")[2]
        return f"{path}.{node.name}" if path else node.name

    @property
    def cost(self) -> Cost:
        """MACs, FLOPs and bytes moved of all nodes together."""
        costs = [node.cost for node in self.calls]
        return Cost(
            sum(cost.macs for cost in costs),
            sum(cost.flops for cost in costs),
            sum(cost.bytes_moved for cost in costs),
        )

    def is_backward(self, node: Node) -> bool:
        """Whether a node belongs to the backward pass."""
        return node.origin is not None or node in self._after_backward

    @cached_property
    def _after_backward(self) -> frozenset[Node]:
        """The sums of cotangents: calls outside of every backward that read what came of one."""
        found: set[Node] = set()
        for node in self.calls:
            if node.origin is None and any(
                source.origin is not None or source in found for source, _ in node.inputs
            ):
                found.add(node)
        return frozenset(found)

    def __len__(self) -> int:
        return len(self.nodes)

    def __eq__(self, other: object) -> bool:
        """Whether another graph has the same nodes, wired alike: see `equality`."""
        from minigrad.graph.equality import equal

        return equal(self, other) if isinstance(other, Graph) else NotImplemented

    def __hash__(self) -> int:
        return hash((self.name, len(self.nodes), self.output_names))

    def __repr__(self) -> str:
        ins = ", ".join(
            f"{n}: {s}" for n, s in zip(self.input_names, self.input_specs, strict=True)
        )
        return f"<Graph {self.name}({ins}): {len(self.calls)} calls, {len(self.outputs)} outputs>"

    # -- running it ---------------------------------------------------------------------------

    def __call__(self, *inputs: Any) -> Any:
        """The outputs for these inputs, one tensor or a tuple: see `interpreter.run`."""
        from minigrad.graph.interpreter import run

        outputs = run(self, inputs)
        return outputs[0] if len(outputs) == 1 else outputs

    def parameters(self) -> list[Tensor]:
        """The tensors of the leaves that require a gradient."""
        leaves = [self.leaves[node] for node in self.with_role(Role.PARAMETER)]
        return [leaf.tensor for leaf in leaves if leaf.tensor is not None and leaf.requires_grad]

    def with_values(self, values: Mapping[str, Tensor]) -> Graph:
        """This graph with other tensors for leaves, by name."""
        leaves = dict(self.leaves)
        by_name = {leaf.name: node for node, leaf in leaves.items()}
        for name, tensor in values.items():
            if name not in by_name:
                raise TraceError(f"with_values: the graph has no leaf {name!r}")
            node = by_name[name]
            if tensor.spec != node.outputs[0]:
                raise TraceError(f"with_values: {name} is {node.outputs[0]}, got {tensor.spec}")
            leaves[node] = replace(leaves[node], tensor=tensor)
        return replace(self, leaves=leaves)

    # -- handing it on ------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str], **options: Any) -> None:
        """Write the graph in the format that the path's ending names: see `formats.FORMATS`.

        Raises ArgumentError for another ending, GraphError where the file cannot be written.
        """
        from minigrad.graph.formats import save

        save(self, path, **options)

    @staticmethod
    def load(path: str | os.PathLike[str]) -> Graph:
        """The graph that `save` wrote as JSON; parameters come without values, see `with_values`.

        Raises GraphError for a file that is damaged or of another kind.
        """
        from minigrad.graph.reading import load

        return load(path)

    def to_networkx(self) -> networkx.MultiDiGraph:
        """The graph for networkx: nodes by their labels, an edge for every operand; see
        `structure.network`."""
        from minigrad.graph.structure import network

        return network(self)

    def text(self, depth: int | None = None) -> str:
        """A table for a terminal: modules, calls, shapes, parameters, MACs; see `text.text`."""
        from minigrad.graph.text import text

        return text(self, depth)

    def __rich__(self) -> Any:
        from rich.console import Group

        from minigrad.graph.text import lines

        return Group(*lines(self))

    def _repr_svg_(self) -> str:
        from minigrad.graph.svg import svg

        return svg(self)

    def _repr_html_(self) -> str:
        """The picture for a notebook, in a window of its own height where it is a tall one."""
        return f'<div style="max-height: 40em; overflow: auto">{self._repr_svg_()}</div>'


def closed(nodes: Sequence[Node], needed: Sequence[Value]) -> list[Node]:
    """Of `nodes` in their order, those without which the needed values cannot be computed."""
    alive = {node for node, _ in needed}
    kept = []
    for node in reversed(nodes):
        if node in alive:
            kept.append(node)
            alive.update([source for source, _ in node.inputs])
    return kept[::-1]
