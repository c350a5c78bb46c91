"""`minigrad train`: from options to a finished run folder."""

from __future__ import annotations

import dataclasses
import shlex
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from minigrad import data
from minigrad.cli.display import Display
from minigrad.cli.network import name_and_options
from minigrad.cli.run_folder import CURVES, RunFolder
from minigrad.cli.settings import Settings
from minigrad.cli.trainer import Trainer, check_data
from minigrad.errors import ArgumentError, CheckpointError, MinigradError
from minigrad.threads import get_num_threads


def run(options: Mapping[str, Any], out: Path | None, resume: bool) -> int:
    """Train as the options say; returns the exit status (128 + signal if one ended it)."""
    name, arguments = name_and_options(options["model"], "train")
    written = ", ".join(f"{key}={value!r}" for key, value in sorted(arguments.items()))
    options = {**options, "model": f"{name}({written})" if written else name}
    if resume:
        folder = RunFolder.existing(out, options)
        settings = folder.read_settings(options)
    else:
        settings = Settings.complete(options)
        folder = RunFolder.fresh(out, settings)
    train_set = data.load(settings.data, "train", settings.data_dir, settings.size)
    test_set = data.load(settings.data, "test", settings.data_dir, settings.size)
    check_data(train_set, test_set)
    train_set = _limited(train_set, settings.limit)
    trainer = Trainer(settings, train_set, test_set)
    if resume:
        _restore(trainer, folder)
    display = Display()
    _introduce(trainer, folder, display, train_set, test_set)
    with _stop_signals() as stop, _told_of_compilation(display):
        folder.write_config(settings, train_set)
        _train(trainer, folder, display, stop)
    _conclude(trainer, folder, display, stop)
    return 128 + stop.signal if stop.signal and not trainer.is_finished else 0


def _limited(train_set: data.ImageDataset, limit: int | None) -> data.ImageDataset:
    """The first `limit` images."""
    if limit is None:
        return train_set
    if limit > len(train_set):
        raise ArgumentError(f"--limit {limit}: there are only {len(train_set)} training images")
    images, labels = train_set.images[:limit], train_set.labels[:limit]
    return dataclasses.replace(train_set, images=images, labels=labels)


def _restore(trainer: Trainer, folder: RunFolder) -> None:
    try:
        trainer.load_state_dict(folder.read_state())
    except MinigradError as error:
        raise CheckpointError(f"{folder.path}: cannot be continued: {error}") from None


def _introduce(
    trainer: Trainer,
    folder: RunFolder,
    display: Display,
    train_set: data.ImageDataset,
    test_set: data.ImageDataset,
) -> None:
    settings, model = trainer.settings, trainer.model
    parameters = sum(parameter.size for parameter in model.parameters())
    display.say(
        f"{settings.model} ({parameters:,} parameters) on {settings.data}: {len(train_set):,} "
        f"training and {len(test_set):,} test images of {settings.size}x{settings.size}"
    )
    further = [
        f"{name.replace('_', ' ')} {value:g}"
        for name, value in settings.for_optimizer.items()
        if value and name != "lr"
    ]
    display.say(
        f"{settings.epochs} epochs of batches of {settings.batch_size}, {settings.optimizer} with "
        f"lr {settings.lr:g} (times {settings.lr_decay:g} each epoch), "
        + "".join(f"{word}, " for word in further)
        + f"seed {settings.seed}, {get_num_threads()} threads, in {folder.path}"
    )
    if trainer.epoch or trainer.step:
        display.say(f"continuing after epoch {trainer.epoch}, step {trainer.step}")


def _train(trainer: Trainer, folder: RunFolder, display: Display, stop: _Stop) -> None:
    """Train until the last epoch or a signal, keeping the folder up to date."""

    def after_step() -> bool:
        display.advance(trainer)
        return stop.signal != 0

    display.table_head()
    with display.progress(trainer):
        while not trainer.is_finished and not stop.signal:
            if trainer.train_epoch(after_step):
                display.table_row(trainer.history[-1])
                folder.write_metrics(trainer.history)
                if trainer.is_best:
                    folder.write_best(trainer.model.state_dict())
            folder.write_state(trainer.state_dict())
        folder.write_metrics(trainer.history)


def _conclude(trainer: Trainer, folder: RunFolder, display: Display, stop: _Stop) -> None:
    if trainer.history:
        best = max(trainer.history, key=lambda row: row["test_accuracy"])
        seconds = sum(row["seconds"] for row in trainer.history)
        display.say(
            f"test accuracy {100 * trainer.history[-1]['test_accuracy']:.2f} % after epoch "
            f"{trainer.epoch} ({seconds:.1f} s of training); best {100 * best['test_accuracy']:.2f}"
            f" % after epoch {best['epoch']}"
        )
    if folder.write_curves(trainer.history):
        display.say(f"curves: {folder.path / CURVES}")
    if not trainer.is_finished:
        display.say(
            f"stopped in epoch {trainer.epoch + 1} after step {trainer.step}; continue with: "
            f"minigrad train {shlex.quote(trainer.settings.model)} --resume --out {folder.path}"
        )


class _Stop:
    """Whether, and by which signal, the run was asked to stop."""

    signal = 0


@contextmanager
def _stop_signals() -> Iterator[_Stop]:
    """Within: a first Ctrl-C or SIGTERM asks to stop after the step, a second one interrupts."""
    stop = _Stop()

    def ask(number: int, _: FrameType | None) -> None:
        if stop.signal:
            raise KeyboardInterrupt
        stop.signal = number

    previous = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def _told_of_compilation(display: Display) -> Iterator[None]:
    """Within: a line appears when kernels are not in the cache and have to be compiled."""
    from minigrad.kernels.jit import on_compile

    said = False

    def say_once(kernel: str) -> None:
        nonlocal said
        if not said:
            said = True
            display.say("compiling the kernels for this machine, which happens once ...")

    remove = on_compile(say_once)
    try:
        yield
    finally:
        remove()
