"""AlexNet (Krizhevsky, Sutskever and Hinton 2012, "ImageNet classification with deep convolutional
neural networks"), in one tower, as in Krizhevsky 2014 ("One weird trick for parallelizing
convolutional neural networks", section 5): without response normalization and with fewer filters.

This is the lecture's AlexNetR and torchvision's `alexnet`, whose weights it loads.
"""

from __future__ import annotations

from minigrad import nn
from minigrad.nn import init
from minigrad.tensor import Tensor

from .catalogue import IMAGENET, Paper, network

__all__ = ["AlexNetR", "alexnet"]

PAPER = Paper(
    "ImageNet classification with deep convolutional neural networks",
    "Krizhevsky, Sutskever, Hinton",
    2012,
    "16.4 % top-5 on ImageNet (five networks)",
)


class AlexNetR(nn.Module):
    """Five convolutions and three fully connected layers, for pictures of 227x227.

    Takes (N, in_channels, H, W), H and W at least 63, since the features are averaged to 6x6, and
    returns scores (N, num_classes). 57,029,322 parameters with one channel and ten classes,
    61,100,840 with three and 1000. The paper's top-5 error on ImageNet is 16.4 %, the average of
    five networks. First values as in its section 5: weights N(0, 0.01²), biases 1 in the second,
    fourth and fifth convolution and the hidden fully connected layers, else 0.
    """

    def __init__(self, in_channels: int = 1, num_classes: int = 10, dropout: float = 0.5) -> None:
        super().__init__()
        with init.skipped():
            self.features = nn.Sequential(
                nn.Conv2d(in_channels, 64, kernel_size=11, stride=4, padding=2),
                nn.ReLU(inplace=True),
                nn.MaxPool2d(kernel_size=3, stride=2),
                nn.Conv2d(64, 192, kernel_size=5, padding=2),
                nn.ReLU(inplace=True),
                nn.MaxPool2d(kernel_size=3, stride=2),
                nn.Conv2d(192, 384, kernel_size=3, padding=1),
                nn.ReLU(inplace=True),
                nn.Conv2d(384, 256, kernel_size=3, padding=1),
                nn.ReLU(inplace=True),
                nn.Conv2d(256, 256, kernel_size=3, padding=1),
                nn.ReLU(inplace=True),
                nn.MaxPool2d(kernel_size=3, stride=2),
            )
            self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
            self.classifier = nn.Sequential(
                nn.Dropout(dropout),
                nn.Linear(256 * 6 * 6, 4096),
                nn.ReLU(inplace=True),
                nn.Dropout(dropout),
                nn.Linear(4096, 4096),
                nn.ReLU(inplace=True),
                nn.Linear(4096, num_classes),
            )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all weights anew by the paper's rule."""
        layers = [m for m in self.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
        for layer, bias in zip(layers, (0, 1, 0, 1, 1, 1, 1, 0), strict=True):
            init.normal_(layer.weight, std=0.01)
            if layer.bias is not None:
                init.constant_(layer.bias, bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


@network(size=227, paper=PAPER, preprocessing=IMAGENET)
def alexnet(in_channels: int = 1, num_classes: int = 10, dropout: float = 0.5) -> AlexNetR:
    """AlexNet with fresh weights; see `AlexNetR`.

    `in_channels=3, num_classes=1000` takes torchvision's weights, which were trained on 224x224.
    """
    return AlexNetR(in_channels, num_classes, dropout)
