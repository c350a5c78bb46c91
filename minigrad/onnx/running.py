"""A model of plain nodes as a function of its inputs, which calls the rules of `operators`.

What depends on constants and shapes only is computed on the way, so that shapes are numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from minigrad import tape
from minigrad.errors import GraphError
from minigrad.onnx.operator import Operator, UnknownError
from minigrad.onnx.operators import RULES
from minigrad.onnx.reading import UNFIT, dtype_of, opset_of
from minigrad.spec import FLOATING
from minigrad.tensor import Tensor, as_tensor, tensor

MOST_CALLS = 2**20
"""Of nodes in one run, so that loops in loops come to an end."""


class Run:
    """The function that a model is.

    Its initializers are `weights`, those of floating-point numbers as parameters; of the other
    inputs those in `values` are fixed, and `inputs` are left. After an UnknownError `missing` has
    the names of the inputs that would have to be fixed.
    """

    def __init__(self, model: onnx.ModelProto, values: Mapping[str, np.ndarray]) -> None:
        self.model, self.opset, self.values = model, opset_of(model), values
        self.__name__ = model.graph.name or "graph"
        self.missing: list[str] = []
        self._calls = 0
        if model.graph.sparse_initializer:
            raise GraphError("onnx: sparse initializers are not known")
        self.arrays: dict[str, np.ndarray] = {}
        self.weights: dict[str, Tensor | np.ndarray] = {}
        for proto in model.graph.initializer:
            dtype_of(proto.data_type, proto.name)
            array = numpy_helper.to_array(proto)
            self.arrays[proto.name] = array
            floating = array.dtype in FLOATING
            self.weights[proto.name] = tensor(array, requires_grad=True) if floating else array
        given = [value for value in model.graph.input if value.name not in self.weights]
        self.inputs = [value for value in given if value.name not in values]

    def __call__(self, *inputs: Tensor) -> dict[str, Tensor]:
        names = [value.name for value in self.inputs]
        held: dict[str, Any] = {**self.weights, **self.values}
        held |= dict(zip(names, inputs, strict=True))
        self._calls = 0
        found = self._graph(self.model.graph, held)
        names = [value.name for value in self.model.graph.output]
        return {name: as_tensor(value) for name, value in zip(names, found, strict=True)}

    def _graph(self, graph: onnx.GraphProto, held: dict[str, Any]) -> list[Any]:
        """The outputs of a graph for the values that are held, to which its own are added."""
        self._calls += len(graph.node)
        if self._calls > MOST_CALLS:
            raise GraphError(f"onnx: runs more than {MOST_CALLS:,} nodes, those in loops counted")
        for node in graph.node:
            held.update(self._node(node, held))
        return [held[value.name] for value in graph.output]

    def _body(self, graph: onnx.GraphProto, held: dict[str, Any]) -> Callable[..., list[Any]]:
        """A graph that is an attribute, as a function; it sees what is held around it."""
        arrays: dict[str, Any] = {}
        for proto in graph.initializer:
            dtype_of(proto.data_type, proto.name)
            arrays[proto.name] = numpy_helper.to_array(proto)

        def body(*inputs: Any) -> list[Any]:
            names = [value.name for value in graph.input]
            return self._graph(graph, {**held, **arrays, **dict(zip(names, inputs, strict=True))})

        return body

    def _node(self, node: onnx.NodeProto, held: dict[str, Any]) -> dict[str, Any]:
        """The values that a node gives, arrays where all that it reads is known."""
        given = [held[name] if name else None for name in node.input]
        while given and given[-1] is None:
            given.pop()
        arrays = [self.arrays.get(n, v) for n, v in zip(node.input, given, strict=False)]
        known = {i: a for i, a in enumerate(arrays) if a is None or isinstance(a, np.ndarray)}
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        for name, value in attributes.items():
            if isinstance(value, onnx.GraphProto):
                attributes[name] = self._body(value, held)
        used = [i for i, name in enumerate(node.output, start=1) if name]
        name = node.name or next(iter(node.output))
        count = max(used, default=0)
        op = Operator(node.op_type, name, self.opset, attributes, known, len(given), count)
        try:
            results = _applied(op, given)
        except UnknownError as error:
            if error.sources is None:
                names = node.input if error.index is None else [node.input[error.index]]
                error.sources = self.missing = self._sources(names)
            raise
        except UNFIT as error:
            raise op.refuse(str(error) or type(error).__name__) from None
        if op.outputs > len(results):
            raise op.refuse(f"its output {len(results)} is not known")
        return {n: v for n, v in zip(node.output, results, strict=False) if n}

    def _sources(self, names: Iterable[str]) -> list[str]:
        """The inputs that values are computed from."""
        reads = _reads(self.model.graph)
        wanted, before = set(names), 0
        while len(wanted) > before:
            before = len(wanted)
            for outputs, inputs in reversed(reads):
                if wanted & set(outputs):
                    wanted.update(inputs)
        return [value.name for value in self.inputs if value.name in wanted]


def _reads(graph: onnx.GraphProto) -> list[tuple[list[str], list[str]]]:
    """The outputs and inputs of all nodes; what bodies read counts as read by their node, and what
    is handed to a body as coming from all inputs of its node."""
    found = []
    for node in graph.node:
        inputs = list(node.input)
        for body in [a.g for a in node.attribute if a.type == onnx.AttributeProto.GRAPH]:
            inner = _reads(body)
            found += [([value.name for value in body.input], list(node.input)), *inner]
            inputs += [name for _, names in inner for name in names]
            inputs += [value.name for value in body.output]
        found.append((list(node.output), inputs))
    return found


def _applied(op: Operator, given: list[Any]) -> list[Any]:
    """What the operator's rule gives; arrays for arrays."""
    rule = RULES[op.kind]
    known = all(v is None or isinstance(v, np.ndarray) for v in given)
    if not known or any(callable(value) for value in op.attributes.values()):
        return _listed(rule(op, *given))
    tracer, tape.state.tracer = tape.state.tracer, None
    try:
        with tape.no_grad():
            return [v if v is None else _array(v) for v in _listed(rule(op, *given))]
    finally:
        tape.state.tracer = tracer


def _listed(results: Any) -> list[Any]:
    return list(results) if isinstance(results, (tuple, list)) else [results]


def _array(value: Any) -> np.ndarray:
    array: np.ndarray = as_tensor(value).detach().numpy()
    return array
