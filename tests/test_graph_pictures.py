"""Hierarchies of modules, their layered layout, and the SVG and PNG pictures drawn from them."""

from __future__ import annotations

import itertools
import random
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
from graph_networks import residual

import minigrad as mg
from minigrad import models, nn
from minigrad.errors import ArgumentError, GraphError
from minigrad.graph.drawing import Box, drawing
from minigrad.graph.hierarchy import IN, OUT, Group, groups_of, hierarchy
from minigrad.graph.layered import layered
from minigrad.graph.svg import svg

NAMESPACE = "{http://www.w3.org/2000/svg}"
HOSTILE = "\"><script>alert(1)</script>&amp;\\'\x00\ud800 $x_1$"


def lenet5(backward: bool = True) -> mg.Graph:
    return mg.trace(models.create("lenet5"), mg.Spec((1, 1, 32, 32)), backward=backward)


def deep(blocks: int) -> mg.Graph:
    return mg.trace(residual(blocks), mg.Spec((1, 2, 5, 5)), backward=True)


def chain(x: mg.Tensor) -> mg.Tensor:
    for _ in range(2500):
        x = x.exp()
    return x


GRAPHS = {
    "lenet5": lenet5,
    "residual": lambda: deep(5),
    "chain": lambda: mg.trace(chain, mg.Spec((2,))),
    "leaf": lambda: mg.trace(lambda x: x, mg.Spec((2,))),
    "second order": lambda: mg.trace(
        lambda x: mg.grad(mg.grad((x.sin() * x).sum(), [x], create_graph=True)[0].sum(), [x])[0],
        mg.zeros((3,), requires_grad=True) + 0,
        backward=False,
    ),
}


class TestHierarchy:
    @pytest.mark.parametrize("name", GRAPHS)
    def test_every_node_is_in_one_group_and_every_edge_is_drawn(self, name: str) -> None:
        graph = GRAPHS[name]()
        tree = hierarchy(graph)
        listed = [c for g in tree.groups() for c in g.children if not isinstance(c, Group)]
        assert sorted(listed, key=id) == sorted(graph.nodes, key=id)
        for group in tree.groups():
            known = {IN, OUT, *group.children}
            assert all(a in known and b in known and a is not b for a, b in group.edges)
            assert all(c.outer is group for c in group.children if isinstance(c, Group))
        crossing = set(tree.crossing)
        for node in graph.calls:
            for source, _ in node.inputs:
                assert (source, node) in crossing or joined(tree.homes, source, node)

    def test_large_graphs_are_bundled(self) -> None:
        tree = hierarchy(GRAPHS["chain"]())
        assert max(len(group.children) for group in tree.groups()) <= 121
        assert [child.name for child in tree.forward.children[:2]] == ["1 to 120", "121 to 240"]

    def test_equal_blocks_are_folded_in_both_passes(self) -> None:
        tree = hierarchy(deep(5))
        folds = [(g.name, g.kind, g.count, g.backward) for g in tree.groups() if g.count > 1]
        assert folds == [("1 to 4", "Block", 4, False), ("1 to 4", "Block", 4, True)]

    def test_blocks_that_differ_are_not_folded(self) -> None:
        network = nn.Sequential(
            *[nn.Sequential(nn.Linear(2, 2), nn.Dropout(p)) for p in (0.1, 0.2)]
        )
        tree = hierarchy(mg.trace(network, mg.Spec((1, 2))))
        assert [group for group in tree.groups() if group.count > 1] == []

    def test_a_module_called_twice_stands_twice(self) -> None:
        shared = nn.Sequential(nn.Linear(3, 3), nn.Tanh())
        graph = mg.trace(nn.Sequential(shared, nn.ReLU(), shared), mg.Spec((1, 3)))
        kinds = [c.kind for c in hierarchy(graph).forward.children if isinstance(c, Group)]
        assert kinds == ["Sequential", "Sequential"]

    def test_cotangents_are_added_within_the_block_they_belong_to(self) -> None:
        graph = deep(3)
        tree = hierarchy(graph)
        sums = [node for node in graph.calls if graph.is_backward(node) and node.origin is None]
        assert sums
        assert all(tree.homes[node].kind == "Block" for node in sums)


