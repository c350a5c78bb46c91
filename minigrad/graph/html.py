"""A graph as one HTML file that works offline: the page of the folder `page` with the graph as
JSON in it.

The page writes all names as text, never as markup, and its policy lets no script run but its own.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minigrad.errors import ArgumentError
from minigrad.graph.facts import FAMILIES, family, parameters, shape, title
from minigrad.graph.graph import Graph
from minigrad.graph.hierarchy import IN, OUT, End, Group, Hierarchy, hierarchy
from minigrad.tape import Node

PAGE = Path(__file__).parent / "page"
SCRIPTS = ("dagre.js", "model.js", "layout.js", "drawing.js", "panel.js", "app.js")
"""In the order they build upon one another."""


def write(graph: Graph, path: Path, *, times: Mapping[str, float] | None = None) -> None:
    """Write the page of a graph; see `page`."""
    path.write_text(page(graph, times), encoding="utf-8")


def page(graph: Graph, times: Mapping[str, float] | None = None) -> str:
    """The HTML of a graph. `times` are seconds by label of a node, to colour them by.

    Raises ArgumentError for a time of a node that the graph does not have, or that is negative.
    """
    scripts = {name: (PAGE / name).read_text(encoding="utf-8") for name in SCRIPTS}
    hashes = [base64.b64encode(hashlib.sha256(s.encode()).digest()) for s in scripts.values()]
    parts = {
        "{{policy}}": " ".join([f"'sha256-{digest.decode()}'" for digest in hashes]),
        "{{title}}": html.escape(graph.name),
        "{{style}}": (PAGE / "style.css").read_text(encoding="utf-8"),
        "{{licence}}": html.escape((PAGE / "LICENSE.dagre.txt").read_text(encoding="utf-8")),
        "{{data}}": _embedded(as_data(hierarchy(graph), times or {})),
        "{{scripts}}": "\n".join([f"<script>{script}</script>" for script in scripts.values()]),
    }
    text = (PAGE / "template.html").read_text(encoding="utf-8")
    pieces = []
    for name, part in parts.items():  # in the order they stand in; none is looked for in another
        before, text = text.split(name)
        pieces += [before, part]
    return "".join([*pieces, text])


def _embedded(data: Any) -> str:
    """JSON in which nothing can end the element that it stands in."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def as_data(tree: Hierarchy, times: Mapping[str, float]) -> dict[str, Any]:
    """All that the page shows. A node is known by its index, a group by the number of nodes plus
    its own; -1 and -2 are the ends of edges that lead into a group and out of it."""
    graph = tree.graph
    _check_times(graph, times)
    groups = list(tree.groups())
    index: dict[End, int] = {node: i for i, node in enumerate(graph.nodes)}
    index |= {group: len(graph.nodes) + i for i, group in enumerate(groups)}
    index |= {IN: -1, OUT: -2}
    gives: dict[Node, list[str]] = {}
    for (node, _), name in zip(graph.outputs, graph.output_names, strict=True):
        gives.setdefault(node, []).append(name)
    for leaf, (node, _) in graph.updates:
        gives.setdefault(node, []).append(f"new {graph.labels[leaf]}")
    return {
        "name": graph.name,
        "families": FAMILIES,
        "timed": bool(times),
        "nodes": [
            _node_data(tree, node, index, gives.get(node, []), times) for node in graph.nodes
        ],
        "groups": [_group_data(group, index) for group in groups],
        "roots": [index[root] for root in tree.roots],
        "crossing": [[index[a], index[b]] for a, b in tree.crossing],
    }


def _check_times(graph: Graph, times: Mapping[str, float]) -> None:
    unknown = sorted(set(times) - set(graph.labels.values()))
    if unknown:
        raise ArgumentError(
            f"html: times takes seconds by label of a node; the graph {graph.name} has no node "
            f"{', '.join(unknown[:3])}{' ...' if len(unknown) > 3 else ''} (see graph.labels)"
        )
    for label, seconds in times.items():
        if not 0 <= seconds < float("inf"):
            raise ArgumentError(f"html: the time of {label} must be seconds, got {seconds}")


def _node_data(
    tree: Hierarchy,
    node: Node,
    index: Mapping[End, int],
    gives: list[str],
    times: Mapping[str, float],
) -> dict[str, Any]:
    graph, cost = tree.graph, node.cost
    leaf = graph.leaves[node] if node.op is None else None
    label = graph.labels[node]
    data = {
        "label": label,
        "title": title(graph, node, tree.captions.get(node, "")),
        "op": node.name if leaf is None else "",
        "role": str(leaf.role) if leaf is not None else "",
        "trained": bool(leaf is not None and leaf.requires_grad),
        "family": FAMILIES.index(family(node)),
        "path": node.module_path,
        "parameters": parameters(node),
        "inputs": [[index[source], output] for source, output in node.inputs],
        "shapes": [shape(spec) for spec in node.outputs],
        "specs": [str(spec) for spec in node.outputs],
        "macs": cost.macs,
        "flops": cost.flops,
        "moved": cost.bytes_moved,
        "saved": node.saved_bytes,
        "bytes": sum(spec.nbytes for spec in node.outputs),
        "time": times.get(label, 0),
        "line": node.line or "",
        "origin": None if node.origin is None else index.get(node.origin),
        "backward": tree.homes[node].backward,
        "gives": gives,
    }
    origin = data["origin"]
    return {k: v for k, v in data.items() if v or (k == "origin" and origin is not None)}


def _group_data(group: Group, index: Mapping[End, int]) -> dict[str, Any]:
    return {
        "name": group.name,
        "kind": group.kind,
        "path": group.path,
        "backward": group.backward,
        "count": group.count,
        "children": [index[child] for child in group.children],
        "edges": [[index[a], index[b]] for a, b in group.edges],
    }
