"""Winograd's convolution: 36 multiplications where the direct sum takes 144.

Between the transforms stand matrix products, tiles by channels by filters: with a stride of 1 one
for each value of a tile, with a stride of 2 sums of up to four.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from minigrad.kernels.bilinear_grad import sums_of_tiles
from minigrad.kernels.bilinear_pass import Pass
from minigrad.kernels.direct_grad import by_filter
from minigrad.kernels.finish import Finish
from minigrad.kernels.problem import Problem
from minigrad.kernels.target import target
from minigrad.kernels.window import Axis
from minigrad.kernels.winograd_points import FILTERINGS, Kind
from minigrad.kernels.winograd_transform import transforms

__all__ = ["forward", "input_grad", "suits", "weight_grad"]

# Tiles of the output that lie half outside waste what the algorithm saves: by stride, the part of
# them that must be used.
LEAST_USED = {1: 0.5, 2: 0.8}


def suits(problem: Problem) -> bool:
    """Whether the algorithm computes this convolution and its gradients, and wins."""
    (depth, height, width), wide = problem.axes, target.lanes(4)
    if problem.dtype != np.float32 or problem.groups > 1:
        return False
    if problem.empty:
        return False
    if (depth.size, depth.out, depth.kernel, depth.before) != (1, 1, 1, 0):
        return False
    if height.kernel != width.kernel or height.stride != width.stride:
        return False
    if _kind_of(problem) not in FILTERINGS or {height.dilation, width.dilation} != {1}:
        return False
    side = FILTERINGS[_kind_of(problem)].outputs
    used = height.out * width.out / (_covered(height.out, side) * _covered(width.out, side))
    return min(problem.channels, problem.filters) >= wide and used >= LEAST_USED[width.stride]


def _kind_of(problem: Problem, back: bool = False) -> Kind:
    """Which of `FILTERINGS` computes it, or the gradient of its input, if one does."""
    width = problem.axes[2]
    return width.kernel, width.stride, back and width.stride > 1


def _covered(out: int, side: int) -> int:
    """How far tiles of this side reach that cover an axis of the output."""
    return -(-out // side) * side


def _begin(axis: Axis, back: bool) -> tuple[int, int]:
    """How far before an axis of the source, and of the result, the first tile begins."""
    if not back:
        return axis.before, 0
    # An input pixel is reached from so far before it in the output.
    if axis.stride == 1:
        return axis.kernel - 1 - axis.before, 0
    # Tiles begin with a pixel that is seen by the middle tap only.
    above = 1 - axis.before % 2
    return (1 - axis.before + above) // 2, above


@lru_cache(maxsize=256)
def _pass(problem: Problem, back: bool) -> Pass:
    _, height, width = problem.axes
    C, K, taps = problem.channels, problem.filters, problem.taps
    kind = _kind_of(problem, back)
    if back:
        rows, out = (height.out, width.out), (height.size, width.size)
        depth, columns, weight_sizes = K, C, (C, taps, C * taps, 1)
    else:
        rows, out = (height.size, width.size), (height.out, width.out)
        depth, columns, weight_sizes = C, K, (K, C * taps, taps, 0)
    before, above = zip(*[_begin(axis, back) for axis in (height, width)], strict=True)
    side = FILTERINGS[kind].outputs
    grid = [-(-(n + begin) // side) for n, begin in zip(out, above, strict=True)]
    return Pass(
        transforms(kind),
        problem.dtype,
        (problem.images, 1, *out, columns),
        problem.images * grid[0] * grid[1],
        depth,
        columns,
        np.array([*rows, depth, *grid, *before]),
        np.array(weight_sizes),
        np.array([*out, columns, *grid, *above]),
    )


def forward(problem: Problem, x: np.ndarray, weight: np.ndarray, finish: Finish) -> np.ndarray:
    """x (N, 1, H, W, C), weight (K, C, 1, R, R) -> (N, 1, OH, OW, K)."""
    return _pass(problem, False)(x, weight, finish)


def input_grad(problem: Problem, grad: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The gradient of x from that of the output: the same with turned filters."""
    return _pass(problem, True)(grad, weight, Finish())


def weight_grad(problem: Problem, x: np.ndarray, grad: np.ndarray) -> np.ndarray:
    """The gradient of the weight (K, C, 1, R, R) from x (N, 1, H, W, C), grad (N, 1, OH, OW, K)."""
    (_, height, width), kind = problem.axes, _kind_of(problem)
    out = FILTERINGS[kind].outputs
    grid = -(-height.out // out), -(-width.out // out)
    sums = sums_of_tiles(
        transforms(kind),
        x,
        np.array([height.size, width.size, problem.channels, *grid, height.before, width.before]),
        grad,
        np.array([height.out, width.out, problem.filters, *grid, 0, 0]),
        problem.images * grid[0] * grid[1],
        problem.taps,
    )
    return by_filter(sums.reshape(1, 1, -1, sums.shape[-1]), problem)
