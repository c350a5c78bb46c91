"""A graph as a static SVG picture, made without any other program, light or dark as the reader's
system is. All text is text, and what it points at is told in titles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from os import PathLike

from minigrad.graph.drawing import Box, Drawing, Line, drawing, stacked
from minigrad.graph.graph import Graph
from minigrad.graph.layered import Point
from minigrad.graph.plain import printable
from minigrad.graph.writing import write_text

LIGHT = {
    "ground": "#f7f8fa",
    "ink": "#1c2430",
    "soft": "#5d6b7d",
    "line": "#c3cad4",
    "edge": "#8593a5",
    "crossing": "#b98546",
    "frame": "#eef1f6",
    "group": "#e2e8f1",
    "leaf": "#f3f3ee",
    "product": "#cfe0fb",
    "pooling": "#d5efdb",
    "normalization": "#e9dcf7",
    "activation": "#fbe0cf",
    "movement": "#e3e7ec",
    "other": "#f6ecc6",
}
DARK = {
    "ground": "#14181e",
    "ink": "#e6ebf2",
    "soft": "#9dabbc",
    "line": "#38424f",
    "edge": "#77869a",
    "crossing": "#b5813f",
    "frame": "#191f27",
    "group": "#2c3542",
    "leaf": "#2c2f33",
    "product": "#274673",
    "pooling": "#245038",
    "normalization": "#4a3766",
    "activation": "#66412b",
    "movement": "#333c47",
    "other": "#554a1f",
}
TEXTS = ("ink", "soft")
STROKES = ("edge", "crossing")

SHAPES = """
.minigrad text { font-family: system-ui, sans-serif; text-anchor: middle }
.minigrad .ink { font-size: 13px; font-weight: 600 }
.minigrad .soft { font-size: 11px }
.minigrad .heading { text-anchor: start; paint-order: stroke; stroke-width: 5 }
.minigrad .edge { stroke-width: 1.3 }
.minigrad .crossing { stroke-dasharray: 4 3; stroke-opacity: .45 }
.minigrad .backward { stroke-dasharray: 4 2 }
"""


def write(
    graph: Graph, path: str | PathLike[str], *, depth: int | None = None, parameters: bool = False
) -> None:
    """Write the picture of a graph; see `drawing.drawing` for the options."""
    write_text(path, svg(graph, depth, parameters))


def svg(graph: Graph, depth: int | None = None, parameters: bool = False) -> str:
    """The picture of a graph as an <svg> element that can stand alone or in a page."""
    picture = drawing(graph, depth, parameters)
    w, h = _number(picture.width), _number(picture.height)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="minigrad" role="img" width="{w}" '
            f'height="{h}" viewBox="0 0 {w} {h}">',
            f"<title>{_text(picture.name)}</title>",
            f"<style>{SHAPES}{_colours(LIGHT)}"
            f"@media (prefers-color-scheme: dark) {{\n{_colours(DARK)}}}</style>",
            f'<rect class="ground" width="{w}" height="{h}"/>',
            *_body(picture),
            "</svg>",
        ]
    )


def _body(picture: Drawing) -> list[str]:
    frames = [_frame(box) for box in picture.boxes if box.kind == "frame"]
    lines = [_line(line) for line in picture.lines]
    boxes = [_box(box) for box in picture.boxes if box.kind != "frame"]
    titles = [
        f'<text class="ink" x="{_number(x)}" y="{_number(y)}">{_text(name)}</text>'
        for x, y, name in picture.titles
    ]
    headings = [_heading(box) for box in picture.boxes if box.kind == "frame"]
    return [*frames, *lines, *headings, *boxes, *titles]


def _colours(theme: Mapping[str, str]) -> str:
    rules = []
    for name, colour in theme.items():
        if name in TEXTS:
            rules.append(f".minigrad .{name} {{ fill: {colour} }}")
        elif name in STROKES:
            rules.append(f".minigrad .{name} {{ stroke: {colour}; fill: none }}")
        elif name == "line":
            rules.append(f".minigrad .body {{ stroke: {colour} }}")
        else:
            rules.append(f".minigrad .{name} {{ fill: {colour} }}")
    crossing, edge = theme["crossing"], theme["edge"]
    rules.append(f".minigrad .backward {{ stroke: {crossing} }}")
    rules.append(f".minigrad .head {{ fill: {edge} }}")
    rules.append(f".minigrad .heading {{ stroke: {theme['frame']} }}")
    return "\n".join(rules) + "\n"


def _frame(box: Box) -> str:
    return f"<g><title>{_text(box.about)}</title>{_rect(box, 'frame', 8)}</g>"


def _heading(box: Box) -> str:
    """The name of an open module, in front of the lines that lead into it."""
    name, kind = box.lines
    return (
        f'<text class="heading" x="{_number(box.x + 10)}" y="{_number(box.y + 18)}">'
        f'<tspan class="ink">{_text(name)}</tspan> '
        f'<tspan class="soft" dx="4">{_text(kind)}</tspan></text>'
    )


def _box(box: Box) -> str:
    behind = stacked(box.count)
    layers = [
        _rect(box, box.kind, box.h / 2 if box.round else 6, 4.0 * i) for i in range(behind, -1, -1)
    ]
    x = _number(box.x + box.w / 2)
    first, second = box.lines
    return (
        f"<g><title>{_text(box.about)}</title>{''.join(layers)}"
        f'<text class="ink" x="{x}" y="{_number(box.y + 18)}">{_text(first)}</text>'
        f'<text class="soft" x="{x}" y="{_number(box.y + 33)}">{_text(second)}</text></g>'
    )


def _rect(box: Box, kind: str, radius: float, shift: float = 0.0) -> str:
    back = " backward" if box.backward else ""
    return (
        f'<rect class="body {kind}{back}" x="{_number(box.x + shift)}" '
        f'y="{_number(box.y - shift)}" width="{_number(box.w)}" height="{_number(box.h)}" '
        f'rx="{_number(radius)}"/>'
    )


def _line(line: Line) -> str:
    kind = "crossing" if line.crossing else "edge"
    path = f'<path class="{kind}" d="{_path(curve(line))}"/>'
    if not line.arrow:
        return path
    (_, y0), (x, y) = line.points[-2:]
    down = 1 if y >= y0 else -1
    head = f"M{_number(x)} {_number(y)}l-4 {-8 * down}h8z"
    return f'{path}<path class="head" d="{head}"/>'


def curve(line: Line) -> Sequence[tuple[str, Sequence[Point]]]:
    """A line as commands of an SVG path: smooth through the middles of its parts, and vertical
    where it leaves and reaches a box."""
    start, *rest = line.points
    if line.crossing:
        (x0, y0), (x1, y1) = start, rest[-1]
        bend = max(40.0, (x1 - x0) / 2)
        return [("M", [start]), ("C", [(x0 + bend, y0), (x1 - bend, y1), (x1, y1)])]
    commands: list[tuple[str, Sequence[Point]]] = [("M", [start])]
    x0, y0 = start
    for x, y in rest:
        middle = (y0 + y) / 2
        commands.append(("C", [(x0, middle), (x, middle), (x, y)]))
        x0, y0 = x, y
    return commands


def _path(commands: Sequence[tuple[str, Sequence[Point]]]) -> str:
    return "".join(
        [
            name + " ".join([f"{_number(x)} {_number(y)}" for x, y in points])
            for name, points in commands
        ]
    )


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _text(text: str) -> str:
    return escape(printable(text))
