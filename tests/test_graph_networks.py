"""Every network of the catalogue as a graph: it runs to the eager run's bits, is written in every
format and read back by another program, forward and with its backward pass.

The smaller networks are in the default set; the whole catalogue is in `make test-slow`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import networkx
import pytest
from test_graph_views import is_mermaid

import minigrad as mg
from minigrad import models, nn
from minigrad.errors import GraphError
from minigrad.graph import Graph, plain
from minigrad.graph.depth import at_depth, fold_repeats
from minigrad.graph.formats import FORMATS

FAST = {"lenet5", "resnet18"}
WHOLE = 250
"""Graphs of so many nodes are given whole to programs that take their time, others folded."""


def networks(fast: set[str]) -> pytest.MarkDecorator:
    """All of the catalogue, those that are not fast marked."""
    slow = pytest.mark.slow
    listed = [n if n in fast else pytest.param(n, marks=slow) for n in models.names()]
    return pytest.mark.parametrize("name", listed)


every_network = networks(FAST)
computed_network = networks({"lenet5"})
both_passes = pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])


def described(name: str, backward: bool) -> Graph:
    """The graph of a network without values: in training with its backward, else in evaluation."""
    with mg.abstract():
        network = models.create(name).train(backward)
    return mg.trace(network, mg.Spec((1, *models.input_shape(name))), backward=backward)


def folded(graph: Graph) -> Graph:
    """The outermost modules alone, with equal ones in a row as one."""
    return fold_repeats(at_depth(graph, 1))


def made(name: str) -> tuple[nn.Module, mg.Tensor]:
    mg.manual_seed(3)
    return models.create(name), mg.randn((1, *models.input_shape(name)))


def numbers(tensor: mg.Tensor | None) -> bytes:
    assert tensor is not None
    return tensor.detach().numpy().tobytes()


@computed_network
def test_graph_runs_to_the_bits_of_the_eager_run(name: str) -> None:
    net, x = made(name)
    net.eval()
    graph = mg.trace(net, x)
    with mg.no_grad():
        assert numbers(graph(x)) == numbers(net(x))


@computed_network
def test_graph_of_a_step_gives_the_bits_of_the_eager_step(name: str) -> None:
    """The loss, every parameter's gradient, and the running statistics, with the same dropout."""
    net, x = made(name)
    draws = mg.get_rng_state()
    graph = mg.trace(net, x, backward=True, loss=lambda scores: (scores * scores).sum())
    names = [f"grad.{path}" for path, _ in net.named_parameters()]
    assert graph.output_names == ("output", "loss", *names)
    before = {path: tensor.numpy().copy() for path, tensor in net.named_buffers()}
    with mg.no_grad():
        results = dict(zip(graph.output_names, graph(x), strict=True))
    updated = {path: numbers(tensor) for path, tensor in net.named_buffers()}
    for path, tensor in net.named_buffers():
        tensor.assign(mg.tensor(before[path]))
    mg.set_rng_state(draws)
    scores = net(x)
    loss = (scores * scores).sum()
    loss.backward()
    assert numbers(results["output"]) == numbers(scores)
    assert numbers(results["loss"]) == numbers(loss)
    for path, parameter in net.named_parameters():
        assert numbers(results[f"grad.{path}"]) == numbers(parameter.grad), path
    assert updated == {path: numbers(tensor) for path, tensor in net.named_buffers()}
    assert bool(updated) == name.startswith("resnet")


# -- every format ---------------------------------------------------------------------------------


def reads_svg(path: Path, graph: Graph) -> None:
    root = ElementTree.parse(path).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert graph.name in "".join(root.itertext()) or len(graph.calls) < 2
    assert len(list(root.iter("{http://www.w3.org/2000/svg}text"))) > 5


