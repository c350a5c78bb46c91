"""Views of a graph that are graphs: by module depth, and with repeated blocks folded.

What is folded becomes a `Composite`, so the view runs, is measured and is written like any graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from minigrad.errors import ArgumentError
from minigrad.graph.composite import Composite
from minigrad.graph.equality import identity
from minigrad.graph.graph import Graph, Leaf, Role
from minigrad.graph.placement import placements
from minigrad.graph.rebuild import Rebuild, twin
from minigrad.spec import as_integer
from minigrad.tape import Frame, Node, Value

__all__ = ["at_depth", "fold_repeats"]


@dataclass(frozen=True)
class Region:
    """Calls that stand together in one call of a module, in one of the two passes."""

    nodes: tuple[Node, ...]
    frame: Frame
    backward: bool

    @property
    def name(self) -> str:
        return f"{self.frame.kind}.backward" if self.backward else self.frame.kind


def at_depth(graph: Graph, depth: int) -> Graph:
    """The graph with every module at this depth as one node, and its backward as another.

    At depth 0 the whole network is one node, at depth 1 its children are, and so on; calls that
    modules above make themselves stay as they are. Raises ArgumentError for a negative depth.
    """
    if as_integer("at_depth", "depth", depth) < 0:
        raise ArgumentError(f"at_depth: depth is 0 or more, got {depth}")
    regions = _regions(graph, depth)
    of = {node: region for region in regions for node in region.nodes}
    escaping = _escaping(graph, of)
    new = Rebuild(graph)
    forwards: dict[Frame, Node] = {}
    for node in graph.nodes:
        if node not in of:
            new.keep(node)
        elif node is of[node].nodes[-1]:
            _enclose(new, of[node], escaping, forwards)
    return new.graph_of_new()


def _regions(graph: Graph, depth: int) -> list[Region]:
    """The longest runs of calls within one module's call at this depth. Since a run is without a
    gap in the order, whatever is outside comes before or after all of it: no cycle can arise."""
    runs: list[list[Node]] = []
    keys: list[tuple[Frame, bool] | None] = []
    for node, place in placements(graph).items():
        deep = len(place.frames) > depth
        key = (place.frames[depth], place.backward) if deep else None
        if not keys or keys[-1] != key:
            runs.append([])
            keys.append(key)
        runs[-1].append(node)
    found = zip(keys, runs, strict=True)
    return [Region(tuple(nodes), *key) for key, nodes in found if key is not None]


def _escaping(graph: Graph, of: dict[Node, Region]) -> dict[Region, list[Value]]:
    """The values of each region that are read outside of it."""
    read: dict[Value, None] = {}
    for node in graph.nodes:
        region = of.get(node)
        for value in node.inputs:
            if value[0] in of and of[value[0]] is not region:
                read[value] = None
    for value in (*graph.outputs, *[value for _, value in graph.updates]):
        if value[0] in of:
            read[value] = None
    order = {node: i for i, node in enumerate(graph.nodes)}
    values: dict[Region, list[Value]] = {region: [] for region in of.values()}
    for node, index in sorted(read, key=lambda value: (order[value[0]], value[1])):
        values[of[node]].append((node, index))
    return values


def _enclose(
    new: Rebuild, region: Region, escaping: dict[Region, list[Value]], forwards: dict[Frame, Node]
) -> None:
    """Add the composite of a region."""
    taken = _taken(region.nodes)
    given = escaping[region]
    body = _body(new, region, taken, given)
    node = Node(
        Composite(region.name, body),
        tuple([new.values.get(value, value) for value in taken]),
        tuple(taken.values()),
        tuple([source.outputs[index] for source, index in given]),
    )
    node.scope, node.age, node.line = region.frame, region.nodes[-1].age, region.nodes[0].line
    if region.backward:
        node.origin = forwards.get(region.frame) or _gone(region.frame)
    else:
        forwards.setdefault(region.frame, node)
    new.nodes.append(node)
    new.values.update({value: (node, i) for i, value in enumerate(given)})


def _gone(frame: Frame) -> Node:
    """What a backward belongs to whose forward is not in the graph."""
    node = Node(Composite(frame.kind, Graph((), {}, (), ())), (), (), ())
    node.scope = frame
    return node


def _taken(nodes: Sequence[Node]) -> dict[Value, bool]:
    """The values that some calls read and do not compute, and whether they want their gradient."""
    inside = set(nodes)
    taken: dict[Value, bool] = {}
    for node in nodes:
        for value, need in zip(node.inputs, node.needs, strict=True):
            if value[0] not in inside:
                taken[value] = taken.get(value, False) or need
    return taken


def _body(new: Rebuild, region: Region, taken: Iterable[Value], given: Sequence[Value]) -> Graph:
    """The calls of a region as a graph; what they read from outside are its inputs."""
    labels = new.graph.labels
    nodes: list[Node] = []
    leaves: dict[Node, Leaf] = {}
    values: dict[Value, Value] = {}
    for source, index in taken:
        leaf = Node(None, (), (), (source.outputs[index],))
        nodes.append(leaf)
        leaves[leaf] = Leaf(_value_name(labels[source], index), Role.INPUT, None)
        values[source, index] = (leaf, 0)
    for node in region.nodes:
        inputs = [values[value] for value in node.inputs]
        inner = twin(node, node.op, inputs, new.origin(node))
        nodes.append(inner)
        new.twins[node] = inner
        values.update({(node, i): (inner, i) for i in range(len(node.outputs))})
    names = [_value_name(labels[source], index) for source, index in given]
    outputs = tuple([values[value] for value in given])
    return Graph(tuple(nodes), leaves, outputs, tuple(names), (), region.frame.path)


def _value_name(label: str, index: int) -> str:
    return f"{label}:{index}" if index else label


# -- repeated blocks --------------------------------------------------------------------------


def fold_repeats(graph: Graph) -> Graph:
    """The graph with modules of equal structure that follow one another as one node "x N".

    Of a view at some depth: `fold_repeats(at_depth(graph, 2))` of a ResNet shows each layer as its
    first block and the N others. Blocks are equal if their calls are, with all parameters of the
    ops, specs and wiring; each but the first reads outputs of the one before it, always the same.
    """
    new = Rebuild(graph)
    for blocks in _chains(graph):
        if len(blocks) == 1:
            new.keep(blocks[0])
        else:
            _fold(new, blocks)
    return new.graph_of_new()


def _chains(graph: Graph) -> list[list[Node]]:
    """All nodes in order, repeated blocks in one list; leaves that stand between go in front."""
    chains: list[list[Node]] = []
    waiting: list[list[Node]] = []
    members: set[Node] = set()
    for node in graph.nodes:
        if node.op is None:
            waiting.append([node])
            continue
        if chains and _continues(chains[-1], members, node):
            chain = chains.pop()
        else:
            chain, members = [], set()
        chain.append(node)
        members.add(node)
        chains += [*waiting, chain]
        waiting = []
    return chains + waiting


def _continues(chain: Sequence[Node], members: set[Node], node: Node) -> bool:
    """Whether a node is one more block of a chain."""
    first = chain[0].op
    if not (isinstance(node.op, Composite) and isinstance(first, Composite)):
        return False
    if node.op.count > 1 or first.count > 1:
        return False
    links = _links(chain[-1], node)
    own = [source for i, (source, _) in enumerate(node.inputs) if i not in links]
    return (
        bool(links)
        and (len(chain) == 1 or links == _links(chain[-2], chain[-1]))
        and members.isdisjoint(own)
        and identity(first) == identity(node.op)
    )


def _links(before: Node, node: Node) -> dict[int, int]:
    """Which inputs of a node are which outputs of the one before it."""
    return {i: index for i, (source, index) in enumerate(node.inputs) if source is before}


def _fold(new: Rebuild, blocks: Sequence[Node]) -> None:
    """Add one node for all blocks: the body is the first one's."""
    links = _links(blocks[0], blocks[1])
    own = [
        (value, need)
        for number, block in enumerate(blocks)
        for i, (value, need) in enumerate(zip(new.inputs(block), block.needs, strict=True))
        if number == 0 or i not in links
    ]
    ops = [block.op for block in blocks if isinstance(block.op, Composite)]
    first, count = ops[0], len(ops)
    for op in ops[1:]:
        new.twins.update(zip(op.body.nodes, first.body.nodes, strict=True))
    node = Node(
        Composite(f"{first.name} x {count}", new.inside(first.body), count, links),
        tuple([value for value, _ in own]),
        tuple([need for _, need in own]),
        tuple([spec for block in blocks for spec in block.outputs]),
    )
    node.scope, node.line, node.age = blocks[0].scope, blocks[0].line, blocks[-1].age
    node.origin = new.origin(blocks[0])
    new.nodes.append(node)
    for number, block in enumerate(blocks):
        new.stands_for(node, block, number * len(first.body.outputs))
