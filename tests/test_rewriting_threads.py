"""While an optimizer writes over a value, other threads wait for it, a signal handler gets a copy,
and a forked child finds no half of a step."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from optimizer_steps import OPTIMIZERS, SHAPE, address, in_a_module, numbers, step

import minigrad as mg
from minigrad import nn
from minigrad.kernels.rewriting import settled


def during(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Have `act` called when the array is about to be written to."""
    from minigrad.kernels import descent

    run = descent.descend

    def interrupted(*arguments: Any) -> None:
        act()
        run(*arguments)

    monkeypatch.setattr(descent, "descend", interrupted)


def test_another_thread_waits_for_the_value(monkeypatch: pytest.MonkeyPatch) -> None:
    parameter = nn.Parameter(mg.zeros(SHAPE))
    trainer = OPTIMIZERS["momentum"]([parameter])
    step(trainer, parameter)
    place = address(parameter)
    found: list[Any] = []

    def read() -> None:
        found.append(parameter.detach())
        found.append(trainer.state_dict()["state"][0]["momentum_buffer"])

    reader = threading.Thread(target=read, daemon=True)

    def act() -> None:
        reader.start()
        reader.join(0.2)
        assert reader.is_alive() and not found

    during(monkeypatch, act)
    step(trainer, parameter)
    monkeypatch.undo()
    reader.join()
    assert address(parameter) == place
    expected = [parameter.detach().numpy().copy(), found[1].numpy().copy()]
    step(trainer, parameter)
    for held, before in zip(found, expected, strict=True):
        np.testing.assert_array_equal(held.numpy(), before)
    assert (parameter.detach().numpy() != expected[0]).all()


def test_what_interrupts_the_step_itself_gets_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the handler of a signal does that saves the weights."""
    parameter = nn.Parameter(mg.zeros(SHAPE))
    trainer = OPTIMIZERS["momentum"]([parameter])
    step(trainer, parameter)
    found: list[Any] = []
    during(monkeypatch, lambda: found.append(in_a_module(parameter).state_dict()["weight"]))
    before = parameter.detach().numpy().copy()
    step(trainer, parameter)
    np.testing.assert_array_equal(found[0].numpy(), before)
    assert (parameter.detach().numpy() != before).all()


def test_a_step_that_fails_leaves_the_parameter_its_array(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parameter = nn.Parameter(mg.tensor(numbers()))
    trainer = OPTIMIZERS["sgd"]([parameter])
    during(monkeypatch, lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        step(trainer, parameter)
    monkeypatch.undo()
    np.testing.assert_array_equal(parameter.detach().numpy(), numbers())
    with settled():
        step(trainer, parameter)
    assert (parameter.detach().numpy() != numbers()).all()


@pytest.mark.parametrize("name", ["momentum", "adam"])
def test_threads_never_see_half_a_step(name: str) -> None:
    """All elements are equal after any number of steps, and what was read once does not change."""
    parameter = nn.Parameter(mg.zeros((512, 512)))
    trainer = OPTIMIZERS[name]([parameter])
    stop, wrong, reads = threading.Event(), [], []

    def read() -> None:
        kept: list[tuple[mg.Tensor, float]] = []
        while not stop.is_set():
            value = parameter.detach() if len(kept) % 2 else (parameter * 1).detach()
            kept.append((value, float(value.numpy()[0, 0])))
            wrong.extend([first for held, first in kept if (held.numpy() != first).any()])
            kept = kept[-3:]
            reads.append(kept[-1][1])

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    count = 0
    while count < 100 or len(set(reads)) < 10:
        step(trainer, parameter)
        count += 1
    stop.set()
    for reader in readers:
        reader.join()
    assert not wrong
    assert (parameter.detach().numpy() == parameter.detach().numpy()[0, 0]).all()


FORK = """
import os, threading
import minigrad as mg
from minigrad import nn, optim

parameter = nn.Parameter(mg.zeros((512, 512)))
trainer = optim.SGD([parameter], lr=0.5, momentum=0.9)
stop = threading.Event()

def train():
    while not stop.is_set():
        parameter.grad = mg.ones((512, 512))
        trainer.step()

worker = threading.Thread(target=train)
worker.start()
while not (trainer.state and "momentum_buffer" in trainer.state[parameter]):
    pass
for attempt in range(20):
    child = os.fork()
    if child == 0:
        value = parameter.detach().numpy()
        ok = (value == value[0, 0]).all() and len(trainer.state_dict()["state"]) == 1
        os._exit(0 if ok else 1)
    assert os.waitpid(child, 0)[1] == 0
stop.set()
worker.join()
print("done")
"""


def test_a_child_forked_in_the_middle_of_a_step() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORK],
        env={**os.environ},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.strip() == "done", done.stderr
