"""Losses, normalization, dropout, embeddings, interpolation: conventions and refused arguments.

Their values are held against PyTorch's in `test_nn_against_torch`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numeric import STEP, along

import minigrad as mg
from minigrad import nn
from minigrad.errors import (
    ArgumentError,
    DtypeError,
    GradientError,
    IndexingError,
    MinigradError,
    ShapeError,
    StateDictError,
)
from minigrad.nn import functional

X = mg.zeros((2, 3))
V = mg.zeros(3)
WHOLE = mg.zeros((2, 3), "int64")
IMAGE = mg.zeros((2, 3, 4, 4))
TABLE = mg.zeros((4, 2))

PAIRED = [
    "mse_loss",
    "l1_loss",
    "smooth_l1_loss",
    "huber_loss",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "kl_div",
    "hinge_embedding_loss",
    "soft_margin_loss",
]


def gradient(function: Callable[[mg.Tensor], mg.Tensor], array: Any) -> np.ndarray:
    x = mg.tensor(array, "float64", requires_grad=True)
    return mg.grad(function(x).sum(), x)[0].numpy()


# -- losses -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAIRED)
def test_losses_refuse(name: str) -> None:
    loss = getattr(functional, name)
    with pytest.raises(ShapeError, match=rf"{name}: .*\(2, 3\).*\(3,\)"):
        loss(X, V)
    with pytest.raises(DtypeError, match=f"{name}: .*float64"):
        loss(X, X.astype("float64"))
    with pytest.raises(DtypeError, match=f"{name}: .*int64"):
        loss(WHOLE, X)
    with pytest.raises(ArgumentError, match=f"{name}: reduction .*'average'"):
        loss(X, X, reduction="average")
    with pytest.raises(ShapeError, match=f"{name}: an empty batch"):
        loss(X[:0], X[:0])
    assert loss(X[:0], X[:0], reduction="sum").item() == 0
    assert loss(X[:0], X[:0], reduction="none").shape == (0, 3)


def test_losses_at_their_kinks() -> None:
    nothing = np.zeros(3)
    for name in ("l1_loss", "smooth_l1_loss", "huber_loss"):
        found = gradient(
            lambda x, name=name: getattr(functional, name)(x, mg.zeros_like(x)), nothing
        )
        np.testing.assert_array_equal(found, 0)
    for target in (1.0, -1.0):
        signs = np.full(3, target)
        found = gradient(
            lambda x, t=signs: functional.margin_ranking_loss(x, mg.zeros_like(x), t), nothing
        )
        np.testing.assert_array_equal(found, 0)


def test_the_divergence_of_a_probability_of_0() -> None:
    x, t = np.log([0.5, 0.5]), np.array([0.0, 1.0])
    np.testing.assert_allclose(functional.kl_div(x, t, reduction="sum").item(), np.log(2))
    found = gradient(lambda t: functional.kl_div(x, t, reduction="sum"), t)
    assert np.isfinite(found).all()


def test_scores_however_large_overflow_nowhere() -> None:
    x = mg.tensor([-1e4, 1e4, 0.0], requires_grad=True)
    loss = functional.binary_cross_entropy_with_logits(x, [1.0, 0.0, 0.5], reduction="none")
    np.testing.assert_allclose(loss.detach().numpy(), [1e4, 1e4, np.log(2)], rtol=1e-6)
    np.testing.assert_allclose(mg.grad(loss.sum(), x)[0].numpy(), [-1, 1, 0])


def test_an_ignored_target_takes_no_part() -> None:
    x = mg.tensor(np.random.default_rng(0).normal(size=(3, 4)), requires_grad=True)
    whole = functional.cross_entropy(x, [1, -100, 2], label_smoothing=0.1)
    part = functional.cross_entropy(x[np.array([0, 2])], [1, 2], label_smoothing=0.1)
    np.testing.assert_allclose(whole.item(), part.item())
    assert not mg.grad(whole, x)[0].numpy()[1].any()


# -- normalization ----------------------------------------------------------------------------


def test_running_statistics() -> None:
    x = np.random.default_rng(0).normal(2, 3, (5, 2, 3))
    layer = nn.BatchNorm1d(2, momentum=None).double()
    for _ in range(3):
        layer(mg.tensor(x))
    assert layer.num_batches_tracked.item() == 3
    np.testing.assert_allclose(layer.running_mean.numpy(), x.mean(axis=(0, 2)))
    np.testing.assert_allclose(layer.running_var.numpy(), x.var(axis=(0, 2), ddof=1))
    layer.eval()
    before = layer.running_mean.numpy().copy()
    y = layer(mg.tensor(x)).detach().numpy()
    np.testing.assert_array_equal(layer.running_mean.numpy(), before)
    shape = (1, 2, 1)
    expected = (x - before.reshape(shape)) / np.sqrt(
        layer.running_var.numpy().reshape(shape) + 1e-5
    )
    np.testing.assert_allclose(y, expected)
    layer.reset_parameters()
    assert layer.num_batches_tracked.item() == 0
    np.testing.assert_array_equal(layer.running_var.numpy(), 1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_large_mean_does_not_hide_a_small_variance(dtype: str) -> None:
    noise = np.random.default_rng(0).normal(size=(64, 2, 8, 8))
    x = (1000 + noise).astype(dtype)
    y, mean, variance = mg.ops.standardize(x, (0, 2, 3))
    np.testing.assert_allclose(mean.numpy().ravel(), x.mean(axis=(0, 2, 3), dtype="float64"), 1e-6)
    np.testing.assert_allclose(
        variance.numpy().ravel(), x.astype("float64").var(axis=(0, 2, 3)), 1e-4
    )
    assert y.dtype == mg.ops.batch_normalize(x, *[np.ones(2, dtype)] * 2)[0].dtype == dtype


def test_an_evaluated_layer_passes_its_gradient_on() -> None:
    layer = nn.BatchNorm2d(3).eval()
    x = mg.ones((1, 3, 1, 1), requires_grad=True)
    layer(x).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 1, rtol=1e-4)
    assert layer.weight.grad.shape == layer.bias.grad.shape == (3,)


@pytest.mark.parametrize("p", [1, 1.5, 2, 3, float("inf"), 0])
def test_lengths_of_zero_have_no_nan(p: float) -> None:
    found = gradient(lambda x: functional.normalize(x, p), np.zeros((2, 3)))
    assert np.isfinite(found).all()
    found = gradient(lambda x: functional.cosine_similarity(x, mg.ones_like(x)), np.zeros((2, 3)))
    np.testing.assert_array_equal(found > 0, True)


# -- dropout ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Dropout1d, (50, 40, 3)),
        (nn.Dropout2d, (50, 40, 2, 2)),
        (nn.Dropout2d, (50, 40, 3)),
        (nn.Dropout3d, (50, 40, 1, 2, 2)),
        (nn.Dropout3d, (2000, 1, 2, 2)),
    ],
)
def test_channels_are_dropped_as_a_whole(layer: Any, shape: tuple[int, ...]) -> None:
    mg.manual_seed(0)
    drop = layer(0.25)
    y = drop(mg.ones(shape)).numpy().reshape(2000, -1)
    assert set(np.unique(y)) == {0, np.float32(1 / 0.75)}
    assert (y == y[:, :1]).all()
    assert 0.2 < (y == 0).mean() < 0.3
    assert (drop.eval()(mg.ones(shape)).numpy() == 1).all()


def test_alpha_dropout_keeps_mean_and_variance() -> None:
    mg.manual_seed(0)
    x = mg.randn(40000)
    y = nn.AlphaDropout(0.3)(x).numpy()
    assert abs(y.mean()) < 0.03
    assert abs(y.std() - 1) < 0.03
    assert not functional.alpha_dropout(x, 1, True).numpy().any()


# -- second derivatives -----------------------------------------------------------------------

SECOND: dict[str, tuple[Callable[..., mg.Tensor], tuple[tuple[int, ...], ...]]] = {
    "batch_norm": (
        lambda x, w, b: functional.batch_norm(x, None, None, w, b, training=True),
        ((4, 2, 3), (2,), (2,)),
    ),
    "layer_norm": (lambda x, w: functional.layer_norm(x, (3, 2), w), ((2, 3, 2), (3, 2))),
    "group_norm": (lambda x, w: functional.group_norm(x, 2, w), ((2, 4, 2), (4,))),
    "instance_norm": (lambda x: functional.instance_norm(x), ((2, 2, 4),)),
    "rms_norm": (lambda x, w: functional.rms_norm(x, 3, w), ((2, 3), (3,))),
    "local_response_norm": (
        lambda x: functional.local_response_norm(x, 3, alpha=0.5),
        ((2, 4, 2, 1),),
    ),
    "normalize": (functional.normalize, ((3, 2),)),
    "cosine_similarity": (functional.cosine_similarity, ((3, 2), (3, 2))),
    "bilinear": (functional.bilinear, ((2, 3), (2, 2), (4, 3, 2))),
    "embedding": (lambda w: functional.embedding([[0, 2], [2, 1]], w * w), ((3, 2),)),
    "interpolate": (
        lambda x: functional.interpolate(x * x, (3, 5), mode="bilinear"),
        ((1, 2, 2, 4),),
    ),
    "huber_loss": (functional.huber_loss, ((3, 2), (3, 2))),
    "kl_div": (lambda x, t: functional.kl_div(x, t, log_target=True), ((3, 2), (3, 2))),
}


def test_embedding_limits_the_rows_it_reads_in_the_weight() -> None:
    weight = nn.Parameter(mg.tensor([[3.0, 4.0], [0.3, 0.4], [6.0, 8.0]]))
    y = functional.embedding([0, 1, 0], weight, max_norm=1.0)
    np.testing.assert_allclose(weight.detach().numpy(), [[0.6, 0.8], [0.3, 0.4], [6, 8]], rtol=1e-6)
    assert y.tolist() == [weight[i].tolist() for i in (0, 1, 0)]
    y.sum().backward()
    assert weight.grad is not None
    assert weight.grad.tolist() == [[2, 2], [1, 1], [0, 0]]
    with pytest.raises(GradientError, match="assign"):
        functional.embedding([0], weight * 9, max_norm=1.0)


@pytest.mark.parametrize("name", SECOND)
def test_second_derivative_is_that_of_central_differences(name: str) -> None:
    function, shapes = SECOND[name]
    rng = np.random.default_rng(5)
    point = [rng.normal(size=shape) for shape in shapes]
    weights = [rng.normal(size=shape) for shape in shapes]

    def first(*arrays: Any) -> tuple[mg.Tensor, list[mg.Tensor]]:
        inputs = [mg.tensor(array, requires_grad=True) for array in arrays]
        y = function(*inputs)
        found = mg.grad((y * y).sum(), inputs, create_graph=True)
        parts = [(g * mg.tensor(w)).sum() for g, w in zip(found, weights, strict=True)]
        return sum(parts[1:], parts[0]), inputs

    total, inputs = first(*point)
    second = mg.grad(total, inputs)
    direction = [rng.normal(size=shape) for shape in shapes]
    got = sum(np.sum(g.numpy() * d) for g, d in zip(second, direction, strict=True))
    expected = along(lambda *a: first(*a)[0].item(), point, direction, STEP)
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-7)


# -- refused arguments ------------------------------------------------------------------------

ROWS: list[tuple[Callable[[], Any], type[MinigradError], str]] = [
    (lambda: functional.huber_loss(X, X, delta=0), ArgumentError, "huber_loss: delta"),
    (lambda: functional.smooth_l1_loss(X, X, beta=-1), ArgumentError, "smooth_l1_loss: beta"),
    (lambda: functional.binary_cross_entropy(X, X, V[:2]), ShapeError, "weight of"),
    (lambda: functional.binary_cross_entropy(X + 2, X), ArgumentError, "between 0 and 1"),
    (lambda: functional.kl_div(X[:0], X[:0], reduction="batchmean"), ShapeError, "kl_div"),
    (lambda: functional.cosine_embedding_loss(X, X, V), ShapeError, "cosine_embedding_loss"),
    (lambda: functional.margin_ranking_loss(X, V, X), ShapeError, "margin_ranking_loss"),
    (lambda: functional.margin_ranking_loss(X, X, X, margin="m"), ArgumentError, "margin"),
    (lambda: functional.triplet_margin_loss(X, X, X, p=-1), ArgumentError, "p takes"),
    (lambda: functional.batch_norm(X, None, None), ArgumentError, "running_mean"),
    (lambda: functional.batch_norm(V, V, V), ShapeError, "batch_norm"),
    (lambda: functional.batch_norm(X[:1], None, None, training=True), ShapeError, "one value"),
    (lambda: functional.batch_norm(X, V[:2], V), ShapeError, "running_mean"),
    (lambda: functional.batch_norm(X, [0.0] * 3, V, training=True), ArgumentError, "updated"),
    (lambda: functional.batch_norm(X, V, V, V[:2]), ShapeError, "weight"),
    (lambda: functional.layer_norm(X, 2), ShapeError, "layer_norm"),
    (lambda: functional.layer_norm(X, (3,), V[:2]), ShapeError, "weight"),
    (lambda: functional.layer_norm(X, ()), ShapeError, "layer_norm"),
    (lambda: functional.rms_norm(X, 3, eps=-1), ArgumentError, "eps"),
    (lambda: functional.group_norm(X, 2), ShapeError, "2 groups"),
    (lambda: functional.group_norm(X, 0), ShapeError, "0 groups"),
    (lambda: functional.instance_norm(IMAGE[:, :, :1, :1]), ShapeError, "more than one value"),
    (lambda: functional.local_response_norm(IMAGE, 0), ArgumentError, "size"),
    (lambda: functional.local_response_norm(X, 3), ShapeError, "3 axes"),
    (lambda: functional.normalize(X, dim=2), ShapeError, "axis 2"),
    (lambda: functional.cosine_similarity(X, mg.zeros((4, 3))), ShapeError, "broadcast"),
    (lambda: functional.embedding(X, TABLE), DtypeError, "input"),
    (lambda: functional.embedding(WHOLE, V), ShapeError, "weight"),
    (lambda: functional.embedding([4], TABLE), IndexingError, "got 4"),
    (lambda: functional.embedding([-1], TABLE), IndexingError, "got -1"),
    (lambda: functional.embedding([1], TABLE, 4), ArgumentError, "padding_idx"),
    (lambda: functional.embedding([1], TABLE, sparse=True), ArgumentError, "sparse"),
    (lambda: functional.embedding([1], TABLE, scale_grad_by_freq=True), ArgumentError, "by_freq"),
    (lambda: functional.embedding([1], TABLE, max_norm=-1), ArgumentError, "max_norm"),
    (lambda: functional.one_hot([3], 3), IndexingError, "got 3"),
    (lambda: functional.one_hot([3], 0), ArgumentError, "num_classes"),
    (lambda: functional.one_hot(X), DtypeError, "integers"),
    (lambda: functional.bilinear(X, X, TABLE), ShapeError, "bilinear"),
    (lambda: functional.dropout1d(IMAGE), ShapeError, "dropout1d"),
    (lambda: functional.dropout2d(X), ShapeError, "dropout2d"),
    (lambda: functional.dropout3d(IMAGE, 2), ArgumentError, "p takes"),
    (lambda: functional.alpha_dropout(WHOLE), DtypeError, "int64"),
    (lambda: functional.interpolate(IMAGE), ArgumentError, "one of size"),
    (lambda: functional.interpolate(IMAGE, 2, 2), ArgumentError, "one of size"),
    (lambda: functional.interpolate(IMAGE, (2, 2, 2)), ArgumentError, "one number or 2"),
    (lambda: functional.interpolate(IMAGE, 0), ArgumentError, "size"),
    (lambda: functional.interpolate(IMAGE, scale_factor=0.1), ArgumentError, "size"),
    (lambda: functional.interpolate(IMAGE, 2, mode="cubic"), ArgumentError, "mode"),
    (lambda: functional.interpolate(IMAGE, 2, mode="linear"), ShapeError, "mode 'linear'"),
    (lambda: functional.interpolate(IMAGE, 2, align_corners=True), ArgumentError, "align"),
    (lambda: functional.interpolate(IMAGE, 2, antialias=True), ArgumentError, "antialias"),
    (
        lambda: functional.interpolate(IMAGE, 2, recompute_scale_factor=True),
        ArgumentError,
        "recompute_scale_factor",
    ),
    (lambda: functional.interpolate(X, 2), ShapeError, "interpolate"),
    (lambda: functional.pixel_shuffle(IMAGE, 2), ShapeError, "pixel_shuffle"),
    (lambda: functional.pixel_unshuffle(IMAGE, 3), ShapeError, "pixel_unshuffle"),
    (lambda: functional.pixel_shuffle(IMAGE, 0), ArgumentError, "factor"),
    (lambda: nn.BatchNorm2d(0), ArgumentError, "num_features"),
    (lambda: nn.BatchNorm2d(3)(X), ShapeError, "4 axes"),
    (lambda: nn.InstanceNorm2d(4)(IMAGE), ShapeError, "4 channels"),
    (lambda: nn.GroupNorm(2, 3), ArgumentError, "2 groups"),
    (lambda: nn.Embedding(3, 2, 3), ArgumentError, "padding_idx"),
    (lambda: nn.Embedding(0, 2), ArgumentError, "num_embeddings"),
    (lambda: nn.Bilinear(1, 0, 1), ArgumentError, "in2_features"),
    (lambda: nn.MSELoss(reduction="all"), ArgumentError, "reduction"),
]


@pytest.mark.parametrize("row", range(len(ROWS)))
def test_what_does_not_fit_is_refused(row: int) -> None:
    call, error, words = ROWS[row]
    with pytest.raises(error, match=words):
        call()


def test_batch_normalization_of_a_checkpoint_from_before_batches_were_counted() -> None:
    """torchvision's first ResNets and its VGGs with batch normalization are such."""
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    net(mg.ones((1, 1, 4, 4)))
    state = {key: tensor + 1 for key, tensor in net.state_dict().items()}
    del state["1.num_batches_tracked"]
    assert net.load_state_dict(state) == ([], [])
    assert net[1].num_batches_tracked.item() == 1
    np.testing.assert_array_equal(net[1].running_var.numpy(), state["1.running_var"].numpy())
    older = {key: tensor for key, tensor in state.items() if key.startswith("0.")}
    with pytest.raises(StateDictError, match=r"5 missing:(?s:.*)'1\.num_batches_tracked'"):
        net.load_state_dict(older)
