"""Differences of graphs: what came, what went, and what changed in what stayed."""

from __future__ import annotations

from collections import OrderedDict
from html.parser import HTMLParser
from pathlib import Path

import pytest

import minigrad as mg
from minigrad import models, nn
from minigrad.errors import MinigradError
from minigrad.graph import Graph, GraphDiff, diff
from minigrad.graph.difference import Change, Fate


def graph(*layers: nn.Module, backward: bool = False) -> Graph:
    return mg.trace(nn.Sequential(*layers), mg.Spec((2, 3, 8, 8)), backward=backward)


def told(difference: GraphDiff) -> list[str]:
    """The lines below the head."""
    return str(difference).splitlines()[1:]


@pytest.mark.parametrize("backward", [False, True])
def test_a_network_does_not_differ_from_itself(backward: bool) -> None:
    graphs = [
        mg.trace(models.create("lenet5"), mg.Spec((1, 1, 32, 32)), backward=backward)
        for _ in range(2)
    ]
    found = diff(*graphs)
    assert found.is_same and told(found) == []
    assert len(found.nodes(Fate.SAME)) == len(graphs[0].calls)


def test_parameters_that_changed_are_told() -> None:
    found = diff(graph(nn.Conv2d(3, 4, 3)), graph(nn.Conv2d(3, 4, 3, stride=2, padding=1)))
    (pair,) = found.nodes(Fate.CHANGED)
    assert pair.path == "0"
    assert pair.changes == (
        Change("stride", "(1, 1)", "(2, 2)"),
        Change("padding", "((0, 0), (0, 0))", "((1, 1), (1, 1))"),
        Change("output", "2 x 4 x 6 x 6", "2 x 4 x 4 x 4"),
    )
    assert "~ 0: conv2d: stride (1, 1) -> (2, 2); padding" in told(found)[0]


def test_a_layer_in_between_is_one_addition() -> None:
    first = graph(nn.Conv2d(3, 3, 3), nn.ReLU(), nn.MaxPool2d(2))
    second = graph(nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2))
    found = diff(first, second)
    assert [pair.second for pair in found.blocks(Fate.ADDED)] == ["1 (BatchNorm2d)"]
    assert not found.blocks(Fate.REMOVED) and not found.nodes(Fate.CHANGED)
    assert [line.split(",")[0] for line in told(found)] == ["+ 1: (BatchNorm2d)"]
    back = diff(second, first)
    assert [pair.first for pair in back.blocks(Fate.REMOVED)] == ["1 (BatchNorm2d)"]


def test_widths_are_told_and_what_they_entail_is_counted() -> None:
    first = graph(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AvgPool2d(2))
    second = graph(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.AvgPool2d(2))
    lines = told(diff(first, second))
    assert len(lines) == 2
    assert "weight 4 x 3 x 3 x 3 -> 5 x 3 x 3 x 3; bias 4 -> 5" in lines[0]
    assert lines[1].startswith("~ 2 op(s)")


def test_modules_are_matched_by_name() -> None:
    def named(**layers: nn.Module) -> Graph:
        net = nn.Sequential(OrderedDict(layers))
        return mg.trace(net, mg.Spec((1, 4)))

    found = diff(
        named(a=nn.Linear(4, 4), b=nn.ReLU(), c=nn.Tanh()),
        named(a=nn.Linear(4, 4), b=nn.Sigmoid(), d=nn.Tanh()),
    )
    assert [(p.path, p.changes) for p in found.blocks(Fate.CHANGED)] == [
        ("b", (Change("kind", "ReLU", "Sigmoid"),))
    ]
    assert [p.path for p in found.blocks(Fate.REMOVED)] == ["c"]
    assert [p.path for p in found.blocks(Fate.ADDED)] == ["d"]
    assert "- b: relu" in "\n".join(told(found)) and "+ b: sigmoid" in "\n".join(told(found))


def test_functions_and_draws() -> None:
    x = mg.Spec((3,))
    found = diff(mg.trace(lambda x: x.exp() * 2, x), mg.trace(lambda x: x.exp().sum() * 2, x))
    assert [p.second for p in found.nodes(Fate.ADDED)] == ["sum(axes=(0,), keepdims=False) -> ()"]
    net = nn.Dropout()
    assert diff(mg.trace(net, x), mg.trace(net, x)).is_same  # other random numbers only


def test_long_graphs() -> None:
    def chain(x: mg.Tensor) -> mg.Tensor:
        for _ in range(1000):
            x = x + 1
        return x

    long = mg.trace(chain, mg.Spec((1,)))
    assert len(diff(long, mg.trace(lambda x: chain(x) * 2, mg.Spec((1,)))).nodes(Fate.ADDED)) == 1


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.append(tag)


def test_the_page_is_escaped(tmp_path: Path) -> None:
    hostile = type("<script>alert(1)</script>", (nn.ReLU,), {})
    found = diff(graph(hostile()), graph(nn.Tanh()))
    found.save_html(tmp_path / "d.html")
    page = (tmp_path / "d.html").read_text(encoding="utf-8")
    tags = Tags()
    tags.feed(page)
    assert "script" not in tags.seen and "&lt;script&gt;" in page
    assert tags.seen.count("tr") == 1 + len(found.pairs)
    assert found._repr_html_() in page
    with pytest.raises(MinigradError, match="cannot write"):
        found.save_html(tmp_path / "nowhere" / "d.html")
