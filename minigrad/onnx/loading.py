"""`load`: an ONNX file as a `Graph`, traced from a run of its nodes on shapes alone.

What depends on constants and shapes only is computed on the way, so that shapes are numbers.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import helper, inliner, numpy_helper

from minigrad import tape
from minigrad.errors import ArgumentError, GraphError, MinigradError
from minigrad.graph import trace
from minigrad.graph.graph import Graph, Role
from minigrad.onnx.operator import Operator
from minigrad.onnx.operators import RULES
from minigrad.spec import DTYPES, FLOATING, Spec, float32, float64
from minigrad.tensor import Tensor, as_tensor, tensor

OLDEST = 7
CREATING = {"Cast", "Constant", "ConstantOfShape", "Dropout", "Range", "Shape", "Size"}
"""The operators that `_Run` knows itself."""


def load_file(path: str | os.PathLike[str], lengths: Mapping[str, int]) -> Graph:
    """See `minigrad.onnx.load`."""
    model = _read(Path(path))
    opset = _opset(model)
    lacking = Counter(
        [
            f"{n.domain}.{n.op_type}" if n.domain not in ("", "ai.onnx") else n.op_type
            for n in model.graph.node
            if n.domain not in ("", "ai.onnx") or n.op_type not in RULES | dict.fromkeys(CREATING)
        ]
    )
    if lacking:
        found = ", ".join(f"{kind} x {count}" for kind, count in sorted(lacking.items()))
        raise GraphError(f"{path}: has operators that minigrad does not know: {found}")
    try:
        run = _Run(model, opset)
    except UNFIT as error:
        raise GraphError(f"{path}: an initializer is damaged: {error}") from None
    specs = [_spec(value, lengths) for value in model.graph.input if value.name not in run.weights]
    unknown = set(lengths) - {
        d.dim_param for v in model.graph.input for d in v.type.tensor_type.shape.dim
    }
    if unknown:
        raise ArgumentError(f"{path}: no length is called {', '.join(sorted(unknown))}")
    try:
        graph = trace(run, *specs)
    except MinigradError as error:
        raise GraphError(f"{path}: {error}") from None
    return _named(graph, run)


def _read(path: Path) -> Any:
    """The model, checked, with its local functions put in place."""
    try:
        onnx.checker.check_model(str(path), full_check=True)
        model = onnx.load_model(path)
        return inliner.inline_local_functions(model) if model.functions else model
    except OSError as error:
        raise GraphError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (DecodeError, onnx.checker.ValidationError, ValueError, RuntimeError) as error:
        # RuntimeError: what ONNX's shape inference and its reader of files raise.
        raise GraphError(f"{path}: is not a sound ONNX file: {error}") from None


def _opset(model: Any) -> int:
    opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)
    newest = onnx.defs.onnx_opset_version()
    if not OLDEST <= opset <= newest:
        raise GraphError(f"onnx: opset {opset} is not known; there are {OLDEST} to {newest}")
    return int(opset)


def _dtype(number: int, name: str) -> np.dtype[Any]:
    if number in onnx.TensorProto.DataType.values():
        kind = onnx.TensorProto.DataType.Name(number)
        dtypes: dict[str, np.dtype[Any]] = {str(d): np.dtype(str(d)) for d in DTYPES}
        dtypes |= {"float": float32, "double": float64}
        if kind.lower() in dtypes:
            return dtypes[kind.lower()]
    else:
        kind = f"type {number}"
    raise GraphError(f"onnx: {name} is of {kind}, which minigrad has no dtype for")


def _spec(value: Any, lengths: Mapping[str, int]) -> Spec:
    """The spec of an input; a length that the file gives a name only is that of `lengths`, or 1."""
    kind = value.type.tensor_type
    if not value.type.HasField("tensor_type") or not kind.HasField("shape"):
        raise GraphError(f"onnx: the input {value.name!r} is no tensor of known axes")
    shape = [
        d.dim_value if d.HasField("dim_value") else lengths.get(d.dim_param, 1)
        for d in kind.shape.dim
    ]
    return Spec(shape, _dtype(kind.elem_type, value.name))


UNFIT = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, MemoryError)
"""What attributes and values that do not fit their operator end in."""

MOST_ELEMENTS = 2**28
"""Of an array that a file only tells the size of."""


class _Run:
    """A function of the model's inputs that runs its nodes in order."""

    def __init__(self, model: Any, opset: int) -> None:
        self.model, self.opset = model, opset
        self.__name__ = model.graph.name or "graph"
        self.arrays: dict[str, np.ndarray] = {}
        self.weights: dict[str, Tensor | np.ndarray] = {}
        for proto in model.graph.initializer:
            _dtype(proto.data_type, proto.name)
            array = numpy_helper.to_array(proto)
            self.arrays[proto.name] = array
            floating = array.dtype in FLOATING
            self.weights[proto.name] = tensor(array, requires_grad=True) if floating else array

    def __call__(self, *inputs: Tensor) -> dict[str, Tensor]:
        graph = self.model.graph
        names = [value.name for value in graph.input if value.name not in self.weights]
        values: dict[str, Any] = {**self.weights, **dict(zip(names, inputs, strict=True))}
        for node in graph.node:
            values.update(self._node(node, values))
        return {value.name: as_tensor(values[value.name]) for value in graph.output}

    def _node(self, node: Any, values: dict[str, Any]) -> dict[str, Any]:
        """The values that a node gives, arrays where all that it reads is known."""
        given = [values[name] if name else None for name in node.input]
        known = [self.arrays.get(n, v) for n, v in zip(node.input, given, strict=True)]
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type == "Split":
            attributes["outputs"] = len(node.output)
        arrays = tuple([k if isinstance(k, np.ndarray) else None for k in known])
        name = node.name or node.output[0]
        op = Operator(node.op_type, name, self.opset, attributes, _as_left_out(arrays, given))
        constant = all(v is None or isinstance(v, np.ndarray) for v in given)
        try:
            if node.op_type in CREATING:
                results = self._create(op, given, constant)
            elif constant:
                results = _folded(op, given)
            else:
                results = RULES[node.op_type](op, *given)
        except UNFIT as error:
            raise op.refuse(str(error) or type(error).__name__) from None
        listed = results if isinstance(results, (tuple, list)) else [results]
        if len(node.output) > len(listed):
            raise op.refuse(f"its output {len(listed)} is not known")
        return {n: v for n, v in zip(node.output, listed, strict=False) if n}

    def _create(self, op: Operator, given: list[Any], constant: bool) -> Any:
        """Operators of shapes and dtypes, and those that give known values."""
        if op.kind == "Constant":
            ((kind, value),) = op.attributes.items()
            if kind == "value":
                return numpy_helper.to_array(value)
            return np.asarray(value, np.float32 if "float" in kind else np.int64)
        if op.kind == "Dropout":
            return given[0]
        if op.kind == "Cast":
            dtype = _dtype(op.get("to"), op.name)
            return given[0].astype(dtype) if constant else as_tensor(given[0]).astype(dtype)
        if op.kind in ("Shape", "Size"):
            shape = np.asarray(as_tensor(given[0]).shape, np.int64)
            ends = slice(op.get("start", 0), op.get("end"))
            return shape[ends] if op.kind == "Shape" else np.asarray(shape.prod(), np.int64)
        if not constant:
            raise op.refuse("its inputs have to be known before the program runs")
        if op.kind == "Range":
            start, end, step = [v.item() for v in given]
            if not abs((end - start) / step) < MOST_ELEMENTS:
                raise op.refuse(f"{start} to {end} by {step} has too many elements")
            return np.arange(*[v.item() for v in given], dtype=given[0].dtype)
        filling = op.get("value")
        value = np.float32(0) if filling is None else numpy_helper.to_array(filling).reshape(-1)[0]
        if Spec([int(n) for n in given[0]], value.dtype).size > MOST_ELEMENTS:
            raise op.refuse(f"shape {tuple(given[0])} has too many elements")
        return np.full(given[0], value)


