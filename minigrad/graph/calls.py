"""The calls of modules in a trace, as a tree: which module called which, on what, in what order.

Nodes know the module they ran in; what is here besides are the calls that ran no op, and what
every call took and gave.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from minigrad import tape
from minigrad.graph.graph import Graph
from minigrad.graph.tracing import named_tensors, trace
from minigrad.nn.module import Module
from minigrad.random import get_rng_state, set_rng_state
from minigrad.spec import Spec
from minigrad.tape import Frame, Node


@dataclass(eq=False)
class ModuleCall:
    """One call of a module. `nodes` are the ops that it ran itself, `inner` the calls it made."""

    module: Module
    frame: Frame
    outer: ModuleCall | None
    inputs: tuple[Spec, ...]
    outputs: tuple[Spec, ...] = ()
    nodes: list[Node] = field(default_factory=list)
    inner: list[ModuleCall] = field(default_factory=list)

    @property
    def depth(self) -> int:
        """How many calls this one is in; that of the network itself is in none."""
        depth, call = 0, self.outer
        while call is not None:
            depth, call = depth + 1, call.outer
        return depth


class CallRecord:
    """The calls of a network's modules, in the order in which they began and that in which they
    ended, and the graph of it all."""

    graph: Graph

    def __init__(self) -> None:
        self.begun: list[ModuleCall] = []
        self.ended: list[ModuleCall] = []
        self._by_frame: dict[Frame, ModuleCall] = {}

    def trace(self, model: Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> CallRecord:
        """Fill the record with one call of `model` on specs; it changes nothing."""
        draws = get_rng_state()
        try:
            with self._listening(model):
                self.graph = trace(model, *args, **kwargs)
        finally:
            set_rng_state(draws)
        for node in self.graph.calls:
            call = self._around(node.scope)
            if call is not None:
                call.nodes.append(node)
        return self

    @contextmanager
    def _listening(self, model: Module) -> Iterator[None]:
        with ExitStack() as hooks:
            for module in model.modules():
                hooks.enter_context(module.register_forward_pre_hook(self._begin))
                hooks.enter_context(module.register_forward_hook(self._end))
            yield

    def _begin(self, module: Module, args: tuple[Any, ...]) -> None:
        frame = tape.state.scope
        assert frame is not None  # a hook runs within the call of its module
        call = ModuleCall(module, frame, self._around(frame.outer), _specs(args))
        if call.outer is not None:
            call.outer.inner.append(call)
        self._by_frame[frame] = call
        self.begun.append(call)

    def _end(self, module: Module, args: tuple[Any, ...], result: Any) -> None:
        frame = tape.state.scope
        assert frame is not None
        call = self._by_frame[frame]
        call.outputs = _specs(result)
        self.ended.append(call)

    def _around(self, frame: Frame | None) -> ModuleCall | None:
        """The innermost known call that a frame is, or is in."""
        while frame is not None and frame not in self._by_frame:
            frame = frame.outer
        return None if frame is None else self._by_frame[frame]


def _specs(value: Any) -> tuple[Spec, ...]:
    return tuple([tensor.spec for _, tensor in named_tensors("", value)])
