"""minigrad as a backend of ONNX, by the interface of `onnx.backend.base` that other runtimes have
too: `prepare(model).run(inputs)`.

A graph has shapes that are numbers, so the model is loaded anew for inputs of other shapes, and
for other values of those inputs that shapes depend on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper
from onnx.backend import base

from minigrad import tape
from minigrad.errors import ArgumentError, GraphError, MinigradError
from minigrad.graph.graph import Graph
from minigrad.onnx.loading import UnknownInputError, traced
from minigrad.onnx.operators import RULES
from minigrad.onnx.reading import UNFIT, read, spec_of
from minigrad.onnx.running import Run
from minigrad.spec import Spec

__all__ = ["Backend", "Prepared", "prepare", "run_model", "run_node", "supports_device"]


class Prepared(base.BackendRep):
    """A model that can be run many times."""

    def __init__(self, model: onnx.ModelProto) -> None:
        try:
            self.model = read(model, RULES)
            self._inputs = Run(self.model, {}).inputs
        except MinigradError as error:
            raise GraphError(f"onnx: {error}") from None
        except UNFIT as error:
            raise GraphError(f"onnx: an initializer is damaged: {error}") from None
        self._fixed: set[str] = set()
        self._graph: tuple[Any, Graph] | None = None

    def run(self, inputs: Any, **kwargs: Any) -> tuple[np.ndarray, ...]:
        """The outputs for these inputs: a list in the order of the model, a dictionary by name, or
        one array. Raises ArgumentError for other inputs than the model's, GraphError where the
        model cannot be run."""
        arrays = self._named(inputs)
        graph = self.graph(arrays)
        given = [arrays[name] for name in graph.input_names]
        with tape.no_grad():
            found = graph(*given)
        return tuple([t.numpy() for t in (found if isinstance(found, tuple) else (found,))])

    def graph(self, arrays: Mapping[str, np.ndarray]) -> Graph:
        """The graph for inputs of these shapes, in which those are fixed that shapes depend on."""
        while True:
            fixed = {name: arrays[name] for name in sorted(self._fixed)}
            specs = {name: Spec(a.shape, a.dtype) for name, a in arrays.items()}
            key = specs, {name: a.tobytes() for name, a in fixed.items()}
            if self._graph is not None and self._graph[0] == key:
                return self._graph[1]
            run = Run(self.model, fixed)
            try:
                made = traced(run, [specs[value.name] for value in run.inputs])
            except UnknownInputError as error:
                if not error.inputs:
                    raise
                self._fixed.update(error.inputs)
                continue
            self._graph = key, made
            return made

    def _named(self, inputs: Any) -> dict[str, np.ndarray]:
        """The inputs by their names, of the dtypes and shapes that the model takes."""
        names = [value.name for value in self._inputs]
        if isinstance(inputs, np.ndarray):
            inputs = [inputs]
        listed = list(inputs) if isinstance(inputs, (Sequence, Mapping)) else []
        if len(listed) != len(names) or (isinstance(inputs, Mapping) and set(listed) != set(names)):
            raise ArgumentError(f"onnx: the model takes the inputs {names}, got {len(listed)}")
        given = [inputs[n] for n in names] if isinstance(inputs, Mapping) else listed
        arrays = {}
        for value, entry in zip(self._inputs, given, strict=True):
            array, spec = np.asarray(entry), spec_of(value, {})
            lengths = [d.dim_value for d in value.type.tensor_type.shape.dim]
            free = [not d.HasField("dim_value") for d in value.type.tensor_type.shape.dim]
            fits = array.ndim == spec.ndim and array.dtype == spec.dtype
            if not fits or any(
                n != m and not any_ for n, m, any_ in zip(array.shape, lengths, free, strict=True)
            ):
                raise ArgumentError(
                    f"onnx: the input {value.name!r} takes {spec}, got {array.dtype} of shape "
                    f"{array.shape}"
                )
            arrays[value.name] = array
        return arrays


class Backend(base.Backend):
    """What `onnx.backend.base.Backend` asks for, on a CPU."""

    @classmethod
    def supports_device(cls, device: str) -> bool:
        return device.split(":")[0] == "CPU"

    @classmethod
    def is_compatible(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> bool:
        """Whether every operator of the model has a rule."""
        try:
            read(model, RULES)
        except MinigradError:
            return False
        return cls.supports_device(device)

    @classmethod
    def prepare(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> Prepared:
        """The model, checked, for many runs. Raises GraphError as `minigrad.onnx.load` does."""
        if not cls.supports_device(device):
            raise ArgumentError(f"onnx: minigrad runs on the device CPU, got {device!r}")
        return Prepared(model)

    @classmethod
    def run_model(
        cls, model: onnx.ModelProto, inputs: Any, device: str = "CPU", **kwargs: Any
    ) -> tuple[np.ndarray, ...]:
        return cls.prepare(model, device, **kwargs).run(inputs)

    @classmethod
    def run_node(
        cls,
        node: onnx.NodeProto,
        inputs: Any,
        device: str = "CPU",
        outputs_info: Any = None,
        **kwargs: Any,
    ) -> tuple[np.ndarray, ...]:
        """The outputs of one node. `opset_version` is that of its operator, by default the newest
        that the installed onnx knows."""
        names = [name for name in node.input if name]
        listed = [inputs] if isinstance(inputs, np.ndarray) else inputs
        if isinstance(listed, Mapping):
            listed = [listed[name] for name in names]
        if len(listed) != len(names):
            raise ArgumentError(f"onnx: {node.op_type} takes the inputs {names}, got {len(listed)}")
        arrays = [np.asarray(value) for value in listed]
        try:
            takes = [
                helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
                for n, a in dict(zip(names, arrays, strict=True)).items()
            ]
        except (KeyError, ValueError) as error:
            raise ArgumentError(f"onnx: {node.op_type} takes arrays of numbers: {error}") from None
        gives = [helper.make_empty_tensor_value_info(name) for name in node.output if name]
        graph = helper.make_graph([node], node.op_type, takes, gives)
        opset = kwargs.get("opset_version", onnx.defs.onnx_opset_version())
        imports = [helper.make_opsetid("", opset)]
        model = helper.make_model(
            graph, opset_imports=imports, ir_version=helper.find_min_ir_version_for(imports)
        )
        try:
            model = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
        except onnx.shape_inference.InferenceError as error:
            raise GraphError(f"onnx: {node.op_type}: {error}") from None
        held = dict(zip(names, arrays, strict=True))
        return cls.prepare(model, device).run(held)


prepare = Backend.prepare
run_model = Backend.run_model
run_node = Backend.run_node
supports_device = Backend.supports_device
