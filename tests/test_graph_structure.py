"""Graphs as networkx sees them, and what is read off them: the examples and larger cases."""

from __future__ import annotations

import doctest
from typing import Any

import networkx
import pytest
from graph_networks import NETWORKS, traced

import minigrad as mg
from minigrad.errors import ArgumentError, GraphError
from minigrad.graph import Role, structure
from minigrad.graph.depth import at_depth
from minigrad.graph.structure import (
    ancestors,
    critical_path,
    cuts,
    descendants,
    memory_curve,
    topological_order,
)


def test_the_examples_are_true() -> None:
    names: dict[str, Any] = dict(vars(structure))
    runner = doctest.DocTestRunner()
    tests = doctest.DocTestFinder(exclude_empty=True).find(structure, globs=names)
    tests.sort(key=lambda test: test.name != structure.__name__)
    assert len([test for test in tests if test.examples]) >= 7
    for test in tests:
        test.globs = names
        runner.run(test, clear_globs=False)
    assert runner.summarize(verbose=False).failed == 0


class TestNetwork:
    @pytest.mark.parametrize("name", NETWORKS)
    def test_nodes_and_edges(self, name: str) -> None:
        graph, _ = traced(name, True)
        net = graph.to_networkx()
        assert type(net) is networkx.MultiDiGraph
        assert networkx.is_directed_acyclic_graph(net)
        assert list(net) == list(graph.labels.values())
        assert net.number_of_edges() == sum(len(node.inputs) for node in graph.nodes)
        assert sum(net.nodes[n]["macs"] for n in net) == graph.cost.macs
        for node, label in graph.labels.items():
            facts = net.nodes[label]
            assert facts["op"] == (node.name if node.op is not None else None)
            assert facts["backward"] == graph.is_backward(node)
            assert facts["bytes_saved"] == node.saved_bytes
            if node.origin is not None:
                assert facts["origin"] == graph.labels[node.origin]
            operands = sorted((d["operand"], s) for s, _, d in net.in_edges(label, data=True))
            assert [s for _, s in operands] == [graph.labels[source] for source, _ in node.inputs]

    def test_what_a_convolution_tells(self) -> None:
        graph, _ = traced("lenet5", True)
        facts = graph.to_networkx().nodes["features_detector.0.conv2d"]
        assert facts["module"] == "lenet5.features_detector.0"
        assert facts["kind"] == "Conv2d"
        assert facts["parameters"]["kernel_size"] == [5, 5]
        assert facts["inputs"][1] == ((6, 1, 5, 5), "float32")
        assert facts["outputs"] == [((2, 6, 28, 28), "float32")]
        assert "lenet.py" in facts["line"]
        leaf = graph.to_networkx().nodes["features_detector.0.weight"]
        assert (leaf["role"], leaf["op"], leaf["requires_grad"]) == ("parameter", None, True)

    def test_an_operand_that_stands_twice_is_two_edges(self) -> None:
        net = mg.trace(lambda x: x * x, mg.Spec((3,))).to_networkx()
        assert [d["operand"] for d in net.get_edge_data("x", "multiply").values()] == [0, 1]

    def test_outputs_of_a_node_are_told_apart(self) -> None:
        net = mg.trace(lambda x: mg.linalg.eigh(x)[1] * 2, mg.Spec((3, 3))).to_networkx()
        (edge,) = [d for _, _, d in net.in_edges("multiply", data=True) if d["output"]]
        assert (edge["output"], edge["shape"]) == (1, (3, 3))
        assert net.graph["outputs"] == {"output": ("multiply", 0)}


