"""A graph as a Mermaid flowchart (https://mermaid.js.org/syntax/flowchart.html), which GitHub and
many editors draw: modules are subgraphs, edges of the backward pass are dotted."""

from __future__ import annotations

import os
from collections.abc import Iterator

from minigrad.graph.depth import at_depth
from minigrad.graph.graph import Graph
from minigrad.graph.placement import Closed, Opened, walk
from minigrad.graph.plain import parameters_text, printable, shape_text, title
from minigrad.graph.writing import write_text
from minigrad.tape import Node

CLASSES = {
    "call": "fill:#dbe7f3,stroke:#44617b,color:#111",
    "backward": "fill:#f6e0d6,stroke:#8a5a44,color:#111,stroke-dasharray:4",
    "input": "fill:#d7e8d4,stroke:#4c6b47,color:#111",
    "parameter": "fill:#e4e0f4,stroke:#5c5480,color:#111",
    "buffer": "fill:#e4e0f4,stroke:#5c5480,color:#111,stroke-dasharray:2",
    "constant": "fill:#eeeeee,stroke:#777777,color:#111",
    "output": "fill:#f4ecc8,stroke:#7b6c2f,color:#111",
}
PLAIN = frozenset(" ._,:=()+*/")


def write(graph: Graph, path: str | os.PathLike[str], depth: int | None = None) -> None:
    """Write the graph, or the view of it at some module depth, as Mermaid."""
    write_text(path, text(graph if depth is None else at_depth(graph, depth)))


def text(graph: Graph) -> str:
    """The graph as a flowchart. Only labels hold names of the user's."""
    return "\n".join(_lines(graph)) + "\n"


def quoted(*lines: str) -> str:
    """Lines as a label: whatever is not a letter, a digit or harmless becomes its number."""
    escaped = [
        "".join([c if c.isalnum() or c in PLAIN else f"#{ord(c)};" for c in printable(line)])
        for line in lines
    ]
    return '"' + "<br/>".join(escaped) + '"'


def _lines(graph: Graph) -> Iterator[str]:
    yield "flowchart TD"
    for name, style in CLASSES.items():
        yield f"  classDef {name}_ {style}"
    names = {node: f"n{i}" for i, node in enumerate(graph.nodes)}
    indent, opened = "  ", 0
    for step in walk(graph):
        if isinstance(step, Opened):
            yield f"{indent}subgraph s{opened}[{quoted(f'{step.frame.name} ({step.frame.kind})')}]"
            indent += "  "
            opened += 1
        elif isinstance(step, Closed):
            indent = indent[2:]
            yield f"{indent}end"
        else:
            yield f"{indent}{names[step]}{_box(graph, step)}"
    for node in graph.nodes:
        arrow = "-.->" if graph.is_backward(node) else "-->"
        for source, index in node.inputs:
            label = quoted(shape_text(source.outputs[index]))
            yield f"  {names[source]} {arrow}|{label}| {names[node]}"
    for i, (name, (node, _)) in enumerate(zip(graph.output_names, graph.outputs, strict=True)):
        yield f"  out{i}([{quoted(name)}]):::output_"
        yield f"  {names[node]} --> out{i}"


def _box(graph: Graph, node: Node) -> str:
    if node.op is None:
        leaf = graph.leaves[node]
        label = quoted(leaf.name or str(leaf.role), shape_text(node.outputs[0]))
        return f"([{label}]):::{leaf.role}_"
    details = parameters_text(node.op)
    kind = "backward" if graph.is_backward(node) else "call"
    return f"[{quoted(title(node), *([details] if details else []))}]:::{kind}_"
