"""How convolutions, linear maps, poolings and what normalizes are written.

Poolings get their padding in numbers, with what a last window of `ceil_mode` sticks out by, and
averages are corrected where ONNX would divide by another count.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.onnx.composed import Outputs, averaged, largest, uneven
from minigrad.onnx.model import RefusedError, Site
from minigrad.ops.pooling import Adaptive
from minigrad.spec import Shape, int64


def _window(window: Any) -> dict[str, Any]:
    """Kernel, strides, paddings and dilations as attributes."""
    befores, afters = zip(*window.padding, strict=True)
    return {
        "kernel_shape": window.kernel_size,
        "strides": window.stride,
        "pads": [*befores, *afters],
        "dilations": window.dilation,
    }


def convolution(site: Site) -> str:
    return str(site.add("Conv", *site.inputs, group=site.op.groups, **_window(site.op.window)))


def linear(site: Site) -> str:
    """Gemm, which takes matrices alone, or the product with the turned weight."""
    x, weight, *bias = site.inputs
    if len(site.shapes[0]) == 2:
        return str(site.add("Gemm", x, weight, *bias, transB=1))
    y = site.add("MatMul", x, site.add("Transpose", weight, perm=[1, 0]))
    return str(site.add("Add", y, *bias) if bias else y)


def transposed(site: Site) -> str:
    how = {**_window(site.op.window), "output_padding": site.op.output_padding}
    return str(site.add("ConvTranspose", *site.inputs, group=site.op.groups, **how))


def _sliding(site: Site) -> tuple[dict[str, Any], Shape]:
    """The attributes of a pooling and its lengths, with windows in the place of what is adaptive
    where the windows are all alike."""
    axes = site.op.axes
    size = site.shapes[0][-axes:]
    out = site.out_shape[-axes:]
    site.static(*size, *out)
    window = site.op.window
    if isinstance(window, Adaptive):
        steps = [n // o for n, o in zip(size, out, strict=True)]
        return {"kernel_shape": steps, "strides": steps, "pads": [0] * 2 * axes}, size
    how = _window(window)
    for axis in range(axes):  # every window lies within the padding, also one that sticks out
        reach = (window.kernel_size[axis] - 1) * window.dilation[axis] + 1
        end = (out[axis] - 1) * window.stride[axis] + reach
        how["pads"][axes + axis] = max(end - size[axis] - how["pads"][axis], 0)
    return how, size


def _is_uneven(site: Site) -> bool:
    """Whether the windows of an adaptive pooling have several lengths."""
    size, out = site.shapes[0][-site.op.axes :], site.out_shape[-site.op.axes :]
    site.static(*size, *out)
    pairs = zip(size, out, strict=True)
    return isinstance(site.op.window, Adaptive) and any(n % o for n, o in pairs)


def _batched(site: Site) -> tuple[str, bool]:
    """The input with an axis for the batch, and whether it had none."""
    (x,) = site.inputs[:1]
    missing = len(site.shapes[0]) == site.op.axes + 1
    return (site.add("Unsqueeze", x, site.integers([0])) if missing else x), missing


def max_pool(site: Site) -> Outputs:
    """The maxima, and where they are in the whole input (see `max_pool_indices`)."""
    if _is_uneven(site):
        if site.is_used(1):
            raise RefusedError("the places in adaptive windows of unequal lengths")
        return uneven(site, largest), None
    how, _ = _sliding(site)
    x, missing = _batched(site)
    if not site.is_used(1):
        y = site.add("MaxPool", x, **how)
        return (site.add("Squeeze", y, site.integers([0])) if missing else str(y)), None
    both = site.add("MaxPool", x, outputs=2, **how)
    if missing:
        both = [site.add("Squeeze", part, site.integers([0])) for part in both]
    return tuple(both)


def max_pool_indices(site: Site) -> str:
    """ONNX counts through the whole input, here it is through one plane."""
    plane = int(np.prod(site.op.input_size))
    return str(site.add("Mod", *site.inputs, site.number(plane, int64)))


def avg_pool(site: Site) -> str:
    if _is_uneven(site):
        return uneven(site, averaged)
    how, size = _sliding(site)
    how.pop("dilations", None)
    x, missing = _batched(site)
    y = site.add("AveragePool", x, count_include_pad=1, **how)
    share = _share(site, how, size)
    if not (share == 1).all():
        share = share.reshape(-1)[0] if (share == share.flat[0]).all() else share
        y = site.add("Mul", y, site.model.constant(np.asarray(share, site.dtype)))
    return str(site.add("Squeeze", y, site.integers([0])) if missing else y)


def _share(site: Site, how: dict[str, Any], size: Shape) -> np.ndarray:
    """For every window its number of taps divided by the count that its sum is divided by."""
    op, axes = site.op, site.op.axes
    taps = int(np.prod(how["kernel_shape"]))
    out = site.out_shape[-axes:]
    if op.divisor_override is not None:
        return np.full(out, taps / op.divisor_override)
    counts = np.ones(out)
    for axis in range(axes):
        before, after = (0, 0) if isinstance(op.window, Adaptive) else op.window.padding[axis]
        first, last = (-before, size[axis] + after) if op.count_include_pad else (0, size[axis])
        starts = np.arange(out[axis]) * how["strides"][axis] - before
        ends = np.minimum(starts + how["kernel_shape"][axis], last)
        line = ends - np.maximum(starts, first)
        counts = counts * line.reshape([-1 if a == axis else 1 for a in range(axes)])
    return taps / np.maximum(counts, 1)


def local_response_norm(site: Site) -> str:
    """LRN, which programs know for images and an odd number of channels; else its formula."""
    (x,), op = site.inputs, site.op
    if op.size % 2 and len(site.shapes[0]) == 4:
        how = {"size": op.size, "alpha": op.alpha, "beta": op.beta, "bias": op.k}
        return str(site.add("LRN", x, **how))
    channels = site.shapes[0][1]
    site.static(channels)
    before, after = op.size // 2, (op.size - 1) // 2
    rest = [0] * (len(site.shapes[0]) - 2)
    pads = site.integers([0, before, *rest, 0, after, *rest])
    padded = site.add("Pad", site.add("Mul", x, x), pads, site.number(0))
    parts = []
    for start in range(op.size):
        edges = [[start], [start + channels], [1]]
        parts.append(site.add("Slice", padded, *[site.integers(edge) for edge in edges]))
    total = site.add("Mul", site.add("Sum", *parts), site.number(op.alpha / op.size))
    base = site.add("Add", total, site.number(op.k))
    return str(site.add("Div", x, site.add("Pow", base, site.number(op.beta))))


def _by_channel(site: Site, name: str) -> str:
    """One value a channel, (C,), in the shape (1, C, 1, ...)."""
    return site.reshape(name, (1, -1, *[1] * (len(site.shapes[0]) - 2)))


def channel_affine(site: Site) -> str:
    x, scale, shift = site.inputs
    product = site.add("Mul", x, _by_channel(site, scale))
    return str(site.add("Add", product, _by_channel(site, shift)))


def _standardized(site: Site, axes: list[int]) -> tuple[str, str, str]:
    """(x - mean) / sqrt(variance + eps), and both moments with their axes."""
    x, over = site.inputs[0], site.integers(axes)
    mean = site.add("ReduceMean", x, over, keepdims=1)
    centered = site.add("Sub", x, mean)
    variance = site.add("ReduceMean", site.add("Mul", centered, centered), over, keepdims=1)
    spread = site.add("Sqrt", site.add("Add", variance, site.number(site.op.eps)))
    return site.add("Div", centered, spread), mean, variance


def standardize(site: Site) -> Outputs:
    return _standardized(site, site.op.axes)


def batch_normalize(site: Site) -> Outputs:
    """With the moments of the batch itself."""
    _, weight, bias = site.inputs
    axes = [0, *range(2, len(site.shapes[0]))]
    y, mean, variance = _standardized(site, axes)
    y = site.add("Mul", y, _by_channel(site, weight))
    y = site.add("Add", y, _by_channel(site, bias))
    return y, site.reshape(mean, (-1,)), site.reshape(variance, (-1,))


def cross_entropy(site: Site) -> Outputs:
    if site.is_used(1):
        raise RefusedError("its gradient is asked for")
    scores, classes = site.inputs
    classes = site.cast(classes, int64)
    how = site.op.reduction
    return site.add("SoftmaxCrossEntropyLoss", scores, classes, reduction=how), None


RULES: dict[str, Callable[[Site], Outputs]] = {
    **{f"conv{n}d": convolution for n in (1, 2, 3)},
    **{f"conv_transpose{n}d": transposed for n in (1, 2, 3)},
    **{f"{kind}max_pool{n}d": max_pool for n in (1, 2, 3) for kind in ("", "adaptive_")},
    **{f"{kind}avg_pool{n}d": avg_pool for n in (1, 2, 3) for kind in ("", "adaptive_")},
    "batch_normalize": batch_normalize,
    "channel_affine": channel_affine,
    "cross_entropy": cross_entropy,
    "linear": linear,
    "local_response_norm": local_response_norm,
    "max_pool_indices": max_pool_indices,
    "standardize": standardize,
}
