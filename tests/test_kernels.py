"""Every kernel against its NumPy reference, over shapes, windows, dtypes and memory layouts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from minigrad import threads
from minigrad.errors import ArgumentError, DtypeError, IndexingError, ShapeError
from minigrad.kernels import conv2d, matmul, pool2d, reference
from minigrad.kernels.window import plane

settings.register_profile(
    "kernels", deadline=None, max_examples=60, suppress_health_check=list(HealthCheck)
)
PROFILE = settings.get_profile("kernels")

NO_PADDING = ((0, 0), (0, 0))
DTYPES = st.sampled_from([np.float32, np.float64])
LAYOUTS = ("nchw", "nhwc", "strided", "reversed", "read-only", "unaligned")


@pytest.fixture
def thread_count() -> Iterator[None]:
    before = threads.get_num_threads()
    yield
    threads.set_num_threads(before)


def lay_out(array: np.ndarray, layout: str) -> np.ndarray:
    """The same values in another kind of memory."""
    if layout == "nhwc":
        return np.ascontiguousarray(array.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    if layout == "strided":
        wide = np.full((*array.shape[:-1], 2 * array.shape[-1]), np.nan, array.dtype)
        wide[..., ::2] = array
        return wide[..., ::2]
    if layout == "reversed":
        return array[..., ::-1].copy()[..., ::-1]
    if layout == "read-only":
        array = lay_out(array, "nhwc")
        array.flags.writeable = False
    if layout == "unaligned":
        memory = np.empty(array.nbytes + 1, np.uint8)
        shifted = memory[1:].view(array.dtype).reshape(array.transpose(0, 2, 3, 1).shape)
        shifted[...] = array.transpose(0, 2, 3, 1)
        return shifted.transpose(0, 3, 1, 2)
    return array


def whole_numbers(draw: Any, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Small whole numbers: their products and sums are exact, whatever the order."""
    seed = draw(st.integers(0, 2**32 - 1))
    values = np.random.default_rng(seed).integers(-3, 4, shape).astype(dtype)
    return lay_out(values, draw(st.sampled_from(LAYOUTS)))


@st.composite
def convolutions(draw: Any) -> dict[str, Any]:
    dtype, groups = draw(DTYPES), draw(st.sampled_from([1, 1, 2, 3]))
    depth, filters = draw(st.integers(1, 5)), draw(st.sampled_from([1, 2, 7, 16, 17]))
    pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
    kernel, stride, dilation = draw(pairs), draw(pairs), draw(pairs)
    sides = st.tuples(st.integers(0, 3), st.integers(0, 3))
    padding = draw(st.tuples(sides, sides))
    out = draw(st.tuples(st.integers(0, 6), st.integers(1, 6)))
    slack = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    size = tuple(
        max(1, (out[i] - 1) * stride[i] + (kernel[i] - 1) * dilation[i] + 1 - sum(padding[i]))
        + slack[i]
        for i in range(2)
    )
    N = draw(st.integers(0, 3))
    return {
        "x": whole_numbers(draw, (N, depth * groups, *size), dtype),
        "weight": whole_numbers(draw, (filters * groups, depth, *kernel), dtype),
        "grad": whole_numbers(draw, (N, filters * groups, *out), dtype),
        "window": (stride, padding, dilation, groups),
    }


def channels_last(array: np.ndarray) -> bool:
    return array.transpose(0, 2, 3, 1).flags.c_contiguous


@PROFILE
@given(case=convolutions(), with_bias=st.booleans())
def test_conv2d_equals_its_reference(case: dict[str, Any], with_bias: bool) -> None:
    x, weight, grad, window = case["x"], case["weight"], case["grad"], case["window"]
    bias = np.arange(weight.shape[0]).astype(x.dtype) if with_bias else None
    arguments = x, weight, bias, grad.shape[2:], *window
    out = conv2d.conv2d(*arguments)
    assert out.dtype == x.dtype and channels_last(out)
    np.testing.assert_array_equal(out, reference.conv2d_reference(*arguments))


@PROFILE
@given(case=convolutions())
def test_conv2d_input_grad_equals_its_reference(case: dict[str, Any]) -> None:
    arguments = case["grad"], case["weight"], case["x"].shape[2:], *case["window"]
    out = conv2d.conv2d_input_grad(*arguments)
    assert out.dtype == case["x"].dtype and channels_last(out)
    np.testing.assert_array_equal(out, reference.conv2d_input_grad_reference(*arguments))


