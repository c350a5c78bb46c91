"""The formats that a graph is written in: a path's ending names one."""

from __future__ import annotations

import inspect
import os
from importlib import import_module
from pathlib import Path
from typing import Any

from minigrad.errors import ArgumentError
from minigrad.graph.graph import Graph

FORMATS = {
    ".dot": ("minigrad.graph.dot", "write"),
    ".graphml": ("minigrad.graph.graphml", "write"),
    ".html": ("minigrad.graph.html", "write"),
    ".json": ("minigrad.graph.writing", "write"),
    ".mmd": ("minigrad.graph.mermaid", "write"),
    ".onnx": ("minigrad.onnx.exporting", "write"),
    ".png": ("minigrad.graph.png", "write"),
    ".svg": ("minigrad.graph.svg", "write"),
    ".txt": ("minigrad.graph.text", "write"),
}
"""By ending: the module, imported when it is asked for, and its function of a graph, a path and
options by name."""


def save(graph: Graph, path: str | os.PathLike[str], **options: Any) -> None:
    """Write a graph in the format of the path's ending.

    Raises ArgumentError for an ending that is not in `FORMATS`, or an option that the format does
    not have.
    """
    ending = Path(path).suffix.lower()
    if ending not in FORMATS:
        raise ArgumentError(
            f"save: {Path(path).name!r} has no ending that names a format; there are "
            f"{', '.join(sorted(FORMATS))}"
        )
    module, function = FORMATS[ending]
    write = getattr(import_module(module), function)
    known = list(inspect.signature(write).parameters)[2:]
    for option in options:
        if option not in known:
            has = f"has {', '.join(known)}" if known else "has none"
            raise ArgumentError(f"save: no option {option!r}; {ending} {has}")
    write(graph, path, **options)
