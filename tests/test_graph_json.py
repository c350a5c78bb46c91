"""Graphs in files: what is written comes back equal, and what is broken is refused."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graph_networks import NETWORKS, bits, places, traced, written
from sample import Sample
from samples import SAMPLES
from test_trace import VALUE_DEPENDENT, arguments

import minigrad as mg
from minigrad import nn
from minigrad.errors import ArgumentError, GraphError, TraceError
from minigrad.graph import Graph, Role, codec
from minigrad.graph.depth import at_depth, fold_repeats
from minigrad.graph.passes import eliminate_dead_code
from minigrad.graph.reading import from_document
from minigrad.op import CATALOGUE, Op
from minigrad.ops.pooling import Adaptive
from minigrad.spec import Window

SCHEMA = Path(__file__).parent.parent / "docs" / "graph-schema.md"


@pytest.mark.parametrize(
    "sample", [s for s in SAMPLES if s.id not in VALUE_DEPENDENT], ids=lambda s: s.id
)
def test_samples_come_back_equal(sample: Sample) -> None:
    mg.manual_seed(3)
    inputs = arguments(sample.inputs, sample.differentiable)
    graph = mg.trace(sample.function, *inputs, backward=sample.differentiable)
    read = from_document(written(graph))
    assert read == graph
    assert bits(read(*inputs)) == bits(graph(*inputs))
    for node, twin in zip(graph.nodes, read.nodes, strict=True):
        assert (node.cost, node.saved_bytes, node.line) == (twin.cost, twin.saved_bytes, twin.line)
        assert node.module_path == twin.module_path


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("depth", [None, 0, 1, 2])
def test_networks_come_back_equal(
    name: str, depth: int | None, backward: bool, tmp_path: Path
) -> None:
    graph, x = traced(name, backward)
    shown = graph if depth is None else fold_repeats(at_depth(graph, depth))
    shown.save(tmp_path / "graph.json")
    read = Graph.load(tmp_path / "graph.json")
    assert read == shown
    assert (read == graph) == (shown == graph)
    assert hash(read) == hash(shown)
    assert read.labels.keys() != shown.labels.keys()
    assert list(read.labels.values()) == list(shown.labels.values())
    kinds = [node.scope.kind for node in read.calls if node.scope is not None]
    assert kinds == [node.scope.kind for node in shown.calls if node.scope is not None]
    assert [read.is_backward(n) for n in read.nodes] == [shown.is_backward(n) for n in shown.nodes]
    with pytest.raises(TraceError, match="with_values"):
        read(x)
    state = {
        leaf.name: leaf.tensor
        for leaf in graph.leaves.values()
        if leaf.tensor is not None and leaf.role != Role.CONSTANT
    }
    assert bits(read.with_values(copy.deepcopy(state))(x)) == bits(graph(x))


def test_a_forward_node_that_is_gone_is_remembered() -> None:
    graph = mg.trace(lambda x: (x * 2).sum(), mg.Spec((3,)), backward=True)
    gradients = Graph(graph.nodes, graph.leaves, graph.outputs[1:], graph.output_names[1:])
    small = eliminate_dead_code(gradients)
    gone = [node.origin for node in small.calls if node.origin not in small.nodes]
    assert gone
    read = from_document(written(small))
    assert read == small
    assert all(read.is_backward(node) for node in read.calls)


class TestEquality:
    def test_what_counts(self) -> None:
        def f(x: mg.Tensor) -> mg.Tensor:
            return mg.sum(x, 0) + 1

        def g(x: mg.Tensor) -> mg.Tensor:
            return mg.sum(x, 1) + 1

        def h(x: mg.Tensor) -> mg.Tensor:
            return mg.sum(x, 0) + 2

        f.__name__ = g.__name__ = h.__name__ = "f"
        spec = mg.Spec((3, 3))
        graph = mg.trace(f, spec)
        assert graph == mg.trace(f, spec)
        assert graph != mg.trace(g, spec)
        assert graph != mg.trace(h, spec)
        assert graph != mg.trace(f, mg.Spec((3, 4)))
        assert graph != "a graph"
        names = ("y",)
        assert graph != Graph(graph.nodes, graph.leaves, graph.outputs, names, (), graph.name)

    def test_values_of_parameters_do_not(self) -> None:
        def make() -> nn.Sequential:
            return nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.5))

        mg.manual_seed(0)
        first = mg.trace(make(), mg.Spec((1, 3)))
        mg.manual_seed(1)
        second = mg.trace(make().eval(), mg.Spec((1, 3)))
        assert first != second
        mg.manual_seed(0)
        assert mg.trace(make(), mg.Spec((1, 3))) == first

    def test_operands_changeplaces(self) -> None:
        spec = mg.Spec((3,))
        assert mg.trace(lambda x, y: x - y, spec, spec) != mg.trace(lambda x, y: y - x, spec, spec)


class TestParameters:
    @pytest.mark.parametrize(
        "value",
        [
            None,
            True,
            7,
            -(2**63),
            0.1,
            -0.0,
            float("inf"),
            float("-inf"),
            "text",
            (),
            (1, (2, 3), None),
            slice(None, 3, -1),
            Ellipsis,
            np.dtype("int8"),
            np.float32(0.1),
            np.float64("inf"),
            np.int64(-3),
            np.bool_(True),
            Window((3, 2), (1, 1), ((0, 1), (2, 3)), (1, 2), True),
            Adaptive((3, None)),
        ],
        ids=repr,
    )
    def test_every_kind_comes_back(self, value: Any) -> None:
        back = codec.decode(json.loads(json.dumps(codec.encode(value), allow_nan=False)))
        assert type(back) is type(value)
        assert repr(back) == repr(value)

    def test_nan_comes_back(self) -> None:
        assert np.isnan(codec.decode(codec.encode(float("nan"))))

    def test_all_ops_are_in_reach(self) -> None:
        for op in CATALOGUE.values():
            assert codec._hints(op) is not None

    def test_other_kinds_are_refused(self) -> None:
        with pytest.raises(GraphError, match="type object has no form"):
            codec.encode(object())

    def test_ops_outside_of_the_catalogue_are_all_named(self, tmp_path: Path) -> None:
        class Doubled(mg.Function):
            @staticmethod
            def forward(ctx: Any, x: mg.Tensor) -> mg.Tensor:
                return x * 2

            @staticmethod
            def backward(ctx: Any, grad: mg.Tensor) -> mg.Tensor:
                return grad * 2

        x = mg.ones(3, requires_grad=True)
        graph = mg.graph_of(mg.checkpoint(mg.exp, Doubled.apply(x)))
        assert graph == graph
        with pytest.raises(GraphError, match=r"not in the catalogue.*Doubled, checkpoint"):
            graph.save(tmp_path / "graph.json")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("size", [0, 3, 40])
    @pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "uint64", "bool"])
    def test_constants_keep_their_bits(self, dtype: str, size: int) -> None:
        values = np.random.default_rng(1).standard_normal(size) * 3
        if dtype.startswith("float") and size:
            values[0] = -0.0
        constant = mg.tensor(np.abs(values).astype(dtype) if dtype == "uint64" else values, dtype)
        graph = mg.trace(lambda x: mg.concat([x, constant]), mg.Spec((2,), dtype))
        read = from_document(written(graph))
        assert read == graph
        (leaf,) = [leaf for leaf in read.leaves.values() if leaf.role == Role.CONSTANT]
        assert leaf.tensor is not None
        assert bits(leaf.tensor) == bits(constant)

    def test_constants_keep_their_order_in_memory(self) -> None:
        images = np.arange(48.0).reshape(2, 4, 3, 2).transpose(0, 3, 1, 2)
        row = np.broadcast_to(np.arange(3.0), (2, 2, 4, 3))
        for array in (images, row, np.broadcast_to(1.5, (2, 2))):
            table = mg.asarray(array)
            graph = mg.trace(lambda x, table=table: x + table, mg.Spec((1,), "float64"))
            read = from_document(written(graph))
            assert read == graph
            (leaf,) = [leaf for leaf in read.leaves.values() if leaf.role == Role.CONSTANT]
            assert leaf.tensor is not None
            assert leaf.tensor._array.strides == table._array.strides

    def test_constants_that_are_not_finite(self) -> None:
        table = mg.tensor([float("nan"), float("inf"), 1.0])
        graph = mg.trace(lambda x: x + table, mg.Spec((3,)))
        assert from_document(written(graph)) == graph


def test_unknown_formats_and_options_are_named(tmp_path: Path) -> None:
    graph = mg.trace(lambda x: x + 1, mg.Spec((3,)))
    for name in ("graph.xyz", "graph", "graph.json.bak"):
        with pytest.raises(ArgumentError, match=r"no ending.*\.dot, \.graphml, .*\.json"):
            graph.save(tmp_path / name)
    with pytest.raises(ArgumentError, match=r"no option 'colour'; \.dot has depth"):
        graph.save(tmp_path / "graph.dot", colour=True)
    with pytest.raises(GraphError, match="cannot be written"):
        (tmp_path / "file").write_text("")
        graph.save(tmp_path / "file" / "graph.json")
    graph.save(tmp_path / "new" / "GRAPH.JSON")
    assert Graph.load(tmp_path / "new" / "GRAPH.JSON") == graph


def test_long_chains_are_written_and_read(tmp_path: Path) -> None:
    def f(x: mg.Tensor) -> mg.Tensor:
        for _ in range(20_000):
            x = x + x
        return x

    graph = mg.trace(f, mg.Spec(()))
    graph.save(tmp_path / "graph.json")
    assert Graph.load(tmp_path / "graph.json") == graph


def test_the_schema_is_true() -> None:
    """The page names every key that a file has, and its example is read."""
    page = SCHEMA.read_text(encoding="utf-8")
    graph, _ = traced("residual", True)
    data = written(fold_repeats(at_depth(graph, 2)))
    keys = {key for place, key in places(data) if isinstance(key, str)}
    fields = {f for op in CATALOGUE.values() if issubclass(op, Op) for f in codec._hints(op)}
    fields |= {*codec._hints(Window), *codec._hints(Adaptive)}
    missing = [key for key in keys - fields if f"`{key}`" not in page and f'"{key}"' not in page]
    assert not missing
    example = page.split("```json\n")[1].split("```")[0]
    read = from_document(json.loads(example))
    assert read(mg.tensor([1.0, 2.0])).tolist() == [3.0, 5.0]
