"""The step of SGD that is one pass over a parameter: NumPy's, on any layout in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import optim

LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "gaps": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "settings",
    [{}, {"weight_decay": 0.1}, {"nesterov": True, "weight_decay": 0.01}, {"dampening": 0.3}],
)
def test_a_step_in_one_pass_is_that_of_numpy(
    settings: dict[str, Any], dtype: str, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    threads_before = mg.get_num_threads()
    for least, count in ((1 << 60, 1), (0, 1), (0, 2)):
        monkeypatch.setattr("minigrad.optim.one_pass.LEAST", least)
        mg.set_num_threads(count)
        rng = np.random.default_rng(1)
        start = LAYOUTS[layout](rng.normal(size=(333, 401)).astype(dtype))
        parameter = mg.asarray(start).requires_grad_()
        trainer = optim.SGD([parameter], lr=0.1, momentum=0.9, **settings)
        for _ in range(3):
            grad = rng.normal(size=(333, 401)).astype(dtype)
            before, kept = parameter.detach().numpy(), parameter.detach().numpy().copy()
            parameter.grad = mg.tensor(grad)
            trainer.step()
            np.testing.assert_array_equal(before, kept)
            np.testing.assert_array_equal(parameter.grad.numpy(), grad)
        value = parameter.detach().numpy()
        if layout != "gaps":
            assert value.strides == start.strides
        found.append([value.copy("C"), trainer.state[parameter]["momentum_buffer"].copy("C")])
    mg.set_num_threads(threads_before)
    tolerance = 1e-6 if dtype == "float32" else 1e-14
    np.testing.assert_allclose(found[0], found[1], tolerance, 10 * tolerance)
    np.testing.assert_array_equal(found[1], found[2])


def test_a_resumed_run_is_the_same_to_the_bit_whatever_its_layouts() -> None:
    start = np.random.default_rng(2).normal(size=(160, 150)).astype(np.float32)
    grads = [np.cos(start * k) for k in range(1, 5)]

    def steps(parameter: mg.Tensor, trainer: optim.SGD, part: list[np.ndarray]) -> None:
        for grad in part:
            parameter.grad = mg.tensor(grad)
            trainer.step()

    whole = mg.asarray(np.repeat(start, 2, axis=1)[:, ::2]).requires_grad_()
    trainer = optim.SGD([whole], lr=0.1, momentum=0.9)
    steps(whole, trainer, grads[:2])
    resumed = mg.asarray(np.asfortranarray(whole.detach().numpy())).requires_grad_()
    other = optim.SGD([resumed], lr=0.1, momentum=0.9)
    other.load_state_dict(trainer.state_dict())
    steps(whole, trainer, grads[2:])
    steps(resumed, other, grads[2:])
    np.testing.assert_array_equal(whole.detach().numpy(), resumed.detach().numpy())
