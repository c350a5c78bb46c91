"""docs/convolution.md is true: its program runs, prints what it says, and draws its pictures."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib")
Image = pytest.importorskip("PIL.Image")

ROOT = Path(__file__).parent.parent
SCRIPT = runpy.run_path(str(ROOT / "tools" / "draw_pages.py"))
TEXT: str = SCRIPT["PAGE"].read_text(encoding="utf-8")
COMMITTED = sorted(path.name for path in SCRIPT["PICTURES"].iterdir())


def test_the_program_prints_and_draws_what_the_page_shows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "page"}
    told = ""
    for kind, text in [*SCRIPT["blocks"](), ("python", "")]:
        if kind == "text":
            assert told == text
            told = ""
        else:
            assert told == "", "the page shows all that its program prints"
            exec(compile(text, "convolution.md", "exec"), names)
            told = capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == COMMITTED
    for name in COMMITTED:
        assert_alike(SCRIPT["PICTURES"] / name, tmp_path / name)


def assert_alike(committed: Path, drawn: Path) -> None:
    """Of the same size, and the same but for the palette and the fonts of titles."""
    assert committed.stat().st_size < 150_000
    with Image.open(committed) as old, Image.open(drawn) as new:
        assert old.size == new.size, drawn.name
        old, new = old.convert("RGB"), new.convert("RGB")
    distance = np.abs(np.asarray(old, np.float64) - np.asarray(new, np.float64))
    assert distance.mean() < 4, drawn.name
    # A palette errs here and there; a panel that is another one differs over whole squares.
    panels = [without_titles(picture).reduce(10) for picture in (old, new)]
    first, second = (np.asarray(panel, np.float64) for panel in panels)
    assert np.abs(first - second).max() < 15, drawn.name


def without_titles(picture: Any) -> Any:
    """The lower 165 of each row's 185 pixels; the titles stand above them."""
    pixels = np.asarray(picture)
    return Image.fromarray(pixels[np.arange(len(pixels)) % 185 >= 20])


def test_every_picture_and_file_that_the_page_names_exists() -> None:
    named = re.findall(r"\]\(([^)]*)\)", TEXT)
    assert [name for name in named if not (ROOT / "docs" / name).exists()] == []
    pictures = [name.removeprefix("pictures/") for name in named if name.startswith("pictures/")]
    assert sorted(pictures) == COMMITTED
    assert sorted(re.findall(r'show\("(\w+\.png)"', TEXT)) == COMMITTED


def test_programs_keep_to_the_length_of_a_line() -> None:
    lines = [line for kind, text in SCRIPT["blocks"]() for line in text.splitlines()]
    assert [line for line in lines if len(line) > 100] == []
