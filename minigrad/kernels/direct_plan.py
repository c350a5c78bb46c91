"""How direct convolutions are laid out: which pixels are summed over which runs of memory.

In channels-last memory the taps that lie side by side in a filter's row are one contiguous run, so
an output pixel is a sum over a few runs, each at a fixed distance from where its window begins.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np

from minigrad.kernels.problem import Problem
from minigrad.kernels.target import target
from minigrad.kernels.tile import Tiling, tiling_for
from minigrad.kernels.window import Axis, Lengths

__all__ = [
    "Plan",
    "filter_places",
    "forward_plan",
    "input_grad_plan",
    "is_pointwise",
    "outer_sum",
]

# Bytes of the input that one job reads, again for each panel of filters.
BLOCK_BYTES = 1 << 18
# Rows a multiple of so many bytes apart meet in the same few lines of the first cache; a
# job copies them to where they do not.
CONFLICT = 2048
# So it does with rows that are sums over runs shorter than this, and each then is one run.
SHORT_RUN = 4
# Tiles of rows a job takes at least and at most.
LEAST_TILES, MOST_TILES = 2, 16
# Products that are summed in one go; such sums are then added, which rounds less than one long sum.
LONGEST_SUM = 256
# Fewer jobs than this, and the panels are shared out as well.
JOBS = 16


def is_pointwise(problem: Problem) -> bool:
    """Whether the filters see one pixel, and no padding: the convolution is a matrix product."""
    return problem.taps == 1 and problem.padded == problem.size


def outer_sum(*terms: np.ndarray) -> np.ndarray:
    """All sums of one element of each, in the order of nested loops."""
    total = np.zeros(1, np.int64)
    for term in terms:
        total = (total[:, None] + term).reshape(-1)
    return total


class Runs(NamedTuple):
    """A set of products: of which pixels, by which taps, and where to."""

    sizes: np.ndarray  # rows of the result: images, depth, height, width
    x_steps: np.ndarray  # how far apart they lie in the input, and its groups
    out_steps: np.ndarray  # and in the output
    origin: int  # of the first in the output
    runs: np.ndarray  # what is summed: where each run begins, counted from the row's place
    length: int
    together: int  # how many runs go into one sum
    places: np.ndarray  # of each number of a filter, in which row of a panel it stands
    form: Tiling
    block: int  # rows and panels of a job
    share: int
    copies: np.ndarray  # runs that a job copies of its rows before it sums them, if any
    copy_length: int
    copy_stride: int  # how far apart the copies of two rows lie


class Plan(NamedTuple):
    """All products of a pass, and how the weights' columns are found."""

    products: list[Runs]
    columns: int
    outer_step: int
    column_step: int
    group_step: int
    complete: bool  # whether every element of the output is in one of the products
    before: Lengths  # zeros before the input that is read, and its lengths with those after it
    lengths: Lengths