def _as_left_out(arrays: tuple[Any, ...], given: list[Any]) -> tuple[Any, ...]:
    """The known arrays, without the inputs left out at the end."""
    count = len(given)
    while count and given[count - 1] is None:
        count -= 1
    return arrays[:count]


def _folded(op: Operator, given: list[Any]) -> Any:
    """The arrays that an operator gives for arrays."""
    tracer, tape.state.tracer = tape.state.tracer, None
    try:
        with tape.no_grad():
            results = RULES[op.kind](op, *given)
    finally:
        tape.state.tracer = tracer
    if isinstance(results, (tuple, list)):
        return [as_tensor(x).detach().numpy() for x in results]
    return as_tensor(results).detach().numpy()


def _named(graph: Graph, run: _Run) -> Graph:
    """The graph with the names of the file."""
    names = {id(value): name for name, value in run.weights.items()}
    inputs = iter([v.name for v in run.model.graph.input if v.name not in run.weights])
    leaves = {}
    for node in graph.nodes:
        if node.op is None:
            leaf = graph.leaves[node]
            if leaf.role == Role.INPUT:
                leaf = replace(leaf, name=next(inputs))
            elif id(leaf.tensor) in names:
                leaf = replace(leaf, name=names[id(leaf.tensor)], role=Role.PARAMETER)
            leaves[node] = leaf
    outputs = tuple([value.name for value in run.model.graph.output])
    return replace(graph, leaves=leaves, output_names=outputs)
