"""Calls of poolings that are refused, and of the ops of their backward passes."""

from __future__ import annotations

from refusal import IMAGE, Row, V, of_all

import minigrad as mg
from minigrad.errors import ArgumentError, DtypeError, IndexingError, ShapeError
from minigrad.ops.average_pooling import AvgPoolBackward
from minigrad.ops.max_pooling import MaxPoolBackward, MaxPoolGather, MaxPoolIndices
from minigrad.spec import Window
from minigrad.tensor import apply

HALVES = Window.of("test", 2, 2, 2)  # (5, 6) -> (2, 3)
SLIDING = "avg_pool2d max_pool2d"
ADAPTIVE = "adaptive_avg_pool2d adaptive_max_pool2d"
SIGNALS = "avg_pool1d max_pool1d adaptive_avg_pool1d adaptive_max_pool1d"
VOLUMES = "avg_pool3d max_pool3d adaptive_avg_pool3d adaptive_max_pool3d"
POOLED = mg.zeros((1, 2, 2, 3))
TAPS = mg.zeros((1, 2, 2, 3), "uint8")
PLACES = mg.zeros((1, 2, 2, 3), "int64")

REFUSED: list[Row] = [
    *of_all(f"{SLIDING} {ADAPTIVE}", (IMAGE[0, 0], 2), ShapeError, ["(5, 6)", "(C, H, W)"]),
    *of_all(f"{SLIDING} {ADAPTIVE}", (IMAGE[None], 2), ShapeError, ["(1, 1, 2, 5, 6)"]),
    *of_all(f"{SLIDING} {ADAPTIVE}", (IMAGE[:0], 2), ShapeError, ["(0, 2, 5, 6)"]),
    *of_all(f"{SLIDING} {ADAPTIVE}", (IMAGE[:, :0], 2), ShapeError, ["(1, 0, 5, 6)"]),
    *of_all(f"{SLIDING} {ADAPTIVE}", (IMAGE.astype("int8"), 2), DtypeError, ["int8"]),
    *of_all(SIGNALS, (V, 2), ShapeError, ["(3,)", "(C, L)"]),
    *of_all(SIGNALS, (IMAGE, 2), ShapeError, ["(1, 2, 5, 6)", "(N, C, L)"]),
    *of_all(VOLUMES, (IMAGE[0], 2), ShapeError, ["(2, 5, 6)", "(C, D, H, W)"]),
    *of_all(SLIDING, (IMAGE, 6), ShapeError, ["window of 6", "height of 5"]),
    *of_all(SLIDING, (IMAGE, 0), ArgumentError, ["kernel_size", "0"]),
    *of_all(SLIDING, (IMAGE, -2), ArgumentError, ["kernel_size", "-2"]),
    *of_all(SLIDING, (IMAGE, "2"), ArgumentError, ["kernel_size", "'2'"]),
    *of_all(SLIDING, (IMAGE, (2, 2, 2)), ArgumentError, ["kernel_size", "(2, 2, 2)"]),
    *of_all(SLIDING, (IMAGE, 2, 0), ArgumentError, ["stride", "0"]),
    *of_all(SLIDING, (IMAGE, 2, 1, -1), ArgumentError, ["padding", "-1"]),
    *of_all(SLIDING, (IMAGE, 2, 1, 2), ShapeError, ["padding", "2"]),
    *of_all("max_pool2d", (IMAGE, 2, 1, 0, 0), ArgumentError, ["dilation", "0"]),
    *of_all("max_pool2d", (IMAGE[:, :, :2], 2, 1, 1, 3), ShapeError, ["padding"]),
    *of_all("avg_pool2d", (IMAGE, 2), ArgumentError, ["divisor", "not be 0"], divisor_override=0),
    *of_all("avg_pool2d", (IMAGE, 2), ArgumentError, ["divisor", "1.5"], divisor_override=1.5),
    *of_all(ADAPTIVE, (IMAGE, 0), ArgumentError, ["output_size", "0"]),
    *of_all(ADAPTIVE, (IMAGE, (2, -1)), ArgumentError, ["output_size", "-1"]),
    *of_all(ADAPTIVE, (IMAGE, (2, 2, 2)), ArgumentError, ["output_size", "(2, 2, 2)"]),
    *of_all(ADAPTIVE, (IMAGE, 1.5), ArgumentError, ["output_size", "1.5"]),
    *of_all("lp_pool1d lp_pool2d lp_pool3d", (IMAGE, 0, 2), ArgumentError, ["norm_type", "0"]),
    *of_all("lp_pool2d", (IMAGE, float("inf"), 2), ArgumentError, ["norm_type", "inf"]),
    *of_all("lp_pool2d", (IMAGE, "two", 2), ArgumentError, ["norm_type", "two"]),
    *of_all("lp_pool2d", (IMAGE, 2, 0), ArgumentError, ["kernel_size", "0"]),
    *of_all("max_unpool2d", (POOLED, PLACES[..., :2], 2), ShapeError, ["(1, 2, 2, 2)"]),
    *of_all("max_unpool1d max_unpool3d", (POOLED[0, 0], PLACES[0], 2), ShapeError, ["(2, 3)"]),
    *of_all("max_unpool2d", (POOLED, POOLED, 2), DtypeError, ["indices", "float32"]),
    *of_all("max_unpool2d", (PLACES, PLACES, 2), DtypeError, ["int64"]),
    *of_all("max_unpool2d", (POOLED, PLACES - 1, 2), IndexingError, ["24", "-1"]),
    *of_all("max_unpool2d", (POOLED, PLACES + 24, 2), IndexingError, ["24"]),
    *of_all(
        "max_unpool2d", (POOLED, PLACES, 2), ArgumentError, ["output_size"], output_size=(4, 8)
    ),
    # the ops of backward passes, whose taps and windows a user can hold in her hands
    (
        "max_pool_gather",
        lambda: apply(MaxPoolGather(HALVES, (5, 6)), IMAGE, PLACES),
        ShapeError,
        ["uint8", "int64"],
    ),
    (
        "max_pool_gather",
        lambda: apply(MaxPoolGather(HALVES, (5, 5)), IMAGE, TAPS),
        ShapeError,
        ["(5, 5)", "(1, 2, 5, 6)"],
    ),
    (
        "max_pool_gather",
        lambda: apply(MaxPoolGather(HALVES, (5, 6)), IMAGE, TAPS[..., :2]),
        ShapeError,
        ["(1, 2, 2, 3)", "(1, 2, 2, 2)"],
    ),
    (
        "max_pool_backward",
        lambda: apply(MaxPoolBackward(HALVES, (5, 6)), IMAGE, TAPS),
        ShapeError,
        ["(1, 2, 5, 6)", "(5, 6)"],
    ),
    (
        "max_pool_backward",
        lambda: apply(MaxPoolBackward(HALVES, (5, 6)), POOLED, TAPS[:, :1]),
        ShapeError,
        ["(1, 2, 2, 3)", "(1, 1, 2, 3)"],
    ),
    (
        "max_pool_indices",
        lambda: apply(MaxPoolIndices(HALVES, (5, 6)), TAPS + mg.tensor(4, "uint8")),
        IndexingError,
        ["4"],
    ),
    (
        "max_pool_indices",
        lambda: apply(MaxPoolIndices(HALVES, (5, 6)), PLACES),
        ShapeError,
        ["uint8", "int64"],
    ),
    (
        "avg_pool_backward",
        lambda: apply(AvgPoolBackward(HALVES, True, None, (5, 6)), IMAGE),
        ShapeError,
        ["(1, 2, 5, 6)", "(5, 6)"],
    ),
]
