"""A model of plain nodes as a function of its inputs, which calls the rules of `operators` in order.

What depends on constants and shapes only is computed on the way, so that shapes are numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from minigrad import tape
from minigrad.onnx.operator import Operator, UnknownError
from minigrad.onnx.operators import RULES
from minigrad.onnx.reading import UNFIT, dtype_of, opset_of
from minigrad.spec import FLOATING
from minigrad.tensor import Tensor, as_tensor, tensor


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
        for node in self.model.graph.node:
            held.update(self._node(node, held))
        return {value.name: as_tensor(held[value.name]) for value in self.model.graph.output}

    def _node(self, node: onnx.NodeProto, held: dict[str, Any]) -> dict[str, Any]:
        """The values that a node gives, arrays where all that it reads is known."""
        given = [held[name] if name else None for name in node.input]
        while given and given[-1] is None:
            given.pop()
        known = [self.arrays.get(n, v) for n, v in zip(node.input, given, strict=False)]
        arrays = tuple([k if isinstance(k, np.ndarray) else None for k in known])
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        used = [i for i, name in enumerate(node.output, start=1) if name]
        name = node.name or next(iter(node.output))
        op = Operator(node.op_type, name, self.opset, attributes, arrays, max(used, default=0))
        try:
            results = _applied(op, given)
        except UnknownError as error:
            self.missing = self._sources(node.input[error.index])
            raise
        except UNFIT as error:
            raise op.refuse(str(error) or type(error).__name__) from None
        if op.outputs > len(results):
            raise op.refuse(f"its output {len(results)} is not known")
        return {n: v for n, v in zip(node.output, results, strict=False) if n}

    def _sources(self, name: str) -> list[str]:
        """The inputs that a value is computed from."""
        wanted = {name}
        for node in reversed(self.model.graph.node):
            if wanted & set(node.output):
                wanted.update(node.input)
        return [value.name for value in self.inputs if value.name in wanted]


def _applied(op: Operator, given: list[Any]) -> list[Any]:
    """What the operator's rule gives; arrays for arrays."""
    rule = RULES[op.kind]
    if not all(v is None or isinstance(v, np.ndarray) for v in given):
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
