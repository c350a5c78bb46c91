"""Convolution over one to three axes of space, its two gradients, and the choice of how.

Arrays come and go as (N, C, *space); memory is channels-last. Everything a kernel relies on, of
shapes, strides, padding and dtypes, is checked here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from minigrad.errors import ShapeError
from minigrad.kernels import (
    depthwise,
    direct,
    direct_grad,
    direct_plan,
    few_channels,
    one_channel,
    precision,
    strassen,
    winograd,
)
from minigrad.kernels.finish import Finish
from minigrad.kernels.problem import Problem, convolution
from minigrad.kernels.window import Lengths, Sides, channels_first, channels_last, check_arrays

__all__ = ["algorithms", "convolve", "convolve_input_grad", "convolve_weight_grad"]


class Algorithm(NamedTuple):
    """One way to compute a convolution and its gradients."""

    name: str
    suits: Callable[[Problem], bool]
    forward: Callable[..., np.ndarray]
    input_grad: Callable[..., np.ndarray]
    weight_grad: Callable[..., np.ndarray]
    strict: bool = True  # whether `precision("strict")` admits it


# The first that suits is taken.
ALGORITHMS = (
    Algorithm(
        "depthwise",
        depthwise.suits,
        depthwise.forward,
        depthwise.input_grad,
        depthwise.weight_grad,
    ),
    Algorithm(
        "winograd",
        winograd.suits,
        winograd.forward,
        winograd.input_grad,
        winograd.weight_grad,
        strict=False,
    ),
    Algorithm(
        "strassen",
        strassen.suits,
        strassen.forward,
        strassen.input_grad,
        direct_grad.weight_grad,
        strict=False,
    ),
    Algorithm(
        "matrix product",
        direct_plan.is_pointwise,
        direct.forward,
        direct.input_grad,
        direct_grad.weight_grad,
    ),
    Algorithm(
        "one channel",
        one_channel.suits,
        one_channel.forward,
        direct.input_grad,
        one_channel.weight_grad,
    ),
    Algorithm(
        "few channels",
        few_channels.suits,
        direct.forward,
        few_channels.input_grad,
        direct_grad.weight_grad,
    ),
    Algorithm(
        "direct",
        lambda problem: True,
        direct.forward,
        direct.input_grad,
        direct_grad.weight_grad,
    ),
)


def choose(problem: Problem) -> Algorithm:
    """The algorithm for a problem, at the present precision."""
    return _choose(problem, precision.is_strict())


@lru_cache(maxsize=1024)
def _choose(problem: Problem, strict: bool) -> Algorithm:
    admitted = [a for a in ALGORITHMS if a.strict or not strict]
    return next(a for a in admitted if a.suits(problem))


def algorithms(
    x_shape: Lengths,
    weight_shape: Lengths,
    output_size: Lengths,
    stride: Lengths,
    padding: Sides,
    dilation: Lengths,
    groups: int,
    dtype: Any = np.float32,
) -> str:
    """The name of the algorithm that a convolution of these shapes takes now."""
    N, C, *size = x_shape
    problem = convolution(
        "convolve", np.dtype(dtype), N, C, tuple(weight_shape), tuple(size), tuple(output_size),
        tuple(stride), tuple(padding), tuple(dilation), groups,
    )  # fmt: skip
    return choose(problem).name


def convolve(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None,
    output_size: Lengths,
    stride: Lengths,
    padding: Sides,
    dilation: Lengths,
    groups: int,
    residual: np.ndarray | None = None,
    activation: str | None = None,
) -> np.ndarray:
    """Cross-correlate x (N, C, *space) with weight (K, C/groups, *taps) -> (N, K, *out).

    Padding is with zeros, (before, after) of each axis. On the way out, the bias (K,) and the
    residual, of the result's shape, are added, and the activation is applied ("relu", "relu6",
    "leaky_relu"). Raises ArgumentError, DtypeError, ShapeError.
    """
    name = "convolve"
    arrays = {"x": x, "weight": weight}
    check_arrays(name, **arrays if residual is None else {**arrays, "residual": residual})
    problem = convolution(
        name, x.dtype, *x.shape[:2], weight.shape, x.shape[2:], tuple(output_size), tuple(stride),
        tuple(padding), tuple(dilation), groups,
    )  # fmt: skip
    shape = (x.shape[0], weight.shape[0], *output_size)
    if residual is not None:
        if residual.shape != shape:
            raise ShapeError(f"{name}: residual must have shape {shape}, got {residual.shape}")
        residual = channels_last(residual)
    finish = Finish.of(name, weight.shape[0], x.dtype, bias, residual, activation)
    if problem.empty:
        return channels_first(finish.alone((x.shape[0], *output_size, weight.shape[0]), x.dtype))
    y = choose(problem).forward(problem, _deep(x), _filters(weight), finish)
    return channels_first(y.reshape(x.shape[0], *output_size, weight.shape[0]))


def convolve_input_grad(
    grad: np.ndarray,
    weight: np.ndarray,
    input_size: Lengths,
    stride: Lengths,
    padding: Sides,
    dilation: Lengths,
    groups: int,
) -> np.ndarray:
    """The gradient of `convolve`'s x (N, C, *space), given that of its result (N, K, *out)."""
    name = "convolve_input_grad"
    check_arrays(name, grad=grad, weight=weight)
    N, K, *out = grad.shape
    C = weight.shape[1] * groups
    problem = convolution(
        name, grad.dtype, N, C, weight.shape, tuple(input_size), tuple(out), tuple(stride),
        tuple(padding), tuple(dilation), groups,
    )  # fmt: skip
    if weight.shape[0] != K:
        raise ShapeError(f"{name}: grad has {K} channels, the weight makes {weight.shape[0]}")
    if problem.empty:
        return channels_first(np.zeros((N, *input_size, C), grad.dtype))
    x = choose(problem).input_grad(problem, _deep(grad), _filters(weight))
    return channels_first(x.reshape(N, *input_size, C))


def convolve_weight_grad(
    x: np.ndarray,
    grad: np.ndarray,
    kernel_size: Lengths,
    stride: Lengths,
    padding: Sides,
    dilation: Lengths,
    groups: int,
) -> np.ndarray:
    """The gradient of `convolve`'s weight (K, C/groups, *taps), given that of its result."""
    name = "convolve_weight_grad"
    check_arrays(name, x=x, grad=grad)
    (N, C, *size), (images, K, *out) = x.shape, grad.shape
    if images != N:
        raise ShapeError(f"{name}: x has {N} images, grad has {images}")
    shape = (K, C // max(groups, 1), *kernel_size)
    problem = convolution(
        name, x.dtype, N, C, shape, tuple(size), tuple(out), tuple(stride), tuple(padding),
        tuple(dilation), groups,
    )  # fmt: skip
    if problem.empty:
        return np.zeros(shape, x.dtype)
    return choose(problem).weight_grad(problem, _deep(x), _deep(grad)).reshape(shape)


def _deep(x: np.ndarray) -> np.ndarray:
    """(N, C, *space) -> contiguous (N, D, H, W, C)."""
    last = channels_last(x)
    return last.reshape(last.shape[0], *(1,) * (5 - last.ndim), *last.shape[1:])


def _filters(weight: np.ndarray) -> np.ndarray:
    """The weight in the order of its shape, as it usually is."""
    return np.ascontiguousarray(weight)
