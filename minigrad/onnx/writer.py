"""A traced program as an ONNX model: its calls by the tables of rules, checked by `onnx.checker`,
written in one step."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import onnx
from onnx import helper

from minigrad.errors import ArgumentError, GraphError
from minigrad.graph.composite import Composite
from minigrad.graph.graph import Graph, Role
from minigrad.onnx import composed, elementwise, movement, windows
from minigrad.onnx.batch import Line, Program
from minigrad.onnx.model import Model, RefusedError, Site, element_type, require_values
from minigrad.tape import Node, Value

RULES: dict[str, Callable[[Site], Any]] = {
    **composed.RULES,
    **elementwise.RULES,
    **movement.RULES,
    **windows.RULES,
}
"""By the op's name: what adds the nodes of one call to a model."""

OPSETS = range(20, 29)
"""The versions of ONNX's operators that the rules hold for."""

MOST_BYTES = 2**31 - 2**20  # what one protobuf message holds, and some room for the nodes


def require_rules(graph: Graph) -> None:
    """Raise GraphError with all calls that ONNX has no counterpart for, and of updates."""
    lacking = [n for n in graph.calls if n.name not in RULES or isinstance(n.op, Composite)]
    if lacking:
        raise GraphError(_refusal(graph, [(node, "") for node in lacking]))
    if graph.updates:
        names = [graph.leaves[leaf].name for leaf, _ in graph.updates]
        raise GraphError(
            f"onnx: {graph.name} assigns to {', '.join(names[:10])} when it is called, which a "
            "file cannot; call .eval() before"
        )


def _refusal(graph: Graph, calls: Sequence[tuple[Node, str]]) -> str:
    """The calls that cannot be written, by op, with counts and the modules that they are in."""
    counts = Counter([(node.name, reason) for node, reason in calls])
    lines = []
    for (name, reason), count in sorted(counts.items()):
        here = {n.module_path or "no module" for n, r in calls if (n.name, r) == (name, reason)}
        paths = sorted(here)
        more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
        why = f": {reason}" if reason else ""
        lines.append(f"{name} x {count}{why} (in {', '.join(paths[:3])}{more})")
    hint = "; call .eval() before" if any(n.name == "dropout" for n, _ in calls) else ""
    return f"onnx: {graph.name} has calls without a counterpart in ONNX: {'; '.join(lines)}{hint}"


def save(
    made: Program,
    path: str | os.PathLike[str],
    input_names: Sequence[str] | None,
    output_names: Sequence[str] | None,
    external_data: bool,
    opset: int | None,
) -> None:
    """Write a program, with its weights inside or in `NAME.data` beside it."""
    graph, target = made.graph, Path(path)
    version = _opset(opset)
    ins = _names("input_names", input_names, graph.input_names)
    outs = _names("output_names", output_names, graph.output_names)
    if set(ins) & set(outs) or len(set(ins + outs)) != len(ins + outs):
        raise ArgumentError(f"onnx: inputs {ins} and outputs {outs} need names of their own")
    proto = _model(made, version, ins, outs)
    weights = sum(len(tensor.raw_data) for tensor in proto.graph.initializer)
    if weights > MOST_BYTES and not external_data:
        raise GraphError(
            f"onnx: {weights / 2**30:.1f} GiB of weights do not fit into one file, which holds "
            "2 GiB; pass external_data=True"
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".onnx.", dir=target.parent) as folder:
            partial = Path(folder) / target.name
            onnx.save_model(
                proto,
                partial,
                save_as_external_data=external_data,
                location=f"{target.name}.data",
            )
            onnx.checker.check_model(str(partial), full_check=True)
            for file in sorted(Path(folder).iterdir(), key=lambda f: f == partial):
                file.replace(target.parent / file.name)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise GraphError(f"onnx: {graph.name} does not pass ONNX's check: {error}") from None
    except (OSError, ValueError) as error:  # ValueError: the path holds a zero byte
        reason = getattr(error, "strerror", None) or error
        raise GraphError(f"{target}: cannot be written ({reason})") from None


def _opset(asked: int | None) -> int:
    newest = min(onnx.defs.onnx_opset_version(), OPSETS[-1])
    if asked is None:
        return newest
    if asked not in OPSETS or asked > newest:
        raise ArgumentError(f"onnx: opset {asked!r}; there are {OPSETS[0]} to {newest}")
    return asked


def _names(argument: str, given: Sequence[str] | None, traced: Sequence[str]) -> list[str]:
    if given is None:
        return list(traced)
    if isinstance(given, str) or len(given) != len(traced):
        raise ArgumentError(f"onnx: {argument} takes {len(traced)} names, got {given!r}")
    if not all(isinstance(name, str) and name for name in given):
        raise ArgumentError(f"onnx: {argument} takes names that are not empty, got {given!r}")
    return list(given)


