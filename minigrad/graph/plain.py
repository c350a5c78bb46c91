"""What is known of a node as plain data, and text that is safe to print, for all views."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from minigrad.errors import GraphError
from minigrad.graph import codec
from minigrad.graph.composite import Composite, saved_bytes
from minigrad.graph.graph import Graph
from minigrad.op import Op
from minigrad.spec import Spec, float32
from minigrad.tape import Node


def facts(graph: Graph, node: Node) -> dict[str, Any]:
    """All that is known of a node, as numbers, text, tuples and dictionaries.

    `op` is the op's name and `role` None, or for a leaf the other way round. `module` is the path
    of the module and `kind` its class, `parameters` those of the op, `inputs` and `outputs` pairs
    of shape and dtype; `macs`, `flops`, `bytes_moved` and `bytes_saved` (for the backward pass)
    what it costs; `line` that of the program; `backward` whether it belongs to the backward pass,
    and `origin` the label of the forward node that it belongs to.
    """
    leaf = graph.leaves.get(node)
    scope = node.scope if node.origin is None else node.origin.scope
    cost = node.cost
    return {
        "op": None if node.op is None else node.name,
        "role": None if leaf is None else str(leaf.role),
        "requires_grad": leaf is not None and leaf.requires_grad,
        "module": node.module_path,
        "kind": "" if scope is None else scope.kind,
        "parameters": {} if node.op is None else parameters(node.op),
        "inputs": [_plain(spec) for spec in node.input_specs],
        "outputs": [_plain(spec) for spec in node.outputs],
        "macs": cost.macs,
        "flops": cost.flops,
        "bytes_moved": cost.bytes_moved,
        "bytes_saved": saved_bytes(node),
        "line": node.line,
        "backward": graph.is_backward(node),
        "origin": None if node.origin is None else graph.labels.get(node.origin),
    }


def _plain(spec: Spec) -> tuple[tuple[int, ...], str]:
    return spec.shape, dtype_name(spec.dtype)


@cache
def dtype_name(dtype: np.dtype[Any]) -> str:
    """The name of a dtype; NumPy takes its time to make one."""
    return str(dtype)


def parameters(op: Op) -> dict[str, Any]:
    """The parameters of an op by name, those of a window among them, as plain data."""
    if isinstance(op, Composite):
        return {"calls": len(op.body.calls), "count": op.count}
    try:
        given = codec.parameters(op)
    except GraphError:  # a dataclass of the user's own, with fields of any kind
        return {}
    flat: dict[str, Any] = {}
    for name, value in given.items():
        window = value.get("Window", value.get("Adaptive")) if isinstance(value, dict) else None
        flat |= window if window is not None else {name: value}
    return flat


SILENT: dict[str, tuple[Any, ...]] = {
    "ceil_mode": (False,),
    "count": (1,),
    "dilation": (1,),
    "divisor_override": (None,),
    "groups": (1,),
    "keepdims": (False,),
    "output_padding": (0,),
    "padding": (0,),
}
"""Values of parameters that a view need not show: they are what one expects."""

PER_AXIS = frozenset({"kernel_size", "stride", "padding", "dilation", "output_padding"})


def parameters_text(op: Op) -> str:
    """The parameters of an op on one line, without those that say nothing."""
    shown = {name: _alike(name, value) for name, value in parameters(op).items()}
    return ", ".join(
        [f"{k}={short_text(value)}" for k, value in shown.items() if value not in SILENT.get(k, ())]
    )


def _alike(name: str, value: Any) -> Any:
    """One value for what is the same along all axes and on all sides."""
    while (
        name in PER_AXIS
        and isinstance(value, list)
        and value
        and value.count(value[0]) == len(value)
    ):
        value = value[0]
    return value


def title(node: Node) -> str:
    """What a view calls a node: its op, or for the calls of a module its name and class."""
    scope = node.scope if node.origin is None else node.origin.scope
    if not isinstance(node.op, Composite) or scope is None:
        return node.name
    return f"{scope.name} ({node.name})"


def short_text(value: Any) -> str:
    """A parameter as a person would write it."""
    if isinstance(value, dict):
        ((kind, content),) = value.items()
        if kind == "slice":
            start, stop, step = ["" if part is None else str(part) for part in content]
            return f"{start}:{stop}:{step}" if step else f"{start}:{stop}"
        return str(content)
    if isinstance(value, list):
        return f"({', '.join([short_text(item) for item in value])})"
    return str(value)


def shape_text(spec: Spec) -> str:
    """A spec for a view: its lengths, and the dtype where it is not float32."""
    lengths = " x ".join([str(length) for length in spec.shape]) or "()"
    return lengths if spec.dtype == float32 else f"{lengths} {dtype_name(spec.dtype)}"


def printable(text: str) -> str:
    """Text without characters that steer a terminal or break a file: those are spelled out."""
    return "".join([c if c.isprintable() else c.encode("unicode_escape").decode() for c in text])
