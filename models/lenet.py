"""LeNet-5, as in LeCun, Bottou, Bengio and Haffner 1998 ("Gradient-based learning applied to
document recognition", section II-B), in the lecture's form: full connections between the feature
maps, sigmoids, and average pooling without weights.
"""

from __future__ import annotations

from minigrad import nn
from minigrad.tensor import Tensor

from .catalogue import Paper, Preprocessing, network

__all__ = ["LeNet5", "lenet5"]

SIZE = 32
PAPER = Paper(
    "Gradient-based learning applied to document recognition",
    "LeCun, Bottou, Bengio, Haffner",
    1998,
    "0.95 % of MNIST's test digits",
)
MNIST = Preprocessing(SIZE, SIZE, (0.1000369271,), (0.2752173462,))
"""Mean and deviation of MNIST's training pictures with the black around them."""


class LeNet5(nn.Module):
    """Two convolutions and three fully connected layers, for pictures of 32x32.

    Takes (N, in_channels, 32, 32) and returns scores (N, num_classes). 61,706 parameters with one
    channel and ten classes. The paper's error on MNIST is 0.95 %. First values are the layers'
    own, uniform within ±1 / sqrt(fan in): the paper's, ±2.4 / fan in, suit its scaled tanh.
    """

    def __init__(self, in_channels: int = 1, num_classes: int = 10) -> None:
        super().__init__()
        self.features_detector = nn.Sequential(
            nn.Conv2d(in_channels, 6, kernel_size=5),
            nn.AvgPool2d(kernel_size=2, stride=2),
            nn.Sigmoid(),
            nn.Conv2d(6, 16, kernel_size=5),
            nn.AvgPool2d(kernel_size=2, stride=2),
            nn.Sigmoid(),
        )
        self.classifier = nn.Sequential(
            nn.Linear(16 * 5 * 5, 120),
            nn.Sigmoid(),
            nn.Linear(120, 84),
            nn.Sigmoid(),
            nn.Linear(84, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features_detector(x).flatten(1))


@network(size=SIZE, paper=PAPER, preprocessing=MNIST)
def lenet5(in_channels: int = 1, num_classes: int = 10) -> LeNet5:
    """LeNet-5 with fresh weights; see `LeNet5`."""
    return LeNet5(in_channels, num_classes)
