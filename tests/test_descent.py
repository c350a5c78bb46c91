"""Steps of optimizers that are one pass over a parameter: NumPy's, on any layout in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim

LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "gaps": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "reversed": lambda x: x[::-1].copy()[::-1],
}
CASES: list[tuple[type[optim.SGD] | type[optim.Adam], dict[str, Any]]] = [
    (optim.SGD, {}),
    (optim.SGD, {"weight_decay": 0.1, "maximize": True}),
    (optim.SGD, {"momentum": 0.9}),
    (optim.SGD, {"momentum": 0.9, "weight_decay": 0.1}),
    (optim.SGD, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    (optim.SGD, {"momentum": 0.9, "dampening": 0.3, "maximize": True}),
    (optim.Adam, {}),
    (optim.Adam, {"betas": (0.5, 0.3), "amsgrad": True}),
    (optim.Adam, {"weight_decay": 0.1, "eps": 0.1, "maximize": True}),
    (optim.AdamW, {"weight_decay": 0.3}),
    (optim.AdamW, {"amsgrad": True, "maximize": True}),
]
SHAPE = 333, 401


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = mg.get_num_threads()
    yield
    mg.set_num_threads(before)


def trained(
    optimizer: Any, settings: dict[str, Any], start: np.ndarray, held: bool
) -> tuple[np.ndarray, ...]:
    """The parameter and all that is kept of it after three steps; with `held`, somebody holds the
    parameter's values all the time."""
    rng = np.random.default_rng(1)
    parameter = nn.Parameter(mg.asarray(start.copy(order="K")))
    parameter.assign(mg.asarray(start))
    trainer = optimizer([parameter], lr=0.1, **settings)
    kept = []
    for _ in range(3):
        grad = rng.normal(size=SHAPE).astype(start.dtype)
        if held:
            kept.append((parameter.detach().numpy(), parameter.detach().numpy().copy()))
        parameter.grad = mg.tensor(grad)
        trainer.step()
        np.testing.assert_array_equal(parameter.grad.numpy(), grad)
    for view, before in kept:
        np.testing.assert_array_equal(view, before)
    value = parameter.detach().numpy()
    if start.flags.forc:
        assert value.strides == start.strides
    state = trainer.state.get(parameter, {})
    return value, *[entry for entry in state.values() if isinstance(entry, np.ndarray)]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("optimizer", "settings"), CASES)
def test_a_step_in_one_pass_is_that_of_numpy(
    optimizer: Any,
    settings: dict[str, Any],
    dtype: str,
    layout: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start = LAYOUTS[layout](np.random.default_rng(0).normal(size=SHAPE).astype(dtype))
    found = []
    for least, count, held in ((1 << 60, 1, True), (0, 1, True), (0, 2, True), (0, 2, False)):
        monkeypatch.setattr("minigrad.optim.one_pass.LEAST", least)
        mg.set_num_threads(count)
        found.append([x.copy("C") for x in trained(optimizer, settings, start, held)])
    tolerance = 1e-6 if dtype == "float32" else 1e-14
    averages = 2 + bool(settings.get("amsgrad"))
    kept = bool(settings.get("momentum")) if optimizer is optim.SGD else averages
    assert len(found[0]) == 1 + kept
    for by_numpy, *by_kernel in zip(*found, strict=True):
        np.testing.assert_allclose(by_kernel[0], by_numpy, tolerance, 10 * tolerance)
        for other in by_kernel[1:]:
            np.testing.assert_array_equal(by_kernel[0], other)


@pytest.mark.parametrize(("optimizer", "settings"), CASES[2:])
def test_a_resumed_run_is_the_same_to_the_bit_whatever_its_layouts(
    optimizer: Any, settings: dict[str, Any]
) -> None:
    start = np.random.default_rng(2).normal(size=(160, 150)).astype(np.float32)
    grads = [np.cos(start * k) for k in range(1, 5)]

    def steps(parameter: mg.Tensor, trainer: optim.Optimizer, part: list[np.ndarray]) -> None:
        for grad in part:
            parameter.grad = mg.tensor(grad)
            trainer.step()

    whole = nn.Parameter(mg.asarray(np.repeat(start, 2, axis=1)[:, ::2]))
    trainer = optimizer([whole], lr=0.1, **settings)
    steps(whole, trainer, grads[:2])
    resumed = mg.asarray(np.asfortranarray(whole.detach().numpy())).requires_grad_()
    other = optimizer([resumed], lr=0.1, **settings)
    other.load_state_dict(trainer.state_dict())
    steps(whole, trainer, grads[2:])
    steps(resumed, other, grads[2:])
    np.testing.assert_array_equal(whole.detach().numpy(), resumed.detach().numpy())


@pytest.mark.parametrize("settings", [{}, {"amsgrad": True}, {"eps": 0.0}])
def test_numbers_that_are_none_spread_as_in_numpy(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """NaN and infinities in the gradient of one step, and zeros, of which 0 / 0 is NaN too."""
    found = []
    for least in (1 << 60, 0):
        monkeypatch.setattr("minigrad.optim.one_pass.LEAST", least)
        parameter = nn.Parameter(mg.ones((7, 7)))
        trainer = optim.Adam([parameter], **settings)
        for bad in ([1.0, 2.0, 0.0], [np.nan, np.inf, 0.0], [1.0, -np.inf, 0.0]):
            grad = np.resize(np.array(bad, np.float32), (7, 7))
            parameter.grad = mg.tensor(grad)
            with np.errstate(all="ignore"):
                trainer.step()
        state = [x for x in trainer.state[parameter].values() if isinstance(x, np.ndarray)]
        found.append([parameter.detach().numpy(), *state])
    assert np.isnan(found[0][0]).any()
    for by_numpy, by_kernel in zip(*found, strict=True):
        np.testing.assert_allclose(by_numpy, by_kernel, rtol=1e-6)


def test_the_dampening_spares_the_first_velocity_also_after_a_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parameter = nn.Parameter(mg.zeros((200, 200)))
    trainer = optim.SGD([parameter], lr=1.0, momentum=0.5, dampening=0.25)
    parameter.grad = mg.ones((200, 200))
    with monkeypatch.context() as patch:
        patch.setattr("minigrad.kernels.descent.descend", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            trainer.step()
    assert not parameter.detach().numpy().any()
    trainer.step()
    trainer.step()
    assert (parameter.detach().numpy() == -1 - (0.5 + 0.75)).all()
