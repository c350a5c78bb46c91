"""How long the kernels of a ResNet take to compile, and to load once they are compiled.

Every layer of ResNet-18 and ResNet-50 runs forward and backward twice, in a process of its own; by
what the first time takes longer, there was something to compile or to load.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

from benchmarks.contenders import Minigrad
from benchmarks.exact import draw
from benchmarks.shapes import Case, networks
from benchmarks.turns import REPOSITORY, environment

__all__ = ["compile_times"]


def compile_times(threads: int) -> dict[str, Any]:
    """Seconds to `compile` all, from an empty cache, and to `load` them; how many `kernels`.

    Neither includes the `import` of minigrad and Numba.
    """
    with tempfile.TemporaryDirectory() as cache:
        cold, warm = _process(threads, cache), _process(threads, cache)
    return {
        "compile": cold["extra"],
        "load": warm["extra"],
        "kernels": cold["compiled"],
        "compiled_again": warm["compiled"],
        "import": warm["import"],
    }


def _process(threads: int, cache: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.compiling"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        env=environment(threads, MINIGRAD_CACHE_DIR=cache),
        check=False,
    )
    if done.returncode:
        raise SystemExit("the process that compiles a ResNet's kernels failed (see above)")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    """Run all layers, and print what that took as JSON."""
    started = time.perf_counter()
    from minigrad import threads
    from minigrad.kernels import jit

    contender = Minigrad(threads.get_num_threads())
    imported = time.perf_counter() - started
    compiled: list[str] = []
    jit.on_compile(compiled.append)
    extra = sum(map(_extra, _calls(contender)))
    print(json.dumps({"import": imported, "extra": extra, "compiled": len(compiled)}))


def _extra(make: Callable[[], Callable[[], object]]) -> float:
    """By how much a first call is slower than a second."""
    call, times = make(), []
    for _ in range(2):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return times[0] - times[1]


def _calls(contender: Minigrad) -> list[Callable[[], Callable[[], object]]]:
    """What makes a call for each distinct layer, and for the parts that join and end them."""
    cases = dict.fromkeys(case for name in ("resnet18", "resnet50") for case in networks()[name])

    def layer(case: Case) -> Callable[[], object]:
        return contender.calls(case, draw(case))["both"]

    def ending() -> Callable[[], object]:
        return _ending(contender.library)

    return [*((lambda case=case: layer(case)) for case in cases), ending]


def _ending(mg: Any) -> Callable[[], object]:
    """The sum with the shortcut, the fully connected layer and the loss, forward and backward."""
    F = mg.nn.functional
    x, shortcut = (mg.zeros((8, 2048, 7, 7), requires_grad=True) for _ in range(2))
    weight = mg.zeros((1000, 2048), requires_grad=True)
    labels = mg.asarray([0] * 8)

    def run() -> object:
        pooled = F.adaptive_avg_pool2d(F.relu(x + shortcut), 1).flatten(1)
        loss = F.cross_entropy(F.linear(pooled, weight), labels)
        return mg.grad(loss, [x, shortcut, weight])

    return run


if __name__ == "__main__":
    main()
