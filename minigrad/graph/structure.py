"""A graph for networkx, and what one reads off it: order, ancestors, the critical path, cuts.

The functions take a `Graph`, or a network in the form of `network`, from wherever it comes; one
with a cycle is refused. Nodes go by their labels (`Graph.labels`). The examples read this graph:

>>> import minigrad as mg
>>> def f(x, w):
...     y = x @ w
...     return (y.exp() + y).sum()
>>> graph = mg.trace(f, mg.Spec((8, 4)), mg.Spec((4, 2)))
>>> list(graph.to_networkx())
['x', 'w', 'matmul', 'exp', 'add', 'sum']
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import networkx

from minigrad.errors import ArgumentError, GraphError
from minigrad.graph import plain
from minigrad.graph.graph import Graph, Role, closed
from minigrad.tape import Node, Value

__all__ = [
    "CriticalPath",
    "Cut",
    "MemoryCurve",
    "ancestors",
    "critical_path",
    "cuts",
    "descendants",
    "memory_curve",
    "network",
    "topological_order",
]


def network(graph: Graph) -> networkx.MultiDiGraph:
    """The graph as a `networkx.MultiDiGraph`, of plain data alone.

    Each node is its label, with the attributes of `plain.facts`. Each operand is an edge, from the
    node that computes it to the one that reads it, with `operand` (its number in the reader),
    `output` (of the node it comes from), `shape` and `dtype`. The graph's attributes are `name`,
    `outputs` (name to label and output) and `updates` (of a buffer: label to label and output).

    >>> net = graph.to_networkx()
    >>> net.nodes["matmul"]["macs"]
    64
    >>> [(a, b, d["operand"]) for a, b, d in net.in_edges("add", data=True)]
    [('exp', 'add', 0), ('matmul', 'add', 1)]
    """
    labels = graph.labels
    net = networkx.MultiDiGraph(
        name=graph.name,
        outputs={
            name: (labels[node], index)
            for name, (node, index) in zip(graph.output_names, graph.outputs, strict=True)
        },
        updates={labels[leaf]: (labels[node], i) for leaf, (node, i) in graph.updates},
    )
    for node in graph.nodes:
        net.add_node(labels[node], **plain.facts(graph, node))
    for node in graph.nodes:
        for operand, (source, index) in enumerate(node.inputs):
            spec = source.outputs[index]
            net.add_edge(
                labels[source],
                labels[node],
                operand=operand,
                output=index,
                shape=spec.shape,
                dtype=plain.dtype_name(spec.dtype),
            )
    return net


def _acyclic(graph: Graph | networkx.MultiDiGraph) -> networkx.MultiDiGraph:
    if isinstance(graph, Graph):
        return network(graph)
    if not isinstance(graph, networkx.DiGraph):
        raise ArgumentError(
            f"takes a Graph or a directed network, got {type(graph).__name__}; see to_networkx"
        )
    if not networkx.is_directed_acyclic_graph(graph):
        cycle = [str(edge[0]) for edge in networkx.find_cycle(graph)]
        listed = " -> ".join([*cycle[:8], "..."] if len(cycle) > 8 else [*cycle, cycle[0]])
        raise GraphError(f"a computation has no cycles, but this graph has one: {listed}")
    return graph


def topological_order(graph: Graph | networkx.MultiDiGraph) -> list[str]:
    """All nodes, each behind those that it reads.

    >>> topological_order(graph)
    ['x', 'w', 'matmul', 'exp', 'add', 'sum']
    """
    return list(networkx.topological_sort(_acyclic(graph)))


def ancestors(graph: Graph | networkx.MultiDiGraph, label: str) -> set[str]:
    """All that a node depends on.

    >>> sorted(ancestors(graph, "exp"))
    ['matmul', 'w', 'x']
    """
    return _related(networkx.ancestors, graph, label)


def descendants(graph: Graph | networkx.MultiDiGraph, label: str) -> set[str]:
    """All that depends on a node.

    >>> sorted(descendants(graph, "exp"))
    ['add', 'sum']
    """
    return _related(networkx.descendants, graph, label)


def _related(
    relatives: Callable[[Any, str], set[str]], graph: Graph | networkx.MultiDiGraph, label: str
) -> set[str]:
    net = _acyclic(graph)
    if label not in net:
        raise ArgumentError(f"the graph has no node {label!r}; its labels are in Graph.labels")
    return relatives(net, label)


@dataclass(frozen=True)
class CriticalPath:
    """The chain of dependent nodes with the largest sum of weights: no number of processors makes
    a run shorter."""

    labels: tuple[str, ...]
    total: float


def critical_path(
    graph: Graph | networkx.MultiDiGraph, weights: str | Mapping[str, float] = "macs"
) -> CriticalPath:
    """The heaviest path: by an attribute of the nodes (`macs`, `flops`, `bytes_moved`), or by
    weights of your own, such as measured seconds, by label (0 for a node without one).

    >>> critical_path(graph, "flops").labels
    ('x', 'matmul', 'exp', 'add', 'sum')
    >>> critical_path(graph, {"exp": 0.002, "sum": 0.001}).total
    0.003
    """
    net = _acyclic(graph)
    if isinstance(weights, str):
        weights = dict(net.nodes(data=weights, default=0))
    unknown = [label for label in weights if label not in net]
    if unknown:
        raise ArgumentError(f"critical_path: the graph has no node {unknown[0]!r}")
    best: dict[str, float] = {}
    before: dict[str, str | None] = {}
    for label in networkx.topological_sort(net):
        heaviest = max(net.predecessors(label), key=best.__getitem__, default=None)
        before[label] = heaviest
        best[label] = weights.get(label, 0) + (0 if heaviest is None else best[heaviest])
    path: list[str] = []
    at = max(best, key=best.__getitem__, default=None)
    total = 0 if at is None else best[at]
    while at is not None:
        path.append(at)
        at = before[at]
    return CriticalPath(tuple(path[::-1]), total)


@dataclass(frozen=True)
class MemoryCurve:
    """Bytes that are held when each call has run, in the order of `labels`, its inputs not yet let
    go: what it computed, and what later calls or the caller still read. `inputs` (and constants)
    are in it all the time; `parameters` (and buffers) are apart."""

    labels: tuple[str, ...]
    live: tuple[int, ...]
    inputs: int
    parameters: int

    @property
    def peak(self) -> int:
        """The most that is held at once, without the parameters."""
        return max(self.live, default=self.inputs)

    @property
    def peak_label(self) -> str | None:
        """The call at which that is."""
        return self.labels[self.live.index(self.peak)] if self.labels else None


def memory_curve(graph: Graph) -> MemoryCurve:
    """How much memory a run in the graph's order holds, if each result has an array of its own (a
    reshape, which shares its input's, is counted too).

    >>> curve = memory_curve(graph)
    >>> dict(zip(curve.labels, curve.live))
    {'matmul': 224, 'exp': 288, 'add': 352, 'sum': 228}
    >>> curve.peak, curve.peak_label
    (352, 'add')
    """
    last = _last_reads(graph, set(graph.nodes))
    last |= dict.fromkeys([value for _, value in graph.updates], len(graph.nodes))
    leaves = {Role(role): 0 for role in Role}
    for node, leaf in graph.leaves.items():
        leaves[leaf.role] += node.outputs[0].nbytes
    inputs = leaves[Role.INPUT] + leaves[Role.CONSTANT]
    ends: dict[int, int] = {}
    live, held = [], inputs
    for position, node in enumerate(graph.nodes):
        if node.op is not None:
            for index, spec in enumerate(node.outputs):
                held += spec.nbytes
                end = last.get((node, index), position)
                ends[end] = ends.get(end, 0) + spec.nbytes
            live.append(held)
        held -= ends.pop(position, 0)
    labels = tuple([graph.labels[node] for node in graph.calls])
    return MemoryCurve(labels, tuple(live), inputs, leaves[Role.PARAMETER] + leaves[Role.BUFFER])


def _last_reads(graph: Graph, readers: Collection[Node]) -> dict[Value, int]:
    """The position of the last of the readers that reads a value; behind all for the outputs."""
    positions = enumerate(graph.nodes)
    last = {value: i for i, node in positions if node in readers for value in node.inputs}
    return last | dict.fromkeys(graph.outputs, len(graph.nodes))


@dataclass(frozen=True)
class Cut:
    """A value through which all that follows depends on the inputs: cut there, the two parts hand
    on one tensor, of so many bytes."""

    label: str
    output: int
    nbytes: int


def cuts(graph: Graph) -> list[Cut]:
    """Where the graph falls in two parts with one tensor between them: the values that every way
    from an input to an output goes through. What depends on no input (parameters, constants, and
    calls on them alone) may be had in either part; calls that no output needs do not count, and
    neither do updates of buffers.

    >>> [cut.label for cut in cuts(mg.trace(lambda x: (x.exp() + x).sqrt().sum(), mg.Spec((3,))))]
    ['x', 'add', 'sqrt', 'sum']
    """
    needed = set(closed(graph.nodes, graph.outputs))
    last = _last_reads(graph, needed)
    dependent = set(graph.inputs)
    waiting = len(dependent)
    ends: dict[int, int] = {}
    alive, found = 0, []
    for position, node in enumerate(graph.nodes):
        waiting -= node in dependent
        alive -= ends.pop(position, 0)
        if any(source in dependent for source, _ in node.inputs):
            dependent.add(node)
        if node not in dependent or node not in needed:
            continue
        own = [i for i in range(len(node.outputs)) if last.get((node, i), -1) > position]
        for index in own:
            end = last[node, index]
            ends[end] = ends.get(end, 0) + 1
        alive += len(own)
        if alive == len(own) == 1 and not waiting:
            found.append(Cut(graph.labels[node], own[0], node.outputs[own[0]].nbytes))
    return found
