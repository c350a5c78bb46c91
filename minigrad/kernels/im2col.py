"""What pixels see of the input, copied side by side: im2col, of a block that stays in the cache.

Only blocks are copied, never a whole input: the copies' rows are contiguous, lie where they do not
meet in the same lines of the cache, and hold zeros where a window reaches beyond the input.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minigrad.kernels.jit import inner
from minigrad.kernels.problem import Problem
from minigrad.kernels.simd import fill, lanes, load, load_some, store
from minigrad.kernels.target import target

__all__ = ["Sight", "adjoining", "beyond", "gather", "row_stride", "runs_across", "sight_of"]


class Sight(NamedTuple):
    """Which numbers of a source every position of a grid sees, in order: of each run `span` pixels
    that lie side by side, `depth` channels of each."""

    size: np.ndarray  # of the source: depth, height, width, channels
    grid: np.ndarray  # images, depth, height, width
    times: np.ndarray  # position p of an axis looks at p * times + shift
    shifts: np.ndarray  # (runs, 3)
    span: int
    depth: int

    @property
    def numbers(self) -> int:
        """How many a position sees."""
        return len(self.shifts) * self.span * self.depth


def runs_across(problem: Problem, places: tuple[np.ndarray, ...]) -> tuple[np.ndarray, int]:
    """(runs, 3), where they begin, and the pixels of each, for taps at these places of the axes."""
    across, span = places[2], 1
    if problem.groups == 1 and len(across) > 1 and set(np.diff(across)) == {1}:
        across, span = across[:1], len(across)
    grids = np.meshgrid(places[0], places[1], across, indexing="ij")
    return np.stack(grids, axis=-1).reshape(-1, 3), span


def sight_of(problem: Problem) -> Sight:
    """What the output's pixels see of x."""
    places = tuple([np.arange(a.kernel) * a.dilation - a.before for a in problem.axes])
    shifts, span = runs_across(problem, places)
    return Sight(
        np.array((*problem.size, problem.channels)),
        np.array((problem.images, *problem.out)),
        np.array(problem.stride),
        shifts,
        span,
        problem.channels // problem.groups,
    )


def row_stride(numbers: int, itemsize: int) -> int:
    """How far apart the copies of rows of so many numbers lie.

    Whole vectors and one more: what is written beyond a row's end has room, and rows do not lie a
    power of two apart, where they would meet in the same lines of the cache.
    """
    step = target.lanes(itemsize)
    vectors = -(-numbers // step) + 1
    return (vectors + (vectors + 1) % 2) * step


def beyond(sight: Sight) -> bool:
    """Whether any position of the grid sees something beyond the source."""
    last = (sight.grid[1:] - 1) * sight.times + sight.shifts + np.array([0, 0, sight.span - 1])
    return bool((sight.shifts < 0).any() or (last >= sight.size[:3]).any())


def adjoining(sight: Sight) -> bool:
    """Whether the positions are the source's pixels in order, each of which sees just itself."""
    same = bool((sight.grid[1:] == sight.size[:3]).all())
    return same and sight.numbers == int(sight.size[3]) and not beyond(sight)


@inner
def gather(
    x: np.ndarray, origin: int, size: np.ndarray, grid: np.ndarray, times: np.ndarray,
    shifts: np.ndarray, span: int, depth: int, first: int, rows: int, begin: int, stop: int,
    copies: np.ndarray, stride: int,
) -> None:  # fmt: skip
    """copies[i * stride : + stop - begin] = the numbers begin <= j < stop of those that position
    first + i of the grid sees, i < rows; `origin` is the first channel that is meant.

    Writes less than a vector beyond the last.
    """
    wide, length = lanes(x), span * depth
    H, W, C = size[1], size[2], size[3]
    w0 = first % grid[3]
    rest = first // grid[3]
    h0, rest = rest % grid[2], rest // grid[2]
    d0, n = rest % grid[1], rest // grid[1]
    for row in range(rows):
        for run in range(begin // length, (stop + length - 1) // length):
            d, h = d0 * times[0] + shifts[run, 0], h0 * times[1] + shifts[run, 1]
            w = w0 * times[2] + shifts[run, 2]
            low, high = max(0, begin - run * length), min(length, stop - run * length)
            target = row * stride + run * length - begin
            # The part of the run that lies in the source.
            inside, outside = high, high
            if 0 <= d < size[0] and 0 <= h < H:
                inside = min(high, max(low, -w * depth))
                outside = min(high, max(inside, (W - w) * depth))
            for i in range(low, inside, wide):
                store(copies, target + i, fill(x, 0.0))
            source = (((n * size[0] + d) * H + h) * W + w) * C + origin
            i = inside
            while i < outside:
                # What is read or written too much the next part overwrites.
                if source + i + wide <= len(x):
                    store(copies, target + i, load(x, source + i))
                else:
                    store(copies, target + i, load_some(x, source + i, outside - i))
                i += wide
            for i in range(outside, high, wide):
                store(copies, target + i, fill(x, 0.0))
        w0 += 1
        if w0 == grid[3]:
            w0 = 0
            h0 += 1
            if h0 == grid[2]:
                h0 = 0
                d0 += 1
                if d0 == grid[1]:
                    d0 = 0
                    n += 1
