"""The README and the page on gradcheck are true: their programs run, and print what they say."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
GRADCHECK = (ROOT / "docs" / "gradcheck.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"```(python|text|console)\n(.*?)```", re.DOTALL)


def test_all_programs_run_and_print_what_their_comments_say(
    capsys: pytest.CaptureFixture[str],
) -> None:
    names: dict[str, Any] = {"__name__": "readme"}
    for program in PROGRAMS:
        if "mg.onnx" in program and find_spec("onnx") is None:
            continue
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


@pytest.mark.parametrize("folder", [".", "docs"])
def test_files_that_are_named_exist(folder: str) -> None:
    pages = [README] if folder == "." else [GRADCHECK]
    named = [name for page in pages for name in re.findall(r"\]\((\w[\w./]*)\)", page)]
    extra = ["Makefile", "tools/make_digits.py"] if folder == "." else []
    for name in [*named, *extra]:
        assert (ROOT / folder / name).exists(), name


def without_rounding(printed: str) -> list[list[str]]:
    """The words by line; of a row that is right only those before the element, which rounding
    chooses, and of all rows no number that is nothing but rounding."""
    lines = [line.split("  right  ")[0] for line in printed.strip().splitlines()]
    return [re.sub(r"\b\d(\.\d+)?e-1\d\b", "", line).split() for line in lines]


def test_the_page_on_gradcheck_prints_what_it_says(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    names: dict[str, Any] = {"__name__": "page"}
    printed, compared, tests = "", 0, 0
    for kind, text in BLOCK.findall(GRADCHECK):
        if kind == "python":
            before = set(names)
            exec(compile(text, "gradcheck.md", "exec"), names)
            for name in [n for n in names if n not in before and n.startswith("test_")]:
                names[name]()
                tests += 1
            printed = capsys.readouterr().out
            if found := re.match(r"# (\w+\.py)\n", text):
                (tmp_path / found[1]).write_text(text)
        elif kind == "text":
            assert without_rounding(printed) == without_rounding(text)
            compared += 1
        else:
            commands = [line for line in text.splitlines() if line.startswith("$ minigrad ")]
            printed = "".join(f"{line}\n{ran(line, tmp_path)}" for line in commands)
            assert without_rounding(printed) == without_rounding(text)
            compared += len(commands)
    assert (compared, tests) == (7, 3)


def ran(line: str, folder: Path) -> str:
    """What a command of the page prints."""
    arguments = [sys.executable, "-m", *shlex.split(line.removeprefix("$ "))]
    done = subprocess.run(
        arguments, cwd=folder, capture_output=True, text=True, timeout=240, check=False
    )
    return done.stdout + done.stderr
