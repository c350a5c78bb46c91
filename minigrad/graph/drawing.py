"""A picture of a graph as boxes and lines, which `svg` and `png` draw.

Modules are open down to a depth; below it they are boxes. Of equal blocks one is drawn, with how
many there are. The forward pass goes down; the backward pass stands beside it and goes up again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from minigrad.errors import ArgumentError
from minigrad.graph.graph import Graph, Role
from minigrad.graph.hierarchy import IN, OUT, End, Group, Hierarchy, Item, hierarchy
from minigrad.graph.layered import Layout, Point, layered
from minigrad.graph.plain import printable
from minigrad.graph.wording import amount, family, shape, title
from minigrad.tape import Node

HEADER, PAD, HEIGHT, GAP, MARGIN = 26.0, 14.0, 42.0, 80.0, 24.0
READABLE = 90
"""As many boxes are drawn at most, unless a depth is given."""


@dataclass(frozen=True)
class Box:
    """A node, a closed module or, where `open`, the frame around what is in it. `kind` is a family
    of ops, "group" or "frame"; `lines` are two lines of text."""

    x: float
    y: float
    w: float
    h: float
    lines: tuple[str, str]
    kind: str
    about: str
    backward: bool
    count: int = 1
    round: bool = False


@dataclass(frozen=True)
class Line:
    """An edge by the points it passes; `crossing` leads from the forward to the backward pass."""

    points: tuple[Point, ...]
    arrow: bool
    crossing: bool = False


@dataclass
class Drawing:
    """Boxes (a frame before those within it), lines, titles, and the size of it all."""

    name: str
    boxes: list[Box] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    titles: list[tuple[float, float, str]] = field(default_factory=list)
    width: float = 2 * MARGIN
    height: float = 2 * MARGIN


def drawing(graph: Graph, depth: int | None = None, parameters: bool = False) -> Drawing:
    """The picture of a graph with modules drawn down to `depth` (1: the outermost alone), by
    default as far as it remains readable; with `parameters`, also buffers and constants.

    Raises ArgumentError for a depth that is not an integer of at least 1.
    """
    if depth is not None and (not isinstance(depth, int) or isinstance(depth, bool) or depth < 1):
        raise ArgumentError(f"depth: down to which module to draw takes 1, 2, ..., got {depth!r}")
    tree = hierarchy(graph)
    if depth is None:
        depth = 1
        while (grown := _count(tree, depth + 1)) <= READABLE and grown > _count(tree, depth):
            depth += 1
    return _Picture(tree, depth, parameters).drawn()


def _levels(tree: Hierarchy, depth: int) -> dict[Group, int]:
    """The groups that are open, and at which depth each stands: the network itself at 0."""
    levels = dict.fromkeys(tree.roots, 0)
    stack = list(tree.roots)
    while stack:
        group = stack.pop()
        for child in _members(group).children:
            if isinstance(child, Group) and levels[group] + 1 < depth:
                levels[child] = levels[group] + 1
                stack.append(child)
    return levels


def _members(group: Group) -> Group:
    """The group whose children are drawn in a group's frame: of equal blocks the first."""
    first = group.children[0] if group.count > 1 else group
    return first if isinstance(first, Group) else group


def _count(tree: Hierarchy, depth: int) -> int:
    """How many boxes are drawn at this depth, without leaves."""
    return sum(
        isinstance(child, Group) or child.op is not None
        for group in _levels(tree, depth)
        for child in _members(group).children
    )


@dataclass(frozen=True)
class _Inside:
    """An open group, laid out: where its children and its two ports are."""

    size: Point
    places: Mapping[Item, Point]  # upper left corners
    routes: Mapping[tuple[End, End], tuple[Point, ...]]
    ports: Mapping[str, float]


