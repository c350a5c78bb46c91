"""Traces: every op's sample and the networks, on specs alone, run again to the eager run's bits."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from sample import Array, Sample
from samples import SAMPLES

import minigrad as mg
from minigrad import models, nn
from minigrad.errors import ArgumentError, ShapeError, TraceError
from minigrad.graph import Role
from minigrad.nn import functional


def same(got: Sequence[mg.Tensor], expected: Sequence[mg.Tensor]) -> None:
    for y, wanted in zip(got, expected, strict=True):
        assert y.spec == wanted.spec
        assert y.detach().numpy().tobytes() == wanted.detach().numpy().tobytes()


def listed(value: Any) -> list[mg.Tensor]:
    return list(value) if isinstance(value, (tuple, list)) else [value]


def arguments(arrays: Sequence[Array], requires_grad: bool) -> list[mg.Tensor]:
    return [mg.tensor(a, requires_grad=requires_grad and a.dtype.kind == "f") for a in arrays]


VALUE_DEPENDENT = {"getitem-given_mask"}
"""Samples whose shapes depend on the values of an input."""

traceable = pytest.mark.parametrize(
    "sample",
    [sample for sample in SAMPLES if sample.id not in VALUE_DEPENDENT],
    ids=lambda sample: sample.id,
)
differentiable = pytest.mark.parametrize(
    "sample",
    [s for s in SAMPLES if s.differentiable and s.id not in VALUE_DEPENDENT],
    ids=lambda sample: sample.id,
)


@traceable
def test_sample_runs_from_its_graph_to_the_same_bits(sample: Sample) -> None:
    mg.manual_seed(3)
    inputs = arguments(sample.inputs, sample.differentiable)
    eager = sample.function(*inputs)
    mg.manual_seed(3)
    graph = mg.trace(sample.function, *inputs)
    same(listed(graph(*inputs)), listed(eager))


@differentiable
def test_gradient_of_a_sample_runs_from_its_graph(sample: Sample) -> None:
    mg.manual_seed(3)
    inputs = arguments(sample.inputs, True)
    leaves = [x for x in inputs if x.requires_grad]
    y = sample.function(*inputs)
    loss = y if y.size == 1 else y.sum()
    gradients = mg.grad([loss], leaves)
    mg.manual_seed(3)
    graph = mg.trace(sample.function, *inputs, backward=True)
    results = dict(zip(graph.output_names, listed(graph(*inputs)), strict=True))
    found = [
        results[f"grad.{graph.leaves[n].name}"]
        for n in graph.inputs
        if graph.leaves[n].requires_grad
    ]
    same(found, gradients)


class TestModules:
    def test_training_graph_gives_loss_gradients_and_running_statistics(self) -> None:
        def network() -> nn.Module:
            mg.manual_seed(1)
            return nn.Sequential(
                nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)
            )

        eager, traced = network(), network()
        x, classes = mg.randn((5, 2, 6, 6)), mg.tensor([0, 2, 1, 1, 0])

        def step(net: nn.Module) -> Any:
            return lambda x, target: functional.cross_entropy(net(x), target)

        loss = step(eager)(x, classes)
        loss.backward()
        graph = mg.trace(step(traced), x, classes, backward=True)
        before = {name: t.numpy().copy() for name, t in traced.state_dict().items()}
        for name, tensor in network().state_dict().items():
            np.testing.assert_array_equal(tensor.numpy(), before[name])
        results = dict(zip(graph.output_names, graph(x, classes), strict=True))
        same([results["output"]], [loss])
        for name, parameter in eager.named_parameters():
            same([results[f"grad.{name}"]], [parameter.grad])
        for name, tensor in eager.state_dict().items():
            np.testing.assert_array_equal(traced.state_dict()[name].numpy(), tensor.numpy())
        assert all(p.grad is None for p in traced.parameters())

    def test_leaves_have_names_and_roles(self) -> None:
        net = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)).eval()
        graph = mg.trace(lambda x: net(x) * 2, mg.Spec((4, 3)))
        roles = {leaf.name: leaf.role for leaf in graph.leaves.values()}
        assert roles["x"] == Role.INPUT
        assert roles["0.weight"] == roles["1.bias"] == Role.PARAMETER
        assert roles["1.running_mean"] == Role.BUFFER
        assert "1.num_batches_tracked" not in roles
        constants = [graph.leaves[n].tensor for n in graph.with_role(Role.CONSTANT)]
        assert 2.0 in [t.item() for t in constants if t is not None and t.size == 1]

    def test_nodes_know_module_line_and_forward(self) -> None:
        net = models.lenet5()
        graph = mg.trace(net, mg.Spec((2, 1, 32, 32)), backward=True)
        first = next(node for node in graph.calls if node.name == "conv2d")
        assert first.module_path == "lenet5.features_detector.0" or first.module_path.endswith(
            "features_detector.0"
        )
        assert first.line is not None and "lenet.py" in first.line
        assert first.cost.macs == 2 * 6 * 28 * 28 * 25
        assert first.saved_bytes == 4 * (2 * 32 * 32)
        grads = [node for node in graph.calls if node.name == "conv2d_weight_grad"]
        origins = {node.origin for node in grads}
        assert origins == {node for node in graph.calls if node.name == "conv2d"}
        assert all(graph.is_backward(node) for node in grads)
        assert not graph.is_backward(first)

    def test_abstract_network_needs_no_memory_and_takes_values(self) -> None:
        with mg.abstract():
            net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Dropout(0.3))
            huge = nn.Linear(10**6, 10**6)
        assert huge.weight.is_abstract
        graph = mg.trace(net, mg.Spec((1, 3, 8, 8)), backward=True)
        assert graph.cost.macs == 2 * 8 * 36 * 27
        with pytest.raises(TraceError, match=r"0\.weight has no values"):
            graph(mg.zeros((1, 3, 8, 8)))
        real = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Dropout(0.3))
        net.load_state_dict(real.state_dict())
        x = mg.randn((1, 3, 8, 8))
        same([net.eval()(x)], [real.eval()(x)])

    def test_graph_reads_the_parameters_of_now(self) -> None:
        layer = nn.Linear(2, 1, bias=False)
        graph = mg.trace(layer, mg.Spec((1, 2)))
        layer.weight.assign(mg.tensor([[2.0, 3.0]]))
        assert graph(mg.tensor([[1.0, 10.0]])).item() == 32
        graph(mg.tensor([[1.0, 10.0]])).sum().backward()
        assert layer.weight.grad is not None
        assert layer.weight.grad.tolist() == [[1.0, 10.0]]


class TestPrograms:
    def test_in_place_assignment_is_traced_and_leaves_the_tensor_alone(self) -> None:
        table = mg.zeros(4)

        def f(x: mg.Tensor) -> mg.Tensor:
            y = mg.zeros(4)
            y[1:3] = x
            table[0] = x[0]
            return y * 2 + table

        graph = mg.trace(f, mg.Spec((2,)))
        assert table.tolist() == [0, 0, 0, 0]
        assert graph(mg.tensor([3.0, 4.0])).tolist() == [3, 6, 8, 0]

    def test_indices_that_are_inputs_stay_inputs(self) -> None:
        layer = nn.Embedding(5, 3, padding_idx=1)
        graph = mg.trace(layer, mg.Spec((4,), "int64"))
        for numbers in ([0, 1, 4, 2], [3, 3, 1, 0]):
            same([graph(mg.tensor(numbers))], [layer(mg.tensor(numbers))])

    def test_function_with_its_own_backward(self) -> None:
        class Doubled(mg.Function):
            @staticmethod
            def forward(ctx: Any, x: mg.Tensor) -> mg.Tensor:
                return x * 2

            @staticmethod
            def backward(ctx: Any, grad: mg.Tensor) -> mg.Tensor:
                return grad * 7

        graph = mg.trace(lambda x: Doubled.apply(x * 3).sum(), mg.Spec((2,)), backward=True)
        y, gradient = graph(mg.tensor([1.0, 2.0]))
        assert y.item() == 18
        assert gradient.tolist() == [21, 21]
        assert "Doubled" not in {node.name for node in graph.nodes}

    def test_checkpoint_shows_what_is_computed_again(self) -> None:
        def f(x: mg.Tensor) -> mg.Tensor:
            return mg.checkpoint(lambda v: mg.exp(v) * v, x).sum()

        graph = mg.trace(f, mg.Spec((3,)), backward=True)
        assert [node.name for node in graph.calls].count("exp") == 2
        x = mg.tensor([0.1, 0.2, 0.3], requires_grad=True)
        (gradient,) = mg.grad(f(x), x)
        same(graph(x), [f(x), gradient])

    def test_every_tensor_that_is_captured_has_its_gradient(self) -> None:
        a, b = mg.tensor([2.0], requires_grad=True), mg.tensor([3.0], requires_grad=True)
        graph = mg.trace(lambda x: (a * b * x).sum(), mg.Spec((1,)), backward=True)
        assert graph.output_names == ("output", "grad.parameter", "grad.parameter_2")
        assert [y.item() for y in graph(mg.tensor([5.0]))] == [30, 15, 10]

    def test_structures_of_arguments_and_results(self) -> None:
        def f(pair: tuple[mg.Tensor, mg.Tensor], scale: float, *more: mg.Tensor) -> dict[str, Any]:
            return {"sum": pair[0] + pair[1], "rest": [m * scale for m in more]}

        spec = mg.Spec((2,))
        graph = mg.trace(f, (spec, spec), 3.0, spec, spec)
        assert graph.input_names == ("pair.0", "pair.1", "more_0", "more_1")
        assert graph.output_names == ("output.sum", "output.rest.0", "output.rest.1")
        ones = [mg.ones(2) * i for i in range(4)]
        assert [y.tolist() for y in graph(*ones)] == [[1, 1], [6, 6], [9, 9]]

    def test_long_chain(self) -> None:
        def f(x: mg.Tensor) -> mg.Tensor:
            for _ in range(20_000):
                x = x + x
            return x * 0

        graph = mg.trace(f, mg.Spec(()), backward=True)
        assert len(graph.calls) > 40_000
        assert graph(mg.tensor(0.0))[0].item() == 0

    def test_what_has_just_run(self) -> None:
        net = models.lenet5()
        x = mg.randn((2, 1, 32, 32))
        y = net(x)
        graph = mg.graph_of(y)
        assert graph.input_names == ("input",)
        assert "classifier.4.bias" in {leaf.name for leaf in graph.leaves.values()}
        assert graph.cost == mg.trace(net, x).cost
        same([graph(x)], [y])

    def test_second_derivatives(self) -> None:
        def f(x: mg.Tensor) -> mg.Tensor:
            (first,) = mg.grad((x**3).sum(), x, create_graph=True)
            return (first * first).sum()

        x = mg.tensor([1.0, -2.0], requires_grad=True)
        (expected,) = mg.grad(f(x), x)
        graph = mg.trace(f, x, backward=True)
        same(graph(x), [f(x), expected])


class TestRefusals:
    @pytest.mark.parametrize(
        "f",
        [
            lambda x: x if x.sum() > 0 else -x,
            lambda x: x * float(x[0]),
            lambda x: x[x > 0],
            lambda x: mg.tensor(x.detach().numpy()),
            lambda x: [x[i] for i in range(int(x[0]))],
            lambda x: np.asarray(x.detach()) + x,
            lambda x: mg.nonzero(x),
        ],
    )
    def test_control_flow_by_values_names_the_line(self, f: Any) -> None:
        with pytest.raises(TraceError, match=r"test_trace\.py:\d+: lambda"):
            mg.trace(f, mg.Spec((3,)))

    def test_no_tensor(self) -> None:
        with pytest.raises(TraceError, match="returned no tensor, but str"):
            mg.trace(lambda x: "nothing", mg.Spec((3,)))

    def test_tensor_of_another_trace(self) -> None:
        leaked = []
        mg.trace(lambda x: leaked.append(x * 2) or x, mg.Spec((3,)))
        with pytest.raises(TraceError, match="another trace"):
            mg.trace(lambda x: x + leaked[0], mg.Spec((3,)))
        with pytest.raises(TraceError, match="not known"):
            leaked[0] + 1
        with pytest.raises(TraceError, match="not known"):
            leaked[0].tolist()

    def test_trace_within_a_trace_and_what_comes_after_a_failed_one(self) -> None:
        with pytest.raises(TraceError, match="within a trace"):
            mg.trace(lambda x: mg.trace(lambda y: y, x) and x, mg.Spec((3,)))
        assert (mg.ones(2) + 1).tolist() == [2, 2]

    def test_backward_of_nothing(self) -> None:
        with pytest.raises(TraceError, match="no floating-point input"):
            mg.trace(lambda x: x + 1, mg.Spec((3,), "int64"), backward=True)

    def test_wrong_inputs_of_a_graph(self) -> None:
        graph = mg.trace(lambda x, y: x + y, mg.Spec((3,)), mg.Spec((3,)))
        with pytest.raises(ArgumentError, match=r"takes 2 inputs \(x, y\), got 1"):
            graph(mg.ones(3))
        with pytest.raises(ShapeError, match=r"x of .*\(3,\)"):
            graph(mg.ones(4), mg.ones(4))

    def test_errors_of_ops_name_the_module_as_ever(self) -> None:
        net = nn.Sequential(nn.Conv2d(3, 4, 5), nn.MaxPool2d(8))
        with pytest.raises(ShapeError, match=r"^Sequential\.1: "):
            mg.trace(net, mg.Spec((1, 3, 8, 8)))

    def test_graph_of_what_was_not_recorded(self) -> None:
        with mg.no_grad():
            y = models.lenet5()(mg.zeros((1, 1, 32, 32)))
        with pytest.raises(TraceError, match="no_grad"):
            mg.graph_of(y)


def test_order_and_values_are_checked() -> None:
    graph = mg.trace(lambda x: (x * 2) + 1, mg.Spec((3,)))
    for a, b in itertools.pairwise(graph.calls):
        assert a.age < b.age
    with pytest.raises(ArgumentError, match="stands before its input"):
        mg.Graph(graph.nodes[::-1], graph.leaves, graph.outputs, graph.output_names)
