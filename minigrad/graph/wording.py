"""What stands in the boxes of pictures: titles, shapes, amounts; and the families of ops, which
have a colour each."""

from __future__ import annotations

from minigrad.graph.graph import Graph
from minigrad.graph.plain import printable, shape_text
from minigrad.spec import Spec
from minigrad.tape import Node

FAMILIES = ("leaf", "product", "pooling", "normalization", "activation", "movement", "other")
"""Families of ops, which have a colour each."""

_FAMILY_OF = {
    "activation": "activation",
    "average_pooling": "pooling",
    "channels": "movement",
    "convolution": "product",
    "einsum": "product",
    "gathering": "movement",
    "indexing": "movement",
    "linear": "product",
    "max_pooling": "pooling",
    "movement": "movement",
    "normalization": "normalization",
    "padding": "movement",
    "pooling": "pooling",
    "products": "product",
    "rearrange": "movement",
    "response": "normalization",
    "softmax": "activation",
    "transposed_convolution": "product",
}
"""By the module of `minigrad.ops` that the op is defined in."""


def family(node: Node) -> str:
    """The family of a node's op."""
    if node.op is None:
        return "leaf"
    return _FAMILY_OF.get(type(node.op).__module__.rpartition(".")[2], "other")


def shape(spec: Spec) -> str:
    """A shape as people write it, 3×224×224, and the dtype where it is not float32."""
    return shape_text(spec).replace(" x ", "×").replace("()", "scalar")


def amount(value: float, unit: str = "") -> str:
    """A number in three digits: 1234567 is 1.23 M."""
    for power, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= power:
            return f"{value / power:.3g} {prefix}{unit}"
    return f"{value:.3g} {unit}".rstrip()


def title(graph: Graph, node: Node, caption: str = "") -> str:
    """What stands in a node's box: a leaf's own name, or the op with the module it is called in."""
    if node.op is None:
        return printable(graph.labels[node])
    return printable(f"{caption}: {node.name}" if caption else node.name)
