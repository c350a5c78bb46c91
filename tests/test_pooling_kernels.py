"""The pooling kernels against their NumPy reference: one to three axes, dtypes, memory layouts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minigrad import threads
from minigrad.errors import DtypeError, IndexingError, ShapeError
from minigrad.kernels import pooling, pooling_loops
from minigrad.kernels import pooling_reference as reference
from minigrad.kernels.pooling_windows import adaptive, require_real_taps, sliding, taps_dtype

DRAWN = settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
DTYPES = st.sampled_from([np.float32, np.float64])
LAYOUTS = ("channels first", "channels last", "strided", "reversed", "read-only", "unaligned")


def lay_out(array: np.ndarray, layout: str) -> np.ndarray:
    """The same values in another kind of memory."""
    last = np.ascontiguousarray(np.moveaxis(array, 1, -1))
    if layout == "strided":
        wide = np.full((*array.shape[:-1], 2 * array.shape[-1]), np.nan, array.dtype)
        wide[..., ::2] = array
        return wide[..., ::2]
    if layout == "reversed":
        return array[..., ::-1].copy()[..., ::-1]
    if layout == "channels last":
        return np.moveaxis(last, -1, 1)
    if layout == "read-only":
        last.flags.writeable = False
        return np.moveaxis(last, -1, 1)
    if layout == "unaligned":
        shifted = np.empty(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(last.shape)
        shifted[...] = last
        return np.moveaxis(shifted, -1, 1)
    return array


def whole_numbers(draw: Any, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Small whole numbers: their sums are exact, whatever the order."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return lay_out(rng.integers(-3, 4, shape).astype(dtype), draw(st.sampled_from(LAYOUTS)))


def _lengths(draw: Any, axes: int, low: int, high: int) -> tuple[int, ...]:
    return draw(st.tuples(*[st.integers(low, high)] * axes))


def _sliding(draw: Any, size: tuple[int, ...], dilated: bool) -> tuple[Any, Any]:
    axes = len(size)
    kernel, stride = _lengths(draw, axes, 1, 3), _lengths(draw, axes, 1, 3)
    dilation = _lengths(draw, axes, 1, 3) if dilated else (1,) * axes
    sides = [st.integers(0, k // 2) for k in kernel]
    padding = tuple((draw(side), draw(side)) for side in sides)
    out = []
    for i in range(axes):
        span = size[i] + sum(padding[i]) - (kernel[i] - 1) * dilation[i] - 1
        count = max(0, span // stride[i] + 1)
        overhangs = count * stride[i] < size[i] + padding[i][0]
        out.append(count + (draw(st.booleans()) and overhangs))
    geometry = size, tuple(out), kernel, stride, padding, dilation
    return sliding("test", *geometry), reference.sliding_lines(*geometry)


@st.composite
def poolings(draw: Any, dilated: bool = False) -> dict[str, Any]:
    axes = draw(st.integers(1, 3))
    size = _lengths(draw, axes, 1, (20, 7, 5)[axes - 1])
    if draw(st.booleans()):
        windows, lines = _sliding(draw, size, dilated)
    else:
        out = _lengths(draw, axes, 1, 6)
        windows = tuple(adaptive(*pair) for pair in zip(size, out, strict=True))
        lines = reference.adaptive_lines(size, out)
    lead = draw(st.integers(0, 3)), draw(st.sampled_from([1, 3, 16, 17, 70]))
    dtype = draw(DTYPES)
    return {
        "x": whole_numbers(draw, (*lead, *size), dtype),
        "grad": whole_numbers(draw, (*lead, *[axis.out for axis in windows]), dtype),
        "windows": windows,
        "lines": lines,
    }


def channels_last(array: np.ndarray) -> bool:
    return bool(np.moveaxis(array, 1, -1).flags.c_contiguous)


def unbatched_alike(function: Callable[..., Any], *arrays: np.ndarray) -> None:
    """Without the axis of images the first of them gives the same."""
    if len(arrays[0]):
        with_axis, without = function(*arrays), function(*[array[0] for array in arrays])
        np.testing.assert_array_equal(with_axis[0], without)


@DRAWN
@given(case=poolings(), include=st.booleans(), divisor=st.sampled_from([None, None, 3, -2]))
def test_average_equals_its_reference(
    case: dict[str, Any], include: bool, divisor: int | None
) -> None:
    x, grad, windows, lines = case["x"], case["grad"], case["windows"], case["lines"]
    how = include, divisor
    out = pooling.avg_pool(x, windows, *how)
    assert out.dtype == x.dtype and channels_last(out)
    np.testing.assert_array_equal(out, reference.avg_pool_reference(x, lines, *how))
    unbatched_alike(lambda a: pooling.avg_pool(a, windows, *how), x)
    back = pooling.avg_pool_backward(grad, windows, *how)
    expected = reference.avg_pool_backward_reference(grad, lines, *how)
    assert back.dtype == x.dtype and channels_last(back)
    np.testing.assert_allclose(back, expected, rtol=1e-5, atol=1e-5)
    unbatched_alike(lambda g: pooling.avg_pool_backward(g, windows, *how), grad)


@DRAWN
@given(case=poolings(dilated=True), nan_every=st.sampled_from([0, 2, 9]))
def test_maximum_equals_its_reference(case: dict[str, Any], nan_every: int) -> None:
    x, grad, windows, lines = case["x"], case["grad"], case["windows"], case["lines"]
    if nan_every:
        x = np.where(np.arange(x.size).reshape(x.shape) % nan_every == 0, np.nan, x).astype(x.dtype)
    if not all(
        any(0 <= p < line.size for p in window) for line in lines for window in line.windows
    ):
        with pytest.raises(ShapeError, match="nothing but padding"):
            pooling.max_pool(x, windows)
        return
    expected, expected_taps = reference.max_pool_reference(x, lines)
    values, taps = pooling.max_pool(x, windows)
    assert values.dtype == x.dtype and channels_last(values) and taps.dtype == np.uint8
    np.testing.assert_array_equal(values, expected)
    np.testing.assert_array_equal(taps, expected_taps)
    unbatched_alike(lambda a: pooling.max_pool(a, windows)[1], x)
    np.testing.assert_array_equal(
        pooling.max_pool_backward(grad, taps, windows),
        reference.max_pool_backward_reference(grad, taps, lines),
    )
    unbatched_alike(lambda g, t: pooling.max_pool_backward(g, t, windows), grad, taps)
    np.testing.assert_array_equal(pooling.max_pool_gather(x, taps, windows), values)
    np.testing.assert_array_equal(reference.max_pool_gather_reference(x, taps, lines), values)
    unbatched_alike(lambda a, t: pooling.max_pool_gather(a, t, windows), x, taps)
    np.testing.assert_array_equal(
        pooling.max_pool_indices(taps, windows),
        reference.max_pool_indices_reference(taps, lines),
    )
    unbatched_alike(lambda t: pooling.max_pool_indices(t, windows), taps)


@DRAWN
@given(case=poolings(dilated=True), seed=st.integers(0, 999))
def test_any_tap_is_safe(case: dict[str, Any], seed: int) -> None:
    x, grad, windows, lines = case["x"], case["grad"], case["windows"], case["lines"]
    taps = np.random.default_rng(seed).integers(0, 256, grad.shape).astype(np.uint8)
    np.testing.assert_array_equal(
        pooling.max_pool_backward(grad, taps, windows),
        reference.max_pool_backward_reference(grad, taps, lines),
    )
    np.testing.assert_array_equal(
        pooling.max_pool_gather(x, taps, windows),
        reference.max_pool_gather_reference(x, taps, lines),
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("side", [16, pytest.param(17, marks=pytest.mark.slow)])
def test_windows_of_more_taps_than_a_byte_counts(side: int, dtype: Any) -> None:
    rng = np.random.default_rng(side)
    x = rng.integers(0, 200, (2, 5, side + 3, side + 1)).astype(dtype)
    geometry = x.shape[2:], (4, 2), (side, side), (1, 1), ((0, 0), (0, 0)), (1, 1)
    windows, lines = sliding("test", *geometry), reference.sliding_lines(*geometry)
    assert taps_dtype(windows) == (np.uint8 if side == 16 else np.int32)
    values, taps = pooling.max_pool(x, windows)
    expected, expected_taps = reference.max_pool_reference(x, lines)
    np.testing.assert_array_equal(values, expected)
    np.testing.assert_array_equal(taps, expected_taps)
    grad = rng.normal(size=values.shape).astype(dtype)
    back = pooling.max_pool_backward(grad, taps, windows)
    expected = reference.max_pool_backward_reference(grad, taps, lines)
    np.testing.assert_allclose(back, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(pooling.max_pool_gather(x, taps, windows), values)
    np.testing.assert_array_equal(
        pooling.max_pool_indices(taps, windows), reference.max_pool_indices_reference(taps, lines)
    )


WINDOW_2 = (2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1)


def test_ties_infinities_and_nan() -> None:
    def pool(rows: list[list[float]]) -> tuple[float, int]:
        x = np.array([[rows]], np.float32)
        values, taps = pooling.max_pool(x, sliding("test", (2, 2), (1, 1), *WINDOW_2))
        return values.item(), taps.item()

    assert pool([[1, 3], [3, 2]]) == (3, 1)
    assert pool([[-np.inf, -np.inf], [-np.inf, -np.inf]]) == (-np.inf, 0)
    value, tap = pool([[np.nan, 5], [np.nan, 7]])
    assert np.isnan(value) and tap == 2


def test_averages_count_padding_but_no_overhang() -> None:
    x = np.ones((1, 1, 4), np.float32)
    windows = sliding("test", (4,), (3,), (3,), (2,), ((1, 0),), (1,))
    np.testing.assert_allclose(pooling.avg_pool(x, windows).ravel(), [2 / 3, 1, 1])
    np.testing.assert_allclose(pooling.avg_pool(x, windows, False).ravel(), [1, 1, 1])


def test_a_read_only_array_is_not_compiled_for_again() -> None:
    def call() -> int:
        pooling.max_pool_indices(taps, windows)
        return len(pooling_loops.indices._parallel.overloads)

    windows = sliding("test", (2, 2), (1, 1), *WINDOW_2)
    taps = np.zeros((1, 2, 1, 1), np.uint8)
    before = call()
    taps.flags.writeable = False
    assert call() == before


@pytest.fixture
def thread_count() -> Iterator[None]:
    before = threads.get_num_threads()
    yield
    threads.set_num_threads(before)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.usefixtures("thread_count")
def test_same_bits_whatever_the_number_of_threads(dtype: Any) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(3, 6, 19, 17)).astype(dtype)
    windows = sliding("test", (19, 17), (10, 9), (3, 3), (2, 2), ((1, 1),) * 2, (1, 1))
    grad = rng.normal(size=(3, 6, 10, 9)).astype(dtype)
    _, taps = pooling.max_pool(x, windows)
    entries: dict[str, Callable[[], np.ndarray]] = {
        "avg_pool": lambda: pooling.avg_pool(x, windows),
        "avg_pool_backward": lambda: pooling.avg_pool_backward(grad, windows),
        "max_pool": lambda: pooling.max_pool(x, windows)[0],
        "max_pool taps": lambda: pooling.max_pool(x, windows)[1],
        "max_pool_backward": lambda: pooling.max_pool_backward(grad, taps, windows),
        "max_pool_gather": lambda: pooling.max_pool_gather(x, taps, windows),
        "max_pool_indices": lambda: pooling.max_pool_indices(taps, windows),
    }
    for name, entry in entries.items():
        results = []
        for n in (1, 2):
            threads.set_num_threads(n)
            results.append(entry().tobytes())
        assert results[0] == results[1], name


X = np.zeros((2, 4, 8, 8), np.float32)
POOLED = np.zeros((2, 4, 4, 4), np.float32)
TAPS = np.zeros((2, 4, 4, 4), np.uint8)
WINDOWS = sliding("test", (8, 8), (4, 4), *WINDOW_2)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: sliding("test", (8, 8), (5, 4), *WINDOW_2), ShapeError),
        (lambda: pooling.avg_pool(X[0, 0], WINDOWS), ShapeError),
        (lambda: pooling.avg_pool(X[None], WINDOWS), ShapeError),
        (lambda: pooling.avg_pool(X[..., :7], WINDOWS), ShapeError),
        (lambda: pooling.avg_pool(X.astype(np.float16), WINDOWS), DtypeError),
        (lambda: pooling.avg_pool(X.astype(">f4"), WINDOWS), DtypeError),
        (lambda: pooling.avg_pool_backward(X, WINDOWS), ShapeError),
        (lambda: pooling.max_pool(POOLED, WINDOWS), ShapeError),
        (lambda: pooling.max_pool_backward(POOLED, TAPS[:1], WINDOWS), ShapeError),
        (lambda: pooling.max_pool_backward(POOLED, TAPS.astype(np.int32), WINDOWS), DtypeError),
        (lambda: pooling.max_pool_gather(X, TAPS[:, :3], WINDOWS), ShapeError),
        (lambda: pooling.max_pool_gather(X, TAPS.astype(np.int64), WINDOWS), DtypeError),
        (lambda: pooling.max_pool_indices(TAPS + np.uint8(4), WINDOWS), IndexingError),
        (lambda: pooling.max_pool_indices(TAPS[..., :3], WINDOWS), ShapeError),
        (
            lambda: require_real_taps(
                "test", sliding("test", (2,), (1,), (3,), (1,), ((1, 1),), (3,))
            ),
            ShapeError,
        ),
    ],
)
def test_wrong_arguments_never_reach_the_loops(call: Callable[[], Any], error: type) -> None:
    with pytest.raises(error) as caught:
        call()
    assert len(str(caught.value)) > 30
