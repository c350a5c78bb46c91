"""Random tensors beyond rand and randn, tensors made after others, and questions about dtypes."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg


def test_the_seed_settles_every_draw() -> None:
    draws = [
        lambda: mg.uniform(-1, 1, 5),
        lambda: mg.normal(1, 2, (2, 3)),
        lambda: mg.randint(0, 10, 8),
        lambda: mg.randperm(7),
        lambda: mg.bernoulli(mg.full((9,), 0.5)),
        lambda: mg.rand_like(mg.zeros(4)),
        lambda: mg.randn_like(mg.zeros(4, "float64")),
    ]
    for draw in draws:
        mg.manual_seed(3)
        first, second = draw(), draw()
        mg.manual_seed(3)
        assert draw().tolist() == first.tolist()
        assert first.shape == second.shape
        assert draw().tolist() == second.tolist()


def test_distributions() -> None:
    mg.manual_seed(1)
    u = mg.uniform(2, 4, 20_000, "float64").numpy()
    assert u.min() >= 2 and u.max() < 4
    assert abs(u.mean() - 3) < 0.02
    z = mg.normal(5, 3, 20_000, "float64").numpy()
    assert abs(z.mean() - 5) < 0.1
    assert abs(z.std() - 3) < 0.1
    whole = mg.randint(-2, 3, 20_000).numpy()
    assert np.unique(whole).tolist() == [-2, -1, 0, 1, 2]
    assert sorted(mg.randperm(50).tolist()) == list(range(50))
    coins = mg.bernoulli(mg.tensor([0.0, 1.0, 0.25]).expand(20_000, 3)).numpy()
    np.testing.assert_allclose(coins.mean(axis=0), [0, 1, 0.25], atol=0.02)


def test_dtype_and_gradient_of_what_is_drawn() -> None:
    assert mg.randint(0, 4, (2, 2), "uint8").dtype == "uint8"
    assert mg.randint(-(2**63), 2**63, 3).dtype == "int64"
    assert mg.randperm(3, "float32").dtype == "float32"
    assert mg.uniform(0, 1, 2, requires_grad=True).is_leaf
    assert mg.normal(0, 1, 2, "float64", requires_grad=True).requires_grad


def test_made_after_another() -> None:
    x = mg.ones((2, 3), "float64")
    for y in (mg.empty_like(x), mg.full_like(x, 7), mg.rand_like(x), mg.randn_like(x)):
        assert y.spec == x.spec
    assert mg.full_like(x, 7, "int8").tolist() == [[7] * 3] * 2
    assert mg.empty((2, 0)).shape == (2, 0)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (("float32", "float64"), "float64"),
        ((mg.zeros(2), 1.5), "float32"),
        ((mg.zeros(2, "int8"), 1), "int8"),
        (("uint8", "int8"), "int16"),
        ((1, 2.5), "float32"),
        ((True,), "bool"),
        ((np.zeros(2, "float32"), mg.float64), "float64"),
    ],
)
def test_the_dtype_that_holds_all(given, expected) -> None:
    assert mg.result_type(*given) == expected


def test_questions_about_dtypes() -> None:
    assert mg.can_cast("int8", "int64")
    assert not mg.can_cast(mg.zeros(2, "float64"), "float32")
    assert mg.isdtype(mg.float32, "real floating")
    assert mg.isdtype("int8", ("bool", "signed integer"))
    assert not mg.isdtype("uint8", mg.int8)
    assert mg.finfo("float32").eps == np.finfo("float32").eps
    assert mg.finfo(mg.zeros(2, "float64")).bits == 64
    assert mg.iinfo("uint8").max == 255
