"""`minigrad warmup`: compile every kernel into the cache folder, with a progress bar."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from minigrad.errors import ArgumentError
from minigrad.kernels import cache, jit
from minigrad.kernels.warmup import example_calls

DTYPES = {"float32": ("float32",), "float64": ("float64",), "all": ("float32", "float64")}


def run(dtype: str, clear: bool) -> int:
    """Returns 0 if all kernels are compiled and kept, and 1 if they could not be kept."""
    if dtype not in DTYPES:
        raise ArgumentError(f"warmup: --dtype takes {', '.join(DTYPES)}, got {dtype!r}")
    console = Console(highlight=False, soft_wrap=True)
    folder = cache.cache_folder()
    if clear and folder is not None:
        console.print(f"removed {cache.clear(folder)} kernels from {folder}", markup=False)
    started = time.perf_counter()
    loaded, kept = cache.counts["loaded"], cache.counts["kept"]
    compiled = _compile(dtype, console)
    seconds = time.perf_counter() - started
    loaded, kept = cache.counts["loaded"] - loaded, cache.counts["kept"] - kept
    console.print(
        f"{compiled} kernels compiled and {loaded} taken from the cache in {seconds:.1f} s",
        markup=False,
    )
    if kept < compiled:
        console.print(
            f"{compiled - kept} kernels could not be kept: {folder or 'no folder'} cannot be "
            "written; name another place in MINIGRAD_CACHE_DIR",
            markup=False,
        )
        return 1
    console.print(f"they are in {folder}", markup=False)
    return 0


def _compile(dtype: str, console: Console) -> int:
    """Run every example; returns how many kernels had to be compiled."""
    columns = (
        TextColumn("compiling"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    calls = example_calls(*DTYPES[dtype])
    names: list[str] = []
    # Without a terminal only the closing lines are printed.
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task("", total=len(calls))

        def show(name: str) -> None:
            names.append(name)
            progress.update(task, description=name)

        forget = jit.on_compile(show)
        try:
            for module, call in calls:
                progress.update(task, description=module)
                call()
                progress.advance(task)
        finally:
            forget()
    return len(names)
