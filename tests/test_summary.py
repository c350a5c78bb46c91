"""Summaries: the lecture's tables row by row, what is counted, and how shapes may be given."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import models, nn
from minigrad.errors import ArgumentError, MinigradError, ShapeError

LENET5 = """
Conv2d-1	[-1, 6, 28, 28]	156
AvgPool2d-2	[-1, 6, 14, 14]	0
Sigmoid-3	[-1, 6, 14, 14]	0
Conv2d-4	[-1, 16, 10, 10]	2,416
AvgPool2d-5	[-1, 16, 5, 5]	0
Sigmoid-6	[-1, 16, 5, 5]	0
Linear-7	[-1, 120]	48,120
Sigmoid-8	[-1, 120]	0
Linear-9	[-1, 84]	10,164
Sigmoid-10	[-1, 84]	0
Linear-11	[-1, 10]	850
"""
ALEXNET = """
Sequential: 1-1	[-1, 256, 6, 6]	--
└─Conv2d: 2-1	[-1, 64, 56, 56]	7,808
└─ReLU: 2-2	[-1, 64, 56, 56]	--
└─MaxPool2d: 2-3	[-1, 64, 27, 27]	--
└─Conv2d: 2-4	[-1, 192, 27, 27]	307,392
└─ReLU: 2-5	[-1, 192, 27, 27]	--
└─MaxPool2d: 2-6	[-1, 192, 13, 13]	--
└─Conv2d: 2-7	[-1, 384, 13, 13]	663,936
└─ReLU: 2-8	[-1, 384, 13, 13]	--
└─Conv2d: 2-9	[-1, 256, 13, 13]	884,992
└─ReLU: 2-10	[-1, 256, 13, 13]	--
└─Conv2d: 2-11	[-1, 256, 13, 13]	590,080
└─ReLU: 2-12	[-1, 256, 13, 13]	--
└─MaxPool2d: 2-13	[-1, 256, 6, 6]	--
AdaptiveAvgPool2d: 1-2	[-1, 256, 6, 6]	--
Sequential: 1-3	[-1, 10]	--
└─Dropout: 2-14	[-1, 9216]	--
└─Linear: 2-15	[-1, 4096]	37,752,832
└─ReLU: 2-16	[-1, 4096]	--
└─Dropout: 2-17	[-1, 4096]	--
└─Linear: 2-18	[-1, 4096]	16,781,312
└─ReLU: 2-19	[-1, 4096]	--
└─Linear: 2-20	[-1, 10]	40,970
"""


def printed(summary: mg.Summary) -> list[str]:
    """The rows of a printed table, as the lecture's: without what only indents them."""
    lines = [
        re.split(r"\s{2,}", line.lstrip("| ├").removeprefix("─"))
        for line in str(summary).splitlines()
    ]
    return ["\t".join(line) for line in lines if len(line) == 3 and line[1].startswith("[")]


def test_lenet5_flat_as_the_lecture_prints_it() -> None:
    summary = mg.summary(models.create("lenet5"), (1, 32, 32), "flat")
    text = str(summary)
    rows = [" ".join(line.split()) for line in text.splitlines()]
    for line in LENET5.strip().splitlines():
        assert " ".join(line.split()) in rows
    assert len(summary.rows) == 11
    assert "Layer (type) Output Shape Param #" in rows
    assert "Total params: 61,706" in rows
    assert (summary.total_params, summary.total_macs) == (61_706, 416_520)
    assert [row.params for row in summary.rows if row.params] == [156, 2416, 48120, 10164, 850]
    assert summary.rows[0].output_shape == (-1, 6, 28, 28)


def test_alexnet_as_a_tree_as_the_lecture_prints_it() -> None:
    with mg.abstract():
        net = models.create("alexnet")
    summary = mg.summary(net, (1, 227, 227))
    assert printed(summary) == ALEXNET.strip().splitlines()
    assert "Layer (type:depth-idx)" in str(summary).splitlines()[1]
    assert summary.total_params == 57_029_322
    assert summary.total_macs == 664_141_824


