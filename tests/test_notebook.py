"""What a notebook shows of graphs, summaries, reports and tensors: HTML that is well formed, in
which names are text whatever stands in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest

import minigrad as mg
from minigrad import nn
from minigrad.graph.difference import diff

HOSTILE = "\"><script>alert(1)</script><img src=x onerror='alert(1)'>&amp;"


def network(sizes: int = 3) -> nn.Module:
    """A network whose modules have names of HTML, and kinds too."""
    net = nn.Sequential(nn.Linear(2, 2))
    net._modules[HOSTILE] = type(HOSTILE, (nn.Linear,), {})(2, sizes)
    return net


def hostile_tensor() -> mg.Tensor:
    class Twice(mg.Function):
        @staticmethod
        def forward(ctx: Any, x: mg.Tensor) -> mg.Tensor:
            return x * 2

        @staticmethod
        def backward(ctx: Any, grad: mg.Tensor) -> mg.Tensor:
            return grad * 2

    Twice.__name__ = HOSTILE
    return Twice.apply(mg.ones((2, 2), requires_grad=True))


def traced(sizes: int = 3) -> mg.Graph:
    return mg.trace(network(sizes), mg.Spec((1, 2)), backward=True)


SHOWN: dict[str, Callable[[], Any]] = {
    "graph": traced,
    "summary": lambda: mg.summary(network(), (2,)),
    "report": lambda: mg.gradcheck(network(), mg.ones((1, 2)), fast=True),
    "difference": lambda: diff(traced(), traced(5)),
    "tensor": hostile_tensor,
}


@pytest.mark.parametrize("name", SHOWN)
def test_names_are_text(name: str) -> None:
    root = ElementTree.fromstring(f"<div>{SHOWN[name]()._repr_html_()}</div>")
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert not tags & {"script", "img"}
    assert any("<script>" in text for text in root.itertext())
    assert not [key for e in root.iter() for key in e.attrib if key.lower().startswith("on")]


def told(x: mg.Tensor) -> tuple[str, list[list[str]]]:
    """The caption of a tensor's table, and its cells."""
    root = ElementTree.fromstring(x._repr_html_())
    assert root.tag == "table"
    rows = [[cell.text or "" for cell in row] for row in root.iter("tr")]
    return root.findtext("caption") or "", rows


def test_small_tensors_are_tables() -> None:
    x = mg.tensor([[1.0, 2.5], [-1e-9, float("nan")]], requires_grad=True)
    caption = "tensor [2, 2], float32, requires a gradient"
    assert told(x) == (caption, [["1", "2.5"], ["-1e-09", "nan"]])
    assert told(mg.tensor([True, False])) == ("tensor [2], bool", [["True", "False"]])
    assert told(mg.tensor(2**60)) == ("tensor [], int64", [[str(2**60)]])
    assert told((x * 2).sum())[0] == "tensor [], float32, computed by sum, requires a gradient"
    with mg.abstract():
        assert told(mg.zeros((10**6, 10**6)))[1] == [["no values"]]


@pytest.mark.parametrize("shape", [(2, 3, 4), (0,), (0, 3), (1000, 1000), (17,)])
def test_others_are_as_they_print(shape: tuple[int, ...]) -> None:
    x = mg.zeros(shape)
    root = ElementTree.fromstring(f"<div>{x._repr_html_()}</div>")
    assert root.findtext("p") == f"tensor {list(shape)}, float32"
    assert root.findtext("pre") == repr(x)


def test_a_report_shows_every_gradient() -> None:
    report = mg.gradcheck(nn.Linear(3, 2), mg.ones((2, 3)), fast=True)
    root = ElementTree.fromstring(report._repr_html_())
    rows = [[cell.text for cell in row] for row in root.iter("tr")]
    assert len(rows) == 1 + len(report.results)
    assert {row[2] for row in rows[1:]} == {"right"}
    assert (root.findtext("caption") or "").startswith("gradcheck of Linear: ok")
