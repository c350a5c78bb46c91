"""VGG (Simonyan and Zisserman 2015, "Very deep convolutional networks for large-scale image
recognition", table 1): one table of configurations, one network that reads it.

A, B, D and E are torchvision's vgg11, vgg13, vgg16 and vgg19, whose weights they load.
"""

from __future__ import annotations

from collections.abc import Callable

from minigrad import nn
from minigrad.nn import init
from minigrad.tensor import Tensor

from .catalogue import IMAGENET, Paper, network

__all__ = ["VGG", "vgg_a", "vgg_a_lrn", "vgg_b", "vgg_c", "vgg_d", "vgg_e"]

PAPER = Paper(
    "Very deep convolutional networks for large-scale image recognition",
    "Simonyan, Zisserman",
    2015,
    "7.3 % top-5 on ImageNet (seven networks)",
)

# Each number is a 3x3 convolution with so many filters, a negative one a 1x1 convolution; "LRN" is
# local response normalization; "M" halves the picture.
CONFIGURATIONS: dict[str, str] = {
    "vgg_a": "64 M 128 M 256 256 M 512 512 M 512 512 M",
    "vgg_a_lrn": "64 LRN M 128 M 256 256 M 512 512 M 512 512 M",
    "vgg_b": "64 64 M 128 128 M 256 256 M 512 512 M 512 512 M",
    "vgg_c": "64 64 M 128 128 M 256 256 -256 M 512 512 -512 M 512 512 -512 M",
    "vgg_d": "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M",
    "vgg_e": "64 64 M 128 128 M 256 256 256 256 M 512 512 512 512 M 512 512 512 512 M",
}


class VGG(nn.Module):
    """A row of the table, then three fully connected layers, for pictures of 224x224.

    Takes (N, in_channels, H, W), H and W at least 32, since the features are averaged to 7x7, and
    returns scores (N, num_classes). With `batch_norm`, each convolution is followed by one. The
    paper's top-5 error on ImageNet is 7.3 %, by seven networks together.

    First values: convolutions N(0, 2 / fan out) (He et al. 2015), fully connected layers
    N(0, 0.01²), biases 0. The paper trains A from N(0, 0.1²) and starts the deeper ones from A's
    weights, because they would not train from random ones; from He's they do.
    """

    def __init__(
        self,
        configuration: str,
        in_channels: int = 3,
        num_classes: int = 1000,
        batch_norm: bool = False,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        with init.skipped():
            self.features = nn.Sequential(*_layers(configuration, in_channels, batch_norm))
            self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
            self.classifier = nn.Sequential(
                nn.Linear(512 * 7 * 7, 4096),
                nn.ReLU(inplace=True),
                nn.Dropout(dropout),
                nn.Linear(4096, 4096),
                nn.ReLU(inplace=True),
                nn.Dropout(dropout),
                nn.Linear(4096, num_classes),
            )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all weights anew."""
        for layer in self.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.reset_parameters()
                continue
            if isinstance(layer, nn.Conv2d):
                init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(layer, nn.Linear):
                init.normal_(layer.weight, std=0.01)
            else:
                continue
            if layer.bias is not None:
                init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def _layers(configuration: str, channels: int, batch_norm: bool) -> list[nn.Module]:
    """The layers that a row of the table stands for."""
    layers: list[nn.Module] = []
    for word in configuration.split():
        if word == "M":
            layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
        elif word == "LRN":
            # AlexNet's constants, as the paper says; alpha = 1e-4 stands there before the sum over
            # 5 channels, here before their mean.
            layers.append(nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0))
        else:
            filters, side = abs(int(word)), 1 if word.startswith("-") else 3
            layers.append(nn.Conv2d(channels, filters, kernel_size=side, padding=side // 2))
            if batch_norm:
                layers.append(nn.BatchNorm2d(filters))
            layers.append(nn.ReLU(inplace=True))
            channels = filters
    return layers


def _builder(name: str) -> Callable[..., VGG]:
    """The function that builds one row of the table, entered in the catalogue."""

    def build(
        in_channels: int = 3,
        num_classes: int = 1000,
        batch_norm: bool = False,
        dropout: float = 0.5,
    ) -> VGG:
        return VGG(CONFIGURATIONS[name], in_channels, num_classes, batch_norm, dropout)

    build.__name__ = build.__qualname__ = name
    letter = name.removeprefix("vgg_").upper().replace("_", "-")
    build.__doc__ = f"VGG, configuration {letter}, with fresh weights; see `VGG`."
    return network(size=224, paper=PAPER, preprocessing=IMAGENET)(build)


vgg_a, vgg_a_lrn, vgg_b, vgg_c, vgg_d, vgg_e = map(_builder, CONFIGURATIONS)
