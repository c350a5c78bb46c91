"""Whether training leaks: the resident memory after 100 and after 1,000 steps, with Python's
cycle collector switched off, so that only reference counts can free a step's graph.
"""

from __future__ import annotations

from benchmarks.processes import python

STEPS = """
import gc
gc.disable()
import resource
import numpy as np
import minigrad as mg
from minigrad import models, optim
from minigrad.nn.functional import cross_entropy

def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()

model = models.create("lenet5")
optimizer = optim.Adam(model.parameters())
images, labels = mg.rand((64, 1, 32, 32)), mg.asarray(np.arange(64) % 10)
for step in range(1, 1001):
    loss = cross_entropy(model(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step in (100, 1000):
        print(resident())
"""


def rows() -> list[tuple[str, str, str]]:
    """(what, measured, wanted) for the table."""
    after_100, after_1000 = (int(line) / 2**20 for line in python(STEPS).split())
    return [
        ("resident after 100 steps", f"{after_100:.1f} MiB", ""),
        ("resident after 1,000 steps", f"{after_1000:.1f} MiB", "the same"),
    ]
