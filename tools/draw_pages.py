"""Draw the pictures in docs/pictures/: run the programs of docs/convolution.md there.

The blocks of a page are one program, which saves its pictures in the current folder. What is
committed has a palette, which takes a third of the bytes.
"""

from __future__ import annotations

import re
from contextlib import chdir
from pathlib import Path
from typing import Any

from PIL import Image

PAGE = Path(__file__).resolve().parent.parent / "docs" / "convolution.md"
PICTURES = PAGE.parent / "pictures"
BLOCK = re.compile(r"```(python|text)\n(.*?)```", re.DOTALL)


def blocks() -> list[tuple[str, str]]:
    """The programs of the page and the outputs that it shows, each after its kind."""
    return BLOCK.findall(PAGE.read_text(encoding="utf-8"))


def with_palette(path: Path) -> None:
    """Save a picture anew with its 256 most telling colours."""
    with Image.open(path) as drawn:
        few = drawn.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=3)
    few.save(path, optimize=True)


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    names: dict[str, Any] = {"__name__": "page"}
    with chdir(PICTURES):
        for kind, text in blocks():
            if kind == "python":
                exec(compile(text, PAGE.name, "exec"), names)
    for name in re.findall(r"\(pictures/([\w-]+\.png)\)", PAGE.read_text(encoding="utf-8")):
        with_palette(PICTURES / name)


if __name__ == "__main__":
    main()
