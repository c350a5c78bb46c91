"""The source of randomness: a seed and a count, and nothing else, decide every draw."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.errors import ArgumentError
from minigrad.random import generator, next_draw


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = mg.get_num_threads()
    yield
    mg.set_num_threads(before)


def everything_random() -> bytes:
    results = [
        mg.rand((3, 4)),
        mg.randn(5, "float64"),
        nn.Linear(3, 2).weight,
        nn.functional.dropout(mg.ones(100), 0.4),
    ]
    return b"".join(result.detach().numpy().tobytes() for result in results)


def test_a_seed_starts_its_sequence() -> None:
    mg.manual_seed(7)
    first, second = everything_random(), everything_random()
    assert first != second
    mg.manual_seed(7)
    assert (everything_random(), everything_random()) == (first, second)
    mg.manual_seed(8)
    assert everything_random() != first


def test_the_state_is_the_seed_and_the_number_of_draws() -> None:
    mg.manual_seed(2**64 - 1)
    assert mg.get_rng_state() == (2**64 - 1, 0)
    mg.rand(1000)
    mg.rand(1)
    state = mg.get_rng_state()
    assert state == (2**64 - 1, 2)
    ahead = everything_random()
    mg.set_rng_state(state)
    assert everything_random() == ahead


def test_the_state_goes_through_a_file(tmp_path: Path) -> None:
    mg.manual_seed(2**64 - 1)
    mg.rand(3)
    mg.save({"rng": mg.get_rng_state()}, tmp_path / "state")
    ahead = everything_random()
    mg.set_rng_state(mg.load(tmp_path / "state")["rng"])
    assert everything_random() == ahead


def test_a_draw_can_be_made_again_on_its_own() -> None:
    mg.manual_seed(5)
    mg.rand(17)
    expected = mg.rand(4).tolist()
    assert generator((5, 1)).random(4, dtype=np.float32).tolist() == expected


def test_the_numbers_are_the_same_everywhere() -> None:
    mg.manual_seed(0)
    expected = [0.011546754286331562, 0.24154919656271812, 0.11142585551493822]
    assert mg.rand(3, "float64").tolist() == expected


def test_draws_do_not_depend_on_the_number_of_threads() -> None:
    found = set()
    for count in (1, 2, 4):
        mg.set_num_threads(count)
        mg.manual_seed(1)
        found.add(everything_random())
    assert len(found) == 1


def test_python_threads_never_share_a_draw() -> None:
    mg.manual_seed(9)
    with ThreadPoolExecutor(8) as pool:
        draws = list(pool.map(lambda _: next_draw(), range(2000)))
    assert sorted(draws) == [(9, number) for number in range(2000)]
    assert mg.get_rng_state() == (9, 2000)


def test_dropout_is_reproducible_and_its_gradient_has_its_mask() -> None:
    def run() -> tuple[Any, Any]:
        mg.manual_seed(4)
        x = mg.ones((50, 50), requires_grad=True)
        y = nn.Dropout(0.5)(x)
        mg.rand(3)  # a later draw does not reach the mask
        y.sum().backward()
        assert x.grad is not None
        return y.detach().numpy(), x.grad.numpy()

    (first, gradient), (second, _) = run(), run()
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, gradient)


@pytest.mark.parametrize(
    "call",
    [
        *[lambda seed=seed: mg.manual_seed(seed) for seed in (-1, 2**64, 1.5, "1", None, True)],
        *[
            lambda state=state: mg.set_rng_state(state)
            for state in (5, (1,), (1, 2, 3), (-1, 0), (0, -1), (0, 2**64), (0.5, 1), "12", None)
        ],
    ],
)
def test_what_is_no_seed_and_no_state(call: Callable[[], Any]) -> None:
    before = mg.get_rng_state()
    with pytest.raises(ArgumentError):
        call()
    assert mg.get_rng_state() == before
