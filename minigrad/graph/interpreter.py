"""Runs a graph node by node, with the ops that the eager run calls: the results have its bits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigrad import tape
from minigrad.errors import (
    ArgumentError,
    GraphError,
    IndexingError,
    MinigradError,
    ShapeError,
    TraceError,
)
from minigrad.graph.composite import Composite
from minigrad.graph.graph import Graph
from minigrad.op import Op
from minigrad.tape import Node
from minigrad.tensor import Tensor, apply, as_tensor


def run(graph: Graph, inputs: Sequence[Any]) -> tuple[Tensor, ...]:
    """The outputs of a graph for its inputs, in the order of `graph.inputs`.

    The calls are recorded as any, so the outputs differentiate, except where the program detached a
    value or ran within `no_grad`; the gradients in a graph are such a part, as long as they were
    not made with `create_graph`. A `Function` is differentiated through the ops of its forward.
    Within `no_grad` every array is let go of after its last use. Assigns the graph's updates.

    Raises ArgumentError for too many or too few inputs, ShapeError for one that does not have the
    spec it was traced with, TraceError where a parameter has no values.
    """
    values = dict(zip(graph.inputs, _checked(graph, inputs), strict=True))
    results: dict[Node, tuple[Tensor, ...]] = {node: (x,) for node, x in values.items()}
    last = _last_uses(graph)
    for position, node in enumerate(graph.nodes):
        if node.op is not None:
            given = [results[source][index] for source, index in node.inputs]
            with tape.Recording(tape.state.recording and node.recorded):
                results[node] = call(node.op, given)
            del given
        elif node not in results:
            results[node] = (_known(graph, node),)
        for done in last.get(position, ()):
            del results[done]
    outputs = tuple([results[node][index] for node, index in graph.outputs])
    with tape.no_grad():
        for leaf, (node, index) in graph.updates:
            _known(graph, leaf).assign(results[node][index])
    return outputs


def call(op: Op, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The outputs of one call, of a composite by those inside it. Raises IndexingError for an index
    among the values that lies outside, GraphError for other values that the op does not take."""
    if isinstance(op, Composite):
        return op.run(inputs)
    try:
        got = apply(op, *inputs)
    except MinigradError:
        raise
    except IndexError as error:  # an op trusts that its public function has looked at the values
        raise IndexingError(f"{op.name}: {error}") from None
    except (ArithmeticError, TypeError, ValueError) as error:
        raise GraphError(f"{op.name}: does not take these values: {error}") from None
    return got if isinstance(got, tuple) else (got,)


def _checked(graph: Graph, inputs: Sequence[Any]) -> list[Tensor]:
    names, specs = graph.input_names, graph.input_specs
    if len(inputs) != len(names):
        raise ArgumentError(
            f"{graph.name}: takes {len(names)} inputs ({', '.join(names)}), got {len(inputs)}"
        )
    tensors = [as_tensor(x) for x in inputs]
    for name, spec, x in zip(names, specs, tensors, strict=True):
        if x.spec != spec:
            raise ShapeError(
                f"{graph.name}: the graph was traced for {name} of {spec}, got {x.spec}; trace it "
                "again for other shapes and dtypes"
            )
    return tensors


def _known(graph: Graph, node: Node) -> Tensor:
    leaf = graph.leaves[node]
    if leaf.tensor is None or (leaf.tensor.is_abstract and tape.state.tracer is None):
        raise TraceError(
            f"{graph.name}: the {leaf.role} {leaf.name or graph.labels[node]} has no values: the "
            "graph was traced or read without them; see Graph.with_values"
        )
    return leaf.tensor


def _last_uses(graph: Graph) -> dict[int, list[Node]]:
    """By position in the order: the nodes whose values nobody reads behind it."""
    kept = {node for node, _ in (*graph.outputs, *[value for _, value in graph.updates])}
    last: dict[Node, int] = {}
    for position, node in enumerate(graph.nodes):
        for source, _ in node.inputs:
            last[source] = position
        last.setdefault(node, position)
    by_position: dict[int, list[Node]] = {}
    for node, position in last.items():
        if node not in kept:
            by_position.setdefault(position, []).append(node)
    return by_position
