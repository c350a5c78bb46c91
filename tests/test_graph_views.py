"""Graphs as text, DOT, Mermaid and GraphML: read back by other programs, with names that bite."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import networkx
import pytest
from graph_networks import NETWORKS, traced
from rich.console import Console

import minigrad as mg
from minigrad import nn
from minigrad.graph import Graph, dot, graphml, mermaid, plain
from minigrad.graph.depth import at_depth, fold_repeats
from minigrad.graph.placement import Closed, Opened, walk

HOSTILE = [
    'a"b',
    "back\\slash\\",
    "\\N\\G",
    "<script>alert(1)</script>",
    "<b>&amp;</b>",
    "]; n0 -> n1 [",
    "end",
    "%% comment",
    "#quot;",
    "line\nbreak",
    "\x1b[31mred\x00",
    "}{|;--> subgraph",
    "日本語 ünï",
    "[bold]markup[/bold]",
    "'; drop",
]


def hostile() -> Graph:
    """A network whose modules, inputs and outputs have names in the languages of the formats."""

    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for i, name in enumerate(HOSTILE):
                self._modules[name] = nn.Linear(3, 3) if i % 2 else nn.ReLU()

        def forward(self, **given: mg.Tensor) -> dict[str, mg.Tensor]:
            (x,) = given.values()
            for module in self._modules.values():
                x = module(x)
            return dict.fromkeys(HOSTILE[:4], x)

    Odd.__name__ = 'O"<dd>\\'
    return mg.trace(Odd(), **{HOSTILE[0]: mg.Spec((2, 3))}, backward=True)


GRAPHS: dict[str, Any] = {
    **{
        f"{name}_{view}": lambda name=name, view=view: VIEWS[view](traced(name, True)[0])
        for name in NETWORKS
        for view in ("whole", "folded")
    },
    "hostile": hostile,
    "hostile_folded": lambda: at_depth(hostile(), 1),
    "no_module": lambda: mg.trace(lambda x: x * x + 1, mg.Spec((3,)), backward=True),
    "nothing": lambda: mg.trace(lambda x: x, mg.Spec(())),
}
VIEWS = {"whole": lambda graph: graph, "folded": lambda graph: fold_repeats(at_depth(graph, 2))}
LARGE = ("lenet5_whole", "residual_whole", "residual_folded", "hostile")
"""Those that pydot's parser takes its time for."""

every_graph = pytest.mark.parametrize("name", GRAPHS)


@every_graph
def test_walk_meets_every_node_once_and_closes_what_it_opens(name: str) -> None:
    graph = GRAPHS[name]()
    met, open_frames = [], []
    for step in walk(graph):
        if isinstance(step, Opened):
            assert step.depth == len(open_frames)
            open_frames.append(step.frame)
        elif isinstance(step, Closed):
            open_frames.pop()
            assert step.depth == len(open_frames)
        else:
            met.append(step)
    assert not open_frames
    assert len(met) == len(graph.nodes)
    assert set(met) == set(graph.nodes)


