"""PyTorch as the reference of pooling over one to three axes: values, indices, gradients, print."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn
from minigrad.errors import ShapeError

torch = pytest.importorskip("torch")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
DRAWN = settings(max_examples=100, deadline=None)
F, T = nn.functional, torch.nn.functional


def drawn_input(draw: Any, axes: int) -> np.ndarray:
    lead = (2,) * draw(st.booleans())
    size = draw(st.tuples(*[st.integers(2, 8 if axes < 3 else 5)] * axes))
    shape = *lead, draw(st.sampled_from([1, 3, 17])), *size
    x = np.random.default_rng(draw(st.integers(0, 999))).normal(size=shape)
    return np.round(x) if draw(st.booleans()) else x  # with ties


def each(draw: Any, axes: int, low: int, high: int) -> tuple[int, ...]:
    return tuple(draw(st.integers(low, high)) for _ in range(axes))


def listed(result: Any) -> list[Any]:
    return list(result) if isinstance(result, (tuple, list)) else [result]


def assert_same(name: str, x: np.ndarray, *arguments: Any, **options: Any) -> None:
    """The values, the indices, and the gradient by x; nothing where PyTorch refuses."""
    theirs = torch.tensor(x, requires_grad=True)
    ours = mg.tensor(x, requires_grad=True)
    try:
        expected = listed(getattr(T, name)(theirs, *arguments, **options))
    except (RuntimeError, ValueError):
        return
    try:
        found = listed(getattr(F, name)(ours, *arguments, **options))
    except ShapeError as error:
        if "nothing but padding" in str(error):
            assert not expected[0].isfinite().all()
        else:  # with ceil_mode PyTorch takes a window that sticks out on both sides
            assert options["ceil_mode"] and "does not fit" in str(error)
        return
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape and str(a.dtype) == str(b.dtype).removeprefix("torch.")
        np.testing.assert_allclose(
            a.detach().numpy(), b.detach().numpy(), rtol=1e-10, atol=1e-12, err_msg=name
        )
    cotangent = np.random.default_rng(0).normal(size=found[0].shape)
    found[0].backward(mg.tensor(cotangent))
    expected[0].backward(torch.tensor(cotangent))
    assert ours.grad is not None
    np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), rtol=1e-10, atol=1e-12)


@DRAWN
@given(data=st.data(), axes=st.integers(1, 3))
def test_sliding_windows(data: st.DataObject, axes: int) -> None:
    x, kernel = drawn_input(data.draw, axes), each(data.draw, axes, 1, 4)
    options = {
        "stride": data.draw(st.none()) or each(data.draw, axes, 1, 3),
        "padding": tuple(data.draw(st.integers(0, k // 2)) for k in kernel),
        "ceil_mode": data.draw(st.booleans()),
    }
    dilation = each(data.draw, axes, 1, 2)
    assert_same(f"max_pool{axes}d", x, kernel, **options, dilation=dilation, return_indices=True)
    options["count_include_pad"] = data.draw(st.booleans())
    if axes > 1:
        options["divisor_override"] = data.draw(st.sampled_from([None, 5, -2]))
    assert_same(f"avg_pool{axes}d", x, kernel, **options)


@DRAWN
@given(data=st.data(), axes=st.integers(1, 3))
def test_adaptive_windows(data: st.DataObject, axes: int) -> None:
    x, size = drawn_input(data.draw, axes), each(data.draw, axes, 1, 6)
    assert_same(f"adaptive_avg_pool{axes}d", x, size)
    assert_same(f"adaptive_max_pool{axes}d", x, size, return_indices=True)
    if axes > 1:
        assert_same(f"adaptive_avg_pool{axes}d", x, (None, *size[1:]))


@DRAWN
@given(data=st.data(), axes=st.integers(1, 3), p=st.sampled_from([1.0, 1.5, 2.0, 3.0]))
def test_powers(data: st.DataObject, axes: int, p: float) -> None:
    x, kernel = np.abs(drawn_input(data.draw, axes)) + 0.1, data.draw(st.integers(1, 3))
    options = {
        "stride": data.draw(st.sampled_from([None, 1, 2])),
        "ceil_mode": data.draw(st.booleans()),
    }
    assert_same(f"lp_pool{axes}d", x, p, kernel, **options)


def test_powers_of_zeros_have_the_gradient_zero() -> None:
    x = mg.zeros((1, 1, 2, 2), requires_grad=True)
    F.lp_pool2d(x, 2, 2).backward(mg.ones((1, 1, 1, 1)))
    assert x.grad is not None and x.grad.tolist() == mg.zeros((1, 1, 2, 2)).tolist()


@DRAWN
@given(data=st.data(), axes=st.integers(1, 3))
def test_unpooling(data: st.DataObject, axes: int) -> None:
    x = drawn_input(data.draw, axes)
    kernel, stride = data.draw(st.integers(1, 3)), data.draw(st.sampled_from([None, 1, 2]))
    try:
        y, indices = getattr(T, f"max_pool{axes}d")(
            torch.tensor(x), kernel, stride, return_indices=True
        )
        theirs = getattr(T, f"max_unpool{axes}d")
        expected = theirs(y, indices, kernel, stride, output_size=x.shape[-axes:])
    except (RuntimeError, ValueError):
        return
    ours = getattr(F, f"max_unpool{axes}d")
    found = ours(
        mg.tensor(y.numpy()),
        mg.tensor(indices.numpy()),
        kernel,
        stride,
        output_size=x.shape[-axes:],
    )
    np.testing.assert_array_equal(found.numpy(), expected.numpy())


LAYERS: list[tuple[str, tuple, dict[str, Any]]] = [
    *[(f"MaxPool{n}d", (3,), {"stride": 2, "padding": 1}) for n in (1, 2, 3)],
    *[(f"MaxPool{n}d", (2,), {"ceil_mode": True, "dilation": 2}) for n in (1, 2, 3)],
    *[(f"AvgPool{n}d", (3, 2, 1), {"count_include_pad": False}) for n in (1, 2, 3)],
    *[(f"AvgPool{n}d", (2,), {"divisor_override": 3}) for n in (2, 3)],
    *[(f"LPPool{n}d", (2, 2), {"ceil_mode": True}) for n in (1, 2, 3)],
    *[(f"AdaptiveAvgPool{n}d", (2,), {}) for n in (1, 2, 3)],
    *[(f"AdaptiveMaxPool{n}d", (2,), {"return_indices": True}) for n in (1, 2, 3)],
    ("AdaptiveAvgPool2d", ((None, 1),), {}),
    ("MaxPool2d", ((3, 2),), {"stride": (2, 1), "return_indices": True}),
]


@pytest.mark.parametrize(("name", "arguments", "options"), LAYERS)
def test_layers(name: str, arguments: tuple, options: dict[str, Any]) -> None:
    ours = getattr(nn, name)(*arguments, **options)
    theirs = getattr(torch.nn, name)(*arguments, **options)
    assert repr(ours) == repr(theirs)
    assert not list(ours.state_dict())
    x = np.abs(np.random.default_rng(0).normal(size=(2, 3, *[7] * int(name[-2]))))
    pairs = zip(listed(ours(mg.tensor(x))), listed(theirs(torch.tensor(x))), strict=True)
    for found, expected in pairs:
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-12)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_unpooling_layers(axes: int) -> None:
    ours = getattr(nn, f"MaxUnpool{axes}d")(2)
    theirs = getattr(torch.nn, f"MaxUnpool{axes}d")(2)
    assert repr(ours) == repr(theirs)
    x = torch.tensor(np.random.default_rng(0).normal(size=(2, 3, *[4] * axes)))
    y, indices = getattr(T, f"max_pool{axes}d")(x, 2, return_indices=True)
    found = ours(mg.tensor(y.numpy()), mg.tensor(indices.numpy()))
    np.testing.assert_array_equal(found.numpy(), theirs(y, indices).numpy())
