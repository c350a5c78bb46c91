"""Operators that ONNX itself defines as functions of others, replaced by these.

A definition may depend on the types and the number of a call's inputs, so every call gets a local
function of its own, which onnx's inliner then puts in place.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

import onnx
from onnx import inliner

from minigrad.errors import GraphError

DOMAIN = "minigrad.expanded"


def expanded(model: onnx.ModelProto, opset: int, known: Container[str]) -> onnx.ModelProto:
    """The model with the definitions of operators that are not known in the place of their calls;
    those without a definition stay. Raises GraphError where a definition cannot be put in place."""
    while True:
        model = _typed(model)
        types = _types(model)
        functions: list[onnx.FunctionProto] = []
        for node in model.graph.node:
            if node.domain not in ("", "ai.onnx") or node.op_type in known:
                continue
            function = _definition(node, opset, types)
            if function is not None:
                function.domain, function.name = DOMAIN, f"{node.op_type}_{len(functions)}"
                node.domain, node.op_type = function.domain, function.name
                functions.append(function)
        if not functions:
            return model
        model.functions.extend(functions)
        model.opset_import.append(onnx.helper.make_opsetid(DOMAIN, 1))
        try:
            model = inliner.inline_local_functions(model)
        except RuntimeError as error:
            names = ", ".join([f.name.rpartition("_")[0] for f in functions])
            raise GraphError(f"the definition of {names} cannot be put in place: {error}") from None


def _typed(model: onnx.ModelProto) -> onnx.ModelProto:
    try:
        return onnx.shape_inference.infer_shapes(model, data_prop=True)
    except (ValueError, RuntimeError, onnx.shape_inference.InferenceError) as error:
        raise GraphError(f"is not a sound ONNX file: {error}") from None


def _types(model: onnx.ModelProto) -> dict[str, Any]:
    graph = model.graph
    types = {v.name: v.type for v in (*graph.input, *graph.value_info, *graph.output)}
    for tensor in graph.initializer:
        types[tensor.name] = onnx.helper.make_tensor_type_proto(tensor.data_type, tensor.dims)
    return types


def _definition(node: onnx.NodeProto, opset: int, types: dict[str, Any]) -> Any:
    """The function that a call stands for, with the call given its default attributes; None of an
    operator without one."""
    try:
        schema = onnx.defs.get_schema(node.op_type, opset, "")
    except onnx.defs.SchemaError:
        return None
    body = _body(schema, node, opset, types)
    if not body:
        return None
    given = {attribute.name for attribute in node.attribute}
    for name, attribute in schema.attributes.items():
        if name not in given and attribute.default_value.name:
            node.attribute.append(attribute.default_value)
    function = onnx.FunctionProto()
    function.ParseFromString(body)
    del function.attribute[:], function.attribute_proto[:], function.opset_import[:]
    function.attribute.extend([attribute.name for attribute in node.attribute])
    function.opset_import.append(onnx.helper.make_opsetid("", opset))
    return function


def _body(schema: Any, node: onnx.NodeProto, opset: int, types: dict[str, Any]) -> bytes:
    """The newest definition that is not newer than the opset, or else the oldest, serialized;
    nothing where there is none for these types."""
    if schema.function_opset_versions:
        version = _nearest(schema.function_opset_versions, opset)
        return bytes(schema.get_function_with_opset_version(version))
    versions = schema.context_dependent_function_opset_versions
    if not versions:
        return b""
    known = [types.get(name) or onnx.TypeProto() for name in node.input]
    serialized = [kind.SerializeToString() for kind in known]
    return bytes(
        schema.get_context_dependent_function_with_opset_version(
            _nearest(versions, opset), node.SerializeToString(), serialized
        )
    )


def _nearest(versions: Sequence[int], opset: int) -> int:
    return max([v for v in versions if v <= opset], default=min(versions))
