"""A graph in the language of Graphviz (https://graphviz.org/doc/info/lang.html): modules are
clusters, the backward pass is dashed, leaves are ovals."""

from __future__ import annotations

import os
from collections.abc import Iterator

from minigrad.graph.depth import at_depth
from minigrad.graph.graph import Graph, Role
from minigrad.graph.placement import Closed, Opened, walk
from minigrad.graph.plain import parameters_text, printable, shape_text, title
from minigrad.graph.writing import write_text
from minigrad.tape import Node

LEAVES = {
    Role.INPUT: 'shape=oval, style=filled, fillcolor="#d7e8d4"',
    Role.PARAMETER: 'shape=oval, style=filled, fillcolor="#e4e0f4"',
    Role.BUFFER: 'shape=oval, style="filled,dotted", fillcolor="#e4e0f4"',
    Role.CONSTANT: 'shape=oval, style=filled, fillcolor="#eeeeee"',
}
ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "&": "&amp;"})
FORWARD = 'style="filled,rounded", fillcolor="#dbe7f3"'
# Ranks over all clusters at once, and bounded searches: without them dot fails on a residual
# network with its backward pass, or takes minutes. Labels of edges, which it gives ranks of their
# own, would cost as much.
LAYOUT = "rankdir=TB, newrank=true, nslimit=1, nslimit1=1"
BACKWARD = 'style="filled,rounded,dashed", fillcolor="#f6e0d6"'


def write(graph: Graph, path: str | os.PathLike[str], depth: int | None = None) -> None:
    """Write the graph, or the view of it at some module depth, as DOT."""
    write_text(path, text(graph if depth is None else at_depth(graph, depth)))


def text(graph: Graph) -> str:
    """The graph as DOT. Nodes have numbers for names, so only labels hold names of the user's."""
    return "\n".join(_lines(graph)) + "\n"


def quoted(*lines: str) -> str:
    """Lines as one label: a quoted string in which nothing has a meaning of its own, neither
    Graphviz's escapes nor the entities of HTML."""
    escaped = [printable(line).translate(ESCAPES) for line in lines]
    return '"' + "\\n".join(escaped) + '"'


def _lines(graph: Graph) -> Iterator[str]:
    yield f"digraph {quoted(graph.name)} {{"
    yield f'  graph [fontname="Helvetica", {LAYOUT}];'
    yield '  node [fontname="Helvetica", shape=box];'
    yield '  edge [fontname="Helvetica", fontsize=9];'
    names = {node: f"n{i}" for i, node in enumerate(graph.nodes)}
    indent, clusters = "  ", 0
    for step in walk(graph):
        if isinstance(step, Opened):
            label = quoted(f"{step.frame.name} ({step.frame.kind})")
            style = "dashed" if step.backward else "solid"
            yield f"{indent}subgraph cluster_{clusters} {{ label={label}; style={style};"
            indent += "  "
            clusters += 1
        elif isinstance(step, Closed):
            indent = indent[2:]
            yield f"{indent}}}"
        else:
            yield f"{indent}{names[step]} [{_attributes(graph, step)}];"
    for node in graph.nodes:
        for source, index in node.inputs:
            style = ", style=dashed" if graph.is_backward(node) else ""
            tooltip = quoted(shape_text(source.outputs[index]))
            yield f"  {names[source]} -> {names[node]} [tooltip={tooltip}{style}];"
    for i, (name, (node, index)) in enumerate(zip(graph.output_names, graph.outputs, strict=True)):
        yield f'  out{i} [label={quoted(name)}, shape=oval, style=filled, fillcolor="#f4ecc8"];'
        yield f"  {names[node]} -> out{i} [tooltip={quoted(shape_text(node.outputs[index]))}];"
    yield "}"


def _attributes(graph: Graph, node: Node) -> str:
    if node.op is None:
        leaf = graph.leaves[node]
        name = leaf.name or str(leaf.role)
        return f"label={quoted(name, shape_text(node.outputs[0]))}, {LEAVES[leaf.role]}"
    lines = [title(node), parameters_text(node.op)]
    lines += [shape_text(spec) for spec in node.outputs]
    tooltip = quoted(graph.labels[node], *([node.line] if node.line else []))
    style = BACKWARD if graph.is_backward(node) else FORWARD
    return f"label={quoted(*filter(None, lines))}, tooltip={tooltip}, {style}"
