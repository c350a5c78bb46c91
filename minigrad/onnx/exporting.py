"""`export`: a function or network as an ONNX file, for any batch."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad.errors import ArgumentError, GraphError, MinigradError
from minigrad.graph import trace
from minigrad.graph.graph import Graph
from minigrad.nn.module import Module
from minigrad.spec import Spec
from minigrad.tensor import Tensor

if TYPE_CHECKING:
    import onnx


def require_onnx() -> None:
    """Raise ArgumentError where the package `onnx` is not installed."""
    if find_spec("onnx") is None:
        raise ArgumentError(
            "onnx: the package onnx is not installed; install it with pip install 'minigrad[onnx]'"
        )


def export(
    fn_or_module: Callable[..., Any],
    args: Any,
    path: str | os.PathLike[str],
    *,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    dynamic_batch: bool = True,
    external_data: bool = False,
    opset: int | None = None,
) -> None:
    """Write the program fn(*args) as an ONNX file that `onnx.checker` has passed.

    `args` are `Spec`s, tensors or arrays, a tuple of them or a single one; only their shapes and
    dtypes count. A network is taken as in `eval()`. Parameters are the file's initializers, by
    their names. With `dynamic_batch` the first axis of every input that is as long as that of the
    first input may have any length, "batch" in the file: the program is traced for three batches,
    and what differs must be lengths that grow in a line with them. With `external_data` the weights
    are written to `path` + ".data". `opset` is the version of the operators, by default the newest
    that both the installed `onnx` and the rules know.

    Raises GraphError that lists all calls without a counterpart in ONNX, all that depends on the
    batch otherwise than by a length, or says why the file cannot be written.
    """
    require_onnx()
    from minigrad.onnx.batch import program
    from minigrad.onnx.writer import require_rules, save

    given = tuple(args) if isinstance(args, (tuple, list)) else (args,)
    modules = list(fn_or_module.modules()) if isinstance(fn_or_module, Module) else []
    training = [module for module in modules if module.training]
    try:
        for module in training:
            module.training = False
        graphs = [trace(fn_or_module, *given)]
        require_rules(graphs[0])
        batches = [0]
        if dynamic_batch:
            batch = _batch(graphs[0])
            batches = [batch, 2 * batch + 1, 5 * batch + 3]
            graphs += [_retraced(fn_or_module, given, batch, other) for other in batches[1:]]
    finally:
        for module in training:
            module.training = True
    save(program(graphs, batches), path, input_names, output_names, external_data, opset)


def _batch(graph: Graph) -> int:
    """The length of the first axis of the first input."""
    shapes = [spec.shape for spec in graph.input_specs if spec.shape]
    if not shapes:
        raise ArgumentError(
            f"onnx: no input of {graph.name} has an axis for the batch; pass dynamic_batch=False"
        )
    return shapes[0][0]


def _retraced(fn: Callable[..., Any], args: Sequence[Any], batch: int, other: int) -> Graph:
    try:
        return trace(fn, *[_resized(value, batch, other) for value in args])
    except MinigradError as error:
        raise GraphError(
            f"onnx: with a batch of {other} in the place of {batch} the program does not run: "
            f"{error}; export it for one batch with dynamic_batch=False"
        ) from None


def _resized(value: Any, batch: int, other: int) -> Any:
    """The argument for another batch, by shapes and dtypes alone."""
    if isinstance(value, np.ndarray):
        value = Spec(value.shape, value.dtype)
    if isinstance(value, (Spec, Tensor)):
        spec = value if isinstance(value, Spec) else value.spec
        grows = spec.shape[:1] == (batch,)
        return Spec((other, *spec.shape[1:]), spec.dtype) if grows else spec
    if isinstance(value, Mapping):
        return {key: _resized(item, batch, other) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        items = [_resized(item, batch, other) for item in value]
        return type(value)(items) if type(value) in (list, tuple) else type(value)(*items)
    return value


def write(
    graph: Graph,
    path: str | os.PathLike[str],
    *,
    external_data: bool = False,
    opset: int | None = None,
) -> None:
    """Write a graph for the shapes that it was traced with; see `export`, which writes any batch.

    Raises GraphError for calls without a counterpart, ArgumentError for an unknown opset.
    """
    require_onnx()
    from minigrad.onnx.batch import program
    from minigrad.onnx.writer import require_rules, save

    require_rules(graph)
    save(program([graph], [0]), path, None, None, external_data, opset)


def load(
    path: str | os.PathLike[str] | onnx.ModelProto,
    values: Mapping[str, Any] | None = None,
    **lengths: int,
) -> Graph:
    """The graph of an ONNX file, or of a model at hand. It runs, differentiates by
    `graph.parameters()`, which are the floating-point initializers, and is shown and written like
    any other.

    Shapes of a graph are numbers: a length that the file gives a name only (the "batch") is the
    keyword of that name, load("net.onnx", batch=8), or else 1. Inputs in `values`, by their names,
    have these values for good and are no inputs of the graph: what a shape depends on has to be
    among them.

    Raises GraphError for a file that is not sound, an unknown opset, operators that minigrad does
    not know (all of them, with counts), and values that would have to be known before a run (with
    the inputs that they come from); ArgumentError for lengths and values that the file has not.
    """
    require_onnx()
    from minigrad.onnx.loading import load_model

    return load_model(path, values or {}, lengths)
