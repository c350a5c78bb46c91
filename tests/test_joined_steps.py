"""Small parameters updated as one: the same numbers as one by one, and nothing else is joined."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim
from minigrad.optim import joined

SETTINGS: list[tuple[Any, dict[str, Any]]] = [
    (optim.SGD, {}),
    (optim.SGD, {"momentum": 0.9, "dampening": 0.5, "weight_decay": 0.1}),
    (optim.SGD, {"momentum": 0.9, "nesterov": True, "maximize": True}),
    (optim.Adam, {"weight_decay": 0.1, "amsgrad": True}),
    (optim.AdamW, {"maximize": True}),
]
SHAPES = [(), (3,), (0,), (2, 3), (4, 1, 2)]


def parameters(dtype: str = "float32") -> list[nn.Parameter]:
    rng = np.random.default_rng(0)
    return [nn.Parameter(mg.asarray(rng.normal(size=shape).astype(dtype))) for shape in SHAPES]


def step(trainer: optim.Optimizer, given: list[nn.Parameter], seed: int) -> None:
    rng = np.random.default_rng(seed)
    for i, parameter in enumerate(given):
        parameter.grad = mg.asarray(rng.normal(size=parameter.shape).astype(parameter.dtype))
        if seed == 1 and i == 1:
            parameter.grad = None  # what joins later has another state
    trainer.step()


def found(trainer: optim.Optimizer, given: list[nn.Parameter]) -> list[Any]:
    states = [trainer.state.get(parameter, {}) for parameter in given]
    return [[p.detach().numpy() for p in given], [{**state} for state in states]]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("optimizer", "settings"), SETTINGS)
def test_equals_steps_one_by_one(
    optimizer: Any, settings: dict[str, Any], dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = []
    for least in (joined.LEAST, 0):
        monkeypatch.setattr(joined, "LEAST", least)
        given = parameters(dtype)
        trainer = optimizer(given, lr=0.1, **settings)
        for seed in range(4):
            step(trainer, given, seed)
        results.append(found(trainer, given))
    (values, states), (alone, alone_states) = results
    for value, other in zip(values, alone, strict=True):
        np.testing.assert_array_equal(value, other)
        assert value.dtype == other.dtype
    for state, other_state in zip(states, alone_states, strict=True):
        assert state.keys() == other_state.keys()
        for key, entry in state.items():
            np.testing.assert_array_equal(entry, other_state[key])


def test_update_is_called_once_for_all_that_are_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    update = optim.SGD.update

    def counted(self: Any, value: Any, *rest: Any) -> Any:
        sizes.append(value.size)
        return update(self, value, *rest)

    monkeypatch.setattr(optim.SGD, "update", counted)
    mixed = [*parameters(), *parameters("float64")]
    step(optim.SGD(mixed, lr=0.1), mixed, 0)
    assert sizes == [18, 18]


def test_values_held_stay_as_they_were() -> None:
    given = parameters()
    trainer = optim.SGD(given, lr=0.1, momentum=0.9)
    step(trainer, given, 0)
    held = [p.detach().numpy() for p in given]
    state = copy.deepcopy(trainer.state_dict())
    before = [value.copy() for value in held]
    step(trainer, given, 2)
    for value, other in zip(held, before, strict=True):
        np.testing.assert_array_equal(value, other)
    trainer.load_state_dict(state)
    again = parameters()
    for parameter, value in zip(again, before, strict=True):
        parameter.assign(value)
    other_trainer = optim.SGD(again, lr=0.1, momentum=0.9)
    other_trainer.load_state_dict(state)
    step(other_trainer, again, 2)
    for parameter, other_parameter in zip(given, again, strict=True):
        np.testing.assert_array_equal(parameter.detach(), other_parameter.detach())


def test_an_update_of_ones_own_is_called_for_each_parameter() -> None:
    class Scaled(optim.SGD):
        """Steps of the length of the gradient's."""

        def update(self, value: Any, grad: Any, state: Any, group: Any) -> Any:
            return value - group["lr"] * grad / np.linalg.norm(grad)

    given = [nn.Parameter(mg.ones(3)), nn.Parameter(mg.ones(2))]
    for parameter in given:
        parameter.grad = mg.ones(parameter.shape) * 5
    Scaled(given, lr=1.0).step()
    for parameter in given:
        expected = 1 - 1 / np.sqrt(parameter.size)
        np.testing.assert_allclose(parameter.detach().numpy(), expected, rtol=1e-6)
