"""Where the calls of a graph stand: in which modules, and in which of the two passes.

A backward call stands where the forward call stands that it belongs to. A sum of cotangents, which
belongs to none, stands in what its summands share, or the calls around it, whichever is deeper.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce

from minigrad.graph.composite import Composite
from minigrad.graph.graph import Graph
from minigrad.tape import Frame, Node

Frames = tuple[Frame, ...]


@dataclass(frozen=True)
class Place:
    """The modules being called, outermost first, and whether it is the backward pass."""

    frames: Frames
    backward: bool


NOWHERE = Place((), False)


def placements(graph: Graph) -> dict[Node, Place]:
    """The place of every call, in order."""
    known: dict[Frame, Frames] = {}
    places = {node: Place(_frames(node, known), graph.is_backward(node)) for node in graph.calls}
    after: dict[Node, Frames] = {}
    latest: Frames = ()
    for node in reversed(graph.calls):
        if _is_sum(graph, node):
            after[node] = latest
        else:
            latest = places[node].frames if places[node].backward else ()
    latest = ()
    for node in graph.calls:
        if node in after:
            summands = [places[source].frames for source, _ in node.inputs if source in places]
            around = _shared(latest, after[node])
            places[node] = Place(max(around, reduce(_shared, summands), key=len), True)
        else:
            latest = places[node].frames if places[node].backward else ()
    return places


def _is_sum(graph: Graph, node: Node) -> bool:
    return node.origin is None and node.scope is None and graph.is_backward(node)


def _frames(node: Node, known: dict[Frame, Frames]) -> Frames:
    """The frames of a call's module; a composite stands beside its module, not in it."""
    scope = node.scope if node.origin is None else node.origin.scope
    if scope is None:
        return ()
    if scope not in known:
        known[scope] = tuple(scope.frames)
    return known[scope][:-1] if isinstance(node.op, Composite) else known[scope]


def _shared(first: Frames, second: Frames) -> Frames:
    count = 0
    while count < min(len(first), len(second)) and first[count] is second[count]:
        count += 1
    return first[:count]


# -- for the views ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Opened:
    """From here on, until it is closed, all stands in this module's call."""

    frame: Frame
    backward: bool
    depth: int


@dataclass(frozen=True)
class Closed:
    """The module that was opened last ends here."""

    depth: int


def walk(graph: Graph) -> Iterator[Opened | Closed | Node]:
    """All nodes in order, and between them where modules open and close. Parameters and other
    leaves stand in front of the first call that reads them; inputs at the top."""
    places = placements(graph)
    yield from graph.inputs
    shown = set(graph.inputs)
    place = NOWHERE
    for node in graph.calls:
        yield from _moves(place, places[node])
        place = places[node]
        for source, _ in node.inputs:
            if source.op is None and source not in shown:
                shown.add(source)
                yield source
        yield node
    yield from _moves(place, NOWHERE)
    yield from [node for node in graph.nodes if node.op is None and node not in shown]


def _moves(old: Place, new: Place) -> Iterator[Opened | Closed]:
    stay = len(_shared(old.frames, new.frames)) if old.backward == new.backward else 0
    for depth in range(len(old.frames), stay, -1):
        yield Closed(depth - 1)
    for depth in range(stay, len(new.frames)):
        yield Opened(new.frames[depth], new.backward, depth)