class _Picture:
    """What is gathered while a picture is laid out, from the innermost groups to the passes."""

    def __init__(self, tree: Hierarchy, depth: int, parameters: bool) -> None:
        self.tree = tree
        self.graph = tree.graph
        self.parameters = parameters
        self.levels = _levels(tree, depth)
        self.inside: dict[Group, _Inside] = {}
        self.corners: dict[Item, Box] = {}
        self.result = Drawing(tree.graph.name)

    def drawn(self) -> Drawing:
        for group in reversed(list(self.levels)):
            self.inside[group] = self._laid_out(group)
        roots = self.tree.roots
        height = max(self.inside[root].size[1] for root in roots)
        top = MARGIN + (24.0 if len(roots) > 1 else 0.0)
        x = MARGIN
        for root in roots:
            w, h = self.inside[root].size
            if len(roots) > 1:
                name = "Backward ↑" if root.backward else "Forward ↓"
                self.result.titles.append((x + w / 2, top + height - h - 14, name))
            self._draw(root, (x, top + height - h))
            x += w + GAP
        self.result.width = x - GAP + MARGIN
        self.result.height = top + height + MARGIN
        self._draw_crossing()
        return self.result

    # -- sizes and places -------------------------------------------------------------------------

    def _visible(self, item: Item) -> bool:
        if isinstance(item, Group) or item.op is not None or self.parameters:
            return True
        return self.graph.leaves[item].role == Role.INPUT

    def _lines(self, item: Item) -> tuple[str, str]:
        if isinstance(item, Node):
            first = title(self.graph, item, self.tree.captions.get(item, ""))
            return _clipped(first), _clipped(", ".join([shape(spec) for spec in item.outputs]))
        times = f" ×{item.count}" if item.count > 1 else ""
        return _clipped(f"{item.name}{times}"), _clipped(item.kind)

    def _size(self, item: Item) -> Point:
        if isinstance(item, Group) and item in self.inside:
            return self.inside[item].size
        first, second = self._lines(item)
        if isinstance(item, Group):
            second = self._work(item)
        return max(7.9 * len(first), 6.3 * len(second), 50.0) + 22.0, HEIGHT

    def _work(self, group: Group) -> str:
        """A closed group's second line: what it is, and what it costs."""
        calls, macs, stack = 0, 0, [group]
        while stack:
            for child in stack.pop().children:
                if isinstance(child, Group):
                    stack.append(child)
                elif child.op is not None:
                    calls, macs = calls + 1, macs + child.cost.macs
        return _clipped(f"{group.kind} · {f'{amount(macs)} MACs' if macs else f'{calls} ops'}")

    def _opened(self, items: Sequence[Item]) -> list[Group]:
        return [item for item in items if isinstance(item, Group) and item in self.inside]

    def _anchors(self, group: Group) -> Point:
        """How far beside the middle an open group's own edges begin and end."""
        inside = self.inside[group]
        middle = inside.size[0] / 2
        return inside.ports.get(IN, middle) - middle, inside.ports.get(OUT, middle) - middle

    def _laid_out(self, group: Group) -> _Inside:
        shown = _members(group)
        # In the order that edges follow: leaves, which were put last, are read by the others.
        visible = [child for child in shown.children if self._visible(child)]
        visible.sort(key=lambda item: isinstance(item, Group) or item.op is not None)
        ends = {end for edge in shown.edges for end in edge}
        items: list[End] = [*visible, *[port for port in (IN, OUT) if port in ends]]
        number = {item: i for i, item in enumerate(items)}
        sizes = [(8.0, 0.0) if isinstance(i, str) else self._size(i) for i in items]
        edges = [(number[a], number[b]) for a, b in shown.edges if a in number and b in number]
        anchors = {number[item]: self._anchors(item) for item in self._opened(visible)}
        layout = layered(sizes, edges, number.get(IN), number.get(OUT), anchors)
        (left, top), size = self._framed(group, layout)

        def moved(point: Point) -> Point:
            y = layout.height - point[1] if group.backward else point[1]
            return point[0] + left, y + top

        places: dict[Item, Point] = {}
        for item, centre, (w, h) in zip(items, layout.centres, sizes, strict=True):
            if not isinstance(item, str):
                x, y = moved(centre)
                places[item] = x - w / 2, y - h / 2
        routes = {
            (items[a], items[b]): tuple([moved(p) for p in points])
            for (a, b), points in layout.routes.items()
        }
        ports = {p: moved(layout.centres[number[p]])[0] for p in (IN, OUT) if p in number}
        return _Inside(size, places, routes, ports)

    def _framed(self, group: Group, layout: Layout) -> tuple[Point, Point]:
        """Where in a group's frame its layout begins, and the size of the frame."""
        if group.outer is None:
            return (0.0, 0.0), (layout.width, layout.height)
        heading = 7.9 * len(self._lines(group)[0]) + 6.3 * len(group.kind) + 34.0
        width = max(layout.width + 2 * PAD, heading)
        top = HEADER + 4.0
        return ((width - layout.width) / 2, top), (width, layout.height + top + PAD)

    # -- drawing ----------------------------------------------------------------------------------

    def _draw(self, root: Group, corner: Point) -> None:
        stack = [(root, corner)]
        while stack:
            group, (left, top) = stack.pop()
            inside = self.inside[group]
            for item, (x, y) in inside.places.items():
                self._draw_box(item, left + x, top + y)
                if isinstance(item, Group) and item in self.inside:
                    stack.append((item, (left + x, top + y)))
            for (a, b), points in inside.routes.items():
                placed = [(left + x, top + y) for x, y in points]
                self._to_rim(group, a, b, placed, top)
                arrow = b != OUT and not (isinstance(b, Group) and b in self.inside)
                self.result.lines.append(Line(tuple(placed), arrow))

    def _to_rim(self, group: Group, a: End, b: End, points: list[Point], top: float) -> None:
        """An edge from or to the outside begins or ends at the frame's rim."""
        lower, upper = top + self.inside[group].size[1], top
        if a == IN:
            points[0] = points[0][0], lower if group.backward else upper
        if b == OUT:
            points[-1] = points[-1][0], upper if group.backward else lower

    def _draw_box(self, item: Item, x: float, y: float) -> None:
        w, h = self._size(item)
        lines = self._lines(item)
        if isinstance(item, Node):
            about = f"{self.graph.labels[item]}: {', '.join([shape(s) for s in item.outputs])}"
            backward = self.tree.homes[item].backward
            box = Box(x, y, w, h, lines, family(item), about, backward, round=item.op is None)
        else:
            open_ = item in self.inside
            about = f"{item.path or item.name} ({item.kind})"
            box = Box(x, y, w, h, lines, "frame", about, item.backward, item.count)
            if not open_:
                box = replace(box, kind="group", lines=(lines[0], self._work(item)))
        self.corners[item] = box
        self.result.boxes.append(box)

    def _draw_crossing(self) -> None:
        pairs: dict[tuple[Item, Item], None] = {}
        for source, user in self.tree.crossing:
            a, b = self._box_of(source), self._box_of(user)
            if a in self.corners and b in self.corners:
                pairs[a, b] = None
        for a, b in pairs:
            p, q = self.corners[a], self.corners[b]
            ends = (p.x + p.w, p.y + p.h / 2), (q.x, q.y + q.h / 2)
            self.result.lines.append(Line(ends, False, True))

    def _box_of(self, node: Node) -> Item:
        """The box that stands for a node."""
        box: Item = node
        outer: Group | None = self.tree.homes[node]
        while outer is not None:
            if outer not in self.inside and (outer.outer is None or outer.outer.count == 1):
                box = outer
            outer = outer.outer
        return box


def _clipped(text: str, length: int = 44) -> str:
    text = printable(text)
    return text if len(text) <= length else f"{text[: length - 1]}…"


def stacked(count: int) -> int:
    """How many boxes are drawn behind one that stands for several."""
    return min(2, math.ceil(math.log2(count))) if count > 1 else 0
