"""A graph as GraphML (http://graphml.graphdrawing.org), which Gephi, yEd and networkx read."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from typing import Any

import networkx

from minigrad.graph.graph import Graph
from minigrad.graph.plain import printable
from minigrad.graph.structure import network
from minigrad.graph.writing import write_text


def write(graph: Graph, path: str | os.PathLike[str]) -> None:
    """Write the graph as GraphML: the nodes and edges of `to_networkx`, by their labels."""
    write_text(path, text(graph))


def text(graph: Graph) -> str:
    """The graph as GraphML. Attributes that are neither numbers nor text are written as JSON, and
    those without a value left out."""
    net = network(graph)
    names = {label: printable(label) for label in net}
    if len(set(names.values())) < len(names):  # two labels were spelled out to the same text
        names = {label: f"{name} #{i}" for i, (label, name) in enumerate(names.items())}
    flat = networkx.MultiDiGraph(**_plain(net.graph))
    for label, facts in net.nodes(data=True):
        flat.add_node(names[label], **_plain(facts))
    for source, reader, facts in net.edges(data=True):
        flat.add_edge(names[source], names[reader], **_plain(facts))
    written = io.BytesIO()
    networkx.write_graphml_xml(flat, written, prettyprint=True)
    return written.getvalue().decode("utf-8")


def _plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for name, value in facts.items():
        if isinstance(value, (bool, int, float)):
            plain[name] = value
        elif value is not None:
            plain[name] = printable(value if isinstance(value, str) else json.dumps(value))
    return plain
