"""Residual networks (He, Zhang, Ren and Sun 2016, "Deep residual learning for image recognition",
table 1): four stages of blocks, each of which adds to its input what it computes from it.

They are torchvision's `resnet18` to `resnet152`, whose weights they load.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from minigrad import nn
from minigrad.errors import ArgumentError
from minigrad.nn import init
from minigrad.tensor import Tensor

from .catalogue import IMAGENET, Paper, network

__all__ = ["ResNet", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]

PAPER = Paper(
    "Deep residual learning for image recognition",
    "He, Zhang, Ren, Sun",
    2016,
    "3.57 % top-5 on ImageNet (six networks)",
)

VARIANTS = ("v1", "v1.5")


def _convolution(channels: int, filters: int, side: int, stride: int = 1) -> nn.Conv2d:
    """A convolution that keeps the picture's size but for its stride; a batch normalization
    follows it, which has the bias."""
    return nn.Conv2d(channels, filters, side, stride, padding=side // 2, bias=False)


def _shortcut(channels: int, filters: int, stride: int) -> nn.Sequential | None:
    """What brings a block's input to the shape of its output: a projection, where shapes differ
    (option B of section 3.3), and else nothing."""
    if stride == 1 and channels == filters:
        return None
    return nn.Sequential(_convolution(channels, filters, 1, stride), nn.BatchNorm2d(filters))


class BasicBlock(nn.Module):
    """y = relu(x + F(x)), F two 3x3 convolutions (figure 5, left)."""

    expansion: ClassVar[int] = 1
    """How many times more filters the block gives than its `width`."""

    def __init__(self, channels: int, width: int, stride: int, variant: str) -> None:
        super().__init__()
        self.conv1 = _convolution(channels, width, 3, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = _convolution(width, width, 3)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(channels, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """y = relu(x + F(x)), F a 1x1, a 3x3 and a 1x1 convolution (figure 5, right)."""

    expansion: ClassVar[int] = 4

    def __init__(self, channels: int, width: int, stride: int, variant: str) -> None:
        super().__init__()
        filters = width * self.expansion
        first, second = (stride, 1) if variant == "v1" else (1, stride)
        self.conv1 = _convolution(channels, width, 1, first)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _convolution(width, width, 3, second)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = _convolution(width, filters, 1)
        self.bn3 = nn.BatchNorm2d(filters)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(channels, filters, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


Block = type[BasicBlock] | type[Bottleneck]

# The kind of block, and how many each of the four stages has.
CONFIGURATIONS: dict[str, tuple[Block, tuple[int, int, int, int]]] = {
    "resnet18": (BasicBlock, (2, 2, 2, 2)),
    "resnet34": (BasicBlock, (3, 4, 6, 3)),
    "resnet50": (Bottleneck, (3, 4, 6, 3)),
    "resnet101": (Bottleneck, (3, 4, 23, 3)),
    "resnet152": (Bottleneck, (3, 8, 36, 3)),
}


class ResNet(nn.Module):
    """A 7x7 convolution, four stages of blocks, an average over the picture and one fully
    connected layer, for pictures of 224x224; any other size is taken too.

    Takes (N, in_channels, H, W) and returns scores (N, num_classes). The paper's top-5 error on
    ImageNet is 3.57 %, by six networks together.

    In a block that halves the picture, `variant` "v1" (the paper) has the stride in the first 1x1
    convolution, which leaves three quarters of its input unread; "v1.5", the default, has it in
    the 3x3 one. That is what torchvision's weights were trained with, whose keys and shapes are
    the same for both, and for 6 % more multiply-adds about half a percent more accurate (ResNet-50).
    Basic blocks have no 1x1 convolution and are the same in both.

    First values: convolutions N(0, 2 / fan out) (He et al. 2015), the fully connected layer
    N(0, 1 / fan in), for its few outputs would ask for too large weights; biases 0.
    """

    def __init__(
        self,
        block: Block,
        depths: tuple[int, int, int, int],
        in_channels: int = 3,
        num_classes: int = 1000,
        variant: str = "v1.5",
    ) -> None:
        super().__init__()
        if variant not in VARIANTS:
            raise ArgumentError(f"ResNet: variant takes 'v1' or 'v1.5', got {variant!r}")
        with init.skipped():
            self.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
            self.bn1 = nn.BatchNorm2d(64)
            self.relu = nn.ReLU(inplace=True)
            self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
            channels = 64
            for i, depth in enumerate(depths):
                width, blocks = 64 * 2**i, []
                for j in range(depth):
                    blocks.append(block(channels, width, 2 if i and not j else 1, variant))
                    channels = width * block.expansion
                self.add_module(f"layer{i + 1}", nn.Sequential(*blocks))
            self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
            self.fc = nn.Linear(channels, num_classes)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all weights anew."""
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(layer, nn.BatchNorm2d):
                layer.reset_parameters()
        init.kaiming_normal_(self.fc.weight, nonlinearity="linear")
        if self.fc.bias is not None:
            init.zeros_(self.fc.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


def _builder(name: str) -> Callable[..., ResNet]:
    """The function that builds one column of the table, entered in the catalogue."""

    def build(in_channels: int = 3, num_classes: int = 1000, variant: str = "v1.5") -> ResNet:
        return ResNet(*CONFIGURATIONS[name], in_channels, num_classes, variant)

    build.__name__ = build.__qualname__ = name
    layers = name.removeprefix("resnet")
    build.__doc__ = f"The residual network of {layers} layers, with fresh weights; see `ResNet`."
    return network(size=224, paper=PAPER, preprocessing=IMAGENET)(build)


resnet18, resnet34, resnet50, resnet101, resnet152 = map(_builder, CONFIGURATIONS)
