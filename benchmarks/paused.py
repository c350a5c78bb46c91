"""A worker process that answers orders, a line of JSON each, and stands still in between.

It is stopped by a signal while it is not its turn: threads that spin for work, as OpenMP's do for a
while, take no time from the others.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

__all__ = ["REPOSITORY", "Paused"]

REPOSITORY = Path(__file__).resolve().parents[1]
# How long a process may take to end by itself.
PATIENCE = 10.0


class Paused:
    """A worker, which runs only while an answer of it is awaited."""

    def __init__(self, module: str, environment: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
            env=environment,
        )

    def ask(self, order: dict[str, Any]) -> dict[str, Any]:
        """Let it go on until it has answered; "failed" says what went wrong."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.send_signal(signal.SIGCONT)
        try:
            print(json.dumps(order), file=self.process.stdin, flush=True)
        except BrokenPipeError:
            return {"failed": self._ending()}
        line = self.process.stdout.readline()
        if not line:
            return {"failed": self._ending()}
        self.process.send_signal(signal.SIGSTOP)
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _ending(self) -> str:
        status = self.process.wait()
        if status == -signal.SIGKILL:
            return "the process was killed, as happens when memory runs out"
        return f"the process ended with status {status}"

    def __enter__(self) -> Paused:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.send_signal(signal.SIGCONT)
        with suppress(BrokenPipeError):  # an order that a dead process never read
            self.process.stdin.close()
        try:
            self.process.wait(PATIENCE if error is None else 0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
