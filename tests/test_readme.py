"""The README is true: its programs run, and print what it says they print."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_all_programs_run_and_print_what_their_comments_say(
    capsys: pytest.CaptureFixture[str],
) -> None:
    names: dict[str, Any] = {"__name__": "readme"}
    for program in PROGRAMS:
        exec(compile(program, "README.md", "exec"), names)
        printed = "".join(capsys.readouterr().out.split())
        for comment in re.findall(r"# (tensor\(.*(?:\n# .*)*)", program):
            assert "".join(comment.replace("#", "").split()) in printed


def test_the_twenty_lines_learn_to_read(capsys: pytest.CaptureFixture[str]) -> None:
    program = next(program for program in PROGRAMS if "DataLoader" in program)
    assert program.count("\n") <= 21
    exec(compile(program, "README.md", "exec"), {"__name__": "readme"})
    printed = capsys.readouterr().out.strip()
    assert re.search(r"It prints `([^`]*)`", README)
    assert float(printed.split()[0]) > 95
    assert printed.endswith("% of 360 digits read right")


def test_files_that_are_named_exist() -> None:
    root = Path(__file__).parent.parent
    for name in [*re.findall(r"\]\((\w[\w./]*)\)", README), "Makefile", "tools/make_digits.py"]:
        assert (root / name).exists(), name
