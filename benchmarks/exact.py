"""What every measured call should give, in float64 and plain NumPy, and how far off a result is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from benchmarks.shapes import CONVOLUTION, Case

__all__ = ["EPS", "RESPONSE", "Data", "draw", "error", "exact"]

EPS = 1e-5
# Of local response normalization: size, and alpha, beta, k (Simonyan and Zisserman 2014).
RESPONSE = 5, 1e-4, 0.75, 2.0


class Data(NamedTuple):
    """The arrays of a case: normal numbers, scaled so that a convolution's results have unit
    variance. `weight` and `bias` are those of the case's channels where it has any."""

    x: np.ndarray
    weight: np.ndarray
    bias: np.ndarray
    grad: np.ndarray


def draw(case: Case, dtype: type = np.float32) -> Data:
    """The same numbers in every process."""
    source = np.random.default_rng([case.kernel, case.filters, *case.shape])

    def normal(*shape: int) -> np.ndarray:
        return source.standard_normal(shape, dtype=np.float32).astype(dtype)

    x = normal(*case.shape)
    if case.kind == CONVOLUTION:
        K, C, R, S = case.weight_shape
        weight = normal(K, C, R, S) * dtype((C * R * S) ** -0.5)
        return Data(x, weight, normal(K), normal(case.shape[0], K, *case.out_size))
    channels = case.shape[1]
    return Data(x, normal(channels), normal(channels), normal(*_result_shape(case)))


def _result_shape(case: Case) -> tuple[int, ...]:
    if case.kind == "adaptive_avg_pool":
        return (*case.shape[:2], case.filters, case.filters)
    return (*case.shape[:2], *case.out_size) if case.kernel else case.shape


def error(result: np.ndarray, expected: np.ndarray) -> float:
    """The largest error, were the expected numbers of unit variance."""
    return float(np.abs(result - expected).max() / expected.std())


def exact(case: Case, data: Data) -> dict[str, np.ndarray]:
    """By pass, what it should give; of both passes of a layer, the gradient of its input."""
    x, weight, bias, grad = (array.astype(np.float64) for array in data)
    if case.kind == CONVOLUTION:
        return _convolution(case, x, weight, bias, grad)
    y, by_x = LAYERS[case.kind](case, Data(x, weight, bias, grad))
    return {"forward": y, "both": by_x}


def _windows(case: Case) -> Iterator[tuple[int, int, tuple[slice, slice, slice]]]:
    """Each tap, and where it falls on a padded (N, H, W, C), as slices."""
    for r in range(case.kernel):
        for s in range(case.kernel):
            rows, columns = (
                slice(tap, tap + (out - 1) * case.stride + 1, case.stride)
                for tap, out in zip((r, s), case.out_size, strict=True)
            )
            yield r, s, (slice(None), rows, columns)


