"""PyTorch as the reference of losses, normalization, embeddings and interpolation: values,
gradients, running statistics, state_dict keys and prints, in float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.nn import functional

torch = pytest.importorskip("torch")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
T = torch.nn.functional
CLOSE = {"rtol": 1e-8, "atol": 1e-10}
RNG = np.random.default_rng(3)


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape)


def unit(*shape: int) -> np.ndarray:
    return RNG.uniform(0.05, 0.95, shape)


def signs(*shape: int) -> np.ndarray:
    return RNG.choice([-1.0, 1.0], shape)


def classes(*shape: int) -> np.ndarray:
    return RNG.integers(0, 3, shape)


def distributions(*shape: int) -> np.ndarray:
    weights = unit(*shape)
    return weights / weights.sum(axis=1, keepdims=True)


REDUCTIONS = ("mean", "sum", "none")


def _with_each_reduction(name: str, arrays: Any, **options: Any) -> list[tuple]:
    return [(name, arrays, {**options, "reduction": r}) for r in REDUCTIONS]


IGNORED = np.array([0, -100, 2, 1, -100])
CERTAIN = np.array([0.0, 1.0, 0.0, 1.0, 1e-300])
PLANES = np.array([[[0, 1], [2, 2]], [[1, 1], [0, 2]]])

CASES: list[tuple[str, tuple, dict[str, Any]]] = [
    *[
        case
        for name in ("cross_entropy", "nll_loss")
        for case in [
            *_with_each_reduction(name, (normal(5, 3), classes(5))),
            *_with_each_reduction(name, (normal(5, 3), IGNORED)),
            *_with_each_reduction(name, (normal(5, 3), classes(5)), weight=unit(3)),
            *_with_each_reduction(name, (normal(5, 3), IGNORED), weight=unit(3)),
            *_with_each_reduction(name, (normal(5, 3), IGNORED % 3), ignore_index=2),
            *_with_each_reduction(name, (normal(2, 3, 2, 2), PLANES), weight=unit(3)),
            *_with_each_reduction(
                name, (normal(2, 3, 2, 2), PLANES), weight=unit(3), ignore_index=1
            ),
        ]
    ],
    *[
        case
        for smoothing in (0.0, 0.1, 1.0)
        for weight in (None, unit(3))
        for arrays in [
            (normal(5, 3), IGNORED),
            (normal(2, 3, 2, 2), PLANES),
            (normal(5, 3), distributions(5, 3)),
            (normal(2, 3, 2, 2), distributions(2, 3, 2, 2)),
        ]
        for case in _with_each_reduction(
            "cross_entropy", arrays, label_smoothing=smoothing, weight=weight
        )
    ],
    *_with_each_reduction("mse_loss", (normal(3, 4), normal(3, 4))),
    *_with_each_reduction("l1_loss", (normal(3, 4), normal(3, 4))),
    *_with_each_reduction("smooth_l1_loss", (normal(3, 4), normal(3, 4))),
    *_with_each_reduction("smooth_l1_loss", (normal(3, 4), normal(3, 4)), beta=0.3),
    *_with_each_reduction("smooth_l1_loss", (normal(3, 4), normal(3, 4)), beta=0.0),
    *_with_each_reduction("huber_loss", (normal(3, 4), normal(3, 4))),
    *_with_each_reduction("huber_loss", (normal(3, 4), normal(3, 4)), delta=0.3),
    *_with_each_reduction("binary_cross_entropy", (unit(3, 4), unit(3, 4))),
    *_with_each_reduction("binary_cross_entropy", (unit(3, 4), unit(3, 4)), weight=unit(4)),
    (
        "binary_cross_entropy",
        (CERTAIN, np.array([1.0, 0.0, 0.0, 1.0, 0.5])),
        {"reduction": "none"},
    ),
    *_with_each_reduction("binary_cross_entropy_with_logits", (5 * normal(3, 4), unit(3, 4))),
    *_with_each_reduction(
        "binary_cross_entropy_with_logits",
        (normal(3, 4), unit(3, 4)),
        weight=unit(3, 1),
        pos_weight=3 * unit(4),
    ),
    (
        "binary_cross_entropy_with_logits",
        (np.array([-1000.0, 1000.0, -1000.0, 1000.0, 0.0]), np.array([0.0, 1.0, 1.0, 0.0, 0.5])),
        {"reduction": "none"},
    ),
    *_with_each_reduction("kl_div", (normal(3, 4), unit(3, 4))),
    *_with_each_reduction("kl_div", (normal(3, 4), normal(3, 4)), log_target=True),
    ("kl_div", (normal(3, 4), unit(3, 4)), {"reduction": "batchmean"}),
    *_with_each_reduction("hinge_embedding_loss", (2 * unit(3, 4), signs(3, 4))),
    *_with_each_reduction("hinge_embedding_loss", (2 * unit(3, 4), signs(3, 4)), margin=0.7),
    *_with_each_reduction("margin_ranking_loss", (normal(6), normal(6), signs(6))),
    *_with_each_reduction("margin_ranking_loss", (normal(6), normal(6), signs(6)), margin=0.4),
    *_with_each_reduction("cosine_embedding_loss", (normal(6, 3), normal(6, 3), signs(6))),
    *_with_each_reduction(
        "cosine_embedding_loss", (normal(6, 3), normal(6, 3), signs(6)), margin=-0.2
    ),
    *_with_each_reduction("soft_margin_loss", (9 * normal(3, 4), signs(3, 4))),
    *_with_each_reduction("triplet_margin_loss", (normal(6, 3), normal(6, 3), normal(6, 3))),
    *_with_each_reduction(
        "triplet_margin_loss", (normal(6, 3), normal(6, 3), normal(6, 3)), swap=True, p=3, margin=2
    ),
    ("cosine_similarity", (normal(3, 4), normal(3, 4)), {}),
    ("cosine_similarity", (normal(3, 1, 5), normal(4, 5)), {"dim": -1}),
    ("cosine_similarity", (0 * normal(3, 4), normal(3, 4)), {}),
    ("pairwise_distance", (normal(3, 4), normal(3, 4)), {}),
    ("pairwise_distance", (normal(3, 4), normal(4)), {"p": 1.5, "keepdim": True}),
    *[("normalize", (normal(3, 4),), {"p": p}) for p in (1, 2, 3, 2.5, float("inf"))],
    ("normalize", (normal(2, 3, 4),), {"dim": -1, "eps": 2.0}),
    ("layer_norm", (normal(2, 3, 4), (4,), normal(4), normal(4)), {}),
    ("layer_norm", (normal(2, 3, 4), (3, 4), normal(3, 4)), {"eps": 0.1}),
    ("layer_norm", (normal(2, 3, 4), (2, 3, 4)), {}),
    ("rms_norm", (normal(2, 3, 4), (4,), normal(4)), {}),
    ("rms_norm", (normal(2, 3, 4), (3, 4)), {"eps": 0.1}),
    ("group_norm", (normal(2, 6, 3, 3), 3, normal(6), normal(6)), {}),
    ("group_norm", (normal(4, 6), 2), {"eps": 0.1}),
    ("instance_norm", (normal(2, 3, 4, 4),), {}),
    ("instance_norm", (normal(2, 3, 5),), {"weight": normal(3), "bias": normal(3), "eps": 0.1}),
    *[("local_response_norm", (normal(2, 7, 3, 3), n), {}) for n in (1, 2, 3, 5, 20)],
    ("local_response_norm", (normal(2, 4, 3), 4), {"alpha": 0.7, "beta": 0.4, "k": 2.0}),
    ("embedding", (classes(2, 4), normal(3, 5)), {}),
    ("embedding", (classes(2, 4), normal(3, 5)), {"padding_idx": 1}),
    ("embedding", (classes(2, 4), normal(3, 5)), {"padding_idx": -1}),
    *[
        ("embedding", (classes(2, 4), 2 * normal(3, 5)), {"max_norm": 1.0, **how})
        for how in ({}, {"padding_idx": 0}, {"norm_type": 1.0}, {"norm_type": float("inf")})
    ],
    ("bilinear", (normal(2, 5, 3), normal(2, 5, 4), normal(6, 3, 4), normal(6)), {}),
    ("bilinear", (normal(3), normal(4), normal(6, 3, 4)), {}),
    *[
        case
        for how in (
            {"kernel_size": 2},
            {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 0), "dilation": (1, 2)},
            {"kernel_size": (1, 3), "stride": 3, "padding": 2},
        )
        for columns in [T.unfold(torch.zeros(2, 3, 5, 4), **how).shape]
        for case in [
            ("unfold", (normal(2, 3, 5, 4),), how),
            ("unfold", (normal(3, 5, 4),), how),
            ("fold", (normal(*columns),), {"output_size": (5, 4), **how}),
            ("fold", (normal(*columns[1:]),), {"output_size": (5, 4), **how}),
        ]
    ],
    ("pixel_shuffle", (normal(2, 8, 3, 4), 2), {}),
    ("pixel_unshuffle", (normal(2, 2, 6, 9), 3), {}),
    *[
        ("interpolate", (normal(2, 3, *lengths[ndim]),), {"mode": mode, **how, **corners})
        for lengths in [{1: (5,), 2: (4, 5), 3: (3, 2, 4)}]
        for mode, ndim, corner in [
            ("nearest", 1, (None,)),
            ("nearest", 2, (None,)),
            ("nearest", 3, (None,)),
            *[("nearest-exact", n, (None,)) for n in (1, 2, 3)],
            ("linear", 1, (False, True)),
            ("bilinear", 2, (False, True)),
            ("trilinear", 3, (False, True)),
        ]
        for how in [
            {"size": 7},
            {"size": (3, 9, 1)[:ndim]},
            {"size": 1},
            {"scale_factor": 2},
            {"scale_factor": (1.7, 0.6, 3.0)[:ndim]},
            {"scale_factor": 1.0},
            {"scale_factor": (1.7, 0.6, 3.0)[:ndim], "recompute_scale_factor": True},
        ]
        for corners in [{} if c is None else {"align_corners": c} for c in corner]
    ],
]


def ours_and_theirs(value: Any, leaf: bool = True) -> tuple[Any, Any]:
    if not isinstance(value, np.ndarray):
        return value, value
    floating = leaf and value.dtype.kind == "f"
    theirs = torch.tensor(value, requires_grad=floating)
    return mg.tensor(value, requires_grad=floating), theirs


def assert_close(ours: mg.Tensor, theirs: Any, what: str) -> None:
    expected = theirs.detach().numpy()
    assert ours.shape == expected.shape, what
    np.testing.assert_allclose(ours.detach().numpy(), expected, err_msg=what, **CLOSE)


@pytest.mark.parametrize("case", range(len(CASES)), ids=lambda i: f"{i}-{CASES[i][0]}")
def test_value_and_gradients(case: int) -> None:
    name, arrays, options = CASES[case]
    # PyTorch has no derivative by these targets: none at all, or one that is infinite.
    fixed = name == "soft_margin_loss" or arrays[0] is CERTAIN
    pairs = [ours_and_theirs(a, i == 0 or not fixed) for i, a in enumerate(arrays)]
    named = {key: ours_and_theirs(value, False) for key, value in options.items()}
    y = getattr(functional, name)(*[p[0] for p in pairs], **{key: p[0] for key, p in named.items()})
    expected = getattr(T, name)(*[p[1] for p in pairs], **{key: p[1] for key, p in named.items()})
    assert_close(y, expected, "value")
    cotangent = np.random.default_rng(1).normal(size=y.shape)
    y.backward(mg.tensor(cotangent))
    expected.backward(torch.tensor(cotangent))
    for i, (a, b) in enumerate(pairs):
        if isinstance(a, mg.Tensor) and b.requires_grad and b.grad is not None:
            assert_close(a.grad, b.grad, f"gradient {i}")


def test_one_hot() -> None:
    index = classes(2, 3)
    for number in (-1, 7):
        expected = T.one_hot(torch.tensor(index), number).numpy()
        np.testing.assert_array_equal(functional.one_hot(index, number).numpy(), expected)


LAYERS: list[tuple[str, tuple, dict[str, Any], tuple[int, ...]]] = [
    (f"{kind}Norm{n}d", (3,), options, (4, 3, *(3, 2, 2)[:n]))
    for kind in ("Batch", "Instance")
    for n in (1, 2, 3)
    for options in (
        {},
        {"momentum": 0.3, "eps": 0.01, "affine": True, "track_running_stats": True},
        {"affine": False, "track_running_stats": False},
        {"affine": True, "bias": False},
        *([{"momentum": None}] if kind == "Batch" else []),
    )
]
LAYERS += [
    ("BatchNorm1d", (3,), {}, (5, 3)),
    ("InstanceNorm2d", (3,), {"track_running_stats": True}, (3, 4, 4)),
    ("GroupNorm", (2, 6), {}, (2, 6, 3)),
    ("GroupNorm", (3, 6), {"affine": False, "eps": 0.1}, (2, 6)),
    ("LayerNorm", (4,), {}, (2, 3, 4)),
    ("LayerNorm", ((3, 4),), {"bias": False}, (2, 3, 4)),
    ("LayerNorm", ((3, 4),), {"elementwise_affine": False}, (2, 3, 4)),
    ("RMSNorm", (4,), {}, (2, 3, 4)),
    ("RMSNorm", ((3, 4),), {"elementwise_affine": False, "eps": 0.1}, (2, 3, 4)),
    ("LocalResponseNorm", (3,), {"alpha": 0.5}, (2, 5, 3, 3)),
    ("Upsample", (), {"scale_factor": 2}, (1, 2, 3, 3)),
    ("Upsample", (), {"size": (5, 4), "mode": "bilinear", "align_corners": True}, (1, 2, 3, 3)),
    ("Upsample", (), {"scale_factor": (1.5, 2), "mode": "bilinear"}, (1, 2, 4, 3)),
    ("Unfold", ((2, 3),), {"stride": 2}, (2, 3, 4, 5)),
    ("Fold", ((4, 5), (2, 3)), {"padding": 1}, (2, 12, 25)),
    ("PixelShuffle", (2,), {}, (1, 8, 3, 3)),
    ("PixelUnshuffle", (2,), {}, (1, 2, 4, 4)),
]


def twins(name: str, arguments: tuple, options: dict[str, Any]) -> tuple[Any, Any]:
    """The same layer twice, with weights and biases drawn, in float64."""
    ours = getattr(nn, name)(*arguments, **options).double()
    theirs = getattr(torch.nn, name)(*arguments, **options).double()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.copy_(torch.tensor(normal(*parameter.shape)))
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict({key: value.numpy() for key, value in theirs.state_dict().items()})
    return ours, theirs


@pytest.mark.parametrize("row", range(len(LAYERS)), ids=lambda i: f"{i}-{LAYERS[i][0]}")
def test_layers(row: int) -> None:
    """Three batches in training, one in evaluation: values, gradients, state, print."""
    name, arguments, options, shape = LAYERS[row]
    ours, theirs = twins(name, arguments, options)
    assert repr(ours) == repr(theirs)
    for training in (True, True, True, False):
        ours.train(training)
        theirs.train(training)
        x, x_theirs = ours_and_theirs(normal(*shape) + 2)
        y, expected = ours(x), theirs(x_theirs)
        assert_close(y, expected, "value")
        cotangent = normal(*y.shape)
        y.backward(mg.tensor(cotangent))
        expected.backward(torch.tensor(cotangent))
        assert_close(x.grad, x_theirs.grad, "gradient")
        for (key, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            assert_close(a.grad, b.grad, key)
        for key, value in theirs.state_dict().items():
            assert ours.state_dict()[key].detach().numpy().dtype == value.numpy().dtype
            assert_close(ours.state_dict()[key], value, key)


PRINTED: list[tuple[str, tuple, dict[str, Any]]] = [
    *[(name, (), {}) for name in nn.__all__ if name.endswith("Loss")],
    ("CosineSimilarity", (), {}),
    ("PairwiseDistance", (), {}),
    ("Embedding", (10, 3), {}),
    ("Embedding", (10, 3), {"padding_idx": -1}),
    ("Bilinear", (2, 3, 4), {}),
    ("Bilinear", (2, 3, 4), {"bias": False}),
    *[(name, (), {}) for name in ("Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout")],
]


@pytest.mark.parametrize("row", PRINTED, ids=lambda row: f"{row[0]}-{row[2]}")
def test_prints_and_keys(row: Any) -> None:
    name, arguments, options = row
    ours = getattr(nn, name)(*arguments, **options)
    theirs = getattr(torch.nn, name)(*arguments, **options)
    assert repr(ours) == repr(theirs)
    assert {k: v.shape for k, v in ours.state_dict().items()} == {
        k: tuple(v.shape) for k, v in theirs.state_dict().items()
    }


def test_weights_of_losses_are_in_the_state() -> None:
    weight = unit(3)
    for name in ("CrossEntropyLoss", "NLLLoss", "BCELoss", "BCEWithLogitsLoss"):
        ours = getattr(nn, name)(mg.tensor(weight))
        theirs = getattr(torch.nn, name)(torch.tensor(weight))
        assert list(ours.state_dict()) == list(theirs.state_dict())