class TestReadOff:
    def test_order_and_relatives(self) -> None:
        graph, _ = traced("residual", True)
        net = graph.to_networkx()
        order = topological_order(graph)
        place = {label: i for i, label in enumerate(order)}
        for source, reader in net.edges():
            assert place[source] < place[reader]
        for label in order[::9]:
            assert all(label in descendants(net, above) for above in ancestors(graph, label))

    def test_nodes_that_are_not_there(self) -> None:
        graph = mg.trace(lambda x: x + 1, mg.Spec((3,)))
        for ask in (ancestors, descendants):
            with pytest.raises(ArgumentError, match="no node 'y'"):
                ask(graph, "y")
        with pytest.raises(ArgumentError, match="no node 'y'"):
            critical_path(graph, {"y": 1.0})

    def test_cycles_are_refused(self) -> None:
        net = mg.trace(lambda x: (x + 1).exp(), mg.Spec((3,))).to_networkx()
        net.add_edge("exp", "add", operand=2)
        for ask in (topological_order, critical_path, lambda n: ancestors(n, "x")):
            with pytest.raises(GraphError, match="add -> exp -> add"):
                ask(net)
        with pytest.raises(ArgumentError, match="takes a Graph or a directed network"):
            topological_order(networkx.Graph())
        with pytest.raises(ArgumentError, match="takes a Graph"):
            topological_order([1, 2])

    def test_critical_path_takes_the_heavier_branch(self) -> None:
        def f(x: mg.Tensor) -> mg.Tensor:
            long = mg.exp(mg.exp(mg.exp(x)))
            return (x @ x) + long

        graph = mg.trace(f, mg.Spec((4, 4)))
        assert critical_path(graph).labels == ("x", "matmul")
        assert critical_path(graph).total == 64
        times = {"exp": 1.0, "exp_2": 1.0, "exp_3": 1.5, "matmul": 3.0}
        path = critical_path(graph, times)
        assert path.labels == ("x", "exp", "exp_2", "exp_3")
        assert path.total == 3.5
        assert critical_path(networkx.MultiDiGraph()) == structure.CriticalPath((), 0)

    def test_memory_against_a_run_by_hand(self) -> None:
        graph, _ = traced("residual", True)
        curve = memory_curve(graph)
        assert curve.labels == tuple(graph.labels[node] for node in graph.calls)
        inputs = [*graph.with_role(Role.INPUT), *graph.with_role(Role.CONSTANT)]
        assert curve.inputs == sum(node.outputs[0].nbytes for node in inputs)
        state = [*graph.with_role(Role.PARAMETER), *graph.with_role(Role.BUFFER)]
        assert curve.parameters == sum(node.outputs[0].nbytes for node in state)
        kept = set(graph.outputs) | {value for _, value in graph.updates}
        position = {node: i for i, node in enumerate(graph.nodes)}
        for at in range(0, len(graph.calls), 5):
            now = position[graph.calls[at]]
            live = curve.inputs
            for node in graph.nodes[: now + 1]:
                for index, spec in enumerate(node.outputs if node.op is not None else ()):
                    read = any(
                        (node, index) in reader.inputs and position[reader] >= now
                        for reader in graph.users[node]
                    )
                    if read or (node, index) in kept or node is graph.nodes[now]:
                        live += spec.nbytes
            assert curve.live[at] == live
        assert curve.peak == max(curve.live)
        assert curve.labels[curve.live.index(curve.peak)] == curve.peak_label

    def test_memory_of_nothing(self) -> None:
        curve = memory_curve(mg.trace(lambda x: x, mg.Spec((3,))))
        assert (curve.peak, curve.peak_label, curve.live) == (12, None, ())

    def test_backward_needs_more_memory(self) -> None:
        forward, backward = (memory_curve(traced("lenet5", b)[0]).peak for b in (False, True))
        assert backward > forward


class TestCuts:
    def test_a_chain_can_be_cut_everywhere(self) -> None:
        graph, _ = traced("lenet5", False)
        found = [cut.label for cut in cuts(graph)]
        ways = [label for label in found if label.endswith(("conv2d", "sigmoid", "reshape"))]
        assert len(ways) == 2 + 4 + 1
        assert "classifier.0.permute_dims" not in found

    def test_residual_blocks_are_cut_between(self) -> None:
        graph, _ = traced("residual", False)
        labels = [cut.label for cut in cuts(at_depth(graph, 2))]
        assert [label for label in labels if "Block" in label] == [f"0.{i}.Block" for i in range(4)]
        inside = [cut.label for cut in cuts(graph) if cut.label.startswith("0.1.")]
        assert inside == ["0.1.add", "0.1.relu_2"]

    def test_against_networkx(self) -> None:
        """A value is a cut if and only if the outputs are out of reach without its node."""
        for name in NETWORKS:
            graph, _ = traced(name, False)
            net = graph.to_networkx()
            found = {cut.label for cut in cuts(graph)}
            start = graph.labels[graph.inputs[0]]
            end = graph.labels[graph.outputs[0][0]]
            for label in net:
                if label in (start, end):
                    assert label in found
                    continue
                without = net.copy()
                without.remove_node(label)
                assert (label in found) == (not networkx.has_path(without, start, end)), label

    def test_two_inputs_and_two_outputs(self) -> None:
        spec = mg.Spec((3,))
        joined = mg.trace(lambda x, y: mg.exp(x.exp() + y).sum(), spec, spec)
        assert [c.label for c in cuts(joined)] == ["add", "exp_2", "sum"]
        assert [c.nbytes for c in cuts(joined)] == [12, 12, 4]
        split = mg.trace(lambda x: (x.exp().sin(), x.exp().cos()), spec)
        assert [c.label for c in cuts(split)] == ["x"]

    def test_dead_code_does_not_count(self) -> None:
        def f(x: mg.Tensor) -> mg.Tensor:
            y = mg.exp(x)
            mg.sin(x)
            return mg.cos(y)

        assert [c.label for c in cuts(mg.trace(f, mg.Spec((3,))))] == ["x", "exp", "cos"]


def test_large_graphs() -> None:
    def f(x: mg.Tensor) -> mg.Tensor:
        for _ in range(10_000):
            x = x * x
        return x

    graph = mg.trace(f, mg.Spec(()))
    assert len(cuts(graph)) == 10_001
    assert memory_curve(graph).peak == 12
    assert len(critical_path(graph, "flops").labels) == 10_001
