"""The folder a training run is kept in, every file of which is replaced whole or not at all.

config.json          the settings, what the pictures were, and the versions they ran with
metrics.jsonl        one line an epoch
last.safetensors     weights, optimizer and position: what `--resume` continues from
best.safetensors     the weights with the best test accuracy, as a state_dict
curves.png           loss and accuracy by epoch, if matplotlib is installed
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from minigrad import __version__
from minigrad.cli.settings import Settings
from minigrad.data import DATASETS, ImageDataset, Preprocessing
from minigrad.errors import ArgumentError, CheckpointError
from minigrad.serialization import load, save, write_atomically

CONFIG, METRICS, LAST, BEST, CURVES = (
    "config.json",
    "metrics.jsonl",
    "last.safetensors",
    "best.safetensors",
    "curves.png",
)


class RunFolder:
    """One run's folder; it is made when something is first written to it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @staticmethod
    def fresh(out: Path | None, settings: Settings) -> RunFolder:
        """A folder that holds no run yet: `out`, or the next free one below runs/."""
        if out is not None:
            folder = RunFolder(out)
            if folder.is_taken():
                raise ArgumentError(
                    f"{out} already holds a run; pass --resume to continue it, or another --out"
                )
            if out.exists() and not out.is_dir():
                raise ArgumentError(f"--out takes a folder, and {out} is a file")
            return folder
        base = _base(settings.model, settings.data)
        number = 1
        while (folder := RunFolder(_numbered(base, number))).path.exists():
            number += 1
        return folder

    @staticmethod
    def existing(out: Path | None, options: Mapping[str, Any]) -> RunFolder:
        """The folder of the run to continue: `out`, or the newest of this network and data."""
        if out is None:
            base = _base(options["model"], options.get("data", "digits"))
            number = 1
            while RunFolder(_numbered(base, number + 1)).is_taken():
                number += 1
            out = _numbered(base, number)
        for name in (CONFIG, LAST):
            if not (out / name).is_file():
                raise CheckpointError(f"{out}: there is no run to continue, {name} is missing")
        return RunFolder(out)

    def is_taken(self) -> bool:
        """Whether a run has left anything here."""
        return any((self.path / name).exists() for name in (CONFIG, METRICS, LAST, BEST))

    def write_config(self, settings: Settings, train_set: ImageDataset) -> None:
        """Write the settings, and what has to be done to a picture for this network."""
        import numba
        import numpy

        versions = {"minigrad": __version__, "numpy": numpy.__version__, "numba": numba.__version__}
        channels, size, _ = train_set.image_shape
        preprocessing = Preprocessing(
            train_set.image_shape,
            (train_set.mean,) * channels,
            (train_set.std,) * channels,
            DATASETS[settings.data].inner(size),
        )
        pictures = {"classes": train_set.classes, "preprocessing": asdict(preprocessing)}
        config = {"settings": settings.as_dict(), "pictures": pictures, "versions": versions}
        self._write_text(CONFIG, json.dumps(config, indent=2) + "\n")

    def read_settings(self, options: Mapping[str, Any]) -> Settings:
        """The settings of the run here, with the options that a continued run may change."""
        return Settings.restored(self._read_config().get("settings"), options)

    def read_pictures(self) -> tuple[Preprocessing, tuple[str, ...]]:
        """What has to be done to a picture for the network here, and the names of its classes."""
        try:
            pictures = self._read_config()["pictures"]
            classes, found = pictures["classes"], pictures["preprocessing"]
            lists = {name: tuple(found[name]) for name in ("shape", "mean", "std")}
            return Preprocessing(**lists, resize=found["resize"]), tuple(map(str, classes))
        except (LookupError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"{self.path / CONFIG}: does not tell how pictures are prepared ({error!r}); name "
                "the network with --model"
            ) from None

    def _read_config(self) -> dict[str, Any]:
        file = self.path / CONFIG
        try:
            config = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise CheckpointError(f"{file}: cannot be read ({error})") from None
        return config if isinstance(config, dict) else {}

    def write_state(self, state: Mapping[str, Any]) -> None:
        """Write the checkpoint that a run is continued from."""
        save(state, self.path / LAST)

    def read_state(self) -> dict[str, Any]:
        """The checkpoint; raises CheckpointError if it is damaged."""
        return load(self.path / LAST)

    def write_best(self, state_dict: Mapping[str, Any]) -> None:
        """Write the weights of the best epoch so far."""
        save(state_dict, self.path / BEST)

    def write_metrics(self, history: Sequence[Mapping[str, Any]]) -> None:
        """Write one line for each epoch."""
        self._write_text(METRICS, "".join(json.dumps(epoch) + "\n" for epoch in history))

    def write_curves(self, history: Sequence[Mapping[str, Any]]) -> bool:
        """Draw the curves, if matplotlib is installed and there is anything to draw."""
        try:
            from matplotlib.figure import Figure
        except ImportError:
            return False
        if not history:
            return False
        epochs = [epoch["epoch"] for epoch in history]
        figure = Figure(figsize=(9, 3.6), layout="constrained")
        for axes, what, scale in zip(
            figure.subplots(1, 2), ("loss", "accuracy"), (1, 100), strict=True
        ):
            for split in ("train", "test"):
                values = [scale * epoch[f"{split}_{what}"] for epoch in history]
                axes.plot(epochs, values, marker="." if len(epochs) < 60 else "", label=split)
            axes.set_xlabel("epoch")
            axes.set_ylabel("cross-entropy" if what == "loss" else "accuracy in %")
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.grid(alpha=0.3)
            axes.legend(frameon=False)
        write_atomically(
            self.path / CURVES, lambda partial: figure.savefig(partial, dpi=120, format="png")
        )
        return True

    def _write_text(self, name: str, text: str) -> None:
        write_atomically(
            self.path / name, lambda partial: partial.write_text(text, encoding="utf-8")
        )


def _base(model: str, data: str) -> Path:
    """The folder of the first run; arguments of the network are no part of its name."""
    return Path("runs") / f"{model.partition('(')[0]}-{data}"


def _numbered(base: Path, number: int) -> Path:
    return base if number == 1 else base.with_name(f"{base.name}-{number}")
