"""An ONNX model while it is made: names, initializers, nodes; and a call as its rule sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from minigrad.errors import GraphError
from minigrad.onnx.batch import Line, Program
from minigrad.spec import Shape
from minigrad.tape import Node, Value


class RefusedError(Exception):
    """A call that its rule cannot write; the text says why."""


def element_type(dtype: np.dtype[Any]) -> int:
    """ONNX's number for a dtype."""
    return int(helper.np_dtype_to_tensor_dtype(dtype))


@dataclass
class Model:
    """The nodes and initializers so far. `values` has the name of every value of the program."""

    program: Program
    opset: int
    taken: set[str]
    values: dict[Value, str] = field(default_factory=dict)
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initializers: dict[str, onnx.TensorProto] = field(default_factory=dict)
    arrays: dict[Any, str] = field(default_factory=dict)
    lengths: dict[tuple[int, int], str] = field(default_factory=dict)

    def fresh(self, name: str) -> str:
        """This name, numbered if there is one like it already."""
        found, count = name, 0
        while found in self.taken:
            count += 1
            found = f"{name}_{count}"
        self.taken.add(found)
        return found

    def initializer(self, name: str, array: np.ndarray) -> str:
        """An initializer of a name of its own."""
        self.initializers[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        if array.ndim == 0:
            del self.initializers[name].dims[:]
        return name

    def constant(self, array: np.ndarray) -> str:
        """The name of an initializer with these values, made once."""
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self.arrays:
            self.arrays[key] = self.initializer(self.fresh("constant"), array)
        return self.arrays[key]

    def node(self, kind: str, inputs: Sequence[str], outputs: int = 1, **attributes: Any) -> Any:
        """Add a node; the name of its output, or a list of names."""
        names = [self.fresh(f"{kind}_out") for _ in range(outputs)]
        made = helper.make_node(kind, list(inputs), names, **attributes)
        self.nodes.append(made)
        return names[0] if outputs == 1 else names

    def length(self, line: Line) -> str:
        """A vector of one integer, the length for the batch of the call."""
        key = line.slope, line.start
        if key not in self.lengths:
            if (1, 0) not in self.lengths:
                source = next(n for n in self.program.graph.inputs if self._is_batched(n))
                batch = self.node("Shape", [self.values[source, 0]], start=0, end=1)
                self.lengths[1, 0] = batch
            name = self.lengths[1, 0]
            if line.slope != 1:
                name = self.node("Mul", [name, self.integers([line.slope])])
            if line.start:
                name = self.node("Add", [name, self.integers([line.start])])
            self.lengths[key] = name
        return self.lengths[key]

    def _is_batched(self, node: Node) -> bool:
        shape = self.program.shapes[node, 0]
        return bool(shape) and isinstance(shape[0], Line)

    def integers(self, numbers: Sequence[int]) -> str:
        """A vector of integers, of which `Line`s are computed from the batch."""
        if not any(isinstance(n, Line) for n in numbers):
            return self.constant(np.array([int(n) for n in numbers], np.int64))
        parts = [self.length(n) if isinstance(n, Line) else self.integers([n]) for n in numbers]
        name: str = parts[0] if len(parts) == 1 else self.node("Concat", parts, axis=0)
        return name

    def reshaped(self, name: str, shape: Shape) -> str:
        """A value in another shape; the one length that goes with the batch is left to be found."""
        lines = [n for n in shape if isinstance(n, Line)]
        if 0 in shape:
            return str(self.node("Reshape", [name, self.integers(shape)], allowzero=1))
        if len(lines) == 1:
            shape = tuple([-1 if isinstance(n, Line) else n for n in shape])
        return str(self.node("Reshape", [name, self.integers(shape)]))


@dataclass(frozen=True)
class Site:
    """One call: its op (with `Line`s), the names and shapes of what it reads, and the shapes and
    dtypes of what it gives. A rule adds nodes and returns the names of the outputs."""

    model: Model
    node: Node
    op: Any
    inputs: list[str]

    @property
    def shapes(self) -> list[Shape]:
        return [self.model.program.shapes[value] for value in self.node.inputs]

    @property
    def out_shape(self) -> Shape:
        return self.model.program.shapes[self.node, 0]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the first operand."""
        source, index = self.node.inputs[0]
        return source.outputs[index].dtype

    @property
    def out_dtype(self) -> np.dtype[Any]:
        return self.node.outputs[0].dtype

    def add(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        return self.model.node(kind, inputs, outputs, **attributes)

    def number(self, value: Any, dtype: Any = None) -> str:
        """A constant without axes, of the dtype of the first operand."""
        return self.model.constant(np.asarray(value, dtype or self.dtype))

    def integers(self, numbers: Sequence[int]) -> str:
        return self.model.integers(numbers)

    def cast(self, name: str, dtype: Any) -> str:
        return str(self.add("Cast", name, to=element_type(np.dtype(dtype))))

    def reshape(self, name: str, shape: Shape) -> str:
        return self.model.reshaped(name, shape)

    def is_used(self, output: int) -> bool:
        """Whether anything reads this output of the call."""
        value = self.node, output
        graph = self.model.program.graph
        readers = graph.users[self.node]
        return value in graph.outputs or any(value in reader.inputs for reader in readers)

    def uniform(self, operand: int) -> Any:
        """The one number that all elements of a constant operand are, or None."""
        source, _ = self.node.inputs[operand]
        program = self.model.program
        if source in program.fills:
            value = program.fills[source].value
            return None if isinstance(value, Line) else value
        leaf = program.graph.leaves.get(source)
        if leaf is None or leaf.role != "constant" or leaf.tensor is None:
            return None
        array = leaf.tensor.detach().numpy()
        return array.flat[0] if array.size and (array == array.flat[0]).all() else None

    def static(self, *lengths: int) -> None:
        """Raise where one of the lengths goes with the batch."""
        if any(isinstance(n, Line) for n in lengths):
            raise RefusedError("a length that it needs as a number goes with the batch")


def require_values(name: str, tensor: Any) -> np.ndarray:
    """The values of a leaf."""
    if tensor is None or tensor.is_abstract:
        raise GraphError(
            f"onnx: {name} has no values (the graph was traced within mg.abstract(), or read from "
            "a file without them); give them with Graph.with_values"
        )
    array: np.ndarray = tensor.detach().numpy()
    return array
