"""`trace` and `graph_of`: from a function, or from what has just run, to a `Graph`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from minigrad import tape
from minigrad.errors import TraceError
from minigrad.gradients import grad
from minigrad.graph.graph import Graph, Leaf, Role, closed
from minigrad.graph.source import line_of
from minigrad.graph.tracer import Tracer
from minigrad.nn.module import Module
from minigrad.random import get_rng_state, set_rng_state
from minigrad.spec import FLOATING, Spec
from minigrad.tape import Node, Value
from minigrad.tensor import Tensor, constant, value_of


def trace(
    fn: Callable[..., Any],
    *args: Any,
    backward: bool = False,
    loss: Callable[[Any], Tensor] | None = None,
    **kwargs: Any,
) -> Graph:
    """The graph of fn(*args, **kwargs), a function or a module, without computing anything.

    `Spec`s, tensors and arrays among the arguments (also in lists, tuples and dictionaries) are
    the graph's inputs, by shape and dtype alone; anything else is passed as it is. With `backward`
    the graph goes on with the loss and its gradients by every parameter that requires one and
    every input tensor that does (or, where there are neither, by all floating-point inputs): they
    are further outputs, named `grad.` and the leaf. The loss is `loss(fn(...))`, by default the
    sum of all elements of the outputs.

    Raises TraceError where the program asks for values (with the line), returns no tensor, or uses
    a tensor of another trace.
    """
    draws = get_rng_state()
    graph = _traced(fn, args, kwargs, backward, loss, False)
    if graph is None:  # nothing required a gradient, so now the inputs do
        set_rng_state(draws)
        graph = _traced(fn, args, kwargs, backward, loss, True)
    if graph is None:
        raise TraceError(
            f"trace: backward, but nothing that requires a gradient goes into {_name(fn)}: no "
            "parameter, and no floating-point input"
        )
    return graph


def _traced(
    fn: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    backward: bool,
    loss: Callable[[Any], Tensor] | None,
    by_inputs: bool,
) -> Graph | None:
    """One run of the function; None if it is to be differentiated by nothing."""
    tracer = Tracer()
    names = _argument_names(fn, args)
    given = {**dict(zip(names, args, strict=True)), **kwargs}
    handed = {name: _enter(tracer, name, value, by_inputs) for name, value in given.items()}
    with tracer.tracing():
        if isinstance(fn, Module):
            tracer.add_module(fn)
        try:
            positional = [handed[name] for name in names]
            result = fn(*positional, **{name: handed[name] for name in kwargs})
            outputs = dict(named_tensors("output", result))
            if not outputs:
                raise TraceError(f"trace: {_name(fn)} returned no tensor, but {_kind(result)}")
            if backward:
                if not any(leaf.requires_grad for leaf in tracer.leaves.values()):
                    return None
                outputs |= _differentiate(tracer, result, outputs, loss)
        except TraceError as error:
            raise _located(error) from None
    return _finish(tracer, outputs, _name(fn))


def _enter(tracer: Tracer, name: str, value: Any, by_inputs: bool) -> Any:
    """An argument with the tracer's inputs for the arrays in it."""
    if isinstance(value, np.ndarray):
        value = constant(np.asarray(value))
    if isinstance(value, (Spec, Tensor)):
        spec = value if isinstance(value, Spec) else value.spec
        wanted = isinstance(value, Tensor) and value.requires_grad
        return tracer.add_input(name, spec, wanted or (by_inputs and spec.dtype in FLOATING))
    if isinstance(value, Mapping):
        return {k: _enter(tracer, f"{name}.{k}", item, by_inputs) for k, item in value.items()}
    if isinstance(value, (list, tuple)):
        items = [_enter(tracer, f"{name}.{i}", item, by_inputs) for i, item in enumerate(value)]
        return type(value)(items) if type(value) in (list, tuple) else type(value)(*items)
    return value


