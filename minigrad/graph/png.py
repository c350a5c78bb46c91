"""The picture of a graph as PNG, drawn by matplotlib: the same boxes and lines as the SVG's."""

from __future__ import annotations

import io
import os
from typing import Any

from minigrad.errors import ArgumentError
from minigrad.graph.drawing import Box, Drawing, Line, drawing, stacked
from minigrad.graph.graph import Graph
from minigrad.graph.layered import Point
from minigrad.graph.svg import LIGHT, curve
from minigrad.graph.writing import write_bytes

PIXELS = 16_000
"""A side is at most this long: larger pictures are scaled down."""


def write(
    graph: Graph,
    path: str | os.PathLike[str],
    *,
    depth: int | None = None,
    parameters: bool = False,
) -> None:
    """Write the picture of a graph; see `drawing.drawing` for the options.

    Raises ArgumentError where matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ArgumentError(
            "save: PNG pictures need matplotlib: pip install 'minigrad[plot]' (or save as .svg, "
            "which needs nothing)"
        ) from error
    picture = drawing(graph, depth, parameters)
    figure = Figure(figsize=(picture.width / 72, picture.height / 72), facecolor=LIGHT["ground"])
    FigureCanvasAgg(figure)
    axes: Any = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, picture.width)
    axes.set_ylim(picture.height, 0)
    _draw(axes, picture)
    longest = max(picture.width, picture.height)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=72 * min(2.0, PIXELS / longest))
    write_bytes(path, content.getvalue())


def _draw(axes: Any, picture: Drawing) -> None:
    for box in picture.boxes:
        if box.kind == "frame":
            _rect(axes, box, 8, 0.0, 1)
            name = _text(axes, box.lines[0], (box.x + 10, box.y + 14), ha="left")
            beside = {"xycoords": name, "textcoords": "offset points", "va": "bottom"}
            soft = {"color": LIGHT["soft"], "size": 9, "parse_math": False}
            axes.annotate(box.lines[1], (1, 0), xytext=(6, 0), **beside, **soft)
    for line in picture.lines:
        _line(axes, line)
    for box in picture.boxes:
        if box.kind == "frame":
            continue
        for i in range(stacked(box.count), -1, -1):
            _rect(axes, box, box.h / 2 if box.round else 6, 4.0 * i, 3)
        middle = box.x + box.w / 2
        _text(axes, box.lines[0], (middle, box.y + 14))
        _text(axes, box.lines[1], (middle, box.y + 29), "soft", size=9, weight="normal")
    for x, y, name in picture.titles:
        _text(axes, name, (x, y))


def _text(axes: Any, text: str, at: Point, colour: str = "ink", **options: Any) -> Any:
    given = {"size": 11, "weight": "bold", "ha": "center", "va": "center", "zorder": 4} | options
    return axes.text(*at, text, color=LIGHT[colour], parse_math=False, **given)


def _rect(axes: Any, box: Box, radius: float, shift: float, level: int) -> None:
    from matplotlib.patches import FancyBboxPatch

    patch = FancyBboxPatch(
        (box.x + shift, box.y - shift),
        box.w,
        box.h,
        boxstyle=f"round,pad=0,rounding_size={radius}",
        facecolor=LIGHT[box.kind],
        edgecolor=LIGHT["crossing" if box.backward else "line"],
        linestyle="--" if box.backward else "-",
        linewidth=0.8,
        zorder=level,
    )
    axes.add_patch(patch)


def _line(axes: Any, line: Line) -> None:
    from matplotlib.patches import PathPatch, Polygon
    from matplotlib.path import Path as Curve

    points, codes = [], []
    for name, given in curve(line):
        points += list(given)
        codes += [Curve.MOVETO if name == "M" else Curve.CURVE4] * len(given)
    colour, dashes, alpha = ("crossing", "--", 0.45) if line.crossing else ("edge", "-", 1.0)
    style = {"edgecolor": LIGHT[colour], "linestyle": dashes, "alpha": alpha, "zorder": 2}
    axes.add_patch(PathPatch(Curve(points, codes), fill=False, linewidth=1.0, **style))
    if line.arrow:
        (_, y0), (x, y) = line.points[-2:]
        back = y + (-8.0 if y >= y0 else 8.0)
        head = [(x, y), (x - 4, back), (x + 4, back)]
        axes.add_patch(Polygon(head, color=LIGHT["edge"], zorder=2, linewidth=0))
