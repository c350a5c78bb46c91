"""Matrix products on several threads against NumPy's: shapes, dtypes, layouts, thread counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from minigrad import threads
from minigrad.errors import ShapeError
from minigrad.kernels.matmul import matmul

DRAWN = settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))


@DRAWN
@given(
    a=st.sampled_from([(3, 4), (2, 3, 4), (5, 1, 3, 4), (0, 3, 4), (2, 0, 4)]),
    b=st.sampled_from([(4, 6), (2, 4, 6), (1, 4, 6), (4, 0)]),
    dtype=st.sampled_from([np.float32, np.float64, np.int64]),
)
@example(a=(64, 400), b=(400, 120), dtype=np.float32)
@example(a=(120, 64), b=(64, 400), dtype=np.float64)
@example(a=(1500, 512), b=(512, 33), dtype=np.float32)
@example(a=(14, 2600), b=(2600, 33), dtype=np.float32)
@example(a=(700, 300), b=(300, 400), dtype=np.float32)
@example(a=(12, 100, 200), b=(200, 300), dtype=np.float32)
@example(a=(3, 1, 130, 200), b=(5, 200, 130), dtype=np.float64)
@example(a=(1, 40000), b=(40000, 1000), dtype=np.float32)
def test_equals_numpys(a: tuple[int, ...], b: tuple[int, ...], dtype: Any) -> None:
    rng = np.random.default_rng(0)
    left, right = (rng.integers(-3, 4, shape).astype(dtype) for shape in (a, b))
    try:
        expected = np.matmul(left, right)
    except ValueError:
        with pytest.raises(ShapeError):
            matmul(left, right)
        return
    for transposed in (False, True):
        operand = np.ascontiguousarray(right.swapaxes(-1, -2)).swapaxes(-1, -2)
        out = matmul(left, operand if transposed else right)
        assert out.dtype == expected.dtype
        np.testing.assert_array_equal(out, expected)
        turned = np.ascontiguousarray(left.swapaxes(-1, -2)).swapaxes(-1, -2)
        np.testing.assert_array_equal(matmul(turned, right), expected)
    strided = np.repeat(left, 2, axis=-1)[..., ::2]
    np.testing.assert_array_equal(matmul(strided, right), expected)


@pytest.fixture
def thread_count() -> Iterator[None]:
    before = threads.get_num_threads()
    yield
    threads.set_num_threads(before)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("rows", "columns"), [(500, 403), (500, 1), (61, 403)])
@pytest.mark.usefixtures("thread_count")
def test_same_bits_whatever_the_number_of_threads(dtype: Any, rows: int, columns: int) -> None:
    rng = np.random.default_rng(1)
    a = rng.normal(size=(rows, 301)).astype(dtype)
    b = rng.normal(size=(301, 403)).astype(dtype)[:, :columns]
    results = set()
    for n in (1, 2, 4):
        threads.set_num_threads(n)
        results.add(matmul(a, b).tobytes())
    assert len(results) == 1


X = np.zeros((4, 8, 8), np.float32)


@pytest.mark.parametrize(
    "call",
    [
        lambda: matmul(X[0], X[0, :3]),
        lambda: matmul(X[0, 0], X[0]),
        lambda: matmul(np.zeros((2, 3, 3)), np.zeros((3, 3, 3))),
    ],
)
def test_wrong_arguments_are_refused(call: Callable[[], Any]) -> None:
    with pytest.raises(ShapeError, match="matmul: ") as caught:
        call()
    assert len(str(caught.value)) > 30
