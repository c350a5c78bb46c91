"""Convolution layers over one to three axes: padding modes, transposes, prints, memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, ops

RNG = np.random.default_rng(11)
SPACE = 5, 4, 6
NUMPY = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}

each_axes = pytest.mark.parametrize("axes", [1, 2, 3])


def layer_of(kind: str, axes: int, *arguments: Any, **options: Any) -> Any:
    return getattr(nn, f"{kind}{axes}d")(*arguments, **options, dtype="float64")


@each_axes
@pytest.mark.parametrize("mode", NUMPY)
@pytest.mark.parametrize("padding", ["sides", "same", "pairs"])
def test_padding_modes_are_those_of_numpy(mode: str, padding: str, axes: int) -> None:
    given: Any = {"sides": (2, 1, 2)[:axes], "pairs": ((2, 0), (1, 2), (0, 1))[:axes]}
    widths = {
        "sides": [(n, n) for n in given["sides"]],
        "pairs": list(given["pairs"]),
        "same": [(1, 2)] * axes,
    }[padding]
    options = {"padding": given.get(padding, padding), "padding_mode": mode}
    layer = layer_of("Conv", axes, 2, 3, 4 if padding == "same" else 2, **options)
    x = RNG.normal(size=(2, 2, *SPACE[:axes]))
    padded = np.pad(x, [(0, 0), (0, 0), *widths], mode=NUMPY[mode])
    conv = getattr(ops, f"conv{axes}d")
    expected = conv(mg.tensor(padded), layer.weight, layer.bias).detach().numpy()
    np.testing.assert_allclose(layer(mg.tensor(x)).detach().numpy(), expected, rtol=1e-12)
    if padding == "same":
        assert expected.shape == (2, 3, *SPACE[:axes])


@pytest.mark.parametrize("mode", NUMPY)
def test_gradients_through_a_padding_mode(mode: str) -> None:
    layer = layer_of("Conv", 1, 1, 2, 3, padding=2, padding_mode=mode)
    mg.gradcheck(layer, RNG.normal(size=(2, 1, 4)), order=2)


@each_axes
def test_a_transposed_layer_is_the_transpose_of_a_layer(axes: int) -> None:
    """<conv(x), y> = <x, conv_transpose(y)> for the same weight."""
    how = {"stride": 2, "padding": 1, "groups": 2, "bias": False}
    conv = layer_of("Conv", axes, 4, 6, 3, **how)
    transposed = layer_of("ConvTranspose", axes, 6, 4, 3, **how)
    assert transposed.weight.shape == conv.weight.shape
    transposed.weight.assign(conv.weight.detach())
    x = mg.tensor(RNG.normal(size=(2, 4, *SPACE[:axes])))
    there = conv(x)
    y = mg.tensor(RNG.normal(size=there.shape))
    back = transposed(y, output_size=x.shape)
    assert back.shape == x.shape
    np.testing.assert_allclose((there * y).sum().item(), (x * back).sum().item(), rtol=1e-12)


@each_axes
@pytest.mark.parametrize("kind", ["Conv", "ConvTranspose"])
def test_one_sample_is_a_batch_of_one(kind: str, axes: int) -> None:
    layer = layer_of(kind, axes, 2, 3, 2)
    x = RNG.normal(size=(2, *SPACE[:axes]))
    single, batch = layer(mg.tensor(x)), layer(mg.tensor(x[None]))
    assert batch.shape == (1, *single.shape)
    np.testing.assert_array_equal(single.detach().numpy(), batch.detach().numpy()[0])


@each_axes
@pytest.mark.parametrize("kind", ["conv", "conv_transpose"])
def test_results_are_channels_last_in_memory(kind: str, axes: int) -> None:
    x, weight = mg.rand((2, 3, *SPACE[:axes])), mg.rand((3, 3, *[2] * axes))
    y = getattr(ops, f"{kind}{axes}d")(x, weight, mg.rand(3)).numpy()
    assert np.moveaxis(y, 1, -1).flags.c_contiguous


def test_a_stride_beyond_the_input_gives_one_position() -> None:
    x, weight = mg.ones((1, 1, 4)), mg.ones((1, 1, 2))
    assert ops.conv1d(x, weight, stride=2**31 - 1).tolist() == [[[2.0]]]
    one = ops.conv_transpose1d(x[..., :1], weight, stride=2**31 - 1)
    assert one.tolist() == [[[1.0, 1.0]]]


def test_prints_as_pytorch_does() -> None:
    assert repr(nn.Conv1d(4, 8, 3, 2, 1, bias=False)) == (
        "Conv1d(4, 8, kernel_size=(3,), stride=(2,), padding=(1,), bias=False)"
    )
    assert repr(nn.Conv3d(2, 2, (1, 2, 3), padding="same", groups=2, padding_mode="circular")) == (
        "Conv3d(2, 2, kernel_size=(1, 2, 3), stride=(1, 1, 1), padding=same, groups=2, "
        "padding_mode=circular)"
    )
    assert repr(nn.ConvTranspose2d(2, 4, 3, 2, 1, 1, dilation=2)) == (
        "ConvTranspose2d(2, 4, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), "
        "dilation=(2, 2), output_padding=(1, 1))"
    )


@each_axes
@pytest.mark.parametrize("kind", ["conv", "conv_transpose"])
def test_a_convolution_keeps_the_scale(kind: str, axes: int) -> None:
    assert nn.init.calculate_gain(f"{kind}{axes}d") == 1
