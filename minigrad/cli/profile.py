"""`minigrad profile`: where the time and the memory of a network's training step go."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from minigrad.cli.network import batch_specs, network
from minigrad.graph.profile_table import renderables
from minigrad.graph.profiles import Profile, profile
from minigrad.nn import Module
from minigrad.tensor import tensor

SEED = 0
# Columns where what is printed goes to a file or to a program.
FILE_WIDTH = 140


def run(
    named: str,
    inputs: Sequence[str],
    batch: int,
    backward: bool,
    files: dict[str, Path | None],
    **options: Any,
) -> int:
    """Print the tables, and write the files by their kind; returns 0. `options` are `profile`'s."""
    model = network(named, "profile", weights=True)
    specs = batch_specs(model, named, inputs, batch, "profile")
    is_module = isinstance(model, Module)
    if isinstance(model, Module):
        model.train(backward)
    rng = np.random.default_rng(SEED)
    drawn = [
        tensor(rng.standard_normal(spec.shape, spec.dtype), requires_grad=not is_module)
        for spec in specs
    ]
    found = profile(model, *drawn, backward=backward, **options)
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, FILE_WIDTH)
    for part in renderables(found):
        console.print(part)
        console.print()
    for kind, path in files.items():
        if path is not None:
            WRITERS[kind](found, path)
            console.print(f"{kind}: {path}", markup=False)
    return 0


WRITERS = {"json": Profile.save_json, "chrome": Profile.save_chrome, "html": Profile.save_html}
