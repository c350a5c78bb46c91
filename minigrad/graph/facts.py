"""What views say of a node: its op's parameters, its family of ops, amounts a person can read."""

from __future__ import annotations

from dataclasses import fields, is_dataclass

from minigrad.graph.graph import Graph
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


def parameters(node: Node) -> dict[str, str]:
    """The parameters of a node's op by name, those within a window one by one."""
    found: dict[str, str] = {}
    stack = list(reversed(vars(node.op).items())) if node.op is not None else []
    while stack:
        name, value = stack.pop()
        if is_dataclass(value) and not isinstance(value, type):
            stack += [(f.name, getattr(value, f.name)) for f in reversed(fields(value))]
        else:
            text = str(value)
            found[name.lstrip("_")] = text if len(text) <= 200 else text[:200] + " ..."
    return found


def shape(spec: Spec) -> str:
    """A shape as people write it, 3×224×224, and the dtype where it is not float32."""
    sizes = "×".join([str(length) for length in spec.shape]) or "scalar"
    return sizes if spec.dtype == "float32" else f"{sizes} {spec.dtype}"


def amount(value: float, unit: str = "") -> str:
    """A number in three digits: 1234567 is 1.23 M."""
    for power, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= power:
            return f"{value / power:.3g} {prefix}{unit}"
    return f"{value:.3g} {unit}".rstrip()


def title(graph: Graph, node: Node, caption: str = "") -> str:
    """What stands in a node's box: a leaf's own name, or the op with the module it is called in."""
    if node.op is None:
        return graph.labels[node]
    return f"{caption}: {node.name}" if caption else node.name