def _model(made: Program, opset: int, ins: list[str], outs: list[str]) -> Any:
    graph = made.graph
    model = Model(made, opset, set(ins) | set(outs))
    model.values.update({(node, 0): name for node, name in zip(graph.inputs, ins, strict=True)})
    wanted: dict[Value, str] = {}
    for value, name in zip(graph.outputs, outs, strict=True):
        if value[0].op is not None:
            wanted.setdefault(value, name)
    refused = []
    for node in graph.nodes:
        try:
            if node.op is not None:
                _call(model, node, wanted)
            elif graph.leaves[node].role != Role.INPUT:
                _leaf(model, node)
        except RefusedError as reason:
            refused.append((node, str(reason)))
            model.values.update({(node, i): "refused" for i in range(len(node.outputs))})
    if refused:
        raise GraphError(_refusal(graph, refused))
    for value, name in zip(graph.outputs, outs, strict=True):
        if model.values[value] != name:
            model.nodes.append(helper.make_node("Identity", [model.values[value]], [name]))
    read = {name for node in model.nodes for name in node.input}
    body = helper.make_graph(
        model.nodes,
        graph.name or "graph",
        [_info(made, (node, 0), name) for node, name in zip(graph.inputs, ins, strict=True)],
        [_info(made, value, name) for value, name in zip(graph.outputs, outs, strict=True)],
        [tensor for name, tensor in model.initializers.items() if name in read],
    )
    imports = [helper.make_opsetid("", opset)]
    version = helper.find_min_ir_version_for(imports)
    about = {"producer_name": "minigrad", "ir_version": version}
    return helper.make_model(body, opset_imports=imports, **about)


def _info(made: Program, value: tuple[Node, int], name: str) -> Any:
    """Name, dtype and shape of an input or output; what is the batch is called so."""
    dtype = value[0].outputs[value[1]].dtype
    lengths = []
    for n in made.shapes[value]:
        known = not isinstance(n, Line)
        batch = isinstance(n, Line) and (n.slope, n.start) == (1, 0)
        lengths.append(int(n) if known else "batch" if batch else None)
    return helper.make_tensor_value_info(name, element_type(dtype), lengths)


def _leaf(model: Model, node: Node) -> None:
    """A parameter or constant as an initializer, or made for the batch where it goes with it."""
    leaf = model.program.graph.leaves[node]
    label = model.program.graph.labels[node]
    fill = model.program.fills.get(node)
    if fill is None:
        array = require_values(label, leaf.tensor)
        model.values[node, 0] = model.initializer(model.fresh(label), array)
        return
    site = Site(model, node, None, [])
    shape = model.integers(fill.shape)
    if isinstance(fill.value, Line):
        whole = model.reshaped(model.length(fill.value), (1,) * len(fill.shape))
        model.values[node, 0] = site.cast(whole, node.outputs[0].dtype)
        return
    if fill.value is not None:
        model.values[node, 0] = site.add(
            "Expand", site.number(fill.value, node.outputs[0].dtype), shape
        )
        return
    count = site.add("ReduceProd", shape, keepdims=0)
    numbers = site.add("Range", site.number(0, "int64"), count, site.number(1, "int64"))
    numbers = site.cast(numbers, node.outputs[0].dtype)
    model.values[node, 0] = model.reshaped(numbers, fill.shape)


def _call(model: Model, node: Node, wanted: dict[Any, str]) -> None:
    """The nodes of a call; what it gives is called like the call, or like the graph's output."""
    first = len(model.nodes)
    names = [model.values[value] for value in node.inputs]
    site = Site(model, node, model.program.ops[node], names)
    found = RULES[node.name](site)
    label = model.program.graph.labels[node]
    results = [found] if isinstance(found, str) else list(found)
    renamed: dict[str, str] = {}
    made = {name for proto in model.nodes[first:] for name in proto.output}
    for index, name in enumerate(results):
        if name in made and name not in model.lengths.values():
            better = wanted.get((node, index)) or model.fresh(
                f"{label}.{index}" if index else label
            )
            name = renamed.setdefault(name, better)
        model.values[node, index] = name
    for position, proto in enumerate(model.nodes[first:]):
        proto.name = label if len(model.nodes) == first + 1 else f"{label}/{position}"
        proto.output[:] = [renamed.get(name, name) for name in proto.output]
        proto.input[:] = [renamed.get(name, name) for name in proto.input]
