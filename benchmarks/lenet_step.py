"""A training step of LeNet-5 (forward, backward, SGD) in minigrad and in PyTorch."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec

from benchmarks.processes import in_turns, python

BATCH = 64

TIMING = """
import statistics, time
for _ in range(20):
    step()
times = []
for _ in range(200):
    started = time.perf_counter()
    step()
    times.append(time.perf_counter() - started)
print(statistics.median(times))
"""

MINIGRAD = f"""
import numpy as np
import minigrad as mg
from minigrad import models, optim
from minigrad.nn.functional import cross_entropy
model = models.create("lenet5")
optimizer = optim.SGD(model.parameters(), lr=0.1)
images, labels = mg.rand(({BATCH}, 1, 32, 32)), mg.asarray(np.arange({BATCH}) % 10)
def step():
    loss = cross_entropy(model(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""

PYTORCH = f"""
import torch
from torch import nn
model = nn.Sequential(
    nn.Conv2d(1, 6, 5), nn.AvgPool2d(2), nn.Sigmoid(),
    nn.Conv2d(6, 16, 5), nn.AvgPool2d(2), nn.Sigmoid(), nn.Flatten(),
    nn.Linear(400, 120), nn.Sigmoid(), nn.Linear(120, 84), nn.Sigmoid(), nn.Linear(84, 10),
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
images, labels = torch.rand({BATCH}, 1, 32, 32), torch.arange({BATCH}) % 10
def step():
    loss = nn.functional.cross_entropy(model(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


def rows() -> list[tuple[str, str, str]]:
    """(what, measured, wanted) for the table; PyTorch only where it is installed."""
    contenders = {"minigrad": MINIGRAD}
    if find_spec("torch"):
        contenders["PyTorch"] = PYTORCH
    figures = in_turns(
        {name: partial(_seconds, code) for name, code in contenders.items()}, rounds=5
    )
    table = [
        (
            f"LeNet-5 step, batch {BATCH}, {name}",
            "{:.2f} ms ({:.2f} to {:.2f})".format(*(1e3 * s for s in spread)),
            "",
        )
        for name, spread in figures.items()
    ]
    if "PyTorch" in figures:
        ratio = figures["minigrad"][0] / figures["PyTorch"][0]
        table.append(("minigrad / PyTorch, of the medians", f"{ratio:.2f}", ""))
    return table


def _seconds(setup: str) -> float:
    return float(python(setup + TIMING))
