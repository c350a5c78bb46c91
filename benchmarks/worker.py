"""One process of one contender: reads a job, then cases to measure; answers each with a line.

Nothing else is computed in this process, so that no two libraries' threads meet. What it reads is
what `benchmarks.turns` sends; it answers with the medians, and the errors where asked for.
"""

from __future__ import annotations

import json
import math
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from benchmarks.contenders import CONTENDERS, Contender
from benchmarks.exact import draw, error, exact
from benchmarks.shapes import CONVOLUTION, Case

# Errors are those of a smaller batch where a whole one would take the plain reference too long.
ERROR_FLOPS = 2 * 10**9
ERROR_ELEMENTS = 1 << 22
# A call so slow that a few fill this many times the least time is measured well by those few.
PATIENCE = 10


def main() -> None:
    """Measure the job and the cases given as lines of JSON on standard input."""
    job = json.loads(sys.stdin.readline())
    contender = CONTENDERS[job["contender"]](job["threads"])
    print(json.dumps({}), flush=True)
    last, calls = None, {}
    for line in sys.stdin:
        order = json.loads(line)
        case = Case(**{**order["case"], "shape": tuple(order["case"]["shape"])})
        passes = [name for name in case.passes if name in job["passes"]]
        if case != last:
            calls.clear()
            last, calls = case, contender.calls(case, draw(case))
        answer: dict[str, Any] = {
            "algorithm": contender.algorithm(case),
            "seconds": {
                name: median_seconds(calls[name], job["least_seconds"], job["least_calls"])
                for name in passes
            },
        }
        if order["errors"]:
            answer.update(errors(contender, case, passes))
        print(json.dumps(answer), flush=True)


def median_seconds(call: Callable[[], object], least_seconds: float, least_calls: int) -> float:
    """The median of as many calls as take so long, and at least so many, or ten times so long;
    two go before."""
    call()
    call()
    times: list[float] = []
    begun, spent = time.perf_counter(), 0.0
    most = PATIENCE * least_seconds or math.inf
    while spent < least_seconds or (len(times) < least_calls and spent < most):
        started = time.perf_counter()
        call()
        ended = time.perf_counter()
        times.append(ended - started)
        spent = ended - begun
    return statistics.median(times)


def errors(contender: Contender, case: Case, passes: list[str]) -> dict[str, Any]:
    """The largest error of each pass against float64, on results of unit variance; with the
    batch it was measured on, and what convolutions err in a stricter mode, if there is one."""
    small = replace(case, shape=(_error_batch(case), *case.shape[1:]))
    data = draw(small)
    expected = exact(small, data)
    calls = contender.calls(small, data)
    compared = [name for name in passes if name in expected]

    def measured() -> dict[str, float]:
        return {
            name: error(contender.array(_first(calls[name]())), expected[name]) for name in compared
        }

    found: dict[str, Any] = {"errors": measured(), "error_batch": small.shape[0]}
    if contender.algorithm(small) is not None:
        with contender.strict():
            found["strict_errors"] = measured()
    return found


def _error_batch(case: Case) -> int:
    most = ERROR_ELEMENTS // math.prod(case.shape[1:])
    if case.kind == CONVOLUTION:
        most = ERROR_FLOPS * case.shape[0] // case.flops("forward")
    return max(1, min(case.shape[0], most))


def _first(result: Any) -> Any:
    """Of several gradients, that of the input."""
    return result[0] if isinstance(result, tuple) else result


if __name__ == "__main__":
    main()
