"""Losses and similarities as modules: what they hold is passed to the function of the name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from minigrad.nn import functional
from minigrad.nn.module import Module
from minigrad.ops.loss import require_reduction
from minigrad.tensor import Tensor

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "CosineEmbeddingLoss",
    "CosineSimilarity",
    "CrossEntropyLoss",
    "HingeEmbeddingLoss",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "MSELoss",
    "MarginRankingLoss",
    "NLLLoss",
    "PairwiseDistance",
    "SmoothL1Loss",
    "SoftMarginLoss",
    "TripletMarginLoss",
]


class Loss(Module):
    """A loss by the function `function`, with a `reduction`: one of the three that all know, or
    one of `own_reductions`."""

    function: ClassVar[Callable[..., Tensor]]
    own_reductions: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *, reduction: str = "mean") -> None:
        super().__init__()
        require_reduction(type(self).__name__, reduction, also=self.own_reductions)
        self.reduction = reduction

    def options(self) -> dict[str, Any]:
        """What the function is called with besides the tensors."""
        return {"reduction": self.reduction}


class TargetLoss(Loss):
    """A loss of an input and its target."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return type(self).function(input, target, **self.options())


class WeightedLoss(TargetLoss):
    """A loss with weights, held as a buffer."""

    weight: Tensor | None

    def __init__(self, weight: Tensor | None = None, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.register_buffer("weight", weight)

    def options(self) -> dict[str, Any]:
        return {**super().options(), "weight": self.weight}


class CrossEntropyLoss(WeightedLoss):
    """The cross-entropy of scores (N, C, ...) and classes (N, ...) or probabilities; see
    `functional.cross_entropy`."""

    function = staticmethod(functional.cross_entropy)

    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight, reduction=reduction)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def options(self) -> dict[str, Any]:
        own = {"ignore_index": self.ignore_index, "label_smoothing": self.label_smoothing}
        return {**super().options(), **own}


class NLLLoss(WeightedLoss):
    """The negative log-likelihood of classes; see `functional.nll_loss`."""

    function = staticmethod(functional.nll_loss)

    def __init__(
        self, weight: Tensor | None = None, *, ignore_index: int = -100, reduction: str = "mean"
    ) -> None:
        super().__init__(weight, reduction=reduction)
        self.ignore_index = ignore_index

    def options(self) -> dict[str, Any]:
        return {**super().options(), "ignore_index": self.ignore_index}


class BCELoss(WeightedLoss):
    """The cross-entropy of two probabilities; see `functional.binary_cross_entropy`."""

    function = staticmethod(functional.binary_cross_entropy)


class BCEWithLogitsLoss(WeightedLoss):
    """The cross-entropy of scores and probabilities; see
    `functional.binary_cross_entropy_with_logits`."""

    function = staticmethod(functional.binary_cross_entropy_with_logits)
    pos_weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
    ) -> None:
        super().__init__(weight, reduction=reduction)
        self.register_buffer("pos_weight", pos_weight)

    def options(self) -> dict[str, Any]:
        return {**super().options(), "pos_weight": self.pos_weight}


class MSELoss(TargetLoss):
    """The squared error; see `functional.mse_loss`."""

    function = staticmethod(functional.mse_loss)


class L1Loss(TargetLoss):
    """The absolute error; see `functional.l1_loss`."""

    function = staticmethod(functional.l1_loss)


class SmoothL1Loss(TargetLoss):
    """The absolute error, squared near 0; see `functional.smooth_l1_loss`."""

    function = staticmethod(functional.smooth_l1_loss)

    def __init__(self, *, reduction: str = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction=reduction)
        self.beta = beta

    def options(self) -> dict[str, Any]:
        return {**super().options(), "beta": self.beta}


class HuberLoss(TargetLoss):
    """The squared error, linear far from 0; see `functional.huber_loss`."""

    function = staticmethod(functional.huber_loss)

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction=reduction)
        self.delta = delta

    def options(self) -> dict[str, Any]:
        return {**super().options(), "delta": self.delta}


class KLDivLoss(TargetLoss):
    """The Kullback-Leibler divergence; see `functional.kl_div`."""

    function = staticmethod(functional.kl_div)
    own_reductions = ("batchmean",)

    def __init__(self, *, reduction: str = "mean", log_target: bool = False) -> None:
        super().__init__(reduction=reduction)
        self.log_target = log_target

    def options(self) -> dict[str, Any]:
        return {**super().options(), "log_target": self.log_target}


class SoftMarginLoss(TargetLoss):
    """ln(1 + e^(-t x)) of scores and signs; see `functional.soft_margin_loss`."""

    function = staticmethod(functional.soft_margin_loss)


class HingeEmbeddingLoss(TargetLoss):
    """A loss of distances and signs; see `functional.hinge_embedding_loss`."""

    function = staticmethod(functional.hinge_embedding_loss)

    def __init__(self, margin: float = 1.0, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.margin = margin

    def options(self) -> dict[str, Any]:
        return {**super().options(), "margin": self.margin}


class PairLoss(Loss):
    """A loss of two inputs and signs, with a margin."""

    def __init__(self, margin: float = 0.0, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.margin = margin

    def options(self) -> dict[str, Any]:
        return {**super().options(), "margin": self.margin}

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        return type(self).function(input1, input2, target, **self.options())


class MarginRankingLoss(PairLoss):
    """A loss of the order of two inputs; see `functional.margin_ranking_loss`."""

    function = staticmethod(functional.margin_ranking_loss)


class CosineEmbeddingLoss(PairLoss):
    """A loss of the angle of two inputs; see `functional.cosine_embedding_loss`."""

    function = staticmethod(functional.cosine_embedding_loss)


class TripletMarginLoss(Loss):
    """A loss of the distances of an anchor to two others; see `functional.triplet_margin_loss`."""

    function = staticmethod(functional.triplet_margin_loss)

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        *,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction=reduction)
        self.margin = margin
        self.p = p
        self.eps = eps
        self.swap = swap

    def options(self) -> dict[str, Any]:
        own = {"margin": self.margin, "p": self.p, "eps": self.eps, "swap": self.swap}
        return {**super().options(), **own}

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        return functional.triplet_margin_loss(anchor, positive, negative, **self.options())


class CosineSimilarity(Module):
    """The cosine of the angle along an axis; see `functional.cosine_similarity`."""

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        super().__init__()
        self.dim = dim
        self.eps = eps

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return functional.cosine_similarity(x1, x2, self.dim, self.eps)


class PairwiseDistance(Module):
    """The distance along the last axis; see `functional.pairwise_distance`."""

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        super().__init__()
        self.norm = p
        self.eps = eps
        self.keepdim = keepdim

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return functional.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)
