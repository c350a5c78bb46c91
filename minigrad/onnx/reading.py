"""An ONNX file, checked and made plain: one list of nodes whose operators all have a rule.

Functions, of the file itself and of ONNX's own definitions, are put in the place of their calls.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import inliner

from minigrad.errors import GraphError
from minigrad.spec import DTYPES, Spec, float32, float64

OLDEST = 7
DEFAULT = ("", "ai.onnx")  # both name the domain of ONNX's own operators
# What attributes and values that do not fit their operator end in.
UNFIT = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, MemoryError)


def read(source: str | os.PathLike[str] | onnx.ModelProto, known: Container[str]) -> onnx.ModelProto:
    """The model in a file, or one at hand, of operators that are `known`.

    Raises GraphError for what cannot be read or is not sound, for an unknown opset, and for other
    operators, all of them with counts.
    """
    model = _checked(source)
    opset_of(model)
    lacking = _lacking(model, known)
    if lacking:
        model = _expanded(model, lacking)
        lacking = _lacking(model, known)
    if lacking:
        found = ", ".join(f"{kind} x {count}" for kind, count in sorted(lacking.items()))
        raise GraphError(f"has operators that minigrad does not know: {found}")
    return model


def _checked(source: str | os.PathLike[str] | onnx.ModelProto) -> onnx.ModelProto:
    """The model, passed by ONNX's own check, without local functions."""
    try:
        if isinstance(source, onnx.ModelProto):
            onnx.checker.check_model(source, full_check=True)
            model = source
        else:
            onnx.checker.check_model(str(Path(source)), full_check=True)
            model = onnx.load_model(source)
        return inliner.inline_local_functions(model) if model.functions else model
    except OSError as error:
        raise GraphError(f"cannot be read ({error.strerror or error})") from None
    except (DecodeError, onnx.checker.ValidationError, ValueError, RuntimeError) as error:
        # RuntimeError: what ONNX's shape inference and its reader of files raise.
        raise GraphError(f"is not a sound ONNX file: {error}") from None


def _lacking(model: onnx.ModelProto, known: Container[str]) -> Counter[str]:
    """The operators that are not known, with how often they are called."""
    return Counter(
        [
            n.op_type if n.domain in DEFAULT else f"{n.domain}.{n.op_type}"
            for n in model.graph.node
            if n.domain not in DEFAULT or n.op_type not in known
        ]
    )


def _expanded(model: onnx.ModelProto, lacking: Container[str]) -> onnx.ModelProto:
    """The model with the bodies of those operators that ONNX defines as functions of others.

    They may depend on types and shapes, which are inferred before.
    """
    wanted = [
        (schema.domain, schema.name)
        for schema in onnx.defs.get_all_schemas()
        if schema.name in lacking
        and schema.domain in DEFAULT
        and (schema.has_function or schema.has_context_dependent_function)
    ]
    if not wanted:
        return model
    try:
        typed = onnx.shape_inference.infer_shapes(model)
        return inliner.inline_selected_functions(typed, wanted, inline_schema_functions=True)
    except RuntimeError as error:
        names = ", ".join([name for _, name in wanted])
        raise GraphError(f"the definition of {names} cannot be put in place: {error}") from None


def opset_of(model: onnx.ModelProto) -> int:
    """The version of ONNX's operators. Raises GraphError for one that is not known."""
    opset = next((o.version for o in model.opset_import if o.domain in DEFAULT), 0)
    newest = onnx.defs.onnx_opset_version()
    if not OLDEST <= opset <= newest:
        raise GraphError(f"onnx: opset {opset} is not known; there are {OLDEST} to {newest}")
    return int(opset)


def dtype_of(number: int, name: str) -> np.dtype[Any]:
    """The dtype of ONNX's number. Raises GraphError for a type that minigrad does not compute with;
    `name` is the value's."""
    if number in onnx.TensorProto.DataType.values():
        kind = onnx.TensorProto.DataType.Name(number)
        dtypes: dict[str, np.dtype[Any]] = {str(d): np.dtype(str(d)) for d in DTYPES}
        dtypes |= {"float": float32, "double": float64}
        if kind.lower() in dtypes:
            return dtypes[kind.lower()]
    else:
        kind = f"type {number}"
    raise GraphError(f"onnx: {name} is of {kind}, which minigrad has no dtype for")


def spec_of(value: onnx.ValueInfoProto, lengths: Mapping[str, int]) -> Spec:
    """The spec of an input; a length that the file gives a name only is that of `lengths`, or 1."""
    kind = value.type.tensor_type
    if not value.type.HasField("tensor_type") or not kind.HasField("shape"):
        raise GraphError(f"onnx: the input {value.name!r} is no tensor of known axes")
    shape = [
        d.dim_value if d.HasField("dim_value") else lengths.get(d.dim_param, 1)
        for d in kind.shape.dim
    ]
    return Spec(shape, dtype_of(kind.elem_type, value.name))