def joined(homes: Any, source: Any, node: Any) -> bool:
    """Whether edges lead from one node to the other, from group to group."""
    a, b = source, node
    outs, ins = [homes[source]], [homes[node]]
    while outs[-1].outer is not None:
        outs.append(outs[-1].outer)
    while ins[-1].outer is not None:
        ins.append(ins[-1].outer)
    common = next(group for group in outs if group in ins)
    for group in outs[: outs.index(common)]:
        if (a, OUT) not in group.edges:
            return False
        a = group
    for group in ins[: ins.index(common)]:
        if (IN, b) not in group.edges:
            return False
        b = group
    return (a, b) in common.edges


class TestLayered:
    @pytest.mark.parametrize("seed", range(20))
    def test_boxes_do_not_overlap_and_edges_go_down(self, seed: int) -> None:
        draw = random.Random(seed)
        count = draw.randint(1, 25)
        sizes = [(draw.uniform(10, 90), draw.uniform(10, 60)) for _ in range(count)]
        pairs = list(itertools.combinations(range(count), 2))
        edges = draw.sample(pairs, min(len(pairs), draw.randint(0, 40)))
        layout = layered(sizes, edges)
        for i, j in pairs:
            (x, y), (u, v) = layout.centres[i], layout.centres[j]
            apart_x = abs(x - u) - (sizes[i][0] + sizes[j][0]) / 2
            apart_y = abs(y - v) - (sizes[i][1] + sizes[j][1]) / 2
            assert max(apart_x, apart_y) > -1e-6
        for (x, y), (w, h) in zip(layout.centres, sizes, strict=True):
            assert x - w / 2 >= -1e-6 and x + w / 2 <= layout.width + 1e-6
            assert y - h / 2 >= -1e-6 and y + h / 2 <= layout.height + 1e-6
        assert sorted(layout.routes) == sorted(edges)
        for (a, b), points in layout.routes.items():
            assert points[0] == pytest.approx(
                (layout.centres[a][0], layout.centres[a][1] + sizes[a][1] / 2)
            )
            assert points[-1] == pytest.approx(
                (layout.centres[b][0], layout.centres[b][1] - sizes[b][1] / 2)
            )
            assert [y for _, y in points] == sorted([y for _, y in points])

    def test_an_edge_against_the_order_goes_up(self) -> None:
        layout = layered([(10, 10)] * 3, [(0, 1), (1, 2), (2, 0)])
        ys = [y for _, y in layout.routes[2, 0]]
        assert ys == sorted(ys, reverse=True) and len(ys) == 3

    def test_a_chain_is_straight(self) -> None:
        layout = layered([(10, 10), (80, 10), (30, 10)], [(0, 1), (1, 2)])
        assert len({round(x, 6) for x, _ in layout.centres}) == 1

    def test_edges_that_cross_are_untangled(self) -> None:
        layout = layered([(10, 10)] * 4, [(0, 3), (1, 2)])
        (a, b, c, d) = [x for x, _ in layout.centres]
        assert (a < b) == (d < c)

    def test_first_and_last_have_a_rank_of_their_own(self) -> None:
        layout = layered([(10, 10)] * 4, [(2, 0), (1, 3)], first=2, last=3)
        ys = [y for _, y in layout.centres]
        assert ys[2] < min(ys[0], ys[1]) and ys[3] > max(ys[0], ys[1])