@PROFILE
@given(case=convolutions())
def test_conv2d_weight_grad_equals_its_reference(case: dict[str, Any]) -> None:
    arguments = case["x"], case["grad"], case["weight"].shape[2:], *case["window"]
    out = conv2d.conv2d_weight_grad(*arguments)
    assert out.dtype == case["x"].dtype and out.flags.c_contiguous
    np.testing.assert_array_equal(out, reference.conv2d_weight_grad_reference(*arguments))


def test_conv2d_weight_grad_over_several_sums() -> None:
    rng = np.random.default_rng(0)
    x, grad = rng.normal(size=(7, 3, 20, 21)), rng.normal(size=(7, 4, 18, 19))
    arguments = x, grad, (3, 3), (1, 1), NO_PADDING, (1, 1), 1
    expected = reference.conv2d_weight_grad_reference(*arguments)
    np.testing.assert_allclose(conv2d.conv2d_weight_grad(*arguments), expected, rtol=1e-10)


@st.composite
def poolings(draw: Any, dilated: bool = False) -> dict[str, Any]:
    pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
    kernel, stride, size = draw(pairs), draw(pairs), draw(st.tuples(*[st.integers(1, 7)] * 2))
    dilation = draw(pairs) if dilated else (1, 1)
    reach = tuple((kernel[i] - 1) * dilation[i] + 1 for i in range(2))
    sides = [st.integers(0, kernel[i] // 2) for i in range(2)]
    padding = tuple((draw(side), draw(side)) for side in sides)
    out = []
    for i in range(2):
        span = size[i] + sum(padding[i]) - reach[i]
        count = max(0, span // stride[i] + 1)
        overhangs = count * stride[i] < size[i] + padding[i][0]
        out.append(count + (draw(st.booleans()) and overhangs))
    N, C = draw(st.integers(0, 3)), draw(st.sampled_from([1, 3, 17]))
    dtype = draw(DTYPES)
    x = whole_numbers(draw, (N, C, *size), dtype)
    grad = whole_numbers(draw, (N, C, *out), dtype)
    return {"x": x, "grad": grad, "window": (kernel, stride, padding), "dilation": dilation}


@PROFILE
@given(case=poolings(), count_include_pad=st.booleans())
def test_avg_pool2d_equals_its_reference(case: dict[str, Any], count_include_pad: bool) -> None:
    x, grad, rest = case["x"], case["grad"], (*case["window"], count_include_pad)
    out = pool2d.avg_pool2d(x, grad.shape[2:], *rest)
    expected = reference.avg_pool2d_reference(x, grad.shape[2:], *rest)
    assert out.dtype == x.dtype and channels_last(out)
    np.testing.assert_array_equal(out, expected)
    back = pool2d.avg_pool2d_backward(grad, x.shape[2:], *rest)
    expected = reference.avg_pool2d_backward_reference(grad, x.shape[2:], *rest)
    assert back.dtype == x.dtype and channels_last(back)
    np.testing.assert_allclose(back, expected, rtol=1e-5, atol=1e-5)


@PROFILE
@given(case=poolings(dilated=True), nan_every=st.sampled_from([0, 2, 9]))
def test_max_pool2d_equals_its_reference(case: dict[str, Any], nan_every: int) -> None:
    x, grad = case["x"], case["grad"]
    if nan_every:
        x = np.where(np.arange(x.size).reshape(x.shape) % nan_every == 0, np.nan, x).astype(x.dtype)
    arguments = x, grad.shape[2:], *case["window"], case["dilation"]
    expected, expected_indices = reference.max_pool2d_reference(*arguments)
    if (expected_indices < 0).any() or not all_windows_real(case):
        with pytest.raises(ShapeError, match="nothing but padding"):
            pool2d.max_pool2d(*arguments)
        return
    values, indices = pool2d.max_pool2d(*arguments)
    assert values.dtype == x.dtype and channels_last(values) and indices.dtype == np.int64
    np.testing.assert_array_equal(values, expected)
    np.testing.assert_array_equal(indices, expected_indices)
    np.testing.assert_array_equal(
        pool2d.max_pool2d_backward(grad, indices, x.shape[2:]),
        reference.max_pool2d_backward_reference(grad, indices, x.shape[2:]),
    )
    np.testing.assert_array_equal(pool2d.max_pool2d_gather(x, indices), values)
    np.testing.assert_array_equal(reference.max_pool2d_gather_reference(x, indices), values)


def all_windows_real(case: dict[str, Any]) -> bool:
    """Whether every window holds a real element, images or not."""
    ones = np.ones((1, 1, *case["x"].shape[2:]), np.float32)
    rest = *case["window"], case["dilation"]
    _, indices = reference.max_pool2d_reference(ones, case["grad"].shape[2:], *rest)
    return bool((indices >= 0).all())


def test_a_read_only_array_is_not_compiled_for_again() -> None:
    def call() -> int:
        pool2d.max_pool2d_gather(x, indices)
        return len(pool2d._gather._parallel.overloads)  # type: ignore[attr-defined]

    x = lay_out(np.ones((1, 2, 3, 3), np.float32), "nhwc")
    indices = np.zeros((1, 2, 1, 1), np.int64)
    before = call()
    x.flags.writeable = indices.flags.writeable = False
    assert call() == before


def test_max_pool2d_of_ties_infinities_and_nan() -> None:
    def pool(rows: list[list[float]]) -> tuple[float, int]:
        x = np.array([[rows]], np.float32)
        values, indices = pool2d.max_pool2d(x, (1, 1), (2, 2), (2, 2), NO_PADDING, (1, 1))
        return values.item(), indices.item()

    assert pool([[1, 3], [3, 2]]) == (3, 1)
    assert pool([[-np.inf, -np.inf], [-np.inf, -np.inf]]) == (-np.inf, 0)
    value, index = pool([[np.nan, 5], [np.nan, 7]])
    assert np.isnan(value) and index == 2


def test_avg_pool2d_counts_padding_but_no_overhang() -> None:
    x = np.ones((1, 1, 4, 1), np.float32)
    window = (3, 1), (2, 1), ((1, 0), (0, 0))
    with_padding = pool2d.avg_pool2d(x, (3, 1), *window, True).ravel()
    without = pool2d.avg_pool2d(x, (3, 1), *window, False).ravel()
    np.testing.assert_allclose(with_padding, [2 / 3, 1, 1])
    np.testing.assert_allclose(without, [1, 1, 1])


@PROFILE
@given(
    a=st.sampled_from([(3, 4), (2, 3, 4), (5, 1, 3, 4), (0, 3, 4), (2, 0, 4)]),
    b=st.sampled_from([(4, 6), (2, 4, 6), (1, 4, 6), (4, 0)]),
    dtype=st.sampled_from([np.float32, np.float64, np.int64]),
)
@example(a=(700, 300), b=(300, 400), dtype=np.float32)
@example(a=(12, 100, 200), b=(200, 300), dtype=np.float32)
@example(a=(3, 1, 130, 200), b=(5, 200, 130), dtype=np.float64)
@example(a=(1, 40000), b=(40000, 1000), dtype=np.float32)
def test_matmul_equals_numpys(a: tuple[int, ...], b: tuple[int, ...], dtype: Any) -> None:
    rng = np.random.default_rng(0)
    left, right = (rng.integers(-3, 4, shape).astype(dtype) for shape in (a, b))
    try:
        expected = np.matmul(left, right)
    except ValueError:
        with pytest.raises(ShapeError):
            matmul.matmul(left, right)
        return
    for transposed in (False, True):
        operand = np.ascontiguousarray(right.swapaxes(-1, -2)).swapaxes(-1, -2)
        out = matmul.matmul(left, operand if transposed else right)
        assert out.dtype == expected.dtype
        np.testing.assert_array_equal(out, expected)


def every_entry(dtype: Any) -> dict[str, Callable[[], Any]]:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(3, 6, 19, 17)).astype(dtype)
    weight = rng.normal(size=(18, 3, 3, 2)).astype(dtype)
    window = (2, 1), ((1, 0), (2, 1)), (1, 2), 2
    grad = rng.normal(size=(3, 18, 9, 18)).astype(dtype)
    pooled = rng.normal(size=(3, 6, 9, 8)).astype(dtype)
    pool = (2, 2), (2, 2), NO_PADDING
    _, indices = pool2d.max_pool2d(x, (9, 8), *pool, (1, 1))
    a, b = rng.normal(size=(500, 301)).astype(dtype), rng.normal(size=(301, 403)).astype(dtype)
    return {
        "conv2d": lambda: conv2d.conv2d(x, weight, None, (9, 18), *window),
        "conv2d_input_grad": lambda: conv2d.conv2d_input_grad(grad, weight, (19, 17), *window),
        "conv2d_weight_grad": lambda: conv2d.conv2d_weight_grad(x, grad, (3, 2), *window),
        "avg_pool2d": lambda: pool2d.avg_pool2d(x, (9, 8), *pool, True),
        "avg_pool2d_backward": lambda: pool2d.avg_pool2d_backward(pooled, (19, 17), *pool, True),
        "max_pool2d": lambda: pool2d.max_pool2d(x, (9, 8), *pool, (1, 1))[0],
        "max_pool2d_backward": lambda: pool2d.max_pool2d_backward(pooled, indices, (19, 17)),
        "max_pool2d_gather": lambda: pool2d.max_pool2d_gather(x, indices),
        "matmul": lambda: matmul.matmul(a, b),
        "matmul, column": lambda: matmul.matmul(a, b[:, :1]),
    }


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.usefixtures("thread_count")
def test_same_bits_whatever_the_number_of_threads(dtype: Any) -> None:
    for name, entry in every_entry(dtype).items():
        results = []
        for n in (1, 2):
            threads.set_num_threads(n)
            results.append(entry().tobytes())
        assert results[0] == results[1], name


X = np.zeros((2, 4, 8, 8), np.float32)
W = np.zeros((6, 4, 3, 3), np.float32)
G = np.zeros((2, 6, 6, 6), np.float32)
PLAIN = (1, 1), NO_PADDING, (1, 1), 1
POOL = (2, 2), (2, 2), NO_PADDING
INDICES = np.zeros((2, 6, 6, 6), np.int64)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: conv2d.conv2d(X, W.astype(np.float64), None, (6, 6), *PLAIN), DtypeError),
        (lambda: conv2d.conv2d(X.astype(np.float16), W, None, (6, 6), *PLAIN), DtypeError),
        (lambda: conv2d.conv2d(X.astype(">f4"), W.astype(">f4"), None, (6, 6), *PLAIN), DtypeError),
        (lambda: conv2d.conv2d(X[0], W, None, (6, 6), *PLAIN), ShapeError),
        (lambda: conv2d.conv2d(X, W[:, :3], None, (6, 6), *PLAIN), ShapeError),
        (lambda: conv2d.conv2d(X, W, W[0, 0, 0], (6, 6), *PLAIN), ShapeError),
        (lambda: conv2d.conv2d(X, W, None, (7, 6), *PLAIN), ShapeError),
        (lambda: conv2d.conv2d(X, W, None, (-1, 6), *PLAIN), ShapeError),
        (lambda: conv2d.conv2d(X, W, None, (6, 6), *PLAIN[:3], 4), ArgumentError),
        (lambda: conv2d.conv2d(X, W, None, (6, 6), (0, 1), *PLAIN[1:]), ArgumentError),
        (lambda: conv2d.conv2d(X, W[:, :, :0], None, (6, 6), *PLAIN), ArgumentError),
        (
            lambda: conv2d.conv2d(X, W, None, (6, 6), (1, 1), ((-1, 3), (0, 0)), (1, 1), 1),
            ArgumentError,
        ),
        (lambda: conv2d.conv2d_input_grad(G, W, (7, 8), *PLAIN), ShapeError),
        (lambda: conv2d.conv2d_input_grad(G[:, :5], W, (8, 8), *PLAIN), ShapeError),
        (lambda: conv2d.conv2d_weight_grad(X[:1], G, (3, 3), *PLAIN), ShapeError),
        (lambda: conv2d.conv2d_weight_grad(X, G, (4, 3), *PLAIN), ShapeError),
        (lambda: conv2d.conv2d_weight_grad(X, G, (3, 3), *PLAIN[:3], 0), ArgumentError),
        (lambda: pool2d.avg_pool2d(X, (5, 4), *POOL, True), ShapeError),
        (lambda: pool2d.avg_pool2d_backward(G, (8, 8), *POOL, True), ShapeError),
        (lambda: pool2d.max_pool2d(X, (5, 4), *POOL, (1, 1)), ShapeError),
        (lambda: pool2d.max_pool2d_backward(G, INDICES - 1, (8, 8)), IndexingError),
        (lambda: pool2d.max_pool2d_backward(G, INDICES + 64, (8, 8)), IndexingError),
        (lambda: pool2d.max_pool2d_backward(G, INDICES[:1], (8, 8)), ShapeError),
        (lambda: pool2d.max_pool2d_backward(G, INDICES.astype(np.int32), (8, 8)), DtypeError),
        (lambda: pool2d.max_pool2d_gather(X, INDICES), ShapeError),
        (lambda: matmul.matmul(X[0, 0], W[0, 0]), ShapeError),
        (lambda: matmul.matmul(np.zeros((2, 3, 3)), np.zeros((3, 3, 3))), ShapeError),
        (lambda: plane("conv2d", (8, 8), (9, 8), (1, 1), (1, 1), NO_PADDING, (1, 1)), ShapeError),
    ],
)
def test_wrong_arguments_never_reach_the_loops(call: Callable[[], Any], error: type) -> None:
    with pytest.raises(error) as caught:
        call()
    assert len(str(caught.value)) > 30