class Tags(HTMLParser):
    """That every tag is closed, and what stands in the scripts."""

    EMPTY = frozenset({"meta", "input", "br", "img", "link"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.scripts: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag not in self.EMPTY:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data


def reads_html(path: Path, graph: Graph) -> None:
    tags = Tags()
    tags.feed(path.read_text(encoding="utf-8"))
    tags.close()
    assert tags.open == []
    (data,) = [json.loads(script) for script in tags.scripts if script.startswith("{")]
    assert [node["label"] for node in data["nodes"]] == [graph.labels[n] for n in graph.nodes]


def reads_json(path: Path, graph: Graph) -> None:
    read = Graph.load(path)
    assert read == graph
    assert read.cost == graph.cost
    saved = [[node.saved_bytes for node in g.calls] for g in (read, graph)]
    assert saved[0] == saved[1]


def reads_graphml(path: Path, graph: Graph) -> None:
    read, net = networkx.read_graphml(path, force_multigraph=True), graph.to_networkx()
    assert list(read) == [plain.printable(label) for label in net]
    assert read.number_of_edges() == net.number_of_edges()
    assert networkx.is_directed_acyclic_graph(read)
    for key in ("macs", "flops"):
        assert sum(n[key] for n in read.nodes.values()) == getattr(graph.cost, key)


def reads_mermaid(path: Path, graph: Graph) -> None:
    is_mermaid(path.read_text(encoding="utf-8"), graph)


def reads_png(path: Path, graph: Graph) -> None:
    image = pytest.importorskip("PIL.Image")
    with image.open(path) as picture:
        picture.load()
        assert picture.format == "PNG" and min(picture.size) > 200
        low, high = picture.convert("L").getextrema()
        assert high - low > 150  # something is drawn on it


def reads_text(path: Path, graph: Graph) -> None:
    *_, total = path.read_text(encoding="utf-8").splitlines()
    assert f"{len(graph.calls)} calls" in total and f"{graph.cost.macs:,}" in total


READERS: dict[str, Callable[[Path, Graph], None]] = {
    ".graphml": reads_graphml,
    ".html": reads_html,
    ".json": reads_json,
    ".mmd": reads_mermaid,
    ".png": reads_png,
    ".svg": reads_svg,
    ".txt": reads_text,
}


def test_every_format_has_a_reader() -> None:
    elsewhere = {".dot", ".onnx"}
    assert READERS.keys() | elsewhere == FORMATS.keys()


@both_passes
@every_network
def test_formats_are_read_back(name: str, backward: bool, tmp_path: Path) -> None:
    graph = described(name, backward)
    for ending, reads in READERS.items():
        if ending == ".png":
            pytest.importorskip("matplotlib")
        path = tmp_path / f"{name}{ending}"
        graph.save(path)
        reads(path, graph)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # pydot's, of its own parser
@both_passes
@networks({"lenet5"})
def test_pydot_reads_it(name: str, backward: bool, tmp_path: Path) -> None:
    pydot = pytest.importorskip("pydot")
    graph, path = described(name, backward), tmp_path / "graph.dot"
    view = graph if len(graph) < WHOLE else folded(graph)
    view.save(path)
    (read,) = pydot.graph_from_dot_file(path)
    levels, names, edges = [read], [], 0
    for level in levels:
        levels += level.get_subgraphs()
        names += [node.get_name() for node in level.get_nodes()]
        edges += len(level.get_edges())
    drawn = [name for name in names if name not in ("graph", "node", "edge")]
    assert len(drawn) == len(set(drawn)) == len(view.nodes) + len(view.outputs)
    assert edges == sum(len(n.inputs) for n in view.nodes) + len(view.outputs)


@both_passes
@every_network
def test_graphviz_reads_the_whole_and_draws_the_folded(
    name: str, backward: bool, tmp_path: Path
) -> None:
    parser, drawer = shutil.which("nop"), shutil.which("dot")
    if parser is None or drawer is None:
        pytest.skip("Graphviz, whose programs read DOT, is not installed")
    graph, path = described(name, backward), tmp_path / "graph.dot"
    graph.save(path)
    run = subprocess.run([parser, path], capture_output=True, text=True, check=True, timeout=60)
    assert run.stderr == "" and run.stdout.startswith("digraph")
    operands = sum(len(node.inputs) for node in graph.nodes)
    assert run.stdout.count(" -> ") == operands + len(graph.outputs)
    view = graph if len(graph) < WHOLE else folded(graph)
    view.save(path)
    run = subprocess.run([drawer, "-Tsvg", path], capture_output=True, check=True, timeout=60)
    assert run.stderr == b""
    shapes = [e.get("class") for e in ElementTree.fromstring(run.stdout).iter()]
    assert shapes.count("node") == len(view.nodes) + len(view.outputs)
    assert shapes.count("edge") == sum(len(n.inputs) for n in view.nodes) + len(view.outputs)


@pytest.mark.parametrize("name", sorted(FAST))
def test_onnx_takes_the_forward_pass(name: str, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    net, x = made(name)
    mg.trace(net.eval(), x).save(tmp_path / "net.onnx")
    onnx.checker.check_model(tmp_path / "net.onnx", full_check=True)
    with pytest.raises(GraphError, match="conv2d_weight_grad"):
        mg.trace(net, x, backward=True).save(tmp_path / "step.onnx")
