"""`minigrad predict`: pictures, a network from a checkpoint, and the classes it finds likely."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from rich.text import Text

from minigrad.cli.classifier import Classifier, classifier
from minigrad.data import read_picture
from minigrad.errors import ArgumentError, CheckpointError
from minigrad.tape import no_grad
from minigrad.tensor import asarray

BATCH = 16

Ranking = list[dict[str, Any]]


def run(
    checkpoint: Path,
    pictures: Sequence[Path],
    *,
    model: str | None,
    top: int,
    classes: Path | None,
    as_json: bool,
) -> int:
    """Print the likely classes of every picture; returns 0."""
    if top < 1:
        raise ArgumentError(f"--top takes a number from 1, got {top}")
    found = classifier(checkpoint, model)
    names = _class_names(found, classes)
    rankings = [
        _ranking(row, names, top)
        for start in range(0, len(pictures), BATCH)
        for row in _probabilities(found, pictures[start : start + BATCH])
    ]
    shown = [os.fsencode(path).decode(errors="replace") for path in pictures]
    if as_json:
        listed = [{"picture": p, "classes": r} for p, r in zip(shown, rankings, strict=True)]
        print(json.dumps({"model": found.name, "pictures": listed}, indent=2))
    else:
        _print_table(shown, rankings)
    return 0


def _class_names(found: Classifier, file: Path | None) -> Sequence[str]:
    """The names in the file, one a line, those of the run, or numbers."""
    if file is None:
        return found.classes or [str(i) for i in range(found.outputs)]
    try:
        names = file.read_text(encoding="utf-8-sig").rstrip().splitlines()
    except (OSError, ValueError) as error:
        raise ArgumentError(f"--classes {file}: cannot be read ({error})") from None
    if len(names) != found.outputs:
        raise ArgumentError(
            f"--classes {file} has {len(names)} lines, and {found.name} here has {found.outputs} "
            "classes"
        )
    return [name.strip() for name in names]


def _probabilities(found: Classifier, pictures: Sequence[Path]) -> NDArray[np.float64]:
    """(pictures, classes), by a softmax of the network's scores."""
    images = np.stack([read_picture(path, found.preprocessing) for path in pictures])
    with no_grad():
        scores = found.model(asarray(images)).numpy().astype(np.float64)
    if not np.isfinite(scores).all():
        raise CheckpointError(f"the scores of {found.name} are not finite: its weights are broken")
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def _ranking(probabilities: NDArray[np.float64], names: Sequence[str], top: int) -> Ranking:
    order = np.argsort(-probabilities, kind="stable")[:top]
    return [
        {"class": names[i], "index": int(i), "probability": float(probabilities[i])} for i in order
    ]


def _print_table(pictures: Sequence[str], rankings: Sequence[Ranking]) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("picture", overflow="fold")
    table.add_column("class", overflow="fold")
    table.add_column("probability", justify="right", no_wrap=True)
    for picture, ranking in zip(pictures, rankings, strict=True):
        for i, entry in enumerate(ranking):
            name = Text(picture if i == 0 else "")
            table.add_row(name, Text(entry["class"]), f"{100 * entry['probability']:.2f} %")
    Console(file=sys.stdout, highlight=False).print(table)
