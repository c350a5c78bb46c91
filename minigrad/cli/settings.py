"""What a training run is made of, its defaults for each data set, and which values are sound."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any

from minigrad.cli.network import create, name_and_options, smallest_size
from minigrad.creation import abstract
from minigrad.data import DATASETS, SIDE
from minigrad.errors import ArgumentError, CheckpointError
from minigrad.nn import BatchNorm2d
from minigrad.optim import OPTIMIZERS

DEFAULTS: dict[str, dict[str, Any]] = {
    "digits": {"epochs": 30, "batch_size": 32, "lr": 3e-3, "lr_decay": 0.95},
    "mnist": {"epochs": 15, "batch_size": 64, "lr": 4e-3, "lr_decay": 0.8},
    "fashion-mnist": {"epochs": 15, "batch_size": 64, "lr": 4e-3, "lr_decay": 0.8},
}
"""By data set: what LeNet-5 learns it well with."""

DEEPER: dict[str, Any] = {"epochs": 5, "batch_size": 64, "lr": 1e-3, "lr_decay": 0.6}
"""What the other networks are trained with, if they have batch normalization."""

PLAIN_LR = 1e-4
"""The rate of deep networks without it."""


def defaults(named: str, data: str) -> dict[str, Any]:
    """What is taken for what is not given; `named` is the network, maybe with arguments."""
    with abstract():
        model = create(named, "train")
    found = {**DEFAULTS.get(data, DEFAULTS["digits"]), "size": smallest_size(model)}
    if name_and_options(named, "train")[0] == "lenet5":
        return found
    normalizes = any(isinstance(layer, BatchNorm2d) for layer in model.modules())
    return {**found, **DEEPER, **({} if normalizes else {"lr": PLAIN_LR})}


LEAST = {"epochs": 1, "batch_size": 1, "seed": 0, "size": 1, "limit": 1}
"""The smallest value of each whole number."""


@dataclass(frozen=True)
class Settings:
    """The settings of a run: all that its result depends on.

    The learning rate of epoch n, counted from 0, is lr · lr_decayⁿ: it does not depend on `epochs`,
    so that a finished run can be given more of them.
    """

    model: str
    data: str
    data_dir: str | None
    epochs: int
    batch_size: int
    optimizer: str
    lr: float
    lr_decay: float
    seed: int
    size: int = SIDE
    """The side that pictures are scaled to."""
    limit: int | None = None
    """How many training images are used; None for all."""
    momentum: float = 0.0
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        for name, known in (("data", DATASETS), ("optimizer", OPTIMIZERS)):
            if getattr(self, name) not in known:
                raise ArgumentError(
                    f"--{name} takes {', '.join(known)}; got {getattr(self, name)!r}"
                )
        for name, least in LEAST.items():
            value = getattr(self, name)
            if value is not None and value < least:
                option = name.replace("_", "-")
                raise ArgumentError(f"--{option} must be at least {least}, got {value}")
        if self.seed >= 2**63:
            raise ArgumentError(f"--seed must be below 2^63, got {self.seed}")
        if not (self.lr > 0 and math.isfinite(self.lr)):
            raise ArgumentError(f"--lr must be a number above 0, got {self.lr}")
        if not 0 < self.lr_decay <= 1:
            raise ArgumentError(f"--lr-decay lies above 0 and at most at 1, got {self.lr_decay}")
        if not 0 <= self.momentum < 1:
            raise ArgumentError(f"--momentum lies at 0 or above and below 1, got {self.momentum}")
        if self.momentum and self.optimizer != "sgd":
            raise ArgumentError(f"--momentum is for --optimizer sgd; {self.optimizer} has its own")
        if not (self.weight_decay >= 0 and math.isfinite(self.weight_decay)):
            raise ArgumentError(f"--weight-decay must be a number from 0, got {self.weight_decay}")

    @staticmethod
    def complete(options: Mapping[str, Any]) -> Settings:
        """The options given, with defaults for the others."""
        data = options.get("data", "digits")
        base = {"data": data, "data_dir": None, "optimizer": "adam", "seed": 0}
        return Settings(**{**base, **defaults(options["model"], data), **options})

    @property
    def for_optimizer(self) -> dict[str, Any]:
        """What the optimizer is made with."""
        given = {"lr": self.lr, "weight_decay": self.weight_decay}
        return {**given, "momentum": self.momentum} if self.optimizer == "sgd" else given

    @staticmethod
    def restored(saved: Any, options: Mapping[str, Any]) -> Settings:
        """The settings of a run that is continued; only `epochs` and `data_dir` may be changed."""
        names = {field.name for field in fields(Settings)}
        needed = {field.name for field in fields(Settings) if field.default is MISSING}
        if not isinstance(saved, dict) or not needed <= saved.keys() <= names:
            raise CheckpointError("config.json does not hold the settings of a run")
        saved = {field.name: field.default for field in fields(Settings)} | saved
        for name, value in options.items():
            if name not in ("epochs", "data_dir") and value != saved[name]:
                option = name if name == "model" else f"--{name.replace('_', '-')}"
                raise ArgumentError(
                    f"the run was started with {option} {saved[name]}, not {value}; leave it out "
                    "to continue, or start another run with another --out"
                )
        try:
            return Settings(**{**saved, **options})
        except TypeError as error:
            raise CheckpointError(f"config.json: {error}") from None

    def as_dict(self) -> dict[str, Any]:
        """Plain values by name, for JSON."""
        return asdict(self)


def given(**options: Any) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in options.items() if value is not None}