class TestPictures:
    @pytest.mark.parametrize("name", GRAPHS)
    @pytest.mark.parametrize("options", [{}, {"depth": 1}, {"depth": 9}, {"parameters": True}])
    def test_svg_is_well_formed_and_shows_every_box(
        self, name: str, options: dict[str, Any]
    ) -> None:
        graph = GRAPHS[name]()
        root = ElementTree.fromstring(svg(graph, **options))
        assert root.tag == f"{NAMESPACE}svg"
        boxes = drawing(graph, **options).boxes
        texts = ["".join(text.itertext()) for text in root.iter(f"{NAMESPACE}text")]
        for box in boxes:
            assert any(text.startswith(box.lines[0]) for text in texts)

    @pytest.mark.parametrize("depth", [1, 2, 3, 9])
    def test_boxes_lie_within_their_frames_and_apart(self, depth: int) -> None:
        picture = drawing(deep(5), depth)
        frames = [box for box in picture.boxes if box.kind == "frame"]
        others = [box for box in picture.boxes if box.kind != "frame"]
        for a, b in itertools.combinations(others, 2):
            assert apart(a, b)
        for frame, box in itertools.product(frames, others):
            assert apart(frame, box) or within(box, frame)
        for box in picture.boxes:
            assert box.x > 0 and box.x + box.w < picture.width
            assert box.y > 0 and box.y + box.h < picture.height

    def test_depth_opens_modules_and_repeated_blocks_are_drawn_once(self) -> None:
        graph = deep(5)
        shown = [[box.lines[0] for box in drawing(graph, depth).boxes] for depth in (1, 2, 3)]
        assert "1 to 4 ×4" not in shown[0] and "0" in shown[0]
        assert shown[1].count("1 to 4 ×4") == 2
        assert shown[2].count("conv1: conv2d") == 2  # of the first block, and of the others one

    def test_parameters_are_shown_when_asked_for(self) -> None:
        graph = lenet5(backward=False)
        with_them = [box.lines[0] for box in drawing(graph, 9, parameters=True).boxes]
        without = [box.lines[0] for box in drawing(graph, 9).boxes]
        leaves = {graph.labels[node] for node in graph.nodes if node.op is None}
        assert set(with_them) - set(without) == leaves - {"x"}

    def test_hostile_names_are_text(self, tmp_path: Path) -> None:
        network = nn.Sequential(nn.Linear(2, 2))
        network._modules[HOSTILE] = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
        graph = mg.trace(network, mg.Spec((1, 2)), backward=True)
        graph.save(tmp_path / "graph.svg")
        root = ElementTree.parse(tmp_path / "graph.svg").getroot()
        assert not list(root.iter(f"{NAMESPACE}script"))
        assert any("<script>alert(1)" in text for text in root.itertext())
        pytest.importorskip("matplotlib")
        graph.save(tmp_path / "graph.png")

    def test_png_has_the_size_of_the_picture(self, tmp_path: Path) -> None:
        pytest.importorskip("matplotlib")
        graph = lenet5()
        graph.save(tmp_path / "graph.png", depth=1)
        content = (tmp_path / "graph.png").read_bytes()
        assert content[:8] == b"\x89PNG\r\n\x1a\n"
        picture = drawing(graph, 1)
        sides = [int.from_bytes(content[i : i + 4], "big") for i in (16, 20)]
        assert sides == pytest.approx([2 * picture.width, 2 * picture.height], abs=2)

    def test_png_without_matplotlib_says_what_to_install(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
        with pytest.raises(ArgumentError, match=r"pip install 'minigrad\[plot\]'"):
            lenet5().save(tmp_path / "graph.png")

    @pytest.mark.parametrize("depth", [0, -1, 1.5, True, "2"])
    def test_refuses_a_depth_that_is_none(self, depth: Any, tmp_path: Path) -> None:
        with pytest.raises(ArgumentError, match="depth"):
            lenet5().save(tmp_path / "graph.svg", depth=depth)

    @pytest.mark.parametrize("ending", ["svg", "html"])
    def test_a_place_that_cannot_be_written_is_an_error(self, ending: str, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(GraphError, match="cannot be written"):
            lenet5().save(tmp_path / "file" / f"graph.{ending}")

    def test_a_notebook_shows_the_picture(self) -> None:
        graph = lenet5()
        assert graph._repr_svg_() == svg(graph)
        assert svg(graph) in graph._repr_html_()

    def test_groups_of_a_picture_are_those_of_the_graph(self) -> None:
        tree = hierarchy(lenet5())
        names = [group.name for group in groups_of(tree.forward)]
        assert names == ["lenet5", "features_detector", "classifier"]


def apart(a: Box, b: Box) -> bool:
    return a.x + a.w <= b.x or b.x + b.w <= a.x or a.y + a.h <= b.y or b.y + b.h <= a.y


def within(box: Box, frame: Box) -> bool:
    return (
        frame.x < box.x
        and frame.y < box.y
        and box.x + box.w < frame.x + frame.w
        and box.y + box.h < frame.y + frame.h
    )