class TestDot:
    @pytest.mark.filterwarnings("ignore::DeprecationWarning")  # pydot's, of its own parser
    @pytest.mark.parametrize(
        "name",
        [pytest.param(n, marks=pytest.mark.slow) if n in LARGE else n for n in GRAPHS],
    )
    def test_pydot_reads_it(self, name: str) -> None:
        pydot = pytest.importorskip("pydot")
        graph = GRAPHS[name]()
        (read,) = pydot.graph_from_dot_data(dot.text(graph))
        nodes, edges, clusters = {}, list(read.get_edges()), 0
        stack = [read]
        while stack:
            level = stack.pop()
            nodes.update({n.get_name(): n for n in level.get_nodes()})
            stack += level.get_subgraphs()
            clusters += len(level.get_subgraphs())
        drawn = {n for n in nodes if re.fullmatch(r"(n|out)\d+", n)}
        assert len(drawn) == len(graph.nodes) + len(graph.outputs)
        assert len(edges) == sum(len(n.inputs) for n in graph.nodes) + len(graph.outputs)
        assert clusters == sum(isinstance(step, Opened) for step in walk(graph))
        for i, node in enumerate(graph.nodes):
            label = nodes[f"n{i}"].get_label()
            title = graph.leaves[node].name if node.op is None else plain.title(node)
            assert unquoted(label).startswith(plain.printable(title))

    @every_graph
    def test_graphviz_reads_it(self, name: str) -> None:
        program = shutil.which("dot")
        if program is None:
            pytest.skip("Graphviz is not installed")
        source = dot.text(GRAPHS[name]())
        run = subprocess.run(
            [program, "-Tsvg"], input=source.encode(), capture_output=True, check=True, timeout=60
        )
        assert run.stderr == b""
        shown = ElementTree.fromstring(run.stdout)
        assert not [e for e in shown.iter() if e.tag.endswith("script")]
        titles = [e.text for e in shown.iter() if e.tag.endswith("text")]
        if name == "hostile":
            for odd in HOSTILE:
                text = plain.printable(odd)
                assert [t for t in titles if t and text in t.replace("\xa0", " ")], text

    def test_passes_look_different(self) -> None:
        graph, _ = traced("lenet5", True)
        text = dot.text(graph)
        backward = [node for node in graph.calls if graph.is_backward(node)]
        assert text.count(dot.BACKWARD) == len(backward)
        assert text.count(dot.FORWARD) == len(graph.calls) - len(backward)
        assert text.count("style=dashed];") == sum(len(node.inputs) for node in backward)


def unquoted(label: str) -> str:
    """What Graphviz shows for a quoted label."""
    assert label[0] == label[-1] == '"'
    shown = {'\\"': '"', "\\\\": "\\", "\\n": "\n"}
    text = re.sub(r'\\["\\n]', lambda match: shown[match.group()], label[1:-1])
    assert "&" not in text.replace("&amp;", "")
    return text.replace("&amp;", "&")


def is_mermaid(text: str, graph: Graph) -> None:
    """That every line has one of the forms of the language that are written, and all is there."""
    lines = text.splitlines()
    assert lines[0] == "flowchart TD"
    label = r'"(?:[\w ._,:=()+*/]|#\d+;|<br/>)*"'
    node = r"(?:n|out)\d+"
    kinds = {
        "style": r"classDef \w+_ [\w:#,-]+",
        "open": rf"subgraph s\d+\[{label}\]",
        "close": "end",
        "node": rf"{node}(?:\[{label}\]|\(\[{label}\]\)):::\w+_",
        "edge": rf"{node} (?:-->|-\.->)(?:\|{label}\|)? {node}",
    }
    counts = dict.fromkeys(kinds, 0)
    for line in lines[1:]:
        (kind,) = [k for k, form in kinds.items() if re.fullmatch(form, line.strip())]
        counts[kind] += 1
    assert counts["open"] == counts["close"]
    assert counts["node"] == len(graph.nodes) + len(graph.outputs)
    operands = sum(len(n.inputs) for n in graph.nodes)
    assert counts["edge"] == operands + len(graph.outputs)


class TestMermaid:
    @every_graph
    def test_every_line_is_of_the_language(self, name: str) -> None:
        graph = GRAPHS[name]()
        is_mermaid(mermaid.text(graph), graph)

    def test_names_can_be_read_back(self) -> None:
        for name in HOSTILE:
            shown = re.sub(r"#(\d+);", lambda m: chr(int(m.group(1))), mermaid.quoted(name))
            assert shown == f'"{plain.printable(name)}"'


