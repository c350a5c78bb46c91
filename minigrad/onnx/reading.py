"""An ONNX file, checked and made plain: one list of nodes whose operators all have a rule.

Functions, of the file itself and of ONNX's own definitions, are put in the place of their calls.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import inliner

from minigrad.errors import GraphError
from minigrad.onnx.expansion import expanded
from minigrad.spec import DTYPES, Spec, float32, float64

OLDEST = 7
DEFAULT = ("", "ai.onnx")  # both name the domain of ONNX's own operators
# What attributes and values that do not fit their operator end in.
UNFIT = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, MemoryError)
# What ONNX's checks, its shape inference and its reader of files raise.
UNSOUND = (
    DecodeError,
    onnx.checker.ValidationError,
    onnx.shape_inference.InferenceError,
    ValueError,
    RuntimeError,
)


def read(
    source: str | os.PathLike[str] | onnx.ModelProto, known: Container[str]
) -> onnx.ModelProto:
    """The model in a file, or one at hand, of operators that are `known`.

    Raises GraphError for what cannot be read or is not sound, for an unknown opset, and for other
    operators, all of them with counts.
    """
    model = _loaded(source)
    opset = opset_of(model)
    if _lacking(model, known):
        model = expanded(model, opset, known)
    _require_sound(model)
    lacking = _lacking(model, known)
    if lacking:
        found = ", ".join(f"{kind} x {count}" for kind, count in sorted(lacking.items()))
        raise GraphError(f"has operators that minigrad does not know: {found}")
    if not isinstance(source, onnx.ModelProto):
        _add_weights(model, Path(source))
    return model


def _loaded(source: str | os.PathLike[str] | onnx.ModelProto) -> onnx.ModelProto:
    """The model without local functions, and without the weights beside the file."""
    try:
        if isinstance(source, onnx.ModelProto):
            onnx.checker.check_model(source)
            model = onnx.ModelProto()
            model.CopyFrom(source)
        else:
            onnx.checker.check_model(str(Path(source)))
            model = onnx.load_model(source, load_external_data=False)
        return inliner.inline_local_functions(model) if model.functions else model
    except OSError as error:
        raise GraphError(f"cannot be read ({error.strerror or error})") from None
    except UNSOUND as error:
        raise GraphError(f"is not a sound ONNX file: {error}") from None


def _require_sound(model: onnx.ModelProto) -> None:
    """Raise unless the shapes and types of all values fit."""
    try:
        onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    except UNSOUND as error:
        raise GraphError(f"is not a sound ONNX file: {error}") from None


def _add_weights(model: onnx.ModelProto, path: Path) -> None:
    try:
        onnx.load_external_data_for_model(model, str(path.parent))
    except OSError as error:
        raise GraphError(f"its weights cannot be read ({error.strerror or error})") from None
    except UNSOUND as error:
        raise GraphError(f"is not a sound ONNX file: {error}") from None


def _lacking(model: onnx.ModelProto, known: Container[str]) -> Counter[str]:
    """The operators that are not known, with how often they are called."""
    return Counter(
        [
            n.op_type if n.domain in DEFAULT else f"{n.domain}.{n.op_type}"
            for n in _nodes(model.graph)
            if n.domain not in DEFAULT or n.op_type not in known
        ]
    )


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """All nodes, those in bodies too."""
    waiting = [graph]
    while waiting:
        for node in waiting.pop().node:
            yield node
            waiting += [a.g for a in node.attribute if a.type == onnx.AttributeProto.GRAPH]


def opset_of(model: onnx.ModelProto) -> int:
    """The version of ONNX's operators, the newest if none of them is used.

    Raises GraphError for one that is not known.
    """
    newest = onnx.defs.onnx_opset_version()
    opset = next((o.version for o in model.opset_import if o.domain in DEFAULT), newest)
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
