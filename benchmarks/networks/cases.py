"""What is measured: five networks, a training step and an inference of each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["LEARNING_RATE", "MOMENTUM", "NETWORKS", "PASSES", "Network", "Pass"]

MOMENTUM = 0.9
# Small, so that even many steps on one batch leave all values of ordinary size.
LEARNING_RATE = 1e-3


@dataclass(frozen=True)
class Network:
    """A network of `minigrad.models`, and the batch it is measured with."""

    name: str
    title: str
    batch: int
    shape: tuple[int, int, int]  # (C, H, W)
    classes: int

    @property
    def label(self) -> str:
        """For people, and for `--only`: "ResNet-18, 8x3x224x224"."""
        return f"{self.title}, {'x'.join(map(str, (self.batch, *self.shape)))}"

    def batch_of_pictures(self) -> tuple[np.ndarray, np.ndarray]:
        """Pictures (N, C, H, W) of normal numbers, and labels (N,): the same in every process."""
        source = np.random.default_rng(math.prod(self.shape))
        pictures = source.standard_normal((self.batch, *self.shape), dtype=np.float32)
        return pictures, np.arange(self.batch) % self.classes


@dataclass(frozen=True)
class Pass:
    """What is done with a network, and how it should compare with PyTorch: at least so many times
    as fast as its eager default, and as its fastest mode, at no more memory than that default."""

    title: str
    over_default: float | None = None
    over_best: float | None = None
    memory: float | None = None


NETWORKS: Sequence[Network] = (
    Network("lenet5", "LeNet-5", 64, (1, 32, 32), 10),
    Network("alexnet", "AlexNet", 16, (1, 227, 227), 10),
    Network("vgg_d", "VGG-16", 4, (3, 224, 224), 1000),
    Network("resnet18", "ResNet-18", 8, (3, 224, 224), 1000),
    Network("resnet50", "ResNet-50", 8, (3, 224, 224), 1000),
)
PASSES = {
    "training": Pass("training step", over_default=1.2, over_best=1.0, memory=1.0),
    "inference": Pass("inference"),
}
