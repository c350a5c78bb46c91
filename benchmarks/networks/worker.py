"""One process of one contender, network and pass: sets it up, then measures a turn when told to.

Reads a line of JSON (the job, then one order a turn) and answers each with one. The start's answer
has the seconds that the import, the building and the first call took; a turn's has the median of
its calls, the peak memory so far, and the processor time spent since the turn before. What fails
is answered too, with the reason, and ends the process.
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.networks.cases import Network
from benchmarks.networks.contenders import CONTENDERS
from benchmarks.worker import median_seconds

PR_SET_PDEATHSIG = 1  # of Linux's prctl
MOST_OF_A_REASON = 300


def main() -> None:
    """Answer until there are no more orders."""
    _end_with_parent()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries and compilers print is no answer
    try:
        for answer in _answers():
            print(json.dumps(answer), file=answers, flush=True)
    except Exception as error:  # whatever it is: the table tells, and others are still measured
        print(json.dumps({"failed": _reason(error)}), file=answers, flush=True)


def _answers() -> Any:
    job = json.loads(sys.stdin.readline())
    given = job["network"]
    network = Network(**{**given, "shape": tuple(given["shape"])})
    begun = time.perf_counter()
    library = CONTENDERS[job["contender"]].start(job["threads"])
    imported = time.perf_counter()
    imports = memory("VmRSS")
    call: Callable[[], Any] = getattr(library, job["pass"])(network)
    built = time.perf_counter()
    call()
    first = time.perf_counter()
    yield {"import": imported - begun, "build": built - imported, "first": first - built}
    spent = time.process_time()
    for line in sys.stdin:
        order = json.loads(line)
        idle = time.process_time() - spent
        seconds = median_seconds(call, order["least_seconds"], order["least_calls"])
        peak = memory("VmHWM")
        result = float(call().sum().item())
        if not math.isfinite(result):
            raise ArithmeticError(f"the result is {result} after {order['turn'] + 1} turns")
        answer = {"seconds": seconds, "idle_cpu": idle, "peak": peak}
        spent = time.process_time()
        yield {**answer, "above_imports": peak - imports, "result": result}


def memory(which: str) -> int:
    """Bytes of this process's resident memory: now ("VmRSS") or at its peak ("VmHWM").

    `ru_maxrss` is no substitute: it starts from what the parent had when it made this process.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{which}:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"the system does not tell {which}")


def _reason(error: Exception) -> str:
    """The kind of error and its first paragraph, on one line."""
    told = " ".join(str(error).strip().partition("\n\n")[0].split())
    return f"{type(error).__name__}: {told}"[:MOST_OF_A_REASON]


def _end_with_parent() -> None:
    """A stopped process would outlive a parent that is killed, with all its memory."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    main()
