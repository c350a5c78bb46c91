"""Passes over graphs: what they leave, and that a run gives the bits that it gave before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from graph_networks import NETWORKS, bits, traced
from sample import Sample
from samples import SAMPLES
from test_trace import VALUE_DEPENDENT, arguments

import minigrad as mg
from minigrad import nn
from minigrad.errors import ArgumentError, ShapeError
from minigrad.graph import Graph, Leaf, Role
from minigrad.graph.composite import Composite
from minigrad.graph.depth import at_depth, fold_repeats
from minigrad.graph.passes import eliminate_dead_code, fold_constants, merge_common

PASSES: dict[str, Callable[[Graph], Graph]] = {
    "dead_code": eliminate_dead_code,
    "constants": fold_constants,
    "common": merge_common,
    "depth_0": lambda graph: at_depth(graph, 0),
    "depth_1": lambda graph: at_depth(graph, 1),
    "depth_2": lambda graph: at_depth(graph, 2),
    "nested": lambda graph: at_depth(at_depth(graph, 2), 1),
    "repeats": lambda graph: fold_repeats(at_depth(graph, 2)),
    "all": lambda graph: fold_repeats(at_depth(merge_common(fold_constants(graph)), 2)),
}


def names(graph: Graph) -> list[str]:
    return [node.name for node in graph.calls]


@pytest.mark.parametrize("name", PASSES)
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("backward", [False, True])
def test_networks_keep_their_bits(network: str, name: str, backward: bool) -> None:
    graph, x = traced(network, backward)
    buffers = [leaf.tensor for leaf in graph.leaves.values() if leaf.role == Role.BUFFER]
    before = [b.numpy().copy() for b in buffers if b is not None]
    expected = bits(graph(x))
    updated = [b.numpy().copy() for b in buffers if b is not None]
    for buffer, old in zip(buffers, before, strict=True):
        assert buffer is not None
        buffer.assign(old)
    passed = PASSES[name](graph)
    assert bits(passed(x)) == expected
    for buffer, new in zip(buffers, updated, strict=True):
        assert buffer is not None
        assert buffer.numpy().tobytes() == new.tobytes()
    assert passed.output_names == graph.output_names
    assert len(passed.updates) == len(graph.updates)
    kept = {leaf.name: leaf.role for leaf in passed.leaves.values() if leaf.name}
    assert kept == {leaf.name: leaf.role for leaf in graph.leaves.values() if leaf.name}
    assert passed.parameters() == graph.parameters()
    assert (passed.cost == graph.cost) or name in ("constants", "common", "all")


@pytest.mark.parametrize(
    "sample", [s for s in SAMPLES if s.id not in VALUE_DEPENDENT], ids=lambda s: s.id
)
def test_samples_keep_their_bits(sample: Sample) -> None:
    mg.manual_seed(3)
    inputs = arguments(sample.inputs, sample.differentiable)
    graph = mg.trace(sample.function, *inputs, backward=sample.differentiable)
    expected = bits(graph(*inputs))
    passed = merge_common(fold_constants(eliminate_dead_code(graph)))
    assert bits(passed(*inputs)) == expected
    assert len(passed.calls) <= len(graph.calls)


@pytest.mark.parametrize("name", PASSES)
def test_results_of_a_passed_graph_differentiate(name: str) -> None:
    graph, x = traced("residual", False)
    loss = graph(x).sum()
    expected = bits(tuple(mg.grad([loss], graph.parameters())))
    passed = PASSES[name](graph)
    assert bits(tuple(mg.grad([passed(x).sum()], graph.parameters()))) == expected


class TestSmaller:
    def test_dead_code_goes_and_inputs_stay(self) -> None:
        def f(x: mg.Tensor, unused: mg.Tensor) -> mg.Tensor:
            mg.exp(x)
            return x + 1

        graph = mg.trace(f, mg.Spec((3,)), mg.Spec((2,)))
        assert names(graph) == ["exp", "add"]
        passed = eliminate_dead_code(graph)
        assert names(passed) == ["add"]
        assert passed.input_names == ("x", "unused")

    def test_constants_are_folded(self) -> None:
        x = mg.tensor([4.0, 1.0, 9.0])
        graph = mg.trace(lambda x, y: mg.sqrt(x) * 2 + y, mg.Spec((3,)), mg.Spec((3,)))
        leaves = {
            node: Leaf("", Role.CONSTANT, x) if leaf.name == "x" else leaf
            for node, leaf in graph.leaves.items()
        }
        bound = Graph(graph.nodes, leaves, graph.outputs, graph.output_names)
        folded = fold_constants(bound)
        assert names(folded) == ["add"]
        assert len(folded.nodes) == 3
        y = mg.tensor([0.5, 0.25, 1.0])
        assert bits(folded(y)) == bits(graph(x, y))

    def test_a_call_of_several_results_is_folded(self) -> None:
        matrix = mg.tensor([[2.0, 1.0], [1.0, 3.0]])
        graph = mg.trace(lambda x: mg.linalg.eigh(x), mg.Spec((2, 2)))
        (node,) = graph.inputs
        leaves = {node: Leaf("", Role.CONSTANT, matrix)}
        bound = Graph(graph.nodes, leaves, graph.outputs, graph.output_names)
        folded = fold_constants(bound)
        assert not folded.calls
        assert bits(folded()) == bits(graph(matrix))

    def test_constants_without_values_are_left_alone(self) -> None:
        with mg.abstract():
            table = mg.zeros(3)
        graph = mg.trace(lambda x: x + mg.exp(table), mg.Spec((3,)))
        assert names(fold_constants(graph)) == ["exp", "add"]

    def test_equal_calls_are_made_once(self) -> None:
        graph = mg.trace(lambda x: mg.exp(x) * mg.exp(x) + mg.sum(x, 0), mg.Spec((2, 2)))
        assert names(merge_common(graph)) == ["exp", "multiply", "sum", "add"]

    def test_parameters_of_ops_tell_calls_apart(self) -> None:
        def f(x: mg.Tensor) -> tuple[mg.Tensor, ...]:
            return mg.sum(x, 0), mg.sum(x, 1), mg.sum(x, 0, keepdims=True), x.astype("float64")

        graph = mg.trace(f, mg.Spec((2, 2)))
        assert len(merge_common(graph).calls) == 4

    def test_draws_and_leaves_are_not_merged(self) -> None:
        def f(x: mg.Tensor, y: mg.Tensor) -> mg.Tensor:
            draws = mg.ops.dropout(x, 0.5) - mg.ops.dropout(x, 0.5)
            return draws + (mg.exp(x) - mg.exp(y))

        graph = mg.trace(f, mg.Spec((3,)), mg.Spec((3,)))
        assert names(merge_common(graph)) == names(graph)
        one = mg.trace(lambda x: (x + mg.tensor(1.0)) * (x + mg.tensor(1.0)), mg.Spec((3,)))
        assert names(merge_common(one)) == names(one)

    def test_what_is_left_keeps_module_line_and_forward(self) -> None:
        graph, _ = traced("residual", True)
        told = {(n.module_path, n.line, graph.is_backward(n)) for n in merge_common(graph).calls}
        assert told <= {(n.module_path, n.line, graph.is_backward(n)) for n in graph.calls}
        passed = merge_common(graph)
        inside = set(passed.nodes)
        assert all(n.origin in inside for n in passed.calls if n.origin is not None)


class TestDepth:
    def test_modules_become_nodes(self) -> None:
        graph, _ = traced("lenet5", False)
        assert names(at_depth(graph, 0)) == ["LeNet5"]
        assert names(at_depth(graph, 1)) == ["Sequential", "reshape", "Sequential"]
        paths = [node.module_path for node in at_depth(graph, 2).calls]
        assert paths[0] == "lenet5.features_detector.0"
        assert names(at_depth(graph, 3)) == names(graph)
        assert at_depth(graph, 3) == graph

    def test_backward_belongs_to_its_forward(self) -> None:
        graph, _ = traced("residual", True)
        view = at_depth(graph, 2)
        links = {
            node.module_path: node.origin
            for node in view.calls
            if isinstance(node.op, Composite) and node.origin is not None
        }
        assert len(links) == 4
        for path, origin in links.items():
            assert origin in view.nodes
            assert origin.module_path == path

    def test_again_is_the_same(self) -> None:
        graph, _ = traced("residual", True)
        view = at_depth(graph, 1)
        assert at_depth(view, 1) == view
        assert at_depth(at_depth(graph, 2), 1).cost == graph.cost

    def test_a_module_called_twice_is_two_nodes(self) -> None:
        layer = nn.Linear(3, 3)
        graph = mg.trace(nn.Sequential(layer, nn.ReLU(), layer), mg.Spec((2, 3)), backward=True)
        kinds = names(at_depth(graph, 1))
        assert kinds.count("Linear") == 2
        assert kinds.count("Linear.backward") == 2

    @pytest.mark.parametrize("depth", [-1, 1.5, "1", True])
    def test_other_depths(self, depth: Any) -> None:
        graph = mg.trace(lambda x: x + 1, mg.Spec((3,)))
        with pytest.raises(ArgumentError, match="at_depth: depth"):
            at_depth(graph, depth)


class TestRepeats:
    def test_equal_blocks_in_a_row_are_one_node(self) -> None:
        graph, _ = traced("residual", True)
        view = fold_repeats(at_depth(graph, 2))
        found = [name for name in names(view) if name.startswith("Block")]
        assert found == ["Block", "Block x 3", "Block.backward x 3", "Block.backward"]
        (folded,) = [node for node in view.calls if node.name == "Block x 3"]
        (back,) = [node for node in view.calls if node.name == "Block.backward x 3"]
        assert back.origin is folded
        assert isinstance(folded.op, Composite)
        assert isinstance(back.op, Composite)
        inside = set(folded.op.body.nodes)
        assert all(n.origin in inside for n in back.op.body.calls if n.origin is not None)
        assert view.cost == graph.cost

    def test_blocks_that_differ_stay(self) -> None:
        with mg.abstract():
            net = nn.Sequential(
                nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU()),
                nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU()),
                nn.Sequential(nn.Conv2d(4, 4, 5, padding=2), nn.ReLU()),
                nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.Sigmoid()),
            )
        graph = mg.trace(net, mg.zeros((1, 4, 6, 6), requires_grad=True))
        view = fold_repeats(at_depth(graph, 1))
        assert names(view) == ["Sequential x 2", "Sequential", "Sequential"]

    def test_blocks_side_by_side_are_no_repetition(self) -> None:
        a, b = nn.Linear(3, 3), nn.Linear(3, 3)
        graph = mg.trace(lambda x: a(x) + b(x), mg.Spec((2, 3)))
        view = fold_repeats(at_depth(graph, 0))
        assert names(view) == ["Linear", "Linear", "add"]

    def test_inputs_are_checked(self) -> None:
        graph, _ = traced("residual", False)
        view = fold_repeats(at_depth(graph, 2))
        (folded,) = [node for node in view.calls if node.name == "Block x 3"]
        assert folded.op is not None
        assert folded.op.infer(*folded.input_specs) == folded.outputs
        with pytest.raises(ShapeError, match="Block x 3: takes"):
            folded.op.infer(*folded.input_specs[1:])

    def test_hundreds_of_blocks(self) -> None:
        with mg.abstract():
            net = nn.Sequential(*[nn.Linear(3, 3) for _ in range(400)])
        x = mg.ones((2, 3), requires_grad=True)
        view = fold_repeats(at_depth(mg.trace(net, x, backward=True), 1))
        assert "Linear x 400" in names(view)
        assert len(view.calls) < 10


def test_long_chains_pass() -> None:
    def f(x: mg.Tensor) -> mg.Tensor:
        for _ in range(10_000):
            x = x * x
        return x

    graph = mg.trace(f, mg.Spec(()), backward=True)
    assert len(graph.calls) > 20_000
    for name, transform in PASSES.items():
        assert len(transform(graph).calls) <= len(graph.calls), name
