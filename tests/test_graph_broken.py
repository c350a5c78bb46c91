"""Files of graphs that are broken, by hand and at random: each is refused, and says where."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from graph_networks import places, traced, written
from samples import SAMPLES
from test_trace import VALUE_DEPENDENT, arguments

import minigrad as mg
from minigrad.errors import GraphError, IndexingError, MinigradError
from minigrad.graph import Graph
from minigrad.graph.depth import at_depth, fold_repeats
from minigrad.graph.reading import from_document


def edited(edit: Callable[[Any], object]) -> Any:
    """The file of a small graph, changed."""

    def f(x: mg.Tensor, w: mg.Tensor) -> mg.Tensor:
        y = mg.nn.functional.conv2d(x, w, stride=2)
        return mg.sum(y, 1)[0, 1:] + 3

    data = written(mg.trace(f, mg.Spec((1, 2, 5, 5)), mg.Spec((2, 2, 3, 3))))
    edit(data)
    return data


BROKEN: dict[str, tuple[Callable[[Any], object], str]] = {
    "format": (lambda d: d.pop("format"), "no graph"),
    "version": (lambda d: d.update(version=2), "version 2"),
    "no_nodes": (lambda d: d.pop("nodes"), "has no 'nodes'"),
    "nodes": (lambda d: d.update(nodes={}), "'nodes' is a list, got dict"),
    "node": (lambda d: d["nodes"].insert(0, 3), "object"),
    "op": (lambda d: d["nodes"][2].update(op="launch"), r"nodes\[2\]: no op is named 'launch'"),
    "op_kind": (lambda d: d["nodes"][2].update(op=["conv2d"]), "'op' is text"),
    "parameters": (lambda d: d["nodes"][2].pop("parameters"), "takes the parameters"),
    "more": (lambda d: d["nodes"][2]["parameters"].update(x=1), "takes the parameters"),
    "type": (lambda d: d["nodes"][2]["parameters"].update(groups="1"), "groups of conv2d is no"),
    "bool": (lambda d: d["nodes"][2]["parameters"].update(groups=True), "groups of conv2d is no"),
    "least": (lambda d: d["nodes"][2]["parameters"].update(groups=0), "at least 1"),
    "window": (
        lambda d: d["nodes"][2]["parameters"]["window"]["Window"].update(stride=[0, 2]),
        "at least 1",
    ),
    "padding": (
        lambda d: d["nodes"][2]["parameters"]["window"]["Window"].update(padding=[[-9, 0]] * 2),
        "at least 0",
    ),
    "no_axes": (
        lambda d: d["nodes"][2]["parameters"]["window"]["Window"].update(
            kernel_size=[], stride=[], padding=[], dilation=[]
        ),
        "one axis at least",
    ),
    "form": (lambda d: d["nodes"][2]["parameters"].update(window={"eval": "1"}), "no parameter"),
    "shape": (lambda d: d["nodes"][2]["outputs"][0].update(shape=[1, 2, 3, 3]), "the file says"),
    "dtype": (lambda d: d["nodes"][0]["spec"].update(dtype="object"), "not supported"),
    "negative": (lambda d: d["nodes"][0]["spec"].update(shape=[-1]), "negative"),
    "huge": (lambda d: d["nodes"][0]["spec"].update(shape=[10**9] * 4), "no memory"),
    "inputs": (lambda d: d["nodes"][2]["inputs"].pop(), "does not take these inputs"),
    "reader": (lambda d: d["nodes"][2].update(inputs=[[99, 0], [1, 0]]), "no node 99 stands"),
    "cycle": (lambda d: d["nodes"][2].update(inputs=[[3, 0], [1, 0]]), "no cycle"),
    "itself": (lambda d: d["nodes"][2].update(inputs=[[2, 0], [1, 0]]), "no cycle"),
    "order": (lambda d: d["nodes"].reverse(), "stands before it"),
    "output": (lambda d: d["nodes"][2].update(inputs=[[0, 1], [1, 0]]), "has 1 outputs"),
    "minus": (lambda d: d["nodes"][2].update(inputs=[[0, -1], [1, 0]]), "a value is"),
    "value": (lambda d: d["nodes"][2].update(inputs=["x", "w"]), "a value is"),
    "needs": (lambda d: d["nodes"][2].update(needs=[4]), "'needs'"),
    "origin": (lambda d: d["nodes"][2].update(origin=0), "'origin' is a call"),
    "frame": (lambda d: d["nodes"][2].update(frame=0), "no frame 0"),
    "outer": (
        lambda d: d["frames"].append({"name": "a", "kind": "b", "outer": 0}),
        "a frame before it",
    ),
    "twice": (lambda d: d["nodes"][1].update(id=0), "another node has the id 0"),
    "role": (lambda d: d["nodes"][0].update(leaf="guest"), "a leaf is one of"),
    "requires": (lambda d: d["nodes"][0].update(requires_grad=3), "'requires_grad'"),
    "valued": (lambda d: d["nodes"][0].update(values=[1.0]), "only a constant has values"),
    "few": (lambda d: d["nodes"][5].update(values=[]), "the values are not those"),
    "base64": (lambda d: d["nodes"][5].update(values="%%%"), "the values are not those"),
    "cut": (lambda d: d["nodes"][5].update(values="AAAA"), "the values are not those"),
    "axes": (lambda d: d["nodes"][3]["parameters"].update(axes=[7]), "no such axes"),
    "order_of": (lambda d: d["nodes"][5].update(order=[3]), "each once"),
    "repeated": (lambda d: d["nodes"][5].update(repeated="0"), "each once"),
    "text": (lambda d: d["nodes"][5].update(values=["1"]), "they are numbers"),
    "outputs": (lambda d: d["outputs"][0].update(value=[77, 0]), "no node 77"),
    "updates": (lambda d: d["updates"].append({"leaf": 0, "value": [1, 0]}), "of its spec"),
    "absent": (
        lambda d: d["absent"].append({"id": 50, "op": "?", "outputs": []}),
        "no op is named",
    ),
    "slice": (lambda d: slice_of(d).update(slice=["a", None, None]), "a slice has start"),
    "step": (lambda d: slice_of(d).update(slice=[0, 1, 0]), "step of a slice"),
    "index": (lambda d: template_of(d).__setitem__(0, 9), "does not take these inputs"),
}


def template_of(data: Any) -> Any:
    return next(n for n in data["nodes"] if n.get("op") == "getitem")["parameters"]["template"]


def slice_of(data: Any) -> Any:
    return next(entry for entry in template_of(data) if isinstance(entry, dict))


class TestBrokenFiles:
    def test_the_file_is_sound_before(self) -> None:
        assert edited(lambda d: None)["nodes"][5]["leaf"] == "constant"
        assert len(from_document(edited(lambda d: None)).calls) == 4

    @pytest.mark.parametrize("name", BROKEN)
    def test_each_is_refused(self, name: str) -> None:
        edit, message = BROKEN[name]
        with pytest.raises(GraphError, match=message):
            from_document(edited(edit))

    @pytest.mark.parametrize(
        "text", ["", "{", "[]", "3", "null", '"x"', "[" * 10**5, "NaN", '{"format": 1e999}']
    )
    def test_text_that_is_no_graph(self, text: str, tmp_path: Path) -> None:
        path = tmp_path / "graph.json"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(GraphError, match=r"graph\.json: is no"):
            Graph.load(path)

    def test_bytes_that_are_no_text(self, tmp_path: Path) -> None:
        path = tmp_path / "graph.json"
        path.write_bytes(b"\xff\xfe\x00")
        with pytest.raises(GraphError, match="is not JSON"):
            Graph.load(path)

    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(GraphError, match="cannot be read"):
            Graph.load(tmp_path / "graph.json")
        with pytest.raises(GraphError, match="cannot be read"):
            Graph.load(tmp_path)

    def test_values_that_an_op_does_not_take(self) -> None:
        rows = mg.tensor([0, 2])
        data = written(mg.trace(lambda x: x[rows], mg.Spec((3,))))
        constant = next(node for node in data["nodes"] if node.get("leaf") == "constant")
        constant["values"] = [0, 7]
        with pytest.raises(IndexingError, match="getitem: index 7 is out of bounds"):
            from_document(data)(mg.ones(3))

    def test_composites_are_checked_too(self) -> None:
        graph, _ = traced("residual", True)
        data = written(fold_repeats(at_depth(graph, 2)))
        repeats = [n for n in data["nodes"] if n.get("composite", {}).get("count", 1) > 1]
        for change in ({"links": [[0, 99]]}, {"count": 0}, {"count": 10**12}, {"body": 3}):
            broken = copy.deepcopy(data)
            row = next(n for n in broken["nodes"] if n["id"] == repeats[0]["id"])
            row["composite"].update(change)
            with pytest.raises(GraphError):
                from_document(broken)

    def test_files_at_random_are_read_or_refused(self) -> None:
        """Any value of a file replaced by another: a graph that runs, or an error of minigrad."""
        graph, x = traced("lenet5", True)
        sources = [(written(graph), x)]
        for sample in SAMPLES[:: max(1, len(SAMPLES) // 60)]:
            if sample.id not in VALUE_DEPENDENT:
                inputs = arguments(sample.inputs, sample.differentiable)
                traced_sample = mg.trace(sample.function, *inputs, backward=sample.differentiable)
                sources.append((written(traced_sample), *inputs))
        draw = random.Random(4)
        refused = 0
        for data, *inputs in sources:
            for _ in range(15):
                broken = copy.deepcopy(data)
                place, key = draw.choice(places(broken))
                place[key] = draw.choice(
                    [0, -1, 1, 3, 2**65, 2**40, 1.5, None, "x", [], {}, True, [0, 0]]
                )
                try:
                    read = from_document(broken)
                except GraphError:
                    refused += 1
                    continue
                try:
                    read(*inputs)
                except MinigradError:
                    refused += 1
        assert refused > 300
