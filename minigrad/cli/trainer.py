"""The training loop. It can stop after any step and be continued to the very same weights: all
it depends on is in its state, and the order of images is a function of seed and epoch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from minigrad import nn
from minigrad.cli.network import create
from minigrad.cli.settings import Settings
from minigrad.data import DataLoader, ImageDataset
from minigrad.errors import ArgumentError, CheckpointError, DataError, MinigradError, ShapeError
from minigrad.graph import trace
from minigrad.optim import OPTIMIZERS
from minigrad.random import get_rng_state, manual_seed, set_rng_state
from minigrad.spec import Spec
from minigrad.tape import no_grad
from minigrad.tensor import Tensor, asarray

EVALUATION_PIXELS = 256 * 32 * 32
"""In a batch of test images: they bound its memory."""


@dataclass
class Totals:
    """Sums over the images seen so far in an epoch."""

    images: int = 0
    loss: float = 0.0
    correct: int = 0
    seconds: float = 0.0

    def add(self, scores: Tensor, loss: Tensor, labels: Any) -> None:
        """Count one batch; `loss` is its mean."""
        self.images += len(labels)
        self.loss += loss.item() * len(labels)
        self.correct += int((scores.detach().numpy().argmax(axis=1) == labels).sum())

    @property
    def mean_loss(self) -> float:
        return self.loss / max(1, self.images)

    @property
    def accuracy(self) -> float:
        return self.correct / max(1, self.images)

    @property
    def images_per_second(self) -> float:
        return self.images / self.seconds if self.seconds else 0.0


class Trainer:
    """A network, its optimizer and data, and how far the run has come.

    `epoch` counts finished epochs, `step` the batches done since, `history` has one row of
    metrics for each finished epoch.
    """

    def __init__(self, settings: Settings, train_set: ImageDataset, test_set: ImageDataset) -> None:
        manual_seed(settings.seed)
        channels, count = train_set.image_shape[0], len(train_set.classes)
        self.settings = settings
        self.model = create(settings.model, "train", in_channels=channels, num_classes=count)
        made = OPTIMIZERS[settings.optimizer]
        self.optimizer = made(self.model.parameters(), **settings.for_optimizer)
        self.loader = DataLoader(
            train_set, batch_size=settings.batch_size, shuffle=True, seed=settings.seed
        )
        self.test_set = test_set
        self._check_pictures(len(train_set), train_set.image_shape)
        self.epoch = 0
        self.step = 0
        self.totals = Totals()
        self.history: list[dict[str, Any]] = []

    def _check_pictures(self, count: int, shape: tuple[int, ...]) -> None:
        """Raise unless the network takes the pictures, and the last batch, which may be small."""
        batch = min(self.settings.batch_size, count)
        for size in (batch, count % batch or batch):
            try:
                trace(self.model, Spec((size, *shape)))
            except ShapeError as error:
                raise ArgumentError(
                    f"{self.settings.model} does not take {size} pictures of {shape[1]}x{shape[2]};"
                    f" try another {'--size' if size > 1 else '--batch-size'}: {error}"
                ) from None

    @property
    def is_finished(self) -> bool:
        return self.epoch >= self.settings.epochs

    @property
    def is_best(self) -> bool:
        """Whether the last finished epoch has the best test accuracy so far."""
        accuracies = [row["test_accuracy"] for row in self.history]
        return accuracies[-1] > max(accuracies[:-1], default=-1.0)

    def train_epoch(self, after_step: Callable[[], bool]) -> bool:
        """Train to the end of the epoch, or until `after_step` returns true.

        Returns whether the epoch was finished and its row of metrics added.
        """
        self.model.train()
        self.loader.set_epoch(self.epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.lr * self.settings.lr_decay**self.epoch
        started = time.perf_counter() - self.totals.seconds
        for images, labels in self.loader.batches(self.step):
            self._train_step(images, labels)
            self.step += 1
            self.totals.seconds = time.perf_counter() - started
            if after_step() and self.step < len(self.loader):
                return False
        self._finish_epoch()
        return True

    def _train_step(self, images: Any, labels: Any) -> None:
        scores = self.model(asarray(images))
        loss = nn.functional.cross_entropy(scores, asarray(labels))
        if not np.isfinite(loss.item()):
            raise MinigradError(
                f"the loss became {loss.item()} in epoch {self.epoch + 1}; try a smaller --lr "
                f"than {self.settings.lr:g}"
            )
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.totals.add(scores, loss, labels)

    def _finish_epoch(self) -> None:
        test = self.evaluate()
        self.epoch += 1
        self.history.append(
            {
                "epoch": self.epoch,
                "train_loss": self.totals.mean_loss,
                "train_accuracy": self.totals.accuracy,
                "test_loss": test.mean_loss,
                "test_accuracy": test.accuracy,
                "seconds": self.totals.seconds,
                "images_per_second": self.totals.images_per_second,
            }
        )
        self.step, self.totals = 0, Totals()

    def evaluate(self) -> Totals:
        """Loss and accuracy on the test images."""
        self.model.eval()
        totals = Totals()
        batch = max(1, EVALUATION_PIXELS // math.prod(self.test_set.image_shape))
        with no_grad():
            for images, labels in DataLoader(self.test_set, batch).batches():
                scores = self.model(asarray(images))
                totals.add(scores, nn.functional.cross_entropy(scores, asarray(labels)), labels)
        self.model.train()
        return totals

    def state_dict(self) -> dict[str, Any]:
        """All that a continued run depends on."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "progress": {
                "epoch": self.epoch,
                "step": self.step,
                "totals": asdict(self.totals),
                "history": self.history,
                "rng_state": list(get_rng_state()),
            },
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state; raises StateDictError or CheckpointError if it does not fit."""
        try:
            progress = state["progress"]
            totals, rng_state = Totals(**progress["totals"]), tuple(progress["rng_state"])
            epoch, step, history = progress["epoch"], progress["step"], list(progress["history"])
            sound = 0 <= epoch == len(history) and 0 <= step < len(self.loader)
            model, optimizer = state["model"], state["optimizer"]
        except (KeyError, TypeError) as error:
            raise CheckpointError(f"not the checkpoint of a training run: {error!r}") from None
        if not sound:
            raise CheckpointError(f"the checkpoint names epoch {epoch}, step {step}: no such place")
        self.model.load_state_dict(model)
        self.optimizer.load_state_dict(optimizer)
        set_rng_state(rng_state)
        self.epoch, self.step, self.totals, self.history = epoch, step, totals, history


def check_data(train_set: ImageDataset, test_set: ImageDataset) -> None:
    """Raise unless the two sets hold images of one shape, and any at all."""
    if not len(train_set) or not len(test_set):
        raise DataError(f"{train_set.name}: the training or the test set holds no images")
    if train_set.image_shape != test_set.image_shape:
        raise DataError(
            f"{train_set.name}: training images are {train_set.image_shape}, test images "
            f"{test_set.image_shape}"
        )