def _convolution(
    case: Case, x: np.ndarray, weight: np.ndarray, bias: np.ndarray, grad: np.ndarray
) -> dict[str, np.ndarray]:
    """Tap by tap, matrix products over the pixels, (groups, pixels, C/groups) by filters."""
    groups, p = case.groups, case.padding
    (K, depth, _, _), (N, _, H, W) = weight.shape, x.shape
    image = np.pad(np.moveaxis(x, 1, -1), ((0, 0), (p, p), (p, p), (0, 0)))
    grads = _by_group(np.moveaxis(grad, 1, -1), groups)
    filters = weight.reshape(groups, K // groups, depth, case.kernel, case.kernel)
    y, by_image, by_filters = np.zeros_like(grads), np.zeros_like(image), np.zeros_like(filters)
    for r, s, window in _windows(case):
        seen, tap = _by_group(image[window], groups), filters[..., r, s]
        y += seen @ tap.mT
        by_filters[..., r, s] = grads.mT @ seen
        by_seen = (grads @ tap).transpose(1, 0, 2)
        by_image[window] += by_seen.reshape(N, *case.out_size, groups * depth)
    result = y.transpose(1, 0, 2).reshape(N, *case.out_size, K) + (bias if case.bias else 0)
    return {
        "forward": np.moveaxis(result, -1, 1),
        "input": np.moveaxis(by_image[:, p : p + H, p : p + W], -1, 1),
        "weight": by_filters.reshape(weight.shape),
    }


def _by_group(pixels: np.ndarray, groups: int) -> np.ndarray:
    """(N, H, W, C) -> (groups, pixels, C/groups)."""
    return pixels.reshape(-1, groups, pixels.shape[-1] // groups).transpose(1, 0, 2)


Results = tuple[np.ndarray, np.ndarray]  # of the layer, and the gradient of its input


def _relu(case: Case, data: Data) -> Results:
    return np.maximum(data.x, 0), np.where(data.x > 0, data.grad, 0)


def _pooled(case: Case, data: Data, blank: float) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each tap, what it sees of x padded with `blank`, (N, H, W, C), and a gradient's view."""
    p = case.padding
    around = (0, 0), (p, p), (p, p), (0, 0)
    image = np.pad(np.moveaxis(data.x, 1, -1), around, constant_values=blank)
    total = np.zeros_like(image)
    yield image, total[:, p : image.shape[1] - p, p : image.shape[2] - p]
    for _, _, window in _windows(case):
        yield image[window], total[window]


def _max_pool(case: Case, data: Data) -> Results:
    (_, total), *taps = _pooled(case, data, -np.inf)
    y = np.maximum.reduce([seen for seen, _ in taps])
    grad, free = np.moveaxis(data.grad, 1, -1), np.ones(y.shape, bool)
    for seen, by_seen in taps:
        chosen = free & (seen == y)
        by_seen += np.where(chosen, grad, 0)
        free &= ~chosen
    return np.moveaxis(y, -1, 1), np.moveaxis(total, -1, 1)


def _avg_pool(case: Case, data: Data) -> Results:
    (_, total), *taps = _pooled(case, data, 0)
    share = np.moveaxis(data.grad, 1, -1) / len(taps)
    for _, by_seen in taps:
        by_seen += share
    y = np.add.reduce([seen for seen, _ in taps]) / len(taps)
    return np.moveaxis(y, -1, 1), np.moveaxis(total, -1, 1)


def _adaptive_avg_pool(case: Case, data: Data) -> Results:
    """Windows side by side: the networks' sizes divide."""
    window = case.shape[-1] // case.filters
    sliding = Case("avg_pool", case.shape, kernel=window, stride=window)
    return _avg_pool(sliding, data)


def _batch_norm(case: Case, data: Data) -> Results:
    axes, per_channel = (0, 2, 3), (1, -1, 1, 1)
    weight, bias = data.weight.reshape(per_channel), data.bias.reshape(per_channel)
    root = np.sqrt(data.x.var(axes, keepdims=True) + EPS)
    z = (data.x - data.x.mean(axes, keepdims=True)) / root
    centered = data.grad - data.grad.mean(axes, keepdims=True)
    along = z * (data.grad * z).mean(axes, keepdims=True)
    return z * weight + bias, (centered - along) * weight / root


def _local_response_norm(case: Case, data: Data) -> Results:
    """y = x / d^β with d = k + α/n Σ x²; dx = g / d^β - 2 β α/n x Σ g x / d^(β+1)."""
    size, alpha, beta, k = RESPONSE
    x, grad = data.x, data.grad
    d = k + alpha / size * _neighbours(x * x, size)
    back = _neighbours(grad * x / d ** (beta + 1), size)
    return x / d**beta, grad / d**beta - 2 * beta * alpha / size * x * back


def _neighbours(x: np.ndarray, size: int) -> np.ndarray:
    """The sum over `size` channels, an odd number, around each."""
    half = size // 2
    wide = np.pad(x, ((0, 0), (half, half), (0, 0), (0, 0)))
    return np.add.reduce([wide[:, i : i + x.shape[1]] for i in range(size)])


LAYERS: dict[str, Callable[[Case, Data], Results]] = {
    "relu": _relu,
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
    "adaptive_avg_pool": _adaptive_avg_pool,
    "batch_norm": _batch_norm,
    "local_response_norm": _local_response_norm,
}
