"""How direct convolutions are laid out: which pixels are summed over which runs of memory.

In channels-last memory the taps that lie side by side in a filter's row are one contiguous run, so
an output pixel is a sum over a few runs, each at a fixed distance from where its window begins.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np

from minigrad.kernels.im2col import Sight, adjoining, beyond, row_stride, runs_across, sight_of
from minigrad.kernels.problem import Problem
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
# Rows a multiple of so many bytes apart meet in the same few lines of the first cache: a job copies
# them to where they do not. So it does with rows that see something beyond the input, and with sums
# over runs shorter than this.
CONFLICT = 4096
SHORT_RUN = 4
# Numbers of a row that are copied at a time: with all rows of a job they stay in the second cache.
SLAB = 768
# An input with pixels of no more bytes than this, or for fewer columns, is copied as a whole, with
# zeros around it: for so few products copies of rows would take too long.
THIN_PIXEL = 64
FEW_COLUMNS = 32
# Tiles of rows a job takes at least and at most.
LEAST_TILES, MOST_TILES = 2, 16
NOTHING: Lengths = (0, 0, 0)
# Products that are summed in one go; such sums are then added, which rounds less than one long sum.
# By whether precision is strict: longer sums are a twentieth faster.
LONGEST_SUM = {True: 64, False: 512}
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
    numbers: int  # how many a row sums
    first: int  # where these stand in a panel
    runs: np.ndarray  # in which runs: where each begins, counted from the row's place
    length: int
    together: int  # how many runs go into one sum
    block: int  # rows and panels of a job
    share: int
    sight: Sight  # what a row sees, which is copied a slab at a time if `stride` is not 0
    slab: int  # numbers
    stride: int  # how far apart the copies of two rows lie
    adjoining: bool  # whether the rows are all of the input, one after the other


class Plan(NamedTuple):
    """All products of a pass, and how the weights' columns are found."""

    products: list[Runs]
    form: Tiling
    numbers: int  # rows of a panel, those of one product after those of another
    places: np.ndarray  # of each number of a filter, in which row of a panel it stands
    columns: int
    outer_step: int
    column_step: int
    group_step: int
    complete: bool  # whether every element of the output is in one of the products
    before: Lengths  # zeros before the input that is read, and its lengths with those after it
    lengths: Lengths


