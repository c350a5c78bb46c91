"""unfold and fold: the columns of convolution, and their transpose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.errors import ArgumentError, DtypeError, MinigradError, ShapeError
from minigrad.nn import functional

RNG = np.random.default_rng(5)
WINDOWS: list[dict[str, Any]] = [
    {"kernel_size": 2},
    {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 0), "dilation": (1, 2)},
    {"kernel_size": (1, 3), "stride": 3, "padding": ((0, 2), (1, 3))},
]


@pytest.mark.parametrize("how", WINDOWS)
@pytest.mark.parametrize("batch", [(), (2,)])
def test_convolution_is_a_product_with_the_columns(how: dict[str, Any], batch: Any) -> None:
    x = mg.tensor(RNG.normal(size=(*batch, 3, 6, 5)))
    size = how["kernel_size"]
    weight = mg.tensor(
        RNG.normal(size=(4, 3, *(size if isinstance(size, tuple) else (size, size))))
    )
    rest = {key: value for key, value in how.items() if key != "kernel_size"}
    expected = functional.conv2d(x, weight, **rest).numpy()
    columns = nn.Unfold(**how)(x)
    found = (weight.reshape(4, -1) @ columns).numpy()
    np.testing.assert_allclose(found, expected.reshape(found.shape), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("how", WINDOWS)
@pytest.mark.parametrize("batch", [(), (2,)])
def test_fold_is_the_transpose_of_unfold(how: dict[str, Any], batch: Any) -> None:
    x = mg.tensor(RNG.normal(size=(*batch, 3, 6, 5)), requires_grad=True)
    columns = functional.unfold(x, **how)
    cotangent = mg.tensor(RNG.normal(size=columns.shape))
    columns.backward(cotangent)
    folded = nn.Fold((6, 5), **how)(cotangent)
    assert folded.shape == x.shape
    np.testing.assert_allclose(folded.numpy(), x.grad.numpy(), rtol=1e-12, atol=1e-12)


def test_gradients_of_first_and_second_order() -> None:
    x, columns = RNG.normal(size=(1, 2, 4, 3)), RNG.normal(size=(1, 8, 6))
    how = {"kernel_size": 2}
    mg.gradcheck(lambda x: functional.unfold(x, **how) ** 2, x, order=2)
    mg.gradcheck(lambda x: functional.fold(x, (4, 3), **how) ** 2, columns, order=2)


def test_what_lies_outside_is_zero_even_beside_infinity() -> None:
    x = mg.full((1, 1, 1), float("inf"))
    assert (
        functional.unfold(x, 3, padding=1).tolist() == [[0.0]] * 4 + [[float("inf")]] + [[0.0]] * 4
    )


IMAGE = mg.zeros((2, 3, 5, 4))
REFUSED: list[tuple[Callable[[], Any], type[MinigradError], str]] = [
    (lambda: functional.unfold(IMAGE[0, 0], 2), ShapeError, r"unfold: .*\(5, 4\)"),
    (lambda: functional.unfold(IMAGE[:, :0], 2), ShapeError, r"unfold: .*\(2, 0, 5, 4\)"),
    (lambda: functional.unfold(IMAGE.astype("int64"), 2), DtypeError, "unfold: .*int64"),
    (lambda: functional.unfold(IMAGE, 6), ShapeError, "unfold: a window of 6"),
    (lambda: functional.unfold(IMAGE, 0), ArgumentError, "unfold: kernel_size"),
    (lambda: functional.unfold(IMAGE, (2, 2, 2)), ArgumentError, "unfold: kernel_size"),
    (lambda: functional.unfold(IMAGE, 2, stride=0), ArgumentError, "unfold: stride"),
    (lambda: functional.fold(mg.zeros((2, 8, 5)), (4, 3), 2), ShapeError, r"fold: .*\(2, 8, 5\)"),
    (lambda: functional.fold(mg.zeros((2, 7, 6)), (4, 3), 2), ShapeError, r"fold: .*\(2, 7, 6\)"),
    (lambda: functional.fold(mg.zeros(6), (4, 3), 2), ShapeError, r"fold: .*\(6,\)"),
    (lambda: functional.fold(mg.zeros((8, 6), "int32"), (4, 3), 2), DtypeError, "fold: .*int32"),
    (lambda: functional.fold(mg.zeros((8, 6)), (4, 3, 2), 2), ArgumentError, "fold: output_size"),
]


@pytest.mark.parametrize(("call", "error", "message"), REFUSED)
def test_is_refused(call: Callable[[], Any], error: type[MinigradError], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
