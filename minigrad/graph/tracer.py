"""`Tracer`, which takes ops in place of running them: each becomes a node, nothing is computed.

The tensors it hands out have a spec and a place in the record, and no values. Ops on nothing but
constants are left to run. State that a program assigns to (running statistics) is not touched: the
trace remembers the new value and reads it from then on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from minigrad import tape
from minigrad.errors import TraceError
from minigrad.graph.graph import Leaf, Role
from minigrad.graph.source import user_line
from minigrad.op import Op
from minigrad.ops.movement import Clone
from minigrad.spec import FLOATING, Spec
from minigrad.tape import Node, Value
from minigrad.tensor import UNKNOWN, Tensor, constant, of_spec, of_value, value_of


class Tracer:
    """The record of one trace: its nodes in order, and what it knows of its leaves.

    `aliases` gives, for an output of a call that stands for several others (a user's `Function`,
    a `checkpoint`), the value that it is; such calls are needed for the gradient alone.
    """

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.leaves: dict[Node, Leaf] = {}
        self.aliases: dict[Value, Value] = {}
        self.assigned: dict[int, tuple[Tensor, Tensor]] = {}
        self._nodes: set[Node] = set()
        self._names: Counter[str] = Counter()
        self._captured: dict[Node, Node] = {}
        self._roots: dict[int, Any] = {}
        self._inputs: list[Tensor] = []
        self._grads: list[tuple[Tensor, Tensor | None]] = []

    # -- what is known from the start ---------------------------------------------------------

    def add_input(self, name: str, spec: Spec, requires_grad: bool) -> Tensor:
        """A new input of the graph."""
        tensor = of_spec(spec, requires_grad)
        node = value_of(tensor)[0]
        self._add_leaf(node, Leaf(name, Role.INPUT, None, requires_grad))
        self._inputs.append(tensor)
        return tensor

    def add_module(self, module: Any) -> None:
        """Make the parameters and buffers of a module known by their names."""
        if id(module) in self._roots:
            return
        self._roots[id(module)] = module
        prefix = f"{tape.Frame(None, module).name}." if len(self._roots) > 1 else ""
        for name, tensor in module.named_parameters():
            self._add_state(prefix + name, Role.PARAMETER, tensor)
        for name, tensor in module.named_buffers():
            self._add_state(prefix + name, Role.BUFFER, tensor)

    def _add_state(self, name: str, role: Role, tensor: Tensor) -> None:
        node = value_of(tensor)[0]
        if node.op is None and node not in self._nodes:
            self._add_leaf(node, Leaf(name, role, tensor, tensor.requires_grad))
            self._grads.append((tensor, tensor._grad))

    def _add_leaf(self, node: Node, leaf: Leaf) -> None:
        """Enter a leaf; a name that is taken is numbered, so that gradients have names too."""
        self._names[leaf.name] += 1
        number = self._names[leaf.name]
        if leaf.name and number > 1:
            leaf = replace(leaf, name=f"{leaf.name}_{number}")
        self.leaves[node] = leaf
        self._nodes.add(node)
        self.nodes.append(node)

    # -- what `apply` asks --------------------------------------------------------------------

    def takes(self, inputs: Sequence[Tensor]) -> bool:
        """Whether an op depends on anything but constants."""
        scope = tape.state.scope
        if scope is not None:
            while scope.outer is not None:
                scope = scope.outer
            self.add_module(scope.module)
        return any(
            x._requires_grad
            or x._array is UNKNOWN
            or id(x) in self.assigned
            or (x._node is not None and x._node in self._nodes)
            for x in inputs
        )

    def stage(
        self, op: Op, inputs: Sequence[Tensor], specs: tuple[Spec, ...]
    ) -> tuple[Tensor, ...]:
        """Record an op, and hand out its outputs without values."""
        node = self._node(op, inputs, specs)
        self._nodes.add(node)
        self.nodes.append(node)
        return self._outputs(node)

    def _node(self, op: Op, inputs: Sequence[Tensor], specs: tuple[Spec, ...]) -> Node:
        current = [self.current(x) for x in inputs]
        values = tuple([self.place(x) for x in current])
        needs = tuple([x._requires_grad for x in current])
        if not (tape.state.recording and op.differentiable and True in needs):
            needs = (False,) * len(needs)
        reads = op.reads(needs) if True in needs else ((), ())
        saved = (UNKNOWN,) * (len(reads[0]) + len(reads[1]))
        node = Node(op, values, needs, tuple(specs), reads, saved)
        node.line = user_line()
        node.recorded = tape.state.recording
        return node

    def _outputs(self, node: Node) -> tuple[Tensor, ...]:
        outputs = []
        for index, spec in enumerate(node.outputs):
            tensor = of_spec(spec, True in node.needs and spec.dtype in FLOATING)
            tensor._node, tensor._index = node, index
            outputs.append(tensor)
        return tuple(outputs)

    def adopt(
        self, op: Op, inputs: Sequence[Tensor], outputs: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:
        """Outputs that were traced without a gradient, as those of an op with its own backward."""
        outputs = [self.current(y) for y in outputs]
        node = self._node(op, inputs, tuple([y._spec for y in outputs]))
        self._nodes.add(node)
        if node.recorded:
            self._record([self.place(y)[0] for y in outputs], [self.place(x)[0] for x in inputs])
        for index, y in enumerate(outputs):
            self.aliases[node, index] = self.place(y)
        return self._outputs(node)

    def detach(self, tensor: Tensor) -> Tensor:
        """The same value, cut off from its record: a call within `no_grad`, except where none of
        the values that the graph will have requires a gradient."""
        value = self.current(tensor)
        if not self.takes((value,)):
            return constant(value._array)
        node, index = self.place(value)
        leaf = self.leaves.get(node)
        fixed = leaf is not None and leaf.role != Role.INPUT and not leaf.requires_grad
        if fixed or not node.recorded or tensor.dtype not in FLOATING:
            detached = of_spec(tensor.spec)
            detached._node, detached._index = node, index
        else:
            with tape.no_grad():
                (detached,) = self.stage(Clone(), (value,), (tensor.spec,))
        detached._array = value._array
        return detached

    def _record(self, nodes: list[Node], ends: list[Node]) -> None:
        """What was traced without a gradient from `ends` to `nodes` has one after all."""
        while nodes:
            node = nodes.pop()
            if not node.recorded and node not in ends:
                node.recorded = True
                nodes.extend([source for source, _ in node.inputs])

    def assign(self, target: Tensor, value: Tensor) -> None:
        """From now on in this trace, `target` is `value`."""
        self.assigned[id(target)] = target, self.current(value)

    # -- values -------------------------------------------------------------------------------

    def current(self, tensor: Tensor) -> Tensor:
        """The value that was last assigned to a tensor, or the tensor itself."""
        return self.assigned[id(tensor)][1] if id(tensor) in self.assigned else tensor

    def place(self, tensor: Tensor) -> Value:
        """The value of the graph that a tensor stands for; what is new to the trace and was
        computed before it becomes a constant of it."""
        node, index = value_of(tensor)
        if node in self._nodes:
            return node, index
        if node not in self._captured:
            if tensor._array is UNKNOWN and node.op is not None:
                raise TraceError(
                    f"a tensor {tensor.spec} that another trace made (in {node.name}) is used in "
                    "this one; pass values from one to the other as inputs and outputs"
                )
            trained = tensor._requires_grad
            role = Role.PARAMETER if trained else Role.CONSTANT
            leaf = node if node.op is None else Node(None, (), (), (tensor._spec,))
            self._captured[node] = leaf
            name = "parameter" if trained else ""
            self._add_leaf(leaf, Leaf(name, role, tensor, trained))
        return self._captured[node], 0

    def stand_in(self, leaf: Node) -> Tensor:
        """A tensor for a leaf that requires a gradient, to differentiate by."""
        return of_value((leaf, 0))

    def resolve(self, value: Value) -> Value:
        """The value that a call with an own backward stands for."""
        while value in self.aliases:
            value = self.aliases[value]
        return value

    @contextmanager
    def tracing(self) -> Iterator[Tracer]:
        """Ops of this thread go to this tracer until the context ends."""
        if tape.state.tracer is not None:
            raise TraceError("a trace within a trace: call the function itself, it is traced too")
        tape.state.tracer = self
        try:
            yield self
        finally:
            tape.state.tracer = None
            for tensor, grad in self._grads:
                tensor._grad = grad
