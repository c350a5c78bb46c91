"""The record of what was computed, and the reverse sweep over it.

A `Node` is one call of an op. Its inputs are values, pairs of (node, index of the output), so
the record is a graph that holds no tensors: only the arrays a backward pass will read, until it
has read them. Inputs are older than the node that uses them, hence newest first is an order in
which every gradient is complete before it is passed on.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ContextDecorator, contextmanager
from typing import Any, Protocol
from weakref import ReferenceType

from minigrad.errors import FreedGraphError, GradientError
from minigrad.op import Call, Cost, Op, Reads
from minigrad.spec import Spec

Value = tuple["Node", int]
Hook = Callable[[Any], Any]
Wrap = Callable[[Any, Spec, "Node", int, bool], Any]
"""Makes a tensor of (array, spec, node, output index, requires_grad)."""

_ages = itertools.count()


class Watch(Protocol):
    """Sees every op before it runs and after, with the tensors that went in and came out. (An op of
    a user's, whose forward ran as ops of its own, is seen only after.)"""

    def runs(self, op: Op) -> None: ...
    def ran(self, op: Op, inputs: Sequence[Any], outputs: Sequence[Any]) -> None: ...


class Tracer(Protocol):
    """Takes ops on specs in place of running them; see `minigrad.graph.tracer`."""

    def takes(self, inputs: Sequence[Any]) -> bool: ...
    def stage(self, op: Op, inputs: Sequence[Any], specs: tuple[Spec, ...]) -> tuple[Any, ...]: ...
    def adopt(self, op: Op, inputs: Sequence[Any], outputs: Sequence[Any]) -> tuple[Any, ...]: ...
    def assign(self, target: Any, value: Any) -> None: ...
    def detach(self, tensor: Any) -> Any: ...


class _State(threading.local):
    recording: bool = True
    scope: Frame | None = None
    origin: Node | None = None
    watch: Watch | None = None
    tracer: Tracer | None = None
    abstract: bool = False


class Frame:
    """A module being called: the frame it was called from (None at the outermost), its `name` in
    the module of that one (dotted, where those between were not called), and its `kind`, the name
    of its class. `module` is None in a graph that was read from a file."""

    __slots__ = ("_kind", "_name", "module", "outer")

    def __init__(
        self, outer: Frame | None, module: Any, name: str | None = None, kind: str | None = None
    ) -> None:
        self.outer = outer
        self.module = module
        self._name = name
        self._kind = kind

    @property
    def kind(self) -> str:
        return type(self.module).__name__ if self._kind is None else self._kind

    @property
    def name(self) -> str:
        if self._name is None:
            self._name = self._find_name()
        return self._name

    def _find_name(self) -> str:
        if self.outer is None:
            return getattr(self.module, "model_name", self.kind)
        within = self.outer.module.named_modules()
        return next((path for path, module in within if module is self.module), self.kind)

    @property
    def frames(self) -> list[Frame]:
        """From the outermost to this one."""
        frames: list[Frame] = []
        frame: Frame | None = self
        while frame is not None:
            frames.append(frame)
            frame = frame.outer
        return frames[::-1]

    @property
    def path(self) -> str:
        """The dotted path of the module, from the outermost one's name."""
        return ".".join([frame.name for frame in self.frames])


state = _State()
"""Of this thread: whether ops are recorded, the module being called, the node whose backward runs,
who watches the ops, who takes them instead of running them, and whether tensors are made without
values."""


class Node:
    """One recorded call of an op, or a leaf (`op` is None): a value that no op computed.

    `outputs` are the specs of its results, `needs` tells which inputs want a gradient, `reads`
    which inputs and outputs its backward reads. The arrays themselves are in `saved` until a
    backward pass releases them; all else stays readable. `receivers` are weak references to the
    tensors whose `grad` a backward pass fills, by output: a leaf's, or where `retain_grad` asked.
    `scope` is the module that was called, `origin` the node whose backward this is a part of. A
    trace also knows the `line` of the user's program, and has nodes that are not `recorded`: those
    within `no_grad`, which no gradient flows through whatever their inputs need.
    """

    __slots__ = (
        "__weakref__",
        "age",
        "hooks",
        "inputs",
        "line",
        "needs",
        "op",
        "origin",
        "outputs",
        "reads",
        "receivers",
        "recorded",
        "saved",
        "scope",
    )

    def __init__(
        self,
        op: Op | None,
        inputs: tuple[Value, ...],
        needs: tuple[bool, ...],
        outputs: tuple[Spec, ...],
        reads: Reads = ((), ()),
        saved: tuple[Any, ...] | None = None,
    ) -> None:
        self.op = op
        self.inputs = inputs
        self.needs = needs
        self.outputs = outputs
        self.reads = reads
        self.saved = saved
        self.receivers: dict[int, ReferenceType[Any]] | None = None
        self.hooks: dict[int, list[Hook]] | None = None
        # A leaf outlives the call it is first used in, so it does not hold on to the modules.
        self.scope = state.scope if op is not None else None
        self.origin = state.origin if op is not None else None
        self.line: str | None = None
        self.recorded = True
        self.age = next(_ages)

    @property
    def name(self) -> str:
        """The op's name in the catalogue, or 'leaf'."""
        return self.op.name if self.op is not None else "leaf"

    @property
    def input_specs(self) -> tuple[Spec, ...]:
        return tuple([node.outputs[index] for node, index in self.inputs])

    @property
    def module_path(self) -> str:
        """The dotted path of the module in whose call this is; of a backward, of its forward."""
        scope = self.scope if self.origin is None else self.origin.scope
        return scope.path if scope is not None else ""

    @property
    def cost(self) -> Cost:
        """MACs, FLOPs and bytes moved; a leaf costs nothing."""
        if self.op is None:
            return Cost(0, 0, 0)
        return self.op.cost(self.input_specs, self.outputs)

    @property
    def saved_bytes(self) -> int:
        """Bytes that the backward pass needs kept (also after they were released)."""
        read_inputs, read_outputs = self.reads
        specs = self.input_specs
        return sum(specs[i].nbytes for i in read_inputs) + sum(
            self.outputs[i].nbytes for i in read_outputs
        )

    def release(self) -> None:
        """Drop the saved arrays; the record itself stays."""
        self.saved = None

    def call(self, needs: tuple[bool, ...], wrap: Wrap) -> Call:
        """This call as its op's backward sees it, the saved arrays wrapped as tensors."""
        read_inputs, read_outputs = self.reads
        inputs: list[Any] = [None] * len(self.inputs)
        outputs: list[Any] = [None] * len(self.outputs)
        if read_inputs or read_outputs:
            if self.saved is None:
                raise FreedGraphError(
                    f"backward of {self.name}: the arrays it reads were released by an earlier "
                    "backward pass; pass retain_graph=True (or create_graph=True) to that one"
                )
            arrays = iter(self.saved)
            for i in read_inputs:
                node, index = self.inputs[i]
                inputs[i] = wrap(next(arrays), node.outputs[index], node, index, self.needs[i])
            for i in read_outputs:
                outputs[i] = wrap(next(arrays), self.outputs[i], self, i, True)
        return Call(tuple(inputs), tuple(outputs), needs, self.input_specs, self.outputs)

    def __repr__(self) -> str:
        listed = ", ".join(f"{spec.dtype}{list(spec.shape)}" for spec in self.outputs)
        return f"Node({self.name} -> {listed})"


def now() -> int:
    """An age that lies between those of all older and all newer nodes."""
    return next(_ages)


def ancestors(nodes: Iterable[Node], since: int = 0) -> list[Node]:
    """The nodes and all that a gradient can flow to from them, newest first; nodes older than
    `since` are ends."""
    seen: set[Node] = set()
    stack = list(nodes)
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        if node.age >= since:
            stack.extend([v[0] for v, need in zip(node.inputs, node.needs, strict=True) if need])
    return sorted(seen, key=lambda node: node.age, reverse=True)


def sweep(
    roots: Sequence[tuple[Value, Any]],
    wanted: set[Value] | None,
    wrap: Wrap,
    retain: bool,
    since: int = 0,
) -> dict[Value, Any]:
    """Reverse-mode differentiation (Griewank and Walther 2008, chapter 3).

    From `roots`, pairs of a value and its cotangent, to the `wanted` values, or to all that have
    a receiver: walk from the newest node to the oldest, take its cotangents, add those of its
    inputs to what they have. Returns the cotangents of the wanted values that were reached. Nothing
    flows through nodes older than `since`.
    """
    nodes = ancestors((value[0] for value, _ in roots), since)
    if wanted is None:
        wanted = {(node, index) for node in nodes for index in node.receivers or ()}
    targets = {node for node, _ in wanted}
    live = _live(nodes, targets, since)
    pending: dict[Node, list[Any]] = {}  # cotangents by output, None where there is none yet
    found: dict[Value, Any] = {}
    for value, cotangent in roots:
        _add(pending, value, cotangent)
    for node in nodes:
        cotangents = pending.pop(node, None)
        if cotangents is None or node not in live:
            continue
        if node.hooks and node.age >= since:
            cotangents = _run_hooks(node, cotangents)
        for i, cotangent in enumerate(cotangents if node in targets else ()):
            if cotangent is not None and (node, i) in wanted:
                found[node, i] = cotangent
        needs = live[node]
        if node.op is None or True not in needs:
            continue
        gradients = _gradients(node, node.op, needs, cotangents, wrap)
        for value, gradient in zip(node.inputs, gradients, strict=True):
            if gradient is not None:
                _add(pending, value, gradient)
        if not retain:
            node.release()
    return found


def _live(nodes: list[Node], targets: set[Node], since: int) -> dict[Node, tuple[bool, ...]]:
    """Of the nodes that are targets or above one: the inputs to differentiate by."""
    live: dict[Node, tuple[bool, ...]] = {}
    for node in reversed(nodes):
        flows, inputs = node.age >= since, zip(node.inputs, node.needs, strict=True)
        needs = tuple([flows and need and value[0] in live for value, need in inputs])
        if node in targets or True in needs:
            live[node] = needs
    return live


def _add(pending: dict[Node, list[Any]], value: Value, cotangent: Any) -> None:
    node, index = value
    cotangents = pending.setdefault(node, [None] * len(node.outputs))
    cotangents[index] = cotangent if cotangents[index] is None else cotangents[index] + cotangent


def _gradients(
    node: Node, op: Op, needs: tuple[bool, ...], cotangents: list[Any], wrap: Wrap
) -> list[Any]:
    """The op's vector-Jacobian product, held to its promise: a gradient has its input's spec."""
    outer, state.origin = state.origin, node
    try:
        gradients: Any = op.backward(node.call(needs, wrap), *cotangents)
    finally:
        state.origin = outer
    if not isinstance(gradients, tuple):
        gradients = (gradients,)
    if len(gradients) != len(needs):
        raise GradientError(
            f"backward of {node.name}: returned {len(gradients)} gradients for {len(needs)} inputs"
        )
    for i, (gradient, (source, index)) in enumerate(zip(gradients, node.inputs, strict=True)):
        if gradient is not None and gradient.spec != source.outputs[index]:
            raise GradientError(
                f"backward of {node.name}: the gradient of input {i} is {gradient.spec}, "
                f"the input is {source.outputs[index]}; they must be equal"
            )
    return [g if need else None for g, need in zip(gradients, needs, strict=True)]


def _run_hooks(node: Node, cotangents: list[Any]) -> list[Any]:
    results = list(cotangents)
    for index, hooks in (node.hooks or {}).items():
        for hook in list(hooks):
            if results[index] is None:
                break
            replaced = hook(results[index])
            if replaced is None:
                continue
            if getattr(replaced, "spec", None) != node.outputs[index]:
                raise GradientError(
                    f"hook on the output of {node.name}: a gradient must be a tensor of "
                    f"{node.outputs[index]}, got {replaced!r}"
                )
            results[index] = replaced
    return results


class Handle:
    """Removes what was registered: a hook. Can be used as a context manager."""

    def __init__(self, hooks: list[Any], hook: Any) -> None:
        self._hooks = hooks
        self._hook = hook

    def remove(self) -> None:
        """Remove the hook; a second time does nothing."""
        if self._hook in self._hooks:
            self._hooks.remove(self._hook)
        self._hooks = []

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


def register_hook(value: Value, hook: Hook) -> Handle:
    """Call `hook` with the gradient of `value` once it is complete; its result replaces it."""
    node, index = value
    if node.hooks is None:
        node.hooks = {}
    hooks = node.hooks.setdefault(index, [])
    hooks.append(hook)
    return Handle(hooks, hook)


class Recording(ContextDecorator):
    """Until the context ends, ops of this thread are recorded, or are not; a decorator, too."""

    def __init__(self, recording: bool) -> None:
        self._recording = recording
        self._outer: list[bool] = []

    def __enter__(self) -> None:
        self._outer.append(state.recording)
        state.recording = self._recording

    def __exit__(self, *_: object) -> None:
        state.recording = self._outer.pop()

    def _recreate_cm(self) -> Recording:  # for each call of what it decorates, in any thread
        return Recording(self._recording)


@contextmanager
def watching(watch: Watch) -> Iterator[None]:
    """Let `watch` see the ops of this thread until the context ends."""
    previous = state.watch
    state.watch = watch
    try:
        yield
    finally:
        state.watch = previous


def no_grad() -> Recording:
    """Context manager and decorator: ops within are not recorded and need no gradient."""
    return Recording(False)


def enable_grad() -> Recording:
    """Context manager and decorator: ops within are recorded, also inside `no_grad`."""
    return Recording(True)


def is_grad_enabled() -> bool:
    """Whether this thread records ops now."""
    return state.recording
