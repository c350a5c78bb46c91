"""How far float32 rounds in convolutions, by every algorithm, against references in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from convolution_cases import PASSES

from minigrad.kernels import reference
from minigrad.kernels.convolution import algorithms
from minigrad.kernels.precision import precision

# Tiles of one shape round as much as those of another.
pytestmark = pytest.mark.usefixtures("few_tilings")

# The largest error where the results have variance 1.
BOUNDS = pytest.mark.parametrize(("mode", "bound"), [("fast", 2e-5), ("strict", 3e-6)])


def largest_errors(
    channels: int, filters: int, size: tuple[int, int], stride: int = 1, taps: int = 3
) -> dict[str, float]:
    """Of the three passes, against float64, on results of variance 1 (at most)."""
    rng = np.random.default_rng(channels)
    seen = size[0] * stride, size[1] * stride
    shapes = (1, channels, *seen), (filters, channels, taps, taps), (1, filters, *size)
    x, weight, grad = (rng.normal(size=shape).astype(np.float32) for shape in shapes)
    # So many taps reach an input pixel, or fewer.
    reached = (-(-taps // stride)) ** 2
    calls = {
        "convolve": (x, weight / np.float32(taps * np.sqrt(channels)), None, size),
        "convolve_input_grad": (grad, weight / np.float32(np.sqrt(reached * filters)), seen),
        "convolve_weight_grad": (x, grad / np.float32(np.sqrt(size[0] * size[1])), (taps, taps)),
    }
    window = geometry(stride, taps)
    errors = {}
    for name, given in calls.items():
        exact = [a.astype(np.float64) if isinstance(a, np.ndarray) else a for a in given]
        expected = getattr(reference, f"{name}_reference")(*exact, *window)
        errors[name] = float(np.abs(PASSES[name](*given, *window) - expected).max())
    return errors


def geometry(stride: int, taps: int) -> tuple[Any, ...]:
    """Stride, padding, dilation and groups."""
    return (stride, stride), ((taps // 2, taps // 2),) * 2, (1, 1), 1


def assert_within(errors: dict[str, float], bound: float) -> None:
    assert max(errors.values()) <= bound, errors
    # Float32 must have been at work: neither bound is met by chance.
    assert min(errors.values()) > 0


@pytest.mark.parametrize("stride", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("channels", "filters"), [(512, 32), (32, 512)])
@BOUNDS
def test_the_error_at_512_channels(
    mode: Any, bound: float, channels: int, filters: int, stride: int
) -> None:
    with precision(mode):
        shapes = (1, channels, 16 * stride, 15 * stride), (filters, channels, 3, 3), (16, 15)
        algorithm = algorithms(*shapes, *geometry(stride, 3))
        assert algorithm == ("winograd" if mode == "fast" else "direct")
        assert_within(largest_errors(channels, filters, (16, 15), stride), bound)


@BOUNDS
def test_the_error_of_strassen_s_algorithm(mode: Any, bound: float) -> None:
    with precision(mode):
        shapes = (1, 512, 27, 24), (256, 512, 1, 1), (27, 24)
        algorithm = algorithms(*shapes, *geometry(1, 1))
        assert algorithm == ("strassen" if mode == "fast" else "matrix product")
        assert_within(largest_errors(512, 256, (27, 24), taps=1), bound)


@pytest.mark.slow
@pytest.mark.parametrize("stride", [1, 2])
@BOUNDS
def test_the_error_over_many_tiles(mode: Any, bound: float, stride: int) -> None:
    with precision(mode):
        assert_within(largest_errors(512, 48, (56, 56), stride), bound)
