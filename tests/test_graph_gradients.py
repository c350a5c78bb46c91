"""What a graph's results differentiate by: exactly what those of the eager run do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from graph_networks import bits, residual, written

import minigrad as mg
from minigrad import nn
from minigrad.errors import GradientError
from minigrad.graph import Graph
from minigrad.graph.depth import at_depth, fold_repeats
from minigrad.graph.passes import eliminate_dead_code, fold_constants, merge_common
from minigrad.graph.reading import from_document

Program = Callable[[mg.Tensor, mg.Tensor], mg.Tensor]


def without_a_record(x: mg.Tensor, w: mg.Tensor) -> mg.Tensor:
    with mg.no_grad():
        scale = (x * w).sum() * 2
    return x * scale + w


def both_ways(x: mg.Tensor, w: mg.Tensor) -> mg.Tensor:
    with mg.no_grad():
        twice = x * x
    return (twice * w) * (x * x)


def recorded_again(x: mg.Tensor, w: mg.Tensor) -> mg.Tensor:
    with mg.no_grad():
        part = x.sin()
        with mg.enable_grad():
            part = part * x
    return part * w


def assigned(x: mg.Tensor, w: mg.Tensor) -> mg.Tensor:
    y = mg.zeros(3)
    y[1:] = x[:2].detach() * w[1:]
    y[0] = x[2]
    return y * x


PROGRAMS: dict[str, Program] = {
    "all of it": lambda x, w: x * w,
    "detached input": lambda x, w: x.detach() * w + x,
    "detached twice": lambda x, w: x.detach().detach() * w * x,
    "detached parameter": lambda x, w: w.detach() * x + w,
    "detached result": lambda x, w: (x * w).exp().detach() * x,
    "max shifted out": lambda x, w: (x * w - (x * w).max().detach()).exp() * w,
    "without a record": without_a_record,
    "the same with and without": both_ways,
    "recorded again": recorded_again,
    "assigned": assigned,
    "checkpoint": lambda x, w: mg.checkpoint(lambda a, b: a.sin() * b * a.detach(), x, w) * x,
    "a gradient": lambda x, w: mg.grad((x * x * w).sum(), w)[0] * x if w.requires_grad else x * w,
    "a gradient that is recorded": lambda x, w: (
        mg.grad((x * x * w).sum(), w, create_graph=True)[0] * x if w.requires_grad else x * w
    ),
}
VIEWS: dict[str, Callable[[Graph], Graph]] = {
    "traced": lambda graph: graph,
    "read": lambda graph: from_document(written(graph)),
    "live": eliminate_dead_code,
    "merged": merge_common,
    "folded": fold_constants,
    "at depth 0": lambda graph: at_depth(graph, 0),
}


class Applied(nn.Module):
    """A program with a parameter."""

    def __init__(self, program: Program, trained: bool) -> None:
        super().__init__()
        self.program = program
        self.w = nn.Parameter(mg.tensor([0.5, -1.5, 2.0]), requires_grad=trained)

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        return self.program(x, self.w)


def gradients(run: Callable[[mg.Tensor], Any], x: mg.Tensor, w: mg.Tensor) -> list[Any]:
    """The result's bits, and those of the gradients by x and w; None where there is none."""
    x.grad = w.grad = None
    y = run(x)
    if y.requires_grad:
        (y * mg.tensor([1.0, 2.0, 3.0])).sum().backward()
    return [bits(y), *[None if t.grad is None else bits(t.grad) for t in (x, w)]]


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("program", PROGRAMS)
def test_gradients_flow_where_they_flow_in_the_eager_run(program: str, view: str) -> None:
    for trained in (True, False):
        net = Applied(PROGRAMS[program], trained)
        graph = VIEWS[view](mg.trace(net, mg.Spec((3,))))
        if view == "read":
            graph = graph.with_values(dict(net.named_parameters()))
        for needed in (True, False):
            x = mg.tensor([1.0, -2.0, 0.25], requires_grad=needed)
            assert gradients(graph, x, net.w) == gradients(net, x, net.w)


def test_a_trace_of_inputs_that_require_a_gradient_gives_the_same_calls() -> None:
    for program in ("all of it", "detached input", "without a record"):
        net = Applied(PROGRAMS[program], True)
        traces = [mg.trace(net, mg.zeros(3, requires_grad=r)) for r in (False, True)]
        names = [[(node.name, node.recorded) for node in graph.calls] for graph in traces]
        assert names[0] == names[1]


def test_what_is_returned_detached_requires_no_gradient() -> None:
    def f(x: mg.Tensor) -> tuple[mg.Tensor, ...]:
        with mg.no_grad():
            y = x * 2
        return x, x.detach(), y, (x * 2).detach(), x * 2

    x = mg.ones(2, requires_grad=True)
    graph = mg.trace(f, mg.Spec((2,)))
    assert [y.requires_grad for y in graph(x)] == [y.requires_grad for y in f(x)]


def test_constants_are_detached_without_a_call() -> None:
    table = mg.tensor([1.0, 2.0])
    net = nn.Sequential(nn.BatchNorm1d(2))
    graph = mg.trace(lambda x: x * table.detach() + net[0].running_mean.detach(), mg.Spec((2,)))
    assert [node.name for node in graph.calls] == ["multiply", "add"]
    assert "clone" not in [node.name for node in mg.trace(net, mg.Spec((3, 2))).calls]


def test_gradients_of_a_graph_are_not_recorded() -> None:
    net = residual(2)
    x = mg.randn((2, 2, 5, 5), requires_grad=True)
    graph = mg.trace(net, x, backward=True)
    results = dict(zip(graph.output_names, graph(x), strict=True))
    needed = {name: y.requires_grad for name, y in results.items()}
    assert needed["output"] and needed["loss"]
    assert not any(needed[name] for name in needed if name.startswith("grad."))
    view = fold_repeats(at_depth(graph, 2))
    assert [y.requires_grad for y in view(x)] == list(needed.values())
    with pytest.raises(GradientError, match="does not depend"):
        results["grad.x"].sum().backward()


def test_a_trace_within_no_grad_records_nothing() -> None:
    net = nn.Linear(3, 2)
    with mg.no_grad():
        graph = mg.trace(net, mg.Spec((1, 3)))
    assert sum(node.saved_bytes for node in graph.calls) == 0
    assert not graph(mg.ones((1, 3), requires_grad=True)).requires_grad
    assert graph != mg.trace(net, mg.Spec((1, 3)))


def test_vector_jacobian_products_within_a_trace() -> None:
    def f(x: mg.Tensor) -> mg.Tensor:
        _, pull = mg.vjp(lambda a: a.exp() * a, x * 2)
        (by_x,) = pull(mg.ones(3))
        return by_x * x

    x = mg.tensor([0.5, 1.0, -1.0], requires_grad=True)
    graph = mg.trace(f, x)  # a program that differentiates asks what requires a gradient
    eager, again = mg.grad(f(x).sum(), x), mg.grad(graph(x).sum(), x)
    assert bits(f(x)) == bits(graph(x))
    assert bits(eager) == bits(again)
