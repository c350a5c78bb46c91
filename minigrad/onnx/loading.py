"""`load`: an ONNX model as a `Graph`, traced from a run of its nodes on shapes alone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import onnx

from minigrad.errors import ArgumentError, GraphError, MinigradError
from minigrad.graph import trace
from minigrad.graph.graph import Graph, Role
from minigrad.onnx.operator import UnknownError
from minigrad.onnx.operators import RULES
from minigrad.onnx.reading import UNFIT, dtype_of, read, spec_of
from minigrad.onnx.running import Run
from minigrad.spec import Spec
from minigrad.tensor import Tensor, as_tensor


class UnknownInputError(GraphError):
    """Values have to be known before the program runs; `inputs` names those they come from."""

    def __init__(self, message: str, inputs: list[str]) -> None:
        super().__init__(message)
        self.inputs = inputs


def load_model(
    source: str | os.PathLike[str] | onnx.ModelProto,
    values: Mapping[str, Any],
    lengths: Mapping[str, int],
) -> Graph:
    """See `minigrad.onnx.load`."""
    place = "onnx" if isinstance(source, onnx.ModelProto) else str(source)
    try:
        model = read(source, RULES)
        fixed = _fixed(model, values)
        _require_lengths(model, lengths)
        run = _run(model, fixed)
        specs = [spec_of(value, lengths) for value in run.inputs]
        return traced(run, specs)
    except UnknownInputError as error:
        raise UnknownInputError(f"{place}: {error}", error.inputs) from None
    except ArgumentError as error:
        raise ArgumentError(f"{place}: {error}") from None
    except MinigradError as error:
        raise GraphError(f"{place}: {error}") from None


def _run(model: onnx.ModelProto, fixed: Mapping[str, np.ndarray]) -> Run:
    try:
        return Run(model, fixed)
    except MinigradError:
        raise
    except UNFIT as error:
        raise GraphError(f"an initializer is damaged: {error}") from None


def _fixed(model: onnx.ModelProto, values: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The values of inputs, as arrays of the dtypes in the file."""
    kinds = {value.name: value.type.tensor_type.elem_type for value in model.graph.input}
    kinds = {n: k for n, k in kinds.items() if n not in {w.name for w in model.graph.initializer}}
    unknown = sorted(set(values) - set(kinds))
    if unknown:
        raise ArgumentError(f"no input is called {', '.join(unknown)}; there are {sorted(kinds)}")
    fixed = {}
    for name, value in values.items():
        dtype = dtype_of(kinds[name], name)
        array = value.detach().numpy() if isinstance(value, Tensor) else np.asarray(value)
        if not np.can_cast(array.dtype, dtype, "same_kind"):
            raise ArgumentError(f"the input {name} takes {dtype}, got {array.dtype}")
        fixed[name] = as_tensor(array.astype(dtype)).numpy()
    return fixed


def _require_lengths(model: onnx.ModelProto, lengths: Mapping[str, int]) -> None:
    named = {d.dim_param for v in model.graph.input for d in v.type.tensor_type.shape.dim}
    unknown = sorted(set(lengths) - named)
    if unknown:
        raise ArgumentError(f"no length is called {', '.join(unknown)}")


def traced(run: Run, specs: list[Spec]) -> Graph:
    """The graph of a model's function for inputs of these shapes."""
    try:
        return _named(trace(run, *specs), run)
    except UnknownError as error:
        hint = f"; fix {', '.join(run.missing)} with values={{...}}" if run.missing else ""
        raise UnknownInputError(f"{error}{hint}", run.missing) from None


def _named(graph: Graph, run: Run) -> Graph:
    """The graph with the names of the file."""
    names = {id(value): name for name, value in run.weights.items()}
    inputs = iter([value.name for value in run.inputs])
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
