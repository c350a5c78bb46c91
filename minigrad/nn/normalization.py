"""Normalization layers: over the batch, a sample, groups of channels, neighbouring channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigrad.creation import ones, zeros
from minigrad.errors import ArgumentError, ShapeError
from minigrad.nn import functional, init
from minigrad.nn.module import Module
from minigrad.nn.parameter import Parameter
from minigrad.spec import Shape, as_integer, as_shape, float32
from minigrad.tensor import Tensor, tensor

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "GroupNorm",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
    "LayerNorm",
    "LocalResponseNorm",
    "RMSNorm",
]


def _positive(layer: str, argument: str, value: int) -> int:
    number = as_integer(layer, argument, value)
    if number < 1:
        raise ArgumentError(f"{layer}: {argument} must be at least 1, got {value}")
    return number


def _register_affine(layer: Module, shape: Shape, affine: bool, bias: bool, dtype: Any) -> None:
    """Weight and bias of a layer, or None in their places."""
    layer.register_parameter("weight", Parameter(ones(shape, dtype)) if affine else None)
    shifted = affine and bias
    layer.register_parameter("bias", Parameter(zeros(shape, dtype)) if shifted else None)


class ChannelNorm(Module):
    """What batch and instance normalization share: weight and bias a channel (where `affine`),
    and the running mean and variance (where `track_running_stats`).

    With `momentum` None the running statistics are plain means over all batches so far.
    """

    axes: tuple[int, ...]
    """Numbers of axes that an input may have."""

    younger_state = ("num_batches_tracked",)  # in PyTorch from version 0.4.1 on

    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None
    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        num_features: int,
        eps: float,
        momentum: float | None,
        affine: bool,
        track_running_stats: bool,
        bias: bool,
        dtype: Any,
    ) -> None:
        super().__init__()
        self.num_features = _positive(type(self).__name__, "num_features", num_features)
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        _register_affine(self, (num_features,), affine, bias, dtype)
        tracked = track_running_stats
        self.register_buffer("running_mean", zeros(num_features, dtype) if tracked else None)
        self.register_buffer("running_var", ones(num_features, dtype) if tracked else None)
        self.register_buffer("num_batches_tracked", tensor(0, "int64") if tracked else None)

    def reset_running_stats(self) -> None:
        """Forget all batches."""
        for buffer, value in (
            (self.running_mean, 0),
            (self.running_var, 1),
            (self.num_batches_tracked, 0),
        ):
            if buffer is not None:
                init.constant_(buffer, value)

    def reset_parameters(self) -> None:
        """Forget all batches, and set the weight to ones and the bias to zeros."""
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def _check(self, input: Tensor) -> None:
        layer = type(self).__name__
        if input.ndim not in self.axes:
            allowed = " or ".join(str(n) for n in self.axes)
            raise ShapeError(f"{layer}: takes an input of {allowed} axes, got {input.shape}")

    def _count(self) -> float:
        """Count a batch, and give its share in the running statistics."""
        if self.num_batches_tracked is None:
            return 0.0 if self.momentum is None else self.momentum
        batches = self.num_batches_tracked + 1
        self.num_batches_tracked.assign(batches)
        return 1 / float(batches) if self.momentum is None else self.momentum

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class BatchNorm(ChannelNorm):
    """Batch normalization; see `functional.batch_norm`.

    In training, and where no running statistics are kept, it uses the batch's own.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        dtype: Any = float32,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, bias, dtype)

    def forward(self, input: Tensor) -> Tensor:
        self._check(input)
        own = self.training or self.running_mean is None
        share = self._count() if self.training else 0.0
        mean, var = self.running_mean, self.running_var
        if own and not self.training:
            mean = var = None
        return functional.batch_norm(input, mean, var, self.weight, self.bias, own, share, self.eps)


class BatchNorm1d(BatchNorm):
    """Batch normalization of (N, C) or (N, C, L); see `functional.batch_norm`."""

    axes = (2, 3)


class BatchNorm2d(BatchNorm):
    """Batch normalization of (N, C, H, W); see `functional.batch_norm`."""

    axes = (4,)


class BatchNorm3d(BatchNorm):
    """Batch normalization of (N, C, D, H, W); see `functional.batch_norm`."""

    axes = (5,)


class InstanceNorm(ChannelNorm):
    """Instance normalization; see `functional.instance_norm`. An input of one axis less is one
    sample."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        dtype: Any = float32,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, bias, dtype)

    def forward(self, input: Tensor) -> Tensor:
        self._check(input)
        single = input.ndim == self.axes[0]
        channels = input.shape[0 if single else 1]
        if channels != self.num_features:
            raise ShapeError(
                f"{type(self).__name__}: takes {self.num_features} channels, got {input.shape}"
            )
        x = input.reshape(1, *input.shape) if single else input
        own = self.training or not self.track_running_stats
        momentum = 0.0 if self.momentum is None else self.momentum
        y = functional.instance_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, own, momentum, self.eps
        )
        return y.reshape(input.shape) if single else y


class InstanceNorm1d(InstanceNorm):
    """Instance normalization of (N, C, L) or (C, L); see `functional.instance_norm`."""

    axes = (2, 3)


class InstanceNorm2d(InstanceNorm):
    """Instance normalization of (N, C, H, W) or (C, H, W); see `functional.instance_norm`."""

    axes = (3, 4)


class InstanceNorm3d(InstanceNorm):
    """Instance normalization of (N, C, D, H, W) or (C, D, H, W); see `functional.instance_norm`."""

    axes = (4, 5)


class GroupNorm(Module):
    """Normalization over groups of channels of each sample; see `functional.group_norm`."""

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        dtype: Any = float32,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.num_groups = _positive("GroupNorm", "num_groups", num_groups)
        self.num_channels = _positive("GroupNorm", "num_channels", num_channels)
        if num_channels % num_groups:
            raise ArgumentError(
                f"GroupNorm: {num_channels} channels do not divide into {num_groups} groups"
            )
        self.eps = eps
        self.affine = affine
        _register_affine(self, (num_channels,), affine, bias, dtype)

    def forward(self, input: Tensor) -> Tensor:
        return functional.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        text = f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"
        return f"{text}, bias={self.bias is not None}"


class LayerNorm(Module):
    """Normalization over the last axes, of shape `normalized_shape`; see
    `functional.layer_norm`."""

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        dtype: Any = float32,
    ) -> None:
        super().__init__()
        self.normalized_shape = as_shape("LayerNorm", normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        _register_affine(self, self.normalized_shape, elementwise_affine, bias, dtype)

    def forward(self, input: Tensor) -> Tensor:
        return functional.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        text = f"{self.normalized_shape}, eps={self.eps}"
        text += f", elementwise_affine={self.elementwise_affine}"
        return f"{text}, bias={self.bias is not None}"


class RMSNorm(Module):
    """Division by the root mean square over the last axes; see `functional.rms_norm`."""

    weight: Parameter | None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        dtype: Any = float32,
    ) -> None:
        super().__init__()
        self.normalized_shape = as_shape("RMSNorm", normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        weight = Parameter(ones(self.normalized_shape, dtype)) if elementwise_affine else None
        self.register_parameter("weight", weight)

    def forward(self, input: Tensor) -> Tensor:
        return functional.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        text = f"{self.normalized_shape}, eps={self.eps}"
        return f"{text}, elementwise_affine={self.elementwise_affine}"


class LocalResponseNorm(Module):
    """Division by what the neighbouring channels hold; see `functional.local_response_norm`."""

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size = _positive("LocalResponseNorm", "size", size)
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, input: Tensor) -> Tensor:
        return functional.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
