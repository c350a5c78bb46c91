"""Optimizers: each against its formula, number by number, and settings, groups and states."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim
from minigrad.errors import ArgumentError, StateDictError

STEPS = 7


def sgd(
    theta: float,
    gradients: list[float],
    lr: float = 1e-3,
    momentum: float = 0,
    dampening: float = 0,
    weight_decay: float = 0,
    nesterov: bool = False,
    maximize: bool = False,
) -> float:
    velocity = None
    for gradient in gradients:
        d = (-gradient if maximize else gradient) + weight_decay * theta
        if momentum:
            velocity = d if velocity is None else momentum * velocity + (1 - dampening) * d
            d = d + momentum * velocity if nesterov else velocity
        theta -= lr * d
    return theta


def adam(
    theta: float,
    gradients: list[float],
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0,
    amsgrad: bool = False,
    maximize: bool = False,
    decoupled: bool = False,
) -> float:
    m = v = largest = 0.0
    for t, gradient in enumerate(gradients, start=1):
        g = -gradient if maximize else gradient
        if decoupled:
            theta -= lr * weight_decay * theta
        else:
            g += weight_decay * theta
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g * g
        largest = max(largest, v)
        corrected = (largest if amsgrad else v) / (1 - betas[1] ** t)
        theta -= lr * m / (1 - betas[0] ** t) / (math.sqrt(corrected) + eps)
    return theta


def adamw(theta: float, gradients: list[float], **settings: Any) -> float:
    return adam(theta, gradients, decoupled=True, **{"weight_decay": 1e-2, **settings})


CASES: list[tuple[type[optim.Optimizer], Callable[..., float], dict[str, Any]]] = [
    (optim.SGD, sgd, {}),
    (optim.SGD, sgd, {"lr": 0.1, "weight_decay": 0.3}),
    (optim.SGD, sgd, {"lr": 0.1, "momentum": 0.9}),
    (optim.SGD, sgd, {"lr": 0.1, "momentum": 0.9, "dampening": 0.4, "weight_decay": 0.1}),
    (optim.SGD, sgd, {"lr": 0.1, "momentum": 0.8, "nesterov": True, "weight_decay": 0.1}),
    (optim.SGD, sgd, {"lr": 0.1, "momentum": 0.8, "maximize": True, "weight_decay": 0.1}),
    (optim.SGD, sgd, {"lr": 0.0}),
    (optim.Adam, adam, {}),
    (optim.Adam, adam, {"lr": 0.1, "betas": (0.5, 0.7), "eps": 0.1}),
    (optim.Adam, adam, {"lr": 0.1, "weight_decay": 0.3, "maximize": True}),
    (optim.Adam, adam, {"lr": 0.1, "betas": (0.5, 0.3), "amsgrad": True}),
    (optim.Adam, adam, {"lr": 0.1, "betas": (0.0, 0.0)}),
    (optim.AdamW, adamw, {}),
    (optim.AdamW, adamw, {"lr": 0.1, "weight_decay": 0.3}),
    (optim.AdamW, adamw, {"lr": 0.1, "weight_decay": 0.3, "amsgrad": True, "maximize": True}),
]


def set_gradient(parameter: mg.Tensor, values: Any) -> None:
    parameter.grad = mg.tensor(np.asarray(values), parameter.dtype)


@pytest.mark.parametrize(("optimizer", "reference", "settings"), CASES)
@pytest.mark.parametrize("shape", [(), (4,), (2, 3)])
def test_follows_its_formula(
    optimizer: type, reference: Callable[..., float], settings: dict, shape: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=shape), rng.normal(size=(STEPS, *shape))
    gradients *= np.linspace(3, 0.1, STEPS).reshape(-1, *(1 for _ in shape))
    parameter = nn.Parameter(mg.tensor(start))
    trainer = optimizer([parameter], **settings)
    for gradient in gradients:
        set_gradient(parameter, gradient)
        trainer.step()
    found = parameter.detach().numpy()
    for position in np.ndindex(shape):
        listed = [float(gradient[position]) for gradient in gradients]
        expected = reference(float(start[position]), listed, **settings)
        np.testing.assert_allclose(found[position], expected, rtol=1e-12, atol=1e-14)
    assert parameter.dtype == np.float64
    assert parameter.is_leaf
    assert parameter.requires_grad


def problem(dtype: str = "float32") -> tuple[list[nn.Parameter], Callable[[], mg.Tensor]]:
    mg.manual_seed(3)
    weights = [nn.Parameter(mg.randn((3, 2), dtype)), nn.Parameter(mg.randn((), dtype))]
    weights.append(nn.Parameter(mg.randn(2, dtype)))
    x = mg.randn((5, 3), dtype)
    return weights, lambda: ((x @ weights[0] * weights[1] + weights[2]) ** 2).sum()


def train(trainer: optim.Optimizer, loss: Callable[[], mg.Tensor], steps: int) -> None:
    for _ in range(steps):
        trainer.zero_grad()
        loss().backward()
        trainer.step()


def bits(weights: list[nn.Parameter]) -> list[bytes]:
    return [weight.detach().numpy().tobytes() for weight in weights]


class TestStepping:
    @pytest.mark.parametrize("name", list(optim.OPTIMIZERS))
    def test_lowers_a_loss(self, name: str) -> None:
        weights, loss = problem()
        before = loss().item()
        train(optim.OPTIMIZERS[name](weights, lr=0.02), loss, 30)
        assert loss().item() < 0.7 * before

    def test_a_parameter_without_a_gradient_stays(self) -> None:
        weights, _ = problem()
        before = bits(weights)
        trainer = optim.AdamW(weights, lr=0.1)
        set_gradient(weights[2], [1.0, 1.0])
        trainer.step()
        assert [a == b for a, b in zip(bits(weights), before, strict=True)] == [True, True, False]
        assert list(trainer.state_dict()["state"]) == [2]

    def test_closure(self) -> None:
        weights, loss = problem()
        trainer = optim.SGD(weights, lr=0.1)

        def closure() -> mg.Tensor:
            trainer.zero_grad()
            value = loss()
            value.backward()
            return value

        expected = loss().item()
        with mg.no_grad():
            assert trainer.step(closure).item() == expected
        assert loss().item() != expected
        assert trainer.step() is None

    @pytest.mark.parametrize("name", list(optim.OPTIMIZERS))
    def test_a_step_writes_into_nothing_that_was_recorded(self, name: str) -> None:
        a, b = nn.Parameter([2.0, 3.0]), nn.Parameter([5.0, 7.0])
        product = (a * b).sum()
        held, old = a.detach(), a.detach().numpy()
        set_gradient(a, [1.0, 1.0])
        set_gradient(b, [1.0, 1.0])
        gradient = a.grad
        trainer = optim.OPTIMIZERS[name]([a, b], lr=0.5)
        for _ in range(3):
            trainer.step()
        assert gradient is a.grad
        assert gradient.tolist() == [1, 1]
        assert held.tolist() == old.tolist() == [2, 3]
        assert a.tolist() != [2, 3]
        trainer.zero_grad()
        product.backward()
        assert a.grad.tolist() == [5, 7]
        assert b.grad.tolist() == [2, 3]

    def test_momentum_does_not_follow_the_gradient_it_started_from(self) -> None:
        a = nn.Parameter([1.0])
        trainer = optim.SGD([a], lr=1.0, momentum=0.5)
        (a * 3).sum().backward()
        trainer.step()
        (a * 3).sum().backward()  # adds to the gradient
        trainer.step()
        assert a.item() == 1 - 3 - (0.5 * 3 + 6)

    def test_zero_grad(self) -> None:
        weights, loss = problem()
        trainer = optim.SGD(weights)
        loss().backward()
        set_gradient(weights[2], [float("nan"), float("inf")])
        trainer.zero_grad(set_to_none=False)
        assert [weight.grad.tolist() for weight in weights] == [[[0, 0]] * 3, 0, [0, 0]]
        trainer.zero_grad()
        assert all(weight.grad is None for weight in weights)

    @pytest.mark.parametrize("number", [np.float64, np.float32, float])
    def test_numpy_settings_leave_the_dtype_alone(self, number: type) -> None:
        weights, loss = problem()
        trainer = optim.Adam(weights, lr=number(0.25))
        trainer.param_groups[0]["lr"] = number(0.5)
        train(trainer, loss, 2)
        assert {weight.dtype for weight in weights} == {np.dtype("float32")}

    def test_a_subclass_states_its_update(self) -> None:
        class Sign(optim.Optimizer):
            def update(self, value: Any, grad: Any, state: dict, group: dict) -> Any:
                state["count"] = state.get("count", 0) + 1
                return value - group["lr"] * np.sign(grad)

        weight = nn.Parameter([1.0, 2.0])
        trainer = Sign([weight], {"lr": 0.5})
        set_gradient(weight, [3.0, -3.0])
        trainer.step()
        assert weight.tolist() == [0.5, 2.5]
        assert repr(trainer) == "Sign(lr=0.5)"


class TestGroups:
    def test_settings_of_their_own(self) -> None:
        a, b, c = (nn.Parameter([1.0]) for _ in range(3))
        trainer = optim.SGD([{"params": a}, {"params": [b], "lr": 0.5}], lr=0.25)
        trainer.add_param_group({"params": [c], "maximize": True})
        for weight in (a, b, c):
            set_gradient(weight, [1.0])
        trainer.step()
        assert [a.item(), b.item(), c.item()] == [0.75, 0.5, 1.25]
        assert [group["lr"] for group in trainer.param_groups] == [0.25, 0.5, 0.25]

    def test_what_is_no_parameter(self) -> None:
        a = nn.Parameter([1.0])
        for wrong, text in [
            ([], "at least one parameter, got none"),
            (a, "got a single tensor"),
            ([a, a], "given twice"),
            ([{"params": [a]}, {"params": [a]}], "given twice"),
            ([a * 2], "takes leaf tensors, got one that an op computed"),
            ([np.ones(2)], "takes leaf tensors, got a ndarray"),
            ([a, {"params": []}], "takes leaf tensors, got a dict"),
            ([{"lr": 1.0}], "a dictionary with 'params'"),
            ([{"params": [a], "speed": 1.0}], "unknown setting 'speed'"),
            ([{"params": [a], "lr": -1.0}], "lr must be at least 0, got -1.0"),
        ]:
            with pytest.raises(ArgumentError, match=text):
                optim.SGD(wrong)

    def test_a_refused_group_leaves_the_others(self) -> None:
        a, b = nn.Parameter([1.0]), nn.Parameter([1.0])
        trainer = optim.SGD([a])
        with pytest.raises(ArgumentError):
            trainer.add_param_group({"params": [b, a]})
        assert len(trainer.param_groups) == 1
        trainer.add_param_group({"params": [b]})


BAD_SETTINGS: list[tuple[type, dict[str, Any]]] = [
    *[(cls, {"lr": lr}) for cls in (optim.SGD, optim.Adam) for lr in (-1e-9, math.nan, "1", None)],
    (optim.SGD, {"lr": math.inf}),
    (optim.SGD, {"lr": (0.1, 0.1)}),
    (optim.SGD, {"momentum": -0.1}),
    (optim.SGD, {"dampening": math.nan}),
    (optim.SGD, {"weight_decay": -1}),
    (optim.SGD, {"nesterov": True}),
    (optim.SGD, {"nesterov": True, "momentum": 0.9, "dampening": 0.1}),
    (optim.Adam, {"betas": (1.0, 0.9)}),
    (optim.Adam, {"betas": (0.9, -0.1)}),
    (optim.Adam, {"betas": (0.9,)}),
    (optim.Adam, {"betas": 0.9}),
    (optim.Adam, {"eps": -1e-8}),
    (optim.AdamW, {"weight_decay": math.nan}),
]


@pytest.mark.parametrize(("optimizer", "settings"), BAD_SETTINGS)
def test_bad_settings(optimizer: type, settings: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError):
        optimizer([nn.Parameter([1.0])], **settings)


def test_a_schedule_cannot_set_what_the_constructor_refuses() -> None:
    weights, loss = problem()
    trainer = optim.SGD(weights)
    loss().backward()
    before = bits(weights)
    trainer.param_groups[0]["lr"] = math.nan
    with pytest.raises(ArgumentError, match="lr must be at least 0, got nan"):
        trainer.step()
    assert bits(weights) == before


class TestState:
    @pytest.mark.parametrize("through_a_file", [False, True])
    @pytest.mark.parametrize(("optimizer", "reference", "settings"), CASES)
    def test_training_goes_on_bit_for_bit(
        self,
        optimizer: type,
        reference: Any,
        settings: dict,
        through_a_file: bool,
        tmp_path: Path,
    ) -> None:
        weights, loss = problem()
        trainer = optimizer(weights, **settings)
        train(trainer, loss, 3)
        state: dict[str, Any] = {"optimizer": trainer.state_dict(), "weights": weights}
        if through_a_file:
            mg.save(state, tmp_path / "state.safetensors")
            state = mg.load(tmp_path / "state.safetensors")
        others, other_loss = problem()
        for weight, value in zip(others, state["weights"], strict=True):
            weight.assign(value.detach())
        train(trainer, loss, 3)
        resumed = optimizer(others, lr=123.0)
        resumed.load_state_dict(state["optimizer"])
        assert repr(resumed) == repr(optimizer(weights, **settings))
        train(resumed, other_loss, 3)
        assert bits(others) == bits(weights)

    def test_a_state_is_a_copy_in_time(self) -> None:
        weights, loss = problem()
        trainer = optim.Adam(weights)
        train(trainer, loss, 1)
        state = trainer.state_dict()
        before = state["state"][0]["exp_avg"].tolist()
        train(trainer, loss, 2)
        assert state["state"][0]["step"] == 1
        assert state["state"][0]["exp_avg"].tolist() == before
        assert list(state["state"][0]) == ["step", "exp_avg", "exp_avg_sq"]
        assert state["param_groups"][0]["params"] == [0, 1, 2]

    def test_amsgrad_can_be_turned_on_later(self) -> None:
        weights, loss = problem()
        trainer = optim.Adam(weights)
        train(trainer, loss, 1)
        trainer.param_groups[0]["amsgrad"] = True
        train(trainer, loss, 1)
        assert "max_exp_avg_sq" in trainer.state_dict()["state"][0]

    @pytest.mark.parametrize(
        "damage",
        [
            lambda s: s.pop("state"),
            lambda s: s.pop("param_groups"),
            lambda s: s.update(state=3),
            lambda s: s.update(state={"x": {}}),
            lambda s: s.update(state={7: {}}),
            lambda s: s.update(state={0: [1]}),
            lambda s: s.update(param_groups=5),
            lambda s: s.update(param_groups=[]),
            lambda s: s["param_groups"][0].update(params=[0, 1]),
            lambda s: s["param_groups"][0].pop("lr"),
            lambda s: s["param_groups"][0].update(lr=-1.0),
            lambda s: s["param_groups"][0].update(betas=[0.9]),
            lambda s: s["param_groups"].append(s["param_groups"][0]),
            lambda s: s["state"][0].pop("exp_avg"),
            lambda s: s["state"][0].update(velocity=1.0),
            lambda s: s["state"][0].update(step=-1),
            lambda s: s["state"][0].update(step=1.5),
            lambda s: s["state"][0].update(step=math.inf),
            lambda s: s["state"][0].update(step="many"),
            lambda s: s["state"][2].update(exp_avg=mg.ones(3)),
            lambda s: s["state"][2].update(exp_avg=0.5),
            lambda s: s["state"][2].update(exp_avg=np.array(["x", "y"])),
        ],
    )
    def test_a_wrong_state_changes_nothing(self, damage: Callable[[dict], Any]) -> None:
        weights, loss = problem()
        trainer, other = optim.Adam(weights), optim.Adam(problem()[0], lr=0.5)
        train(trainer, loss, 1)
        set_gradient(other.param_groups[0]["params"][1], 1.0)
        other.step()
        state, before = trainer.state_dict(), repr(other.state_dict())
        damage(state)
        with pytest.raises(StateDictError):
            other.load_state_dict(state)
        assert repr(other.state_dict()) == before

    def test_the_state_of_another_optimizer(self) -> None:
        weights, loss = problem()
        trainer = optim.SGD(weights, momentum=0.9)
        train(trainer, loss, 1)
        with pytest.raises(StateDictError, match="no setting 'betas'; is it another optimizer's"):
            optim.Adam(weights).load_state_dict(trainer.state_dict())
        adam = optim.Adam(weights)
        train(adam, loss, 1)
        optim.AdamW(weights).load_state_dict(adam.state_dict())


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
def test_a_parameter_keeps_its_layout_in_memory(name: str) -> None:
    """In another one, as after loading a checkpoint, a product of matrices may round otherwise."""
    parameter = mg.ones((200, 120), requires_grad=True)
    parameter.grad = mg.asarray(np.asfortranarray(np.full((200, 120), 0.5, np.float32)))
    getattr(mg.optim, name)([parameter], lr=0.1).step()
    assert parameter.detach().numpy().flags.c_contiguous
