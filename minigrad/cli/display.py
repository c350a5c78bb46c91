"""What a training run shows: a progress bar on a terminal, a line for each epoch everywhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from minigrad.cli.trainer import Trainer

COLUMNS = (
    # title, key, width, scale, format
    ("epoch", "epoch", 5, 1, "d"),
    ("train loss", "train_loss", 10, 1, ".4f"),
    ("train acc", "train_accuracy", 9, 100, ".2f"),
    ("test loss", "test_loss", 9, 1, ".4f"),
    ("test acc", "test_accuracy", 8, 100, ".2f"),
    ("images/s", "images_per_second", 9, 1, ",.0f"),
    ("seconds", "seconds", 7, 1, ".2f"),
)


class Display:
    """The console of a run."""

    def __init__(self) -> None:
        self.console = Console(highlight=False, soft_wrap=True)
        self._progress: Progress | None = None
        self._task = TaskID(0)

    def say(self, text: str) -> None:
        """Print one line, above the progress bar if there is one."""
        self.console.print(text, markup=False)

    def table_head(self) -> None:
        """Print the titles of the table of epochs."""
        titles = "  ".join(f"{title:>{width}}" for title, _, width, _, _ in COLUMNS)
        self.console.print(titles, style="bold", markup=False)

    def table_row(self, row: Mapping[str, Any]) -> None:
        """Print the metrics of one epoch; accuracies are in percent."""
        cells = [
            f"{row[key] * scale if scale != 1 else row[key]:{form}}".rjust(width)
            for _, key, width, scale, form in COLUMNS
        ]
        self.say("  ".join(cells))

    @contextmanager
    def progress(self, trainer: Trainer) -> Iterator[None]:
        """A bar over all epochs, on a terminal only."""
        columns = (
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            TextColumn("loss {task.fields[loss]:.4f}  accuracy {task.fields[accuracy]:.1f} %"),
            TextColumn("{task.fields[speed]:,.0f} images/s"),
            TimeRemainingColumn(),
            TextColumn("left"),
        )
        if not self.console.is_terminal:
            yield
            return
        with Progress(*columns, console=self.console, transient=True) as self._progress:
            steps = len(trainer.loader)
            self._task = self._progress.add_task(
                "training",
                total=trainer.settings.epochs * steps,
                epoch="",
                loss=0.0,
                accuracy=0.0,
                speed=0.0,
            )
            try:
                yield
            finally:
                self._progress = None

    def advance(self, trainer: Trainer) -> None:
        """Move the bar to where the trainer is."""
        if self._progress is None:
            return
        totals = trainer.totals
        self._progress.update(
            self._task,
            completed=trainer.epoch * len(trainer.loader) + trainer.step,
            epoch=f"{trainer.epoch + 1}/{trainer.settings.epochs}",
            loss=totals.mean_loss,
            accuracy=100 * totals.accuracy,
            speed=totals.images_per_second,
        )
