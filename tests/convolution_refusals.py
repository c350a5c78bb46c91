"""Calls of convolutions, transposed convolutions and their layers that are refused."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from refusal import IMAGE, WEIGHT, Row, V, of_all

import minigrad as mg
from minigrad import nn, ops
from minigrad.errors import ArgumentError, DtypeError, ShapeError
from minigrad.ops.convolution import FAMILIES
from minigrad.ops.transposed_convolution import BY_AXES
from minigrad.spec import Window
from minigrad.tensor import apply

LINE = mg.zeros((1, 2, 6))
LINE_WEIGHT = mg.zeros((4, 2, 3))
VOLUME = mg.zeros((1, 2, 3, 4, 5))
VOLUME_WEIGHT = mg.zeros((4, 2, 2, 2, 2))
SPREAD_WEIGHT = mg.zeros((2, 3, 3, 3))
LONGER: dict[str, Any] = {"dilation": 2, "output_padding": 1}
HUGE = 10**12
LONG = 2**70


def _by_axes(axes: int, x: mg.Tensor, weight: mg.Tensor) -> Iterator[Row]:
    """The same mistakes for every number of axes: `weight` takes x and, turned, is transposed."""
    conv, transposed = f"conv{axes}d", f"conv_transpose{axes}d"
    turned = mg.moveaxis(weight, 1, 0)
    for op, w in ((conv, weight), (transposed, turned)):
        yield from of_all(op, (x[0, 0], w), ShapeError, [str(x.shape[2:])])
        yield from of_all(op, (x[None], w), ShapeError, [str((1, *x.shape))])
        yield from of_all(op, (x, w[0]), ShapeError, ["weight", str(w.shape[1:])])
        yield from of_all(op, (x[:0], w), ShapeError, [str((0, *x.shape[1:]))])
        yield from of_all(op, (x[..., :0], w), ShapeError, [str((*x.shape[:-1], 0))])
        yield from of_all(op, (x, w[..., :0]), ShapeError, [str((*w.shape[:-1], 0))])
        yield from of_all(op, (x[:, :1], w), ShapeError, [str(w.shape)])
        yield from of_all(op, (x, w.astype("float64")), DtypeError, ["float64"])
        yield from of_all(op, (x.astype("int32"), w), DtypeError, ["int32"])
        yield from of_all(op, (x, w, V), ShapeError, ["bias", "(4,)", "(3,)"])
        yield from of_all(op, (x, w, mg.zeros(4, "float64")), DtypeError, ["float64"])
        yield from of_all(op, (x, w), ArgumentError, ["groups", "0"], groups=0)
        yield from of_all(op, (x, w), ShapeError, ["group"], groups=3)
        yield from of_all(op, (x, w), ArgumentError, ["stride"], stride=(1,) * (axes + 1))
        yield from of_all(op, (x, w), ArgumentError, ["stride", str(LONG)], stride=LONG)
        yield from of_all(op, (x, w), ArgumentError, ["dilation", "0"], dilation=0)
        yield from of_all(op, (x, w), ArgumentError, ["dilation", str(LONG)], dilation=LONG)
        yield from of_all(op, (x, w), ArgumentError, ["padding", "-1"], padding=-1)
        yield from of_all(op, (x, w), ArgumentError, ["padding", "full"], padding="full")
    yield from of_all(conv, (x[..., :1], weight), ShapeError, ["window of", "width of 1"])
    yield from of_all(conv, (x, weight), ShapeError, ["no memory"], padding=LONG)
    yield from of_all(transposed, (x, turned), ShapeError, ["cuts off all"], padding=HUGE)
    yield from of_all(transposed, (x, turned), ArgumentError, ["'same'"], padding="same")
    extra = {"output_padding": 2, "stride": 2}
    yield from of_all(transposed, (x, turned), ArgumentError, ["output_padding", "2"], **extra)
    yield from of_all(transposed, (x, turned), ArgumentError, ["-1"], output_padding=-1)


def _ops(axes: int) -> Iterator[Row]:
    """The ops themselves, whose windows a user can hold in her hands."""
    window = Window.of("test", axes, 3)
    conv, input_grad, weight_grad = FAMILIES[axes]
    size = (5, 6, 7)[:axes]
    taken = conv(window, 1), input_grad(window, 1, size), weight_grad(window, 1)
    for op in (*taken, BY_AXES[axes](window, 1, (0,) * axes)):
        yield op.name, lambda op=op: apply(op, V, V), ShapeError, ["(3,)"]
    weight, right = mg.zeros((4, 2, *[3] * axes)), (3, 4, 5)[:axes]
    wrong, x = mg.zeros((1, 4, *[3] * (axes - 1), 9)), mg.zeros((1, 2, *size))
    got = [str((1, 4, *right)), str(wrong.shape)]
    yield taken[1].name, lambda: apply(taken[1], wrong, weight), ShapeError, got
    yield taken[2].name, lambda: apply(taken[2], x, wrong), ShapeError, got


def _layers(axes: int) -> Iterator[Row]:
    mistakes: list[tuple[tuple, dict[str, Any], list[str]]] = [
        ((0, 1, 3), {}, ["in_channels", "0"]),
        ((1, 1.5, 3), {}, ["out_channels", "1.5"]),
        ((4, 6, 3), {"groups": 4}, ["divisible by groups 4"]),
        ((1, 1, 0), {}, ["kernel_size", "0"]),
        ((1, 1, (3,) * (axes + 1)), {}, ["kernel_size"]),
        ((1, 1, 3), {"padding_mode": "mirror"}, ["padding_mode", "mirror"]),
        ((1, 1, 3), {"padding": "full"}, ["padding", "full"]),
        ((1, 1, 3), {"padding": -1}, ["padding", "-1"]),
    ]
    for name in (f"Conv{axes}d", f"ConvTranspose{axes}d"):
        for given, how, got in mistakes:
            make = getattr(nn, name)
            yield name, lambda g=given, h=how, m=make: m(*g, **h), ArgumentError, got
    conv, transposed = getattr(nn, f"Conv{axes}d"), getattr(nn, f"ConvTranspose{axes}d")
    same = {"stride": 2, "padding": "same"}
    yield f"Conv{axes}d", lambda: conv(1, 1, 3, **same), ArgumentError, ["same", "stride"]
    reflect = {"padding_mode": "reflect"}
    name = f"ConvTranspose{axes}d"
    yield name, lambda: transposed(1, 1, 3, **reflect), ArgumentError, ["'zeros'", "reflect"]
    layer, x = transposed(1, 1, 3, stride=2), mg.zeros((1, 1, *[4] * axes))
    for wrong in (8, 11, (9,) * (axes - 1) + (11,)):
        yield name, lambda w=wrong: layer(x, output_size=w), ShapeError, [str(wrong), "from (9"]


REFUSED: list[Row] = [
    *of_all("conv2d", (IMAGE[0, 0], WEIGHT), ShapeError, ["(5, 6)", "(4, 2, 3, 3)"]),
    *of_all("conv2d", (IMAGE, WEIGHT[0]), ShapeError, ["weight", "(2, 3, 3)"]),
    *of_all("conv2d", (IMAGE[:0], WEIGHT), ShapeError, ["(0, 2, 5, 6)"]),
    *of_all("conv2d", (IMAGE[:, :, :0], WEIGHT), ShapeError, ["(1, 2, 0, 6)"]),
    *of_all("conv2d", (IMAGE, WEIGHT[:, :, :0]), ShapeError, ["(4, 2, 0, 3)"]),
    *of_all("conv2d", (IMAGE[:, :1], WEIGHT), ShapeError, ["1 channels", "(4, 2, 3, 3)"]),
    *of_all("conv2d", (IMAGE[:, :, :2], WEIGHT), ShapeError, ["window of 3", "height of 2"]),
    *of_all("conv2d", (IMAGE, WEIGHT, None, 1, 0, 3), ShapeError, ["window of 7"]),
    *of_all("conv2d", (IMAGE, WEIGHT.astype("float64")), DtypeError, ["float64"]),
    *of_all("conv2d", (IMAGE.astype("int64"), WEIGHT), DtypeError, ["int64"]),
    *of_all("conv2d", (IMAGE, WEIGHT, V), ShapeError, ["bias", "(4,)", "(3,)"]),
    *of_all("conv2d", (IMAGE, WEIGHT, mg.zeros(4, "float64")), DtypeError, ["float64"]),
    *of_all("conv2d", (IMAGE, WEIGHT, None, 0), ArgumentError, ["stride", "0"]),
    *of_all("conv2d", (IMAGE, WEIGHT, None, (1, -2)), ArgumentError, ["stride", "-2"]),
    *of_all("conv2d", (IMAGE, WEIGHT, None, (1, 1, 1)), ArgumentError, ["stride", "(1, 1, 1)"]),
    *of_all("conv2d", (IMAGE, WEIGHT, None, 1.5), ArgumentError, ["stride", "1.5"]),
    *of_all("conv2d", (IMAGE, WEIGHT, None, 1, -1), ArgumentError, ["padding", "-1"]),
    *of_all("conv2d", (IMAGE, WEIGHT, None, 1, ((0, 1),)), ArgumentError, ["padding", "(0, 1)"]),
    *of_all("conv2d", (IMAGE, WEIGHT, None, 1, "full"), ArgumentError, ["padding", "full"]),
    *of_all("conv2d", (IMAGE, WEIGHT, None, 2, "same"), ArgumentError, ["same", "stride"]),
    *of_all("conv2d", (IMAGE, WEIGHT, None, 1, 0, 0), ArgumentError, ["dilation", "0"]),
    *of_all("conv2d", (IMAGE, WEIGHT, None, 1, 0, 1, 0), ArgumentError, ["groups", "0"]),
    *of_all("conv2d", (IMAGE, WEIGHT, None, 1, 0, 1, -1), ArgumentError, ["groups", "-1"]),
    *of_all("conv2d", (IMAGE, WEIGHT, None, 1, 0, 1, 3), ShapeError, ["3 group"]),
    *of_all("conv2d", (IMAGE, WEIGHT, None, 1, 0, 1, 1.5), ArgumentError, ["groups", "1.5"]),
    *_by_axes(1, LINE, LINE_WEIGHT),
    *_by_axes(2, IMAGE, WEIGHT),
    *_by_axes(3, VOLUME, VOLUME_WEIGHT),
    *of_all("conv2d", (IMAGE, WEIGHT), ShapeError, ["no memory"], padding=HUGE),
    *of_all(
        "conv2d", (IMAGE, WEIGHT), ShapeError, ["no memory"], padding=HUGE**2, stride=2**31 - 1
    ),
    *of_all("conv_transpose2d", (IMAGE, WEIGHT), ShapeError, ["(4, 2, 3, 3)"]),
    *of_all("conv_transpose2d", (IMAGE, SPREAD_WEIGHT, mg.zeros(2)), ShapeError, ["(3,)", "(2,)"]),
    *of_all(
        "conv_transpose2d",
        (IMAGE, SPREAD_WEIGHT, mg.zeros(1)),
        ShapeError,
        ["(3,)", "(1,)"],
        **LONGER,
    ),
    *[
        ("conv_transpose2d", partial(ops.conv_transpose2d, x, SPREAD_WEIGHT, **LONGER), error, got)
        for x, error, got in [
            (IMAGE[..., :0], ShapeError, ["(1, 2, 5, 0)"]),
            (IMAGE[0, 0, 0], ShapeError, ["(6,)"]),
            (IMAGE.astype("int64"), DtypeError, ["int64"]),
        ]
    ],
    *[row for axes in (1, 2, 3) for row in _ops(axes)],
    *[row for axes in (1, 2, 3) for row in _layers(axes)],
]