def mlp() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 3), nn.Sigmoid(), nn.Linear(3, 2))


class TestCounts:
    def test_memory(self) -> None:
        summary = mg.summary(mlp(), (4,), batch_size=5)
        assert summary.input_bytes == 5 * 4 * 4
        assert summary.saved_bytes == 5 * 4 * 4 + 5 * 3 * 4  # x and the sigmoid's result
        assert summary.activation_bytes == sum(row.activation_bytes for row in summary.rows)
        sigmoid = summary.rows[1]
        assert (sigmoid.activation_bytes, sigmoid.flops) == (60, 60)
        assert summary.param_bytes == 4 * summary.total_params == 4 * 23
        assert summary.total_macs == 5 * (12 + 6)
        assert summary.total_flops == sum(row.flops for row in summary.rows)

    def test_nothing_is_saved_without_recording(self) -> None:
        with mg.no_grad():
            assert mg.summary(mlp(), (4,)).saved_bytes == 0

    def test_what_is_frozen_is_not_trainable(self) -> None:
        net = mlp()
        net[0].requires_grad_(False)
        summary = mg.summary(net, (4,), columns=("trainable",))
        assert (summary.trainable_params, summary.non_trainable_params) == (8, 15)
        assert [line.split()[-1] for line in str(summary).splitlines()[3:6]] == ["no", "--", "yes"]

    def test_a_module_called_twice_counts_once(self) -> None:
        layer = nn.Linear(4, 4)
        summary = mg.summary(nn.Sequential(layer, nn.ReLU(), layer), (4,))
        assert [row.name for row in summary.rows] == ["Linear: 1-1", "ReLU: 1-2", "Linear: 1-1"]
        assert [row.params for row in summary.rows] == [20, 0, 0]
        assert "(recursive)" in str(summary)
        assert (summary.total_params, summary.total_macs) == (20, 32)

    def test_a_shared_parameter_counts_once(self) -> None:
        first, second = nn.Linear(4, 4), nn.Linear(4, 4, bias=False)
        second.weight = first.weight
        assert mg.summary(nn.Sequential(first, second), (4,)).total_params == 20

    def test_modules_not_called_are_told(self) -> None:
        class Net(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.used, self.idle = nn.Linear(4, 2), nn.Linear(3, 3)

            def forward(self, x: mg.Tensor) -> mg.Tensor:
                return self.used(x)

        summary = mg.summary(Net(), (4,))
        assert summary.uncalled == ("idle",)
        assert summary.total_params == 10 + 12
        assert "Modules not called: idle" in str(summary)

    def test_columns_add_up_at_any_depth(self) -> None:
        net = models.create("lenet5")
        for depth in (1, 2):
            summary = mg.summary(net, (1, 32, 32), depth=depth)
            assert max(row.depth for row in summary.rows) == depth
            for column, total in (("params", 61_706), ("macs", 416_520)):
                assert sum(getattr(row, column) for row in summary.rows) == total
        assert len(mg.summary(net, (1, 32, 32), depth=1).rows) == 2


class Pair(nn.Module):
    """Words and pictures to two results."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.conv = nn.Embedding(10, 4), nn.Conv2d(3, 4, 3)

    def forward(self, picture: mg.Tensor, word: mg.Tensor) -> dict[str, mg.Tensor]:
        return {"a": self.conv(picture).mean(axis=(2, 3)) + self.words(word), "b": picture * 2}


class TestInputs:
    @pytest.mark.parametrize(
        ("shape", "options", "first"),
        [
            ((1, 32, 32), {}, (-1, 6, 28, 28)),
            ((7, 1, 32, 32), {}, (7, 6, 28, 28)),
            ((-1, 1, 32, 32), {}, (-1, 6, 28, 28)),
            ((None, 1, 32, 32), {}, (-1, 6, 28, 28)),
            ([1, 32, 32], {"batch_size": 3}, (3, 6, 28, 28)),
            (mg.Spec((2, 1, 32, 32)), {}, (2, 6, 28, 28)),
            ([(1, 32, 32)], {}, (-1, 6, 28, 28)),
            ({"x": (1, 32, 32)}, {}, (-1, 6, 28, 28)),
        ],
    )
    def test_shapes(self, shape: Any, options: dict[str, Any], first: tuple[int, ...]) -> None:
        summary = mg.summary(models.create("lenet5"), shape, "flat", **options)
        assert summary.rows[0].output_shape == first
        assert summary.total_params == 61_706
        assert summary.batch_size == (None if first[0] == -1 else first[0])
        assert summary.total_macs == 416_520 * max(first[0], 1)

    def test_a_vector_is_one_sample(self) -> None:
        assert mg.summary(mlp(), 4).rows[0].output_shape == (-1, 3)
        assert mg.summary(mlp(), (6, 4)).rows[0].output_shape == (-1, 6, 3)
        assert mg.summary(mlp(), mg.Spec((6, 4))).rows[0].output_shape == (6, 3)

    @pytest.mark.parametrize("by_name", [False, True])
    def test_several_inputs_with_dtypes(self, by_name: bool) -> None:
        shapes: Any = {"word": (), "picture": (3, 8, 8)} if by_name else [(3, 8, 8), ()]
        dtypes: Any = {"word": "int64", "picture": "float32"} if by_name else ["float32", "int64"]
        summary = mg.summary(Pair(), shapes, dtypes=dtypes)
        kinds = {row.kind: row for row in summary.rows}
        assert kinds["Embedding"].output_shape == (-1, 4)
        assert kinds["Conv2d"].input_shapes == ((-1, 3, 8, 8),)

    def test_float64(self) -> None:
        assert mg.summary(mlp().double(), (4,), dtypes="float64").param_bytes == 8 * 23

    @pytest.mark.parametrize(
        ("shape", "error", "told"),
        [
            ((3, 32, 32), ShapeError, "(1, 3, 32, 32)"),
            ((2, 3, 32, 32), ShapeError, "(2, 3, 32, 32)"),
            ((1, 8, 8), ShapeError, "features_detector.3"),  # where it collapses
            ((2, 1, 8, 8), ShapeError, "features_detector.3"),
            ("x", ArgumentError, "input_shape"),
            ((1.5, 3), ArgumentError, "input_shape"),
            ((1, -3, 4), ShapeError, "negative"),
        ],
    )
    def test_what_does_not_fit(self, shape: Any, error: type[MinigradError], told: str) -> None:
        with pytest.raises(error) as caught:
            mg.summary(models.create("lenet5"), shape)
        assert told in str(caught.value)

    @pytest.mark.parametrize(
        "options",
        [
            {"style": "round"},
            {"columns": ("parms",)},
            {"depth": 0},
            {"batch_size": 0},
            {"dtypes": []},
        ],
    )
    def test_bad_options(self, options: dict[str, Any]) -> None:
        with pytest.raises(ArgumentError, match="summary"):
            mg.summary(mlp(), (4,), **options)

    def test_a_function_has_no_layers(self) -> None:
        with pytest.raises(ArgumentError, match="takes a module"):
            mg.summary(lambda x: x, (3,))


def test_nothing_changes() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout())
    before = {key: value.numpy().copy() for key, value in net.state_dict().items()}
    draws = mg.get_rng_state()
    mg.summary(net, (1, 8, 8))
    assert mg.get_rng_state() == draws
    assert all(np.array_equal(before[k], v.numpy()) for k, v in net.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    with pytest.raises(ShapeError):
        mg.summary(net, (5, 8, 8))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    assert net.training and all(p.grad is None for p in net.parameters())


def test_no_weight_is_needed() -> None:
    with mg.abstract():
        net = nn.Linear(200_000, 100_000)
    summary = mg.summary(net, (200_000,))
    assert summary.total_params == 100_000 * 200_001
    assert summary.rows[0].name == "Linear: 1-1"


def test_html_is_escaped() -> None:
    kind = type("<script>", (nn.ReLU,), {})
    html = mg.summary(nn.Sequential(kind()), (3,))._repr_html_()
    assert "<script>" not in html and "&lt;script&gt;: 1-1" in html
    assert html.count("<tr>") == 3
