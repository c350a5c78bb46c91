"""Every network learns: on one batch of pictures of its own size the loss falls within 20 steps.

Prints what a step takes of time and memory.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from minigrad import models

PROGRAM = """
import resource, sys, time
import numpy as np
import minigrad as mg
from minigrad import models, nn

name = sys.argv[1]
mg.manual_seed(0)
options = {} if name == "lenet5" or name.startswith("resnet") else {"dropout": 0.0}
network = models.create(name, num_classes=10, **options)
images = mg.randn((2, *models.input_shape(network)))
classes = mg.tensor([1, 8])
rate = 1e-2 if name == "lenet5" else 1e-4
optimizer = mg.optim.Adam(network.parameters(), lr=rate)
losses, seconds = [], []
for _ in range(20):
    start = time.perf_counter()
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(network(images), classes)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    seconds.append(time.perf_counter() - start)
assert all(np.isfinite(parameter.detach().numpy()).all() for parameter in network.parameters())
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(losses[0], min(losses[-3:]), float(np.median(seconds)), peak)
"""

NAMES = [
    pytest.param(name, marks=[] if name == "lenet5" else [pytest.mark.slow])
    for name in models.names()
]


@pytest.mark.parametrize("name", NAMES)
def test_the_loss_falls(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, name], capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr
    first, last, seconds, peak = map(float, done.stdout.split())
    with capsys.disabled():
        print(
            f"\n{name}: loss {first:.3f} to {last:.3f} in 20 steps of 2 pictures, "
            f"{seconds:.3f} s a step, at most {peak:.2f} GiB"
        )
    assert last < 0.7 * first
