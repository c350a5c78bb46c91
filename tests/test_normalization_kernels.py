"""The kernels bound by memory against NumPy: normalization, elementwise functions, softmax."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest

from minigrad import threads
from minigrad.errors import IndexingError
from minigrad.kernels import (
    channel_loops,
    channels,
    normalization,
    parallel,
    response,
    softmax,
    streaming,
)

rng = np.random.default_rng(20240607)

# One channel and many, fewer elements than a row of the kernels, several blocks, spans and tails.
SHAPES = [
    (5, 3),
    (1, 1),
    (2, 3, 2, 2),
    (4, 1, 7, 7),
    (8, 33, 5, 5),
    (3, 1100, 3, 3),
    (2, 16, 3, 2, 2),
    (40, 64, 28, 9),
    (3, 7, 211, 101),
]
TOLERANCE = {"float32": {"rtol": 2e-5, "atol": 2e-6}, "float64": {"rtol": 1e-11, "atol": 1e-12}}
LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "contiguous": lambda x: x,
    "channels-last": lambda x: np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1),
    "strided": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
    "reversed": lambda x: x[::-1].copy()[::-1],
    "unaligned": lambda x: _unaligned(x),
}


def _unaligned(x: np.ndarray) -> np.ndarray:
    last = np.moveaxis(x, 1, -1)
    memory = np.empty(x.nbytes + 1, np.uint8)[1:].view(x.dtype).reshape(last.shape)
    memory[...] = last
    return np.moveaxis(memory, -1, 1)


@pytest.fixture
def thread_count() -> Iterator[None]:
    before = threads.get_num_threads()
    yield
    threads.set_num_threads(before)


@pytest.fixture(params=["stored", "streamed"])
def stores(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both kinds of stores, whatever the size of the result."""
    monkeypatch.setattr(streaming, "STREAMED", 0 if request.param == "streamed" else 1 << 60)


def along(values: np.ndarray, ndim: int) -> np.ndarray:
    return values.reshape((1, -1, *[1] * (ndim - 2)))


def batch_norm_reference(
    x: np.ndarray, w: np.ndarray, b: np.ndarray, g: np.ndarray, eps: float
) -> tuple[np.ndarray, ...]:
    """Results and gradients in float64: y, mean, variance, and by x, w and b."""
    x, w, b, g = (array.astype(np.float64) for array in (x, w, b, g))
    axes = (0, *range(2, x.ndim))
    mean = x.mean(axes, keepdims=True)
    variance = ((x - mean) ** 2).mean(axes, keepdims=True)
    r = (variance + eps) ** -0.5
    unit = (x - mean) * r
    by_x = (
        along(w, x.ndim)
        * r
        * (g - g.mean(axes, keepdims=True) - unit * (g * unit).mean(axes, keepdims=True))
    )
    y = along(w, x.ndim) * unit + along(b, x.ndim)
    return y, mean.ravel(), variance.ravel(), by_x, (g * unit).sum(axes), g.sum(axes)


def drawn(shape: tuple[int, ...], dtype: str) -> tuple[np.ndarray, ...]:
    """x, weight, bias and a gradient."""
    x, g = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
    return x, rng.random(shape[1]).astype(dtype), rng.random(shape[1]).astype(dtype), g


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_batch_norm_is_that_of_numpy(shape: tuple[int, ...], dtype: str, stores: None) -> None:
    x, w, b, g = drawn(shape, dtype)
    y, mean, variance = normalization.batch_norm(x, w, b, 0.25)
    gradients = normalization.batch_norm_backward(g, x, w, mean, variance, 0.25)
    expected = batch_norm_reference(x, w, b, g, 0.25)
    scale = 1 + np.sqrt(x.size / shape[1])  # sums of so many terms of size one
    for got, wanted in zip((y, mean, variance, *gradients), expected, strict=True):
        assert got.dtype == dtype
        assert got.shape == wanted.shape
        np.testing.assert_allclose(got / scale, wanted / scale, **TOLERANCE[dtype])


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_layouts_and_frozen_inputs(layout: Callable[[np.ndarray], np.ndarray]) -> None:
    x, w, b, g = drawn((4, 6, 5, 3), "float32")
    expected = batch_norm_reference(x, w, b, g, 1e-5)
    x, g = layout(x), layout(g)
    for array in (x, w, b, g):
        array.flags.writeable = False
    y, mean, variance = normalization.batch_norm(x, w, b, 1e-5)
    by_x = normalization.batch_norm_backward(g, x, w, mean, variance, 1e-5)[0]
    np.testing.assert_allclose(y, expected[0], rtol=2e-5, atol=2e-6)
    np.testing.assert_allclose(by_x, expected[3], rtol=2e-5, atol=2e-6)
    np.testing.assert_allclose(
        normalization.channel_affine(x, w, b), x * along(w, 4) + along(b, 4), rtol=1e-6, atol=1e-6
    )
    classes = rng.integers(0, 6, (4, 5, 3))
    for got, wanted in zip(
        softmax.cross_entropy(x, classes), cross_entropy_reference(x, classes), strict=True
    ):
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(response.local_response_norm(x, 1, 0.0, 0.75, 1.0), x)