def _argument_names(fn: Callable[..., Any], args: Sequence[Any]) -> list[str]:
    """The names of the arguments, as the function calls them."""
    try:
        signature = inspect.signature(fn.forward if isinstance(fn, Module) else fn)
    except (TypeError, ValueError):
        return [f"input_{i}" for i in range(len(args))]
    named = [
        p.name
        for p in signature.parameters.values()
        if p.kind not in (p.VAR_KEYWORD, p.KEYWORD_ONLY)
    ]
    kinds = [p.kind for p in signature.parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        last = named.pop()
        named += [f"{last}_{i}" for i in range(len(args) - len(named))]
    return (named + [f"input_{i}" for i in range(len(args))])[: len(args)]


def named_tensors(name: str, value: Any) -> Iterator[tuple[str, Tensor]]:
    """The tensors in what a function returned, with names."""
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from named_tensors(f"{name}.{key}", item)
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            yield from named_tensors(f"{name}.{i}", item)


def loss_of(outputs: Sequence[Tensor]) -> Tensor | None:
    """What is differentiated where no loss is given: an output of one element, or the sum of all;
    None where that requires no gradient."""
    if len(outputs) == 1 and outputs[0].size == 1:
        return outputs[0] if outputs[0].requires_grad else None
    sums = [y.sum() for y in outputs if y.requires_grad]
    return sum(sums[1:], sums[0]) if sums else None


def _differentiate(
    tracer: Tracer,
    result: Any,
    outputs: Mapping[str, Tensor],
    loss: Callable[[Any], Tensor] | None,
) -> dict[str, Tensor]:
    """The loss, where it is not an output already, and the gradients, by name."""
    known = [tracer.current(y) for y in outputs.values()]
    total = loss_of(known) if loss is None else tracer.current(loss(result))
    if total is None or not total.requires_grad:
        raise TraceError("trace: backward, but no output depends on what requires a gradient")
    wanted = {leaf.name: node for node, leaf in tracer.leaves.items() if leaf.requires_grad}
    stand_ins = [tracer.stand_in(node) for node in wanted.values()]
    found = grad([total], stand_ins, allow_unused=True)
    gradients = {f"grad.{n}": g for n, g in zip(wanted, found, strict=True) if g is not None}
    is_output = any(total is y for y in known)
    return gradients if is_output else {"loss": total, **gradients}


def _finish(tracer: Tracer, outputs: Mapping[str, Tensor], name: str) -> Graph:
    """The graph of what was traced, without leaves that nothing reads."""
    for node in tracer.nodes:
        node.inputs = tuple([tracer.resolve(value) for value in node.inputs])
        if node.origin is not None:
            node.origin = tracer.resolve((node.origin, 0))[0]
    values = [tracer.resolve(tracer.place(tracer.current(y))) for y in outputs.values()]
    updates = []
    for target, value in tracer.assigned.values():
        leaf = value_of(target)[0]
        if leaf in tracer.leaves and tracer.leaves[leaf].role != Role.CONSTANT:
            updates.append((leaf, tracer.resolve(tracer.place(value))))
    read = {source for node in tracer.nodes for source, _ in node.inputs}
    read |= {node for node, _ in values} | {
        node for leaf, value in updates for node in (leaf, value[0])
    }
    nodes = [
        node
        for node in tracer.nodes
        if node.op is not None or node in read or tracer.leaves[node].role == Role.INPUT
    ]
    leaves = {node: tracer.leaves[node] for node in nodes if node.op is None}
    return Graph(tuple(nodes), leaves, tuple(values), tuple(outputs), tuple(updates), name)


def graph_of(*tensors: Tensor) -> Graph:
    """The graph of what has just run: of all that these tensors were computed from by recorded ops.

    Leaves are parameters and buffers of the modules that were called, inputs (tensors that are
    still held), or constants. Raises TraceError for a tensor that nothing recorded computed.
    """
    for y in tensors:
        if not isinstance(y, Tensor) or y.is_leaf:
            raise TraceError(
                f"graph_of: takes tensors that recorded ops computed, got {_kind(y)}; nothing is "
                "recorded within no_grad, or where no input requires a gradient"
            )
    values = [value_of(y) for y in tensors]
    nodes = _all_ancestors(values)
    names = _state_names(nodes)
    leaves = {node: _leaf(node, names) for node in nodes if node.op is None}
    count = 0
    for node, leaf in leaves.items():
        if leaf.role == Role.INPUT:
            leaves[node] = replace(leaf, name=f"input_{count}" if count else "input")
            count += 1
    labels = tuple([f"output_{i}" if i else "output" for i in range(len(values))])
    roots = [node.scope.frames[0].name for node in nodes if node.scope is not None]
    return Graph(tuple(nodes), leaves, tuple(values), labels, (), roots[0] if roots else "graph")


def _all_ancestors(values: Sequence[Value]) -> list[Node]:
    """All nodes that the values were computed from, oldest first."""
    seen: set[Node] = set()
    stack = [node for node, _ in values]
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            stack.extend([source for source, _ in node.inputs])
    return closed(sorted(seen, key=lambda node: node.age), values)


def _state_names(nodes: Sequence[Node]) -> dict[Node, Leaf]:
    """Parameters and buffers of the outermost modules that were called, by their leaf."""
    found: dict[Node, Leaf] = {}
    frames = [node.scope.frames[0] for node in nodes if node.scope is not None]
    modules = {id(frame.module): frame for frame in frames if frame.module is not None}
    for frame in modules.values():
        prefix = f"{frame.name}." if len(modules) > 1 else ""
        for role, tensors in (
            (Role.PARAMETER, frame.module.named_parameters()),
            (Role.BUFFER, frame.module.named_buffers()),
        ):
            for name, tensor in tensors:
                if tensor._node is not None:
                    found[tensor._node] = Leaf(prefix + name, role, tensor, tensor.requires_grad)
    return found


def _leaf(node: Node, names: Mapping[Node, Leaf]) -> Leaf:
    if node in names:
        return names[node]
    receiver = (node.receivers or {}).get(0)
    tensor = receiver() if receiver is not None else None
    if tensor is None or tensor._node is not node:
        return Leaf("", Role.CONSTANT, None)
    return Leaf("", Role.INPUT, tensor, tensor.requires_grad)


def _located(error: TraceError) -> TraceError:
    """The error with the line of the program that it comes from."""
    located = TraceError(f"{error} ({line_of(error.__traceback__)})")
    located.__traceback__ = error.__traceback__
    return located


def _name(fn: Any) -> str:
    if isinstance(fn, Module):
        return tape.Frame(None, fn).name
    return getattr(fn, "__name__", type(fn).__name__).strip("<>")


def _kind(value: Any) -> str:
    return value.spec.__repr__() if isinstance(value, Tensor) else type(value).__name__


__all__ = ["graph_of", "trace"]
