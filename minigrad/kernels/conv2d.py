"""Direct 2-d convolution and its two gradients, as one loop nest over "gathered products".

All three are out[row] = sum over t of x[start(row) + start(t)] * panel[t]: the address of what a
row multiplies with splits into a part of the row and a part of the summand. For the forward pass
rows are output pixels and t runs over the filter's taps; the gradient of the input is the same on
the output's gradient; for the gradient of the weights rows are taps and t runs over pixels.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from minigrad.errors import ArgumentError, ShapeError
from minigrad.kernels.jit import inner, kernel, prange
from minigrad.kernels.window import (
    Axis,
    Pair,
    Sides,
    channels_first,
    channels_last,
    check_arrays,
    plane,
)

__all__ = ["conv2d", "conv2d_input_grad", "conv2d_weight_grad"]

# The innermost product: ROWS rows of accumulators, LANES columns wide (one AVX-512 or two AVX
# registers of float32), take in four summands at a time, which is how often they pass through
# memory. 4 x 4 broadcast values and 4 vectors of the panel fit the register file.
LANES = 16
ROWS = 4
ZERO, ONE, TWO, THREE, FOUR = map(np.uintp, range(5))

# Rows one thread takes at a time. A tap's row gathers a whole image's pixels, so few will do.
PIXEL_TILE = 64
TAP_TILE = 16

# The gradient of the weights is summed in partial sums of so many pixels or more, which are then
# added in order; all partial sums together hold no more elements than PARTIAL_ELEMENTS, if
# that leaves any.
PARTIAL_PIXELS = 1024
PARTIAL_ELEMENTS = 1 << 24


def conv2d(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None,
    output_size: Pair,
    stride: Pair,
    padding: Sides,
    dilation: Pair,
    groups: int,
) -> np.ndarray:
    """Cross-correlate x (N, C, H, W) with weight (K, C/groups, R, S) -> (N, K, OH, OW).

    Padding is with zeros, (before, after) of H, then W. The bias (K,) is added.
    """
    check_arrays("conv2d", x=x, weight=weight)
    N, C, H, W = x.shape
    K, R, S = _check_channels("conv2d", C, weight.shape, groups)
    if bias is None:
        bias = np.zeros(K, x.dtype)
    elif bias.shape != (K,) or bias.dtype != x.dtype:
        raise ShapeError(
            f"conv2d: bias must be {x.dtype} of shape ({K},), got {bias.dtype} {bias.shape}"
        )
    axes = plane("conv2d", (H, W), output_size, (R, S), stride, padding, dilation)
    source = _padded(channels_last(x), padding)
    pixels, taps = _pixels_and_taps(axes, source.shape[2] * C, C, C // groups)
    OH, OW = output_size
    out = np.empty((N, OH, OW, K), x.dtype)
    _gathered_product(
        source.reshape(-1),
        pixels,
        taps,
        # (1, groups, R * S * C/groups, K/groups)
        _panels(
            _by_group(weight, groups)
            .transpose(0, 3, 4, 2, 1)
            .reshape(1, groups, len(taps), K // groups)
        ),
        _panels(bias.reshape(1, groups, 1, len(bias) // groups)),
        out.reshape(-1),
        _steps((OH * OW, K)),
        (source[0:1].size, C // groups),
        (OH * OW * K, K // groups),
        K // groups,
        N,
        1,
        PIXEL_TILE,
    )
    return channels_first(out)


def conv2d_input_grad(
    grad: np.ndarray,
    weight: np.ndarray,
    input_size: Pair,
    stride: Pair,
    padding: Sides,
    dilation: Pair,
    groups: int,
) -> np.ndarray:
    """The gradient of `conv2d`'s x (N, C, H, W), given that of its result (N, K, OH, OW)."""
    name = "conv2d_input_grad"
    check_arrays(name, grad=grad, weight=weight)
    N, grad_channels, OH, OW = grad.shape
    C = weight.shape[1] * groups
    K, R, S = _check_channels(name, C, weight.shape, groups)
    if grad_channels != K:
        raise ShapeError(f"{name}: grad has {grad_channels} channels, the weight makes {K}")
    axes = plane(name, input_size, (OH, OW), (R, S), stride, padding, dilation)
    (H, W), bias = input_size, np.zeros(C, grad.dtype)
    margins = _margin(axes[0]), _margin(axes[1])
    source = _padded(channels_last(grad), margins)
    row = source.shape[2] * K
    out = np.empty((N, H, W, C), grad.dtype)
    blocks = _by_group(weight, groups)  # (groups, K/groups, C/groups, R, S)
    # Input pixels whose place relative to the stride is the same see the same taps of the filter:
    # each such phase is a dense product of its own.
    for h, rows, r, from_row in _phases(axes[0], margins[0][0]):
        for w, columns, s, from_column in _phases(axes[1], margins[1][0]):
            taps = _outer_sum(from_row * row, from_column * K, np.arange(K // groups))
            block = blocks[..., r[:, None], s].transpose(0, 3, 4, 1, 2)
            _gathered_product(
                source.reshape(-1),
                _steps((rows, row), (columns, K)),
                taps,
                _panels(block.reshape(1, groups, len(taps), C // groups)),
                _panels(bias.reshape(1, groups, 1, len(bias) // groups)),
                out.reshape(-1),
                (h * W + w) * C + _steps((rows, stride[0] * W * C), (columns, stride[1] * C)),
                (source[0:1].size, K // groups),
                (H * W * C, C // groups),
                C // groups,
                N,
                1,
                PIXEL_TILE,
            )
    return channels_first(out)


def conv2d_weight_grad(
    x: np.ndarray,
    grad: np.ndarray,
    kernel_size: Pair,
    stride: Pair,
    padding: Sides,
    dilation: Pair,
    groups: int,
) -> np.ndarray:
    """The gradient of `conv2d`'s weight (K, C/groups, R, S), given that of its result."""
    name = "conv2d_weight_grad"
    check_arrays(name, x=x, grad=grad)
    N, C, H, W = x.shape
    K, (OH, OW), (R, S) = grad.shape[1], grad.shape[2:], kernel_size
    if grad.shape[0] != N:
        raise ShapeError(f"{name}: x has {N} images, grad has {grad.shape[0]}")
    _check_channels(name, C, (K, C // max(groups, 1), R, S), groups)
    axes = plane(name, (H, W), (OH, OW), kernel_size, stride, padding, dilation)
    source = _padded(channels_last(x), padding)
    pixels, taps = _pixels_and_taps(axes, source.shape[2] * C, C, C // groups)
    together = _images_per_sum(N, OH * OW, len(taps) * K)
    sums = -(-N // together)
    partial = np.empty((sums, groups, R, S, C // groups, K // groups), x.dtype)
    by_group = channels_last(grad).reshape(N, OH * OW, groups, K // groups).transpose(0, 2, 1, 3)
    _gathered_product(
        source.reshape(-1),
        taps,
        pixels,
        _panels(by_group),
        _panels(np.zeros((1, groups, 1, K // groups), x.dtype)),
        partial.reshape(-1),
        _steps((len(taps), K // groups)),
        (source[0:1].size, C // groups),
        (len(taps) * K, len(taps) * (K // groups)),
        K // groups,
        N,
        together,
        TAP_TILE,
    )
    total = np.add.reduce(partial, axis=0).transpose(0, 4, 3, 1, 2)
    return np.ascontiguousarray(total).reshape(K, C // groups, R, S)


@kernel
def _gathered_product(
    x: np.ndarray,
    row_start: np.ndarray,
    tap_start: np.ndarray,
    panels: np.ndarray,
    bias: np.ndarray,
    out: np.ndarray,
    out_start: np.ndarray,
    x_step: Pair,
    out_step: Pair,
    columns: int,
    images: int,
    together: int,
    tile: int,
) -> None:
    """out[row] = bias + sum over images and t of x[row_start[row] + tap_start[t]] * panel[t].

    panels: (images or 1, groups, column blocks, taps, LANES); x_step and out_step: how far apart
    images and groups lie; `together`: how many images go into one sum.
    """
    shared, groups, blocks, _, _ = panels.shape
    last = row_start.shape[0] - 1
    tiles = (last + tile) // tile
    sums = (images + together - 1) // together
    for job in prange(sums * groups * tiles):
        part, group, first = job // tiles // groups, job // tiles % groups, job % tiles * tile
        stop = min(last + 1, first + tile)
        sum = np.empty((ROWS, LANES), x.dtype)
        for block in range(blocks):
            width = min(LANES, columns - block * LANES)
            target = part * out_step[0] + group * out_step[1] + block * LANES
            for row in range(first, stop, ROWS):
                for i in range(ROWS):
                    for lane in range(LANES):
                        sum[i, lane] = bias[0, group, block, 0, lane]
                for image in range(part * together, min(images, (part + 1) * together)):
                    origin = image * x_step[0] + group * x_step[1]
                    _accumulate(
                        sum,
                        x,
                        # Past the last row the last one is computed again, and not stored.
                        np.uintp(origin + row_start[row]),
                        np.uintp(origin + row_start[min(row + 1, last)]),
                        np.uintp(origin + row_start[min(row + 2, last)]),
                        np.uintp(origin + row_start[min(row + 3, last)]),
                        tap_start,
                        panels[image if shared > 1 else 0, group, block],
                    )
                for i in range(min(ROWS, stop - row)):
                    start = target + out_start[row + i]
                    for lane in range(width):
                        out[start + lane] = sum[i, lane]


@inner
def _accumulate(
    sum: np.ndarray,
    x: np.ndarray,
    r0: np.uintp,
    r1: np.uintp,
    r2: np.uintp,
    r3: np.uintp,
    tap_start: np.ndarray,
    panel: np.ndarray,
) -> None:
    """sum[i] += sum over t of x[r_i + tap_start[t]] * panel[t], in the order of t."""
    # Indices are unsigned: for a signed one Numba adds the test whether it counts from the end,
    # which here takes as long as the arithmetic.
    s0, s1, s2, s3 = sum[0], sum[1], sum[2], sum[3]
    taps = np.uintp(len(tap_start))
    fours = taps - taps % FOUR
    for t in range(ZERO, fours, FOUR):
        t0, t1 = np.uintp(tap_start[t]), np.uintp(tap_start[t + ONE])
        t2, t3 = np.uintp(tap_start[t + TWO]), np.uintp(tap_start[t + THREE])
        x00, x01, x02, x03 = x[r0 + t0], x[r0 + t1], x[r0 + t2], x[r0 + t3]
        x10, x11, x12, x13 = x[r1 + t0], x[r1 + t1], x[r1 + t2], x[r1 + t3]
        x20, x21, x22, x23 = x[r2 + t0], x[r2 + t1], x[r2 + t2], x[r2 + t3]
        x30, x31, x32, x33 = x[r3 + t0], x[r3 + t1], x[r3 + t2], x[r3 + t3]
        for lane in range(LANES):
            p0, p1 = panel[t, lane], panel[t + ONE, lane]
            p2, p3 = panel[t + TWO, lane], panel[t + THREE, lane]
            s0[lane] = s0[lane] + x00 * p0 + x01 * p1 + x02 * p2 + x03 * p3
            s1[lane] = s1[lane] + x10 * p0 + x11 * p1 + x12 * p2 + x13 * p3
            s2[lane] = s2[lane] + x20 * p0 + x21 * p1 + x22 * p2 + x23 * p3
            s3[lane] = s3[lane] + x30 * p0 + x31 * p1 + x32 * p2 + x33 * p3
    for t in range(fours, taps, ONE):
        t0 = np.uintp(tap_start[t])
        x00, x10, x20, x30 = x[r0 + t0], x[r1 + t0], x[r2 + t0], x[r3 + t0]
        for lane in range(LANES):
            s0[lane] += x00 * panel[t, lane]
            s1[lane] += x10 * panel[t, lane]
            s2[lane] += x20 * panel[t, lane]
            s3[lane] += x30 * panel[t, lane]


def _check_channels(
    op: str, channels: int, weight: tuple[int, ...], groups: int
) -> tuple[int, int, int]:
    K, depth, R, S = weight
    if groups < 1 or K % groups:
        raise ArgumentError(f"{op}: groups must divide the {K} output channels, got {groups}")
    if depth * groups != channels:
        raise ShapeError(
            f"{op}: {channels} input channels in {groups} groups do not fit a weight of "
            f"shape {weight}"
        )
    return K, R, S


def _padded(x: np.ndarray, padding: Sides) -> np.ndarray:
    """x (N, H, W, C) with zeros around its planes; x itself if there are none to add."""
    (top, bottom), (left, right) = padding
    if not (top or bottom or left or right):
        return x
    N, H, W, C = x.shape
    out = np.zeros((N, top + H + bottom, left + W + right, C), x.dtype)
    out[:, top : top + H, left : left + W] = x
    return out


def _by_group(weight: np.ndarray, groups: int) -> np.ndarray:
    K = weight.shape[0]
    return weight.reshape(groups, K // groups, *weight.shape[1:])


def _panels(matrices: np.ndarray) -> np.ndarray:
    """(images, groups, taps, columns) -> (images, groups, blocks, taps, LANES), zeros at the end.

    The lanes beyond the last column are computed and never stored.
    """
    images, groups, taps, columns = matrices.shape
    panels = np.zeros((images, groups, -(-columns // LANES), taps, LANES), matrices.dtype)
    for block in range(panels.shape[2]):
        lanes = matrices[..., block * LANES : (block + 1) * LANES]
        panels[:, :, block, :, : lanes.shape[-1]] = lanes
    return panels


def _pixels_and_taps(
    axes: tuple[Axis, Axis], row: int, column: int, depth: int
) -> tuple[np.ndarray, np.ndarray]:
    """Where each output pixel's window starts, and where each tap lies from there."""
    down, across = axes
    pixels = _steps((down.out, down.stride * row), (across.out, across.stride * column))
    taps = _steps(
        (down.kernel, down.dilation * row), (across.kernel, across.dilation * column), (depth, 1)
    )
    return pixels, taps


@lru_cache(maxsize=256)
def _steps(*counts_and_steps: Pair) -> np.ndarray:
    """All sums i * step_i + j * step_j + ..., in the order of nested loops. Not to be changed."""
    return _outer_sum(*(np.arange(count) * step for count, step in counts_and_steps))


def _outer_sum(*terms: np.ndarray) -> np.ndarray:
    total = np.zeros(1, np.int64)
    for term in terms:
        total = (total[:, None] + term).reshape(-1)
    return total


def _margin(axis: Axis) -> Pair:
    """How far past the output's ends (before, after) an input pixel's taps can reach."""
    before = (axis.reach - 1 - axis.before) // axis.stride
    after = (axis.size - 1 + axis.before) // axis.stride - (axis.out - 1)
    return max(0, before), max(0, after)


def _phases(axis: Axis, margin: int) -> list[tuple[int, int, np.ndarray, np.ndarray]]:
    """Per phase: its first input position, how many there are, its taps, and the position in the
    output (counted from the margin) that each tap connects the first one with.
    """
    phases = []
    taps = np.arange(axis.kernel)
    for first in range(min(axis.stride, axis.size)):
        distance = first + axis.before - taps * axis.dilation
        hits = distance % axis.stride == 0
        count = -(-(axis.size - first) // axis.stride)
        phases.append((first, count, taps[hits], distance[hits] // axis.stride + margin))
    return phases


def _images_per_sum(images: int, pixels: int, elements: int) -> int:
    """How many images the partial sums of the weights' gradient span. Depends on shapes alone."""
    sums = max(1, min(images, PARTIAL_ELEMENTS // max(1, elements)))
    return max(1, -(-images // sums), -(-PARTIAL_PIXELS // max(1, pixels)))
