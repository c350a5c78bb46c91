"""The networks of the catalogue as PyTorch modules, written from the papers: each takes the options
of its namesake and has its keys.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")
t = torch.nn


class LeNet5(t.Module):
    def __init__(self, in_channels: int = 1, num_classes: int = 10) -> None:
        super().__init__()
        self.features_detector = t.Sequential(
            t.Conv2d(in_channels, 6, kernel_size=5),
            t.AvgPool2d(kernel_size=2, stride=2),
            t.Sigmoid(),
            t.Conv2d(6, 16, kernel_size=5),
            t.AvgPool2d(kernel_size=2, stride=2),
            t.Sigmoid(),
        )
        self.classifier = t.Sequential(
            t.Linear(400, 120),
            t.Sigmoid(),
            t.Linear(120, 84),
            t.Sigmoid(),
            t.Linear(84, num_classes),
        )

    def forward(self, x: Any) -> Any:
        return self.classifier(self.features_detector(x).flatten(1))


class Pictures(t.Module):
    """Features averaged to a fixed size, then fully connected layers: AlexNet and VGG."""

    def __init__(self, features: list[Any], side: int, classifier: list[Any]) -> None:
        super().__init__()
        self.features = t.Sequential(*features)
        self.avgpool = t.AdaptiveAvgPool2d((side, side))
        self.classifier = t.Sequential(*classifier)

    def forward(self, x: Any) -> Any:
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


class AlexNetR(Pictures):
    def __init__(self, in_channels: int = 1, num_classes: int = 10, dropout: float = 0.5) -> None:
        features = [
            *(t.Conv2d(in_channels, 64, 11, 4, 2), t.ReLU(inplace=True), t.MaxPool2d(3, 2)),
            *(t.Conv2d(64, 192, 5, 1, 2), t.ReLU(inplace=True), t.MaxPool2d(3, 2)),
            *(t.Conv2d(192, 384, 3, 1, 1), t.ReLU(inplace=True)),
            *(t.Conv2d(384, 256, 3, 1, 1), t.ReLU(inplace=True)),
            *(t.Conv2d(256, 256, 3, 1, 1), t.ReLU(inplace=True), t.MaxPool2d(3, 2)),
        ]
        classifier = [
            *(t.Dropout(dropout), t.Linear(9216, 4096), t.ReLU(inplace=True)),
            *(t.Dropout(dropout), t.Linear(4096, 4096), t.ReLU(inplace=True)),
            t.Linear(4096, num_classes),
        ]
        super().__init__(features, 6, classifier)


# Filters and sides of the kernels of each block, as in table 1 of the paper.
BLOCKS: dict[str, list[list[tuple[int, int]]]] = {
    "vgg_a": [[(64, 3)], [(128, 3)], [(256, 3)] * 2, [(512, 3)] * 2, [(512, 3)] * 2],
    "vgg_b": [[(n, 3)] * 2 for n in (64, 128, 256, 512, 512)],
    "vgg_c": [
        *([(64, 3)] * 2, [(128, 3)] * 2),
        *[[(n, 3), (n, 3), (n, 1)] for n in (256, 512, 512)],
    ],
    "vgg_d": [[(64, 3)] * 2, [(128, 3)] * 2, [(256, 3)] * 3, [(512, 3)] * 3, [(512, 3)] * 3],
    "vgg_e": [[(64, 3)] * 2, [(128, 3)] * 2, [(256, 3)] * 4, [(512, 3)] * 4, [(512, 3)] * 4],
}


def vgg(name: str) -> Callable[..., Any]:
    def build(
        in_channels: int = 3,
        num_classes: int = 1000,
        batch_norm: bool = False,
        dropout: float = 0.5,
    ) -> Any:
        features: list[Any] = []
        for i, block in enumerate(BLOCKS[name.removesuffix("_lrn")]):
            for filters, side in block:
                features.append(t.Conv2d(in_channels, filters, side, padding=(side - 1) // 2))
                features += [t.BatchNorm2d(filters)] if batch_norm else []
                features.append(t.ReLU(inplace=True))
                in_channels = filters
            if i == 0 and name.endswith("_lrn"):
                features.append(t.LocalResponseNorm(5, 5 * 1e-4, 0.75, 2.0))
            features.append(t.MaxPool2d(2, 2))
        classifier = [
            *(t.Linear(25088, 4096), t.ReLU(inplace=True), t.Dropout(dropout)),
            *(t.Linear(4096, 4096), t.ReLU(inplace=True), t.Dropout(dropout)),
            t.Linear(4096, num_classes),
        ]
        return Pictures(features, 7, classifier)

    return build


class Residual(t.Module):
    """A block of convolutions (filters, side, stride), each with a batch normalization."""

    def __init__(self, channels: int, convolutions: list[tuple[int, int, int]]) -> None:
        super().__init__()
        self.depth, stride, inner = len(convolutions), 1, channels
        for i, (filters, side, step) in enumerate(convolutions, 1):
            convolution = t.Conv2d(inner, filters, side, step, side // 2, bias=False)
            self.add_module(f"conv{i}", convolution)
            self.add_module(f"bn{i}", t.BatchNorm2d(filters))
            inner, stride = filters, stride * step
        self.downsample = None
        if stride > 1 or inner != channels:
            projection = t.Conv2d(channels, inner, 1, stride, bias=False)
            self.downsample = t.Sequential(projection, t.BatchNorm2d(inner))

    def forward(self, x: Any) -> Any:
        y = x
        for i in range(1, self.depth + 1):
            y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
            y = y.relu() if i < self.depth else y
        return (y + (x if self.downsample is None else self.downsample(x))).relu()


class ResNet(t.Module):
    def __init__(
        self, depths: tuple[int, ...], deep: bool, in_channels: int, num_classes: int, variant: str
    ) -> None:
        super().__init__()
        self.conv1 = t.Conv2d(in_channels, 64, 7, 2, 3, bias=False)
        self.bn1 = t.BatchNorm2d(64)
        self.maxpool = t.MaxPool2d(3, 2, 1)
        channels = 64
        for i, depth in enumerate(depths):
            blocks, n = [], (64, 128, 256, 512)[i]
            for j in range(depth):
                s = 2 if i > 0 and j == 0 else 1
                if not deep:
                    rows = [(n, 3, s), (n, 3, 1)]
                elif variant == "v1":
                    rows = [(n, 1, s), (n, 3, 1), (4 * n, 1, 1)]
                else:
                    rows = [(n, 1, 1), (n, 3, s), (4 * n, 1, 1)]
                blocks.append(Residual(channels, rows))
                channels = rows[-1][0]
            self.add_module(f"layer{i + 1}", t.Sequential(*blocks))
        self.fc = t.Linear(channels, num_classes)

    def forward(self, x: Any) -> Any:
        x = self.maxpool(self.bn1(self.conv1(x)).relu())
        for i in range(1, 5):
            x = getattr(self, f"layer{i}")(x)
        return self.fc(x.mean((2, 3)))


DEPTHS: dict[str, tuple[tuple[int, ...], bool]] = {
    "resnet18": ((2, 2, 2, 2), False),
    "resnet34": ((3, 4, 6, 3), False),
    "resnet50": ((3, 4, 6, 3), True),
    "resnet101": ((3, 4, 23, 3), True),
    "resnet152": ((3, 8, 36, 3), True),
}


def resnet(name: str) -> Callable[..., Any]:
    def build(in_channels: int = 3, num_classes: int = 1000, variant: str = "v1.5") -> Any:
        return ResNet(*DEPTHS[name], in_channels, num_classes, variant)

    return build


BUILDERS: dict[str, Callable[..., Any]] = {
    "lenet5": LeNet5,
    "alexnet": AlexNetR,
    **{name: vgg(name) for name in [*BLOCKS, "vgg_a_lrn"]},
    **{name: resnet(name) for name in DEPTHS},
}