def _runs(
    problem: Problem,
    sight: Sight,
    out_steps: Lengths,
    origin: int,
    first: int,
    form: Tiling,
    columns: int,
    longest: int,
) -> Runs:
    """The sums over what a grid's positions see, in as long runs as may be."""
    itemsize, numbers = problem.dtype.itemsize, sight.numbers
    *size, channels = [int(length) for length in sight.size]
    pixel = np.array(_steps_of((size[0], size[1], size[2]), channels))
    x_steps = np.array([pixel[0], *pixel[1:] * sight.times, sight.depth])
    runs, length = sight.shifts @ pixel[1:], sight.span * sight.depth
    conflict = int(x_steps[3]) * itemsize % CONFLICT == 0
    short = len(runs) > 1 and length < SHORT_RUN
    slab, stride = numbers, 0
    if conflict or short or beyond(sight):
        slab = -(-numbers // -(-numbers // SLAB))
        stride, length = row_stride(slab, itemsize), -(-slab // -(-slab // longest))
        runs = np.arange(0, slab, length)
    else:
        pieces = -(-length // longest)
        if length % pieces == 0:
            length //= pieces
            runs = outer_sum(runs, np.arange(pieces) * length)
    rows = int(np.prod(sight.grid))
    bytes_of_tile = form.rows * max(int(x_steps[3]), stride) * itemsize
    tiles = max(LEAST_TILES, min(MOST_TILES, BLOCK_BYTES // max(1, bytes_of_tile)))
    blocks = -(-rows // (tiles * form.rows)) * problem.groups
    panels = -(-columns // form.columns(problem.dtype))
    shares = max(1, min(panels, -(-JOBS // blocks)))
    return Runs(
        sight.grid,
        x_steps,
        np.array(out_steps, np.int64),
        origin,
        numbers,
        first,
        runs,
        length,
        1 if stride else max(1, longest // length),
        tiles * form.rows,
        -(-panels // shares),
        sight,
        slab,
        stride,
        adjoining(sight),
    )


@lru_cache(maxsize=256)
def filter_places(taps: int, depth: int) -> np.ndarray:
    """Of each number of a filter (depth, taps), its row in a panel of rows (taps, depth)."""
    return (np.arange(taps) * depth + np.arange(depth)[:, None]).reshape(-1)


@lru_cache(maxsize=256)
def forward_plan(problem: Problem, strict: bool) -> Plan:
    C, K = problem.channels, problem.filters
    depth, columns, taps = C // problem.groups, K // problem.groups, problem.taps
    places = filter_places(taps, depth).reshape(1, -1)
    out_steps = (*_steps_of(problem.out, K), columns)
    around = problem.before, problem.padded
    before, lengths = around if _thin(problem, C, columns) else (NOTHING, problem.size)
    sight = _moved(sight_of(problem), before, lengths)
    form = tiling_for(int(np.prod(sight.grid)), columns, problem.dtype)
    products = _runs(problem, sight, out_steps, 0, 0, form, columns, LONGEST_SUM[strict])
    size = depth * taps
    steps = columns * size, size, columns * size
    return Plan([products], form, size, places, columns, *steps, True, before, lengths)


def _thin(problem: Problem, channels: int, columns: int) -> bool:
    """Whether zeros are put around the whole input."""
    return channels * problem.dtype.itemsize <= THIN_PIXEL or columns < FEW_COLUMNS


def _moved(sight: Sight, before: Lengths, lengths: Lengths) -> Sight:
    """The same in a source with zeros around it."""
    size = np.array((*lengths, sight.size[3]))
    return sight._replace(size=size, shifts=sight.shifts + np.array(before))


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
    places: np.ndarray  # in the output


def _phases(axis: Axis) -> list[_Phase]:
    phases = []
    taps = np.arange(axis.kernel)[::-1]
    for first in range(min(axis.stride, axis.size)):
        distance = first + axis.before - taps * axis.dilation
        hits = distance % axis.stride == 0
        count = -(-(axis.size - first) // axis.stride)
        places = distance[hits] // axis.stride
        phases.append(_Phase(first, count, taps[hits], places))
    return phases


@lru_cache(maxsize=256)
def input_grad_plan(problem: Problem, strict: bool) -> Plan:
    C, K = problem.channels, problem.filters
    depth, columns, taps = K // problem.groups, C // problem.groups, problem.taps
    image_out, *out_steps = _steps_of(problem.size, C)
    before: Lengths = NOTHING
    lengths = problem.out
    if _thin(problem, K, columns):
        margins = [margin(axis) for axis in problem.axes]
        before = tuple([first for first, _ in margins])
        lengths = tuple([axis.out + sum(m) for axis, m in zip(problem.axes, margins, strict=True)])
    products, complete = [], True
    phases = [_phases(axis) for axis in problem.axes]
    # The first phase of an axis has the most positions.
    rows = problem.images * math.prod([of_axis[0].positions for of_axis in phases])
    form = tiling_for(rows, columns, problem.dtype)
    numbers, places = 0, np.full((depth, taps), -1)
    for phase in product(*phases):
        if not all(len(p.taps) for p in phase):
            complete = False
            continue
        _, height, width = problem.kernel
        used = outer_sum(phase[0].taps * height * width, phase[1].taps * width, phase[2].taps)
        places[:, used] = numbers + np.arange(len(used)) * depth + np.arange(depth)[:, None]
        strides = [s * step for s, step in zip(problem.stride, out_steps, strict=True)]
        shifts, span = runs_across(problem, tuple([p.places for p in phase]))
        sight = Sight(
            np.array((*problem.out, K)),
            np.array((problem.images, *[p.positions for p in phase])),
            np.ones(3, np.int64),
            shifts,
            span,
            depth,
        )
        origin = sum(p.first * step for p, step in zip(phase, out_steps, strict=True))
        steps = (image_out, *strides, columns)
        sight = _moved(sight, before, lengths)
        products.append(
            _runs(problem, sight, steps, origin, numbers, form, columns, LONGEST_SUM[strict])
        )
        numbers += products[-1].numbers
    of_weight = columns * taps, taps, depth * columns * taps
    return Plan(products, form, numbers, places, columns, *of_weight, complete, before, lengths)