def _runs(
    problem: Problem,
    sizes: Lengths,
    x_steps: Lengths,
    out_steps: Lengths,
    origin: int,
    offsets: tuple[np.ndarray, ...],
    pixel: int,
    depth: int,
    places: np.ndarray,
    columns: int,
) -> Runs:
    """Taps at the outer sum of `offsets`, each of `depth` channels, in as long runs as may be."""
    across = offsets[-1]
    if problem.groups == 1 and len(across) > 1 and set(np.diff(across)) == {pixel}:
        runs, length = outer_sum(*offsets[:-1], across[:1]), len(across) * depth
    else:
        runs, length = outer_sum(*offsets), depth
    total, lanes = len(runs) * length, target.lanes(problem.dtype.itemsize)
    copies, copy_length, stride = np.zeros(0, np.int64), length, 0
    conflict = problem.taps == 1 and x_steps[3] * problem.dtype.itemsize % CONFLICT == 0
    if conflict or (len(runs) > 1 and length < SHORT_RUN):
        copies, stride = runs, -(-total // lanes) * lanes + lanes
        runs, length = np.zeros(1, np.int64), total
    pieces = -(-length // LONGEST_SUM)
    if length % pieces == 0:
        length //= pieces
        runs = outer_sum(runs, np.arange(pieces) * length)
    rows = int(np.prod(sizes))
    form = tiling_for(rows, columns, problem.dtype)
    bytes_of_tile = form.rows * max(x_steps[3], stride) * problem.dtype.itemsize
    tiles = max(LEAST_TILES, min(MOST_TILES, BLOCK_BYTES // max(1, bytes_of_tile)))
    blocks = -(-rows // (tiles * form.rows)) * problem.groups
    panels = -(-columns // form.columns(problem.dtype))
    shares = max(1, min(panels, -(-JOBS // blocks)))
    return Runs(
        np.array(sizes, np.int64),
        np.array(x_steps, np.int64),
        np.array(out_steps, np.int64),
        origin,
        runs,
        length,
        max(1, LONGEST_SUM // length),
        places,
        form,
        tiles * form.rows,
        -(-panels // shares),
        copies,
        copy_length,
        stride,
    )


@lru_cache(maxsize=256)
def filter_places(taps: int, depth: int) -> np.ndarray:
    """Of each number of a filter (depth, taps), its row in a panel of rows (taps, depth)."""
    return (np.arange(taps) * depth + np.arange(depth)[:, None]).reshape(-1)


@lru_cache(maxsize=256)
def forward_plan(problem: Problem) -> Plan:
    (D, H, W), C, K = problem.padded, problem.channels, problem.filters
    depth, columns, taps = C // problem.groups, K // problem.groups, problem.taps
    strides, steps = problem.stride, (H * W * C, W * C, C)
    offsets = tuple(
        [
            np.arange(axis.kernel) * axis.dilation * step
            for axis, step in zip(problem.axes, steps, strict=True)
        ]
    )
    products = _runs(
        problem,
        (problem.images, *problem.out),
        (D * H * W * C, *[s * step for s, step in zip(strides, steps, strict=True)], depth),
        (*_steps_of(problem.out, K), columns),
        0,
        offsets,
        C,
        depth,
        filter_places(taps, depth).reshape(1, -1),
        columns,
    )
    size = depth * taps
    steps_of_weight = columns * size, size, columns * size
    return Plan([products], columns, *steps_of_weight, True, problem.before, problem.padded)


def _steps_of(size: Lengths, channels: int) -> Lengths:
    """Elements between images, planes, rows and pixels of an array of this size."""
    _, H, W = size
    return size[0] * H * W * channels, H * W * channels, W * channels, channels


def margin(axis: Axis) -> tuple[int, int]:
    """How far past the output's ends (before, after) an input pixel's taps can reach."""
    before = (axis.reach - 1 - axis.before) // axis.stride
    after = (axis.size - 1 + axis.before) // axis.stride - (axis.out - 1)
    return max(0, before), max(0, after)


class _Phase(NamedTuple):
    """Input positions first, first + stride, ... of an axis: they all see the same taps."""

    first: int
    positions: int
    taps: np.ndarray  # by the place they connect the first position with, ascending
    places: np.ndarray  # in the output, counted from the margin


def _phases(axis: Axis) -> list[_Phase]:
    phases, most = [], margin(axis)[0]
    taps = np.arange(axis.kernel)[::-1]
    for first in range(min(axis.stride, axis.size)):
        distance = first + axis.before - taps * axis.dilation
        hits = distance % axis.stride == 0
        count = -(-(axis.size - first) // axis.stride)
        places = distance[hits] // axis.stride + most
        phases.append(_Phase(first, count, taps[hits], places))
    return phases


@lru_cache(maxsize=256)
def input_grad_plan(problem: Problem) -> Plan:
    margins = [margin(axis) for axis in problem.axes]
    lengths = tuple([axis.out + sum(m) for axis, m in zip(problem.axes, margins, strict=True)])
    C, K = problem.channels, problem.filters
    depth, columns, taps = K // problem.groups, C // problem.groups, problem.taps
    image, *steps = _steps_of(lengths, K)
    image_out, *out_steps = _steps_of(problem.size, C)
    products, complete = [], True
    for phase in product(*map(_phases, problem.axes)):
        offsets = tuple([p.places * step for p, step in zip(phase, steps, strict=True)])
        if not all(len(p.taps) for p in phase):
            complete = False
            continue
        _, height, width = problem.kernel
        used = outer_sum(phase[0].taps * height * width, phase[1].taps * width, phase[2].taps)
        places = np.full((depth, taps), -1)
        places[:, used] = np.arange(len(used)) * depth + np.arange(depth)[:, None]
        strides = [s * step for s, step in zip(problem.stride, out_steps, strict=True)]
        products.append(
            _runs(
                problem,
                (problem.images, *[p.positions for p in phase]),
                (image, *steps, depth),
                (image_out, *strides, columns),
                sum(p.first * step for p, step in zip(phase, out_steps, strict=True)),
                offsets,
                K,
                depth,
                places,
                columns,
            )
        )
    before = tuple([first for first, _ in margins])
    steps_of_weight = columns * taps, taps, depth * columns * taps
    return Plan(products, columns, *steps_of_weight, complete, before, lengths)