class TestGraphml:
    @every_graph
    def test_networkx_reads_it(self, name: str) -> None:
        graph = GRAPHS[name]()
        read = networkx.parse_graphml(graphml.text(graph), force_multigraph=True)
        net = graph.to_networkx()
        assert len(read) == len(net)
        assert read.number_of_edges() == net.number_of_edges()
        for label, twin in zip(net, read, strict=True):
            assert twin == plain.printable(label)
            for key in ("macs", "flops", "backward", "bytes_saved"):
                assert read.nodes[twin][key] == net.nodes[label][key]
            assert read.nodes[twin].get("op") == (
                None if net.nodes[label]["op"] is None else plain.printable(net.nodes[label]["op"])
            )

    def test_names_that_become_the_same_stay_two(self) -> None:
        def f(**given: mg.Tensor) -> mg.Tensor:
            a, b = given.values()
            return a - b

        graph = mg.trace(f, **{"\n": mg.Spec((2,)), "\\n": mg.Spec((2,))})
        assert len(networkx.parse_graphml(graphml.text(graph))) == 3


class TestText:
    @every_graph
    def test_lines_are_printable(self, name: str) -> None:
        graph = GRAPHS[name]()
        text = graph.text()
        assert all(line.isprintable() for line in text.splitlines())
        assert text.splitlines()[0].strip() == plain.printable(graph.name)
        assert f"{len(graph.calls)} calls" in text
        assert f"{graph.cost.macs:,}" in text or graph.cost.macs == 0

    def test_lenet5(self) -> None:
        graph, _ = traced("lenet5", True)
        lines = [" ".join(line.split()) for line in graph.text().splitlines()]
        assert "x input 2 x 1 x 32 x 32" in lines
        assert "lenet5 (LeNet5) 61,706 833,040 281,952" in lines
        assert "conv2d kernel_size=5, stride=1 2 x 6 x 28 x 28 156 235,200 8,192" in lines
        assert lines.index("backward") > lines.index("lenet5 (LeNet5) 61,706 833,040 281,952")
        total = next(line for line in lines if line.startswith("total"))
        assert total.startswith("total 37 calls output: 2 x 10 and 11 more 61,706 2,263,920")

    def test_depth(self) -> None:
        graph, _ = traced("residual", True)
        text = graph.text(depth=1)
        assert "0 (Sequential)" in text
        assert "conv2d" not in text
        assert len(text.splitlines()) < len(graph.text().splitlines())

    def test_rich_shows_it(self) -> None:
        graph, _ = traced("lenet5", False)
        console = Console(file=io.StringIO(), width=120)
        with console.capture() as captured:
            console.print(graph)
        assert "features_detector (Sequential)" in captured.get()

    def test_shared_parameters_count_once(self) -> None:
        layer = nn.Linear(3, 3)
        graph = mg.trace(nn.Sequential(layer, layer), mg.Spec((2, 3)))
        assert re.search(r"total .* 12 ", graph.text())


@pytest.mark.parametrize("ending", [".dot", ".mmd", ".graphml", ".txt"])
def test_files_hold_what_the_functions_give(ending: str, tmp_path: Path) -> None:
    graph, _ = traced("residual", True)
    texts = {
        ".dot": dot.text,
        ".mmd": mermaid.text,
        ".graphml": graphml.text,
        ".txt": lambda graph: graph.text(),
    }
    path = tmp_path / f"graph{ending}"
    graph.save(path)
    assert path.read_text(encoding="utf-8") == texts[ending](graph)
    if ending != ".graphml":
        graph.save(path, depth=1)
        assert path.read_text(encoding="utf-8") == texts[ending](at_depth(graph, 1))


def test_long_chains_are_shown(tmp_path: Path) -> None:
    def f(x: mg.Tensor) -> mg.Tensor:
        for _ in range(1_000):
            x = x * x
        return x

    graph = mg.trace(f, mg.Spec(()))
    for ending in (".dot", ".mmd", ".graphml", ".txt"):
        graph.save(tmp_path / f"graph{ending}")


def test_modules_within_modules() -> None:
    class Deep(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: mg.Tensor) -> mg.Tensor:
            return self.inner(x)

    net: nn.Module = nn.ReLU()
    for _ in range(60):
        net = Deep(net)
    graph = mg.trace(net, mg.Spec((3,)))
    for text in (dot.text(graph), mermaid.text(graph), graph.text()):
        assert text.count("Deep") >= 60
