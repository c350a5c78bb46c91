"""The compared networks in PyTorch, written from their papers, as `minigrad.models` builds them.

`state_dict` keys are those of minigrad's networks, which are torchvision's. The first weights are
He's, so that values stay of ordinary size; how they are drawn makes no difference to any time.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

__all__ = ["BUILDERS", "create"]

# Configuration D (Simonyan and Zisserman 2014, table 1): filters and convolutions of each block.
VGG_D = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))


class LeNet5(nn.Module):
    """LeCun, Bottou, Bengio and Haffner 1998, in the lecture's form."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.features_detector = nn.Sequential(
            nn.Conv2d(in_channels, 6, 5),
            nn.AvgPool2d(2),
            nn.Sigmoid(),
            nn.Conv2d(6, 16, 5),
            nn.AvgPool2d(2),
            nn.Sigmoid(),
        )
        self.classifier = nn.Sequential(
            nn.Linear(400, 120),
            nn.Sigmoid(),
            nn.Linear(120, 84),
            nn.Sigmoid(),
            nn.Linear(84, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.classifier(self.features_detector(x).flatten(1))
        return scores


class Pooled(nn.Module):
    """Convolutions, an adaptive average pooling, and fully connected layers."""

    def __init__(self, features: list[nn.Module], pooled: int, classifier: list[nn.Module]) -> None:
        super().__init__()
        self.features = nn.Sequential(*features)
        self.avgpool = nn.AdaptiveAvgPool2d(pooled)
        self.classifier = nn.Sequential(*classifier)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.classifier(self.avgpool(self.features(x)).flatten(1))
        return scores


def alexnet(in_channels: int, num_classes: int) -> Pooled:
    """Krizhevsky 2014 ("One weird trick"), in the lecture's form, for pictures of 227x227."""
    features = [
        nn.Conv2d(in_channels, 64, 11, stride=4, padding=2),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, padding=2),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(384, 256, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(256, 256, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2),
    ]
    classifier = [
        nn.Dropout(),
        nn.Linear(256 * 6 * 6, 4096),
        nn.ReLU(inplace=True),
        nn.Dropout(),
        nn.Linear(4096, 4096),
        nn.ReLU(inplace=True),
        nn.Linear(4096, num_classes),
    ]
    return Pooled(features, 6, classifier)


def vgg_d(in_channels: int, num_classes: int) -> Pooled:
    """Simonyan and Zisserman 2014, configuration D, without normalization: VGG-16."""
    features: list[nn.Module] = []
    channels = in_channels
    for filters, convolutions in VGG_D:
        for _ in range(convolutions):
            features += [nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU(inplace=True)]
            channels = filters
        features.append(nn.MaxPool2d(2))
    classifier = [
        nn.Linear(512 * 7 * 7, 4096),
        nn.ReLU(inplace=True),
        nn.Dropout(),
        nn.Linear(4096, 4096),
        nn.ReLU(inplace=True),
        nn.Dropout(),
        nn.Linear(4096, num_classes),
    ]
    return Pooled(features, 7, classifier)


class Block(nn.Module):
    """Convolutions with normalization between them and a shortcut around (He et al. 2015)."""

    def __init__(self, channels: int, width: int, stride: int, bottleneck: bool) -> None:
        super().__init__()
        out = 4 * width if bottleneck else width
        # A bottleneck's stride stands in its 3x3 convolution ("v1.5").
        sizes = ((1, 1), (3, stride), (1, 1)) if bottleneck else ((3, stride), (3, 1))
        self.count = len(sizes)
        before = channels
        for i, (size, step) in enumerate(sizes, start=1):
            filters = out if i == self.count else width
            convolution = nn.Conv2d(before, filters, size, step, size // 2, bias=False)
            self.add_module(f"conv{i}", convolution)
            self.add_module(f"bn{i}", nn.BatchNorm2d(filters))
            before = filters
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride > 1 or channels != out:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out)
            )

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        for i in range(1, self.count + 1):
            x = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(x))
            if i < self.count:
                x = self.relu(x)
        x += shortcut
        result: Tensor = self.relu(x)
        return result


class ResNet(nn.Module):
    """He, Zhang, Ren and Sun 2015, table 1, projections where a shortcut's shape changes."""

    def __init__(
        self, blocks: tuple[int, ...], bottleneck: bool, in_channels: int, num_classes: int
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        channels = 64
        for stage, count in enumerate(blocks):
            width = 64 << stage
            layer = nn.Sequential()
            for i in range(count):
                stride = 2 if stage and not i else 1
                layer.append(Block(channels, width, stride, bottleneck))
                channels = 4 * width if bottleneck else width
            self.add_module(f"layer{stage + 1}", layer)
        self.stages = len(blocks)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for stage in range(1, self.stages + 1):
            x = getattr(self, f"layer{stage}")(x)
        scores: Tensor = self.fc(self.avgpool(x).flatten(1))
        return scores


def resnet18(in_channels: int, num_classes: int) -> ResNet:
    """18 layers, of basic blocks."""
    return ResNet((2, 2, 2, 2), False, in_channels, num_classes)


def resnet50(in_channels: int, num_classes: int) -> ResNet:
    """50 layers, of bottlenecks."""
    return ResNet((3, 4, 6, 3), True, in_channels, num_classes)


BUILDERS: dict[str, Callable[[int, int], nn.Module]] = {
    "lenet5": LeNet5,
    "alexnet": alexnet,
    "vgg_d": vgg_d,
    "resnet18": resnet18,
    "resnet50": resnet50,
}


def create(name: str, in_channels: int, num_classes: int) -> nn.Module:
    """The network of this name in `minigrad.models`, with fresh weights."""
    model = BUILDERS[name](in_channels, num_classes)
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return model
