"""The page on graphs is true: its blocks run, print what it says, and write its pictures."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "graphs.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"```(python|text)\n(.*?)```", re.DOTALL)


def test_blocks_print_and_draw_what_the_page_shows(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "page"}
    printed = ""
    for kind, text in BLOCK.findall(PAGE):
        if kind == "text":
            assert printed == text
        else:
            exec(compile(text, "graphs.md", "exec"), names)
            printed = capsys.readouterr().out
    shown = set(re.findall(r"\(pictures/graphs/([\w-]+\.svg)\)", PAGE))
    assert shown == {path.name for path in tmp_path.iterdir()}
    for name in shown:
        committed = (DOCS / "pictures" / "graphs" / name).read_text(encoding="utf-8")
        assert (tmp_path / name).read_text(encoding="utf-8") == committed, name


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([\w./-]+)\)", PAGE):
        assert (DOCS / target).exists(), target
