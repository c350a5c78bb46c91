"""What is measured: every distinct convolution, pooling, normalization and ReLU of the networks.

LeNet-5 runs at batch 64 on 1 x 32 x 32, all others at batch 8: AlexNet (the lecture's) on
1 x 227 x 227, VGG-16 and the ResNets (stride in the 3x3 convolution) on 3 x 224 x 224.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["CONVOLUTION", "PASSES", "Case", "distinct", "networks"]

CONVOLUTION = "convolution"
# Short names, as on the command line, and what they are called in tables.
PASSES = {
    "forward": "forward",
    "input": "input gradient",
    "weight": "weight gradient",
    "both": "forward and backward",
}
BATCH = 8


@dataclass(frozen=True)
class Case:
    """One call that is measured: its kind, the shape of its input, and its parameters.

    A network's `first` convolution has no input gradient: an image needs none.
    """

    kind: str
    shape: tuple[int, ...]  # (N, C, H, W), or (N, C) of a fully connected layer
    filters: int = 0
    kernel: int = 0
    stride: int = 1
    padding: int = 0
    groups: int = 1
    bias: bool = False
    first: bool = False

    @property
    def label(self) -> str:
        """For people, and for `--only`: "convolution 8x64x56x56 to 64, 3x3, pad 1"."""
        parts = [f"{self.kind} {'x'.join(map(str, self.shape))}"]
        parts[0] += f" to {self.filters}" if self.filters else ""
        parts += [f"{self.kernel}x{self.kernel}"] if self.kernel else []
        parts += [f"stride {self.stride}"] if self.stride > 1 else []
        parts += [f"pad {self.padding}"] if self.padding else []
        parts += [f"{self.groups} groups"] if self.groups > 1 else []
        return ", ".join(parts)

    @property
    def passes(self) -> tuple[str, ...]:
        """Those that are timed."""
        if self.kind != CONVOLUTION:
            return "forward", "both"
        return tuple(name for name in PASSES if not (self.first and name == "input"))

    @property
    def out_size(self) -> tuple[int, int]:
        """Height and width of the result of a window that slides."""
        height, width = (
            (length + 2 * self.padding - self.kernel) // self.stride + 1
            for length in self.shape[2:]
        )
        return height, width

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        """(K, C/groups, R, S)."""
        return self.filters, self.shape[1] // self.groups, self.kernel, self.kernel

    def flops(self, which: str) -> int:
        """Useful floating-point operations of a pass, 2 N OH OW K C/groups R S for each product
        of a convolution whatever the algorithm does; 0 for what is bound by memory."""
        if self.kind != CONVOLUTION:
            return 0
        K, C, R, S = self.weight_shape
        height, width = self.out_size
        products = len(self.passes) - 1 if which == "both" else 1
        return 2 * products * self.shape[0] * height * width * K * C * R * S

    @property
    def is_wide_3x3(self) -> bool:
        """Whether it is a 3x3 convolution of stride 1 between 64 channels or more."""
        channels = min(self.shape[1] // self.groups, self.filters)
        return (self.kind, self.kernel, self.stride) == (CONVOLUTION, 3, 1) and channels >= 64


def distinct() -> dict[Case, list[str]]:
    """Every case, convolutions first, and the networks that have it."""
    found: dict[Case, list[str]] = {}
    for name, cases in networks().items():
        for case in cases:
            having = found.setdefault(case, [])
            if name not in having:
                having.append(name)
    return dict(sorted(found.items(), key=lambda item: item[0].kind != CONVOLUTION))


def networks() -> dict[str, list[Case]]:
    """The cases of each network, in its order."""
    fully_connected = Case("relu", (BATCH, 4096))
    return {
        "lenet5": list(_sequence((64, 1, 32, 32), LENET)),
        "alexnet": [*_sequence((BATCH, 1, 227, 227), ALEXNET), fully_connected],
        "vgg16": [*_sequence((BATCH, 3, 224, 224), VGG16), fully_connected],
        "vgg_a_lrn": [Case("local_response_norm", (BATCH, 64, 224, 224))],
        "resnet18": list(_resnet((2, 2, 2, 2), bottleneck=False)),
        "resnet50": list(_resnet((3, 4, 6, 3), bottleneck=True)),
        "depthwise": [Case(CONVOLUTION, (BATCH, 256, 28, 28), 256, 3, 1, 1, groups=256)],
    }


Row = tuple[str, int, int, int, int]  # kind, filters, kernel, stride, padding

LENET: tuple[Row, ...] = (
    (CONVOLUTION, 6, 5, 1, 0),
    ("avg_pool", 0, 2, 2, 0),
    (CONVOLUTION, 16, 5, 1, 0),
    ("avg_pool", 0, 2, 2, 0),
)
ALEXNET: tuple[Row, ...] = (
    (CONVOLUTION, 64, 11, 4, 2),
    ("relu", 0, 0, 1, 0),
    ("max_pool", 0, 3, 2, 0),
    (CONVOLUTION, 192, 5, 1, 2),
    ("relu", 0, 0, 1, 0),
    ("max_pool", 0, 3, 2, 0),
    (CONVOLUTION, 384, 3, 1, 1),
    ("relu", 0, 0, 1, 0),
    (CONVOLUTION, 256, 3, 1, 1),
    ("relu", 0, 0, 1, 0),
    (CONVOLUTION, 256, 3, 1, 1),
    ("relu", 0, 0, 1, 0),
    ("max_pool", 0, 3, 2, 0),
    ("adaptive_avg_pool", 6, 0, 1, 0),
)
VGG16: tuple[Row, ...] = tuple(
    row
    for filters, convolutions in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
    for row in (
        *((CONVOLUTION, filters, 3, 1, 1), ("relu", 0, 0, 1, 0)) * convolutions,
        ("max_pool", 0, 2, 2, 0),
    )
)


def _sequence(shape: tuple[int, ...], rows: tuple[Row, ...]) -> Iterator[Case]:
    """A network without branches, its convolutions with a bias; the first row is its first."""
    for i, (kind, filters, kernel, stride, padding) in enumerate(rows):
        convolution = kind == CONVOLUTION
        case = Case(kind, shape, filters, kernel, stride, padding, bias=convolution, first=i == 0)
        yield case
        if kernel:
            shape = (shape[0], filters or shape[1], *case.out_size)


def _resnet(blocks: tuple[int, ...], bottleneck: bool) -> Iterator[Case]:
    """He et al. 2015, table 1; a bottleneck's stride stands in its 3x3 convolution."""
    stem = Case(CONVOLUTION, (BATCH, 3, 224, 224), 64, 7, 2, 3, first=True)
    yield from _normalized(stem)
    yield Case("max_pool", (BATCH, 64, 112, 112), 0, 3, 2, 1)
    shape: tuple[int, ...] = (BATCH, 64, 56, 56)
    for stage, count in enumerate(blocks):
        width = 64 << stage
        out = 4 * width if bottleneck else width
        for block in range(count):
            stride = 2 if stage and not block else 1
            steps: tuple[tuple[int, int, int], ...]
            if bottleneck:
                steps = ((width, 1, 1), (width, 3, stride), (out, 1, 1))
            else:
                steps = ((out, 3, stride), (out, 3, 1))
            if shape[1] != out or stride > 1:
                yield from _normalized(Case(CONVOLUTION, shape, out, 1, stride))
            for filters, kernel, step in steps:
                case = Case(CONVOLUTION, shape, filters, kernel, step, kernel // 2)
                yield from _normalized(case)
                shape = (BATCH, filters, *case.out_size)
    yield Case("adaptive_avg_pool", shape, 1)


def _normalized(convolution: Case) -> Iterator[Case]:
    """A convolution, the normalization of its result, and the ReLU after it."""
    shape = (convolution.shape[0], convolution.filters, *convolution.out_size)
    yield convolution
    yield Case("batch_norm", shape)
    yield Case("relu", shape)