@pytest.mark.parametrize("shape", [(64, 3, 5, 5), (40, 64, 28, 9)], ids=str)
def test_a_large_mean_does_not_cancel(shape: tuple[int, ...]) -> None:
    x = (1e4 + 1e-2 * rng.standard_normal(shape)).astype(np.float32)
    w, b = np.ones(shape[1], np.float32), np.zeros(shape[1], np.float32)
    y, _, variance = normalization.batch_norm(x, w, b, 1e-12)
    expected = batch_norm_reference(x, w, b, x, 1e-12)
    np.testing.assert_allclose(variance, expected[2], rtol=1e-6)
    np.testing.assert_allclose(y, expected[0], rtol=1e-5, atol=1e-5)


def test_one_huge_value_does_not_spoil_the_rest() -> None:
    x = rng.standard_normal((50, 2, 40, 50)).astype(np.float32)
    x[0, 0, 0, 0] = 1e6  # what the sums are shifted by
    w = b = np.ones(2, np.float32)
    y, mean, variance = normalization.batch_norm(x, w, b, 1e-5)
    expected = batch_norm_reference(x, w, b, x, 1e-5)
    np.testing.assert_allclose(variance, expected[2], rtol=1e-6)
    assert (abs(mean - expected[1]) <= 1e-7 * np.sqrt(expected[2])).all()
    np.testing.assert_allclose(y, expected[0], rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("where", [0, 70])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_spoils_its_own_channel_alone(bad: float, where: int) -> None:
    x, w, b, _ = drawn((100, 3), "float32")
    x[where, 1] = bad
    with np.errstate(invalid="ignore"):
        y, mean, variance = normalization.batch_norm(x, w, b, 1e-5)
    np.testing.assert_array_equal(mean[1], np.float32(bad))
    assert np.isnan(variance[1])
    assert np.isnan(y[:, 1]).all()
    assert np.isfinite(y[:, [0, 2]]).all()


# -- elementwise ------------------------------------------------------------------------------

FUNCTIONS: dict[str, tuple[Callable[..., np.ndarray], int]] = {
    "add": (np.add, 2),
    "subtract": (np.subtract, 2),
    "multiply": (np.multiply, 2),
    "relu": (lambda x: np.maximum(x, 0), 1),
    "relu_backward": (lambda y, g: np.where(y > 0, g, 0), 2),
}
SLOPES: dict[str, Callable[..., np.ndarray]] = {
    "sigmoid_backward": lambda y, g: g * (y - y * y),
    "tanh_backward": lambda y, g: g - g * (y * y),
}


def refused(*_: np.ndarray) -> np.ndarray:
    raise AssertionError("NumPy was asked")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_elementwise_functions_are_those_of_numpy(
    name: str, dtype: str, stores: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel, "LEAST", 0)
    function, count = FUNCTIONS[name]
    for shape in [(), (7,), (1, 1), (3, 50, 1, 11), (5, 37, 41, 13)]:
        x = rng.standard_normal((count, *shape)).astype(dtype)
        if x.size > 100:
            x.reshape(-1)[:5] = np.nan, np.inf, -np.inf, 0.0, -0.0
        for inputs in (list(x), list(x.swapaxes(1, -1)) if len(shape) > 1 else list(x)):
            got = parallel.run(name, refused, *inputs)
            with np.errstate(invalid="ignore"):
                np.testing.assert_array_equal(got, function(*inputs))
            assert got.dtype == dtype
            if got.size > 100:
                assert got.strides == inputs[0].strides


def test_numpy_does_what_is_small_or_laid_out_differently() -> None:
    x = np.ones((64, 64, 64), np.float32)
    calls: list[int] = []

    def counted(*inputs: np.ndarray) -> np.ndarray:
        calls.append(1)
        return np.add(*inputs)

    for y in (x.T, x[:1], x.astype(np.float64), np.ones((), np.float32)):
        parallel.run("add", counted, x, y)
    gaps = np.ones((128, 64, 64), np.float32)[::2]
    parallel.run("add", counted, gaps, gaps)
    parallel.run("add", counted, x[:1], x[:1])
    parallel.run("add", counted, x.astype(np.int32), x.astype(np.int32))
    assert len(calls) == 7


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SLOPES)
def test_slopes_are_those_of_numpy(name: str, dtype: str, stores: None) -> None:
    for shape in [(1 << 15,), (3, 50, 37, 11), (5, 37, 41, 13)]:
        y, g = rng.standard_normal((2, *shape)).astype(dtype)
        got = parallel.run(name, refused, y, g)
        near = 4 * np.finfo(dtype).eps
        np.testing.assert_allclose(got, SLOPES[name](y, g), near, near * 9)
        y.reshape(-1)[:3] = np.nan, np.inf, -np.inf
        with np.errstate(invalid="ignore"):
            expected = SLOPES[name](y, g).reshape(-1)[:3]
        np.testing.assert_array_equal(parallel.run(name, refused, y, g).reshape(-1)[:3], expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_sigmoid_is_right_to_the_last_places(dtype: str, stores: None) -> None:
    x = np.concatenate([rng.normal(0, 9, 40001), np.linspace(-87, 87, 40002)]).astype(dtype)
    wide = np.longdouble if dtype == "float64" else np.float64
    expected = 1 / (1 + np.exp(-x.astype(wide)))
    got = parallel.run("sigmoid", refused, x)
    assert abs(got / expected - 1).max() < 4 * np.finfo(dtype).eps
    special = np.array([np.nan, np.inf, -np.inf, 0, -0.0, 1e30, -1e30, 800, -800], dtype)
    got = parallel.run("sigmoid", refused, np.repeat(special, 1 << 14))[:: 1 << 14]
    np.testing.assert_array_equal(got, np.array([np.nan, 1, 0, 0.5, 0.5, 1, 0, 1, 0], dtype))


def test_a_cotangent_is_laid_out_as_what_it_belongs_to() -> None:
    x = rng.standard_normal((5, 6, 7))
    other = LAYOUTS["channels-last"](rng.standard_normal((5, 6, 7)))
    same = parallel.alike(x, other)
    np.testing.assert_array_equal(same, x)
    assert same.strides == other.strides
    assert parallel.alike(x, x.copy()) is x


# -- softmax and cross-entropy ----------------------------------------------------------------


def softmax_reference(x: np.ndarray, axis: int) -> np.ndarray:
    powers = np.exp(x.astype(np.float64) - x.max(axis, keepdims=True))
    return np.asarray(powers / powers.sum(axis, keepdims=True))


def cross_entropy_reference(x: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    shares = softmax_reference(x, 1)
    chosen = np.moveaxis(np.eye(x.shape[1])[classes], -1, 1)
    return -np.log((shares * chosen).sum(1)), shares - chosen


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("length", [1, 3, 8, 16, 17, 33, 1000])
def test_softmax_is_that_of_numpy(length: int, dtype: str) -> None:
    for scale in (0.1, 3, 40):
        x = (scale * rng.standard_normal((9, length, 2))).astype(dtype)
        expected = softmax_reference(x, 1)
        tolerance = {"rtol": 3e-6 * max(1, scale), "atol": 1e-37}
        if dtype == "float64":
            tolerance = {"rtol": 3e-14 * max(1, scale), "atol": 1e-300}
        np.testing.assert_allclose(softmax.softmax(x, 1), expected, **tolerance)
        absolute = {"float32": 3e-6, "float64": 1e-13}[dtype] * max(1, scale)
        np.testing.assert_allclose(softmax.log_softmax(x, 1), np.log(expected), 0, absolute)
        classes = rng.integers(0, length, (9, 2))
        losses, slopes = softmax.cross_entropy(x, classes, 0.5)
        wanted = cross_entropy_reference(x, classes)
        np.testing.assert_allclose(losses, wanted[0], 0, absolute)
        np.testing.assert_allclose(slopes, wanted[1] / 2, 0, absolute)


@pytest.mark.parametrize(
    ("row", "shares"),
    [
        ([np.nan, 1, 2], [np.nan] * 3),
        ([1, 2, np.inf], [np.nan] * 3),
        ([-np.inf] * 3, [np.nan] * 3),
        ([-np.inf, 0, 0], [0, 0.5, 0.5]),
        ([-3e38, 3e38, 3e38], [0, 0.5, 0.5]),
        ([-200, 0, -200], [0, 1, 0]),
    ],
)
def test_what_is_not_finite_goes_through_softmax_as_in_numpy(row: list, shares: list) -> None:
    x = np.array([[0, 0, 0], row, [0, 0, 0]], np.float32)
    got = softmax.softmax(x, 1)
    np.testing.assert_array_equal(got[1], np.array(shares, np.float32))
    np.testing.assert_allclose(got[::2], 1 / 3)


@pytest.mark.parametrize("wrong", [-1, 3, 2**40])
def test_a_class_that_does_not_exist_is_an_error_and_no_crash(wrong: int) -> None:
    classes = np.zeros(1000, np.int64)
    classes[999] = wrong
    with pytest.raises(IndexingError, match=str(wrong)):
        softmax.cross_entropy(np.zeros((1000, 3), np.float32), classes)


# -- all of them ------------------------------------------------------------------------------


def _everything(dtype: str) -> dict[str, Callable[[], Any]]:
    x, w, b, g = (a.copy() for a in drawn((16, 70, 23, 19), dtype))
    mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3))
    classes = rng.integers(0, 70, (16, 23, 19))
    return {
        "batch_norm": partial(normalization.batch_norm, x, w, b, 1e-5),
        "batch_norm_backward": partial(
            normalization.batch_norm_backward, g, x, w, mean, variance, 1e-5
        ),
        "channel_affine": partial(normalization.channel_affine, x, w, b),
        "channel_sums": partial(normalization.channel_sums, g, x),
        "response": partial(response.local_response_norm, x, 5, 0.3, 0.6, 1.0),
        "response_backward": partial(
            response.local_response_norm_backward, g, x, 5, 0.3, 0.75, 1.0
        ),
        "softmax": partial(softmax.softmax, x, 1),
        "log_softmax": partial(softmax.log_softmax, x, 1),
        "cross_entropy": partial(softmax.cross_entropy, x, classes),
        "add": partial(parallel.run, "add", refused, x, g),
        "relu": partial(parallel.run, "relu", refused, x),
    }


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_number_of_threads_changes_no_bit(dtype: str, thread_count: None) -> None:
    calls = _everything(dtype)
    threads.set_num_threads(1)
    expected = {name: call() for name, call in calls.items()}
    for count in (2, 3, 4):
        threads.set_num_threads(count)
        for name, call in calls.items():
            np.testing.assert_equal(call(), expected[name], err_msg=name)


def test_the_layout_covers_every_element_once() -> None:
    for size, width in [(1, 1), (64, 64), (100_000, 1), (3 * 1001, 1001), (7 * 2048, 2048)]:
        layout = channels.layout_of(size, width, 4)
        assert layout.rows * layout.row + layout.tail == size
        assert layout.row % width == 0
        assert layout.row * 4 % streaming.LINE == 0
        cut = layout.rows, layout.tail, layout.blocks, channels.SPAN
        seen = np.zeros(size, np.int64)
        for job in range(layout.jobs):
            start, end, first, stop, left, last = channel_loops.bounds(job, layout.row, *cut)
            seen[:last].reshape(-1, layout.row)[start:end, first:stop] += 1
            seen[last:][first : first + left] += 1
        assert (seen == 1).all()
