"""PyTorch as the reference of convolution and transposed convolution over one to three axes: values
and gradients, what is refused, and the layers' states, prints and first values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn
from minigrad.errors import MinigradError

torch = pytest.importorskip("torch")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:Using padding='same'")]
DRAWN = settings(max_examples=150, deadline=None)
CLOSE = {"rtol": 1e-9, "atol": 1e-10}


def assert_same(ours: Callable[..., Any], theirs: Callable[..., Any], *arrays: Any) -> bool:
    """Same value, and the same gradients under one cotangent; or both refuse, then False."""
    a = [mg.tensor(array, requires_grad=True) for array in arrays]
    b = [torch.tensor(array, requires_grad=True) for array in arrays]
    try:
        expected = theirs(*b)
    except (RuntimeError, ValueError):
        with pytest.raises(MinigradError):
            ours(*a)
        return False
    y = ours(*a)
    assert y.shape == tuple(expected.shape)
    np.testing.assert_allclose(y.detach().numpy(), expected.detach().numpy(), **CLOSE)
    cotangent = np.random.default_rng(1).normal(size=y.shape)
    y.backward(mg.tensor(cotangent))
    expected.backward(torch.tensor(cotangent))
    for i, (found, wanted) in enumerate(zip(a, b, strict=True)):
        np.testing.assert_allclose(found.grad.numpy(), wanted.grad.numpy(), err_msg=f"{i}", **CLOSE)
    return True


def each(axes: int, low: int, high: int) -> st.SearchStrategy[Any]:
    number = st.integers(low, high)
    return number | st.tuples(*[number] * axes)


def drawn(data: st.DataObject, axes: int, transposed: bool) -> tuple[list[Any], dict[str, Any]]:
    """Arrays (input, weight, and perhaps a bias) and options; not all of them fit together."""
    draw = data.draw
    groups = draw(st.integers(1, 3))
    inputs, outputs = (groups * draw(st.integers(1, 2)) for _ in range(2))
    space = draw(st.tuples(*[st.integers(1, 7 if axes < 3 else 4)] * axes))
    kernel = draw(st.tuples(*[st.integers(1, 4 if axes < 3 else 3)] * axes))
    first, second = (inputs, outputs) if transposed else (outputs, inputs)
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    arrays = [
        rng.normal(size=((2,) * draw(st.booleans()) + (inputs, *space))),
        rng.normal(size=(first, second // groups, *kernel)),
        *[rng.normal(size=outputs)] * draw(st.booleans()),
    ]
    options = {name: draw(each(axes, 1, 3)) for name in ("stride", "dilation")}
    options |= {"padding": draw(each(axes, 0, 3)), "groups": groups}
    if transposed:
        options["output_padding"] = draw(each(axes, 0, 2))
    elif draw(st.booleans()):
        options |= {"padding": draw(st.sampled_from(["valid", "same"]))}
        options |= {"stride": 1} if draw(st.booleans()) else {}
    return arrays, options


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("kind", ["conv", "conv_transpose"])
@DRAWN
@given(data=st.data())
def test_functions(kind: str, axes: int, data: st.DataObject) -> None:
    arrays, options = drawn(data, axes, kind == "conv_transpose")
    ours = getattr(nn.functional, f"{kind}{axes}d")
    theirs = getattr(torch.nn.functional, f"{kind}{axes}d")
    assert_same(lambda *a: ours(*a, **options), lambda *a: theirs(*a, **options), *arrays)


LAYERS: list[tuple[str, tuple, dict[str, Any]]] = [
    *[
        (f"Conv{axes}d", (4, 6, 3), options)
        for axes in (1, 2, 3)
        for options in (
            {},
            {"stride": 2, "padding": 1, "bias": False},
            {"dilation": 2, "groups": 2, "padding": "same"},
            {"padding": "valid"},
            *[
                {"padding_mode": mode, "padding": padding, "stride": stride}
                for mode in ("reflect", "replicate", "circular")
                for padding, stride in [
                    (tuple(range(axes, 0, -1)), 2),
                    ("same", 1),
                    (0, 1),
                ]
            ],
        )
    ],
    ("Conv2d", (3, 3, (2, 3)), {"padding": "same", "padding_mode": "reflect", "dilation": (2, 1)}),
    ("Conv1d", (2, 2, 4), {"padding": "same", "padding_mode": "circular"}),
    *[
        (f"ConvTranspose{axes}d", (4, 6, 3), options)
        for axes in (1, 2, 3)
        for options in (
            {},
            {"stride": 2, "padding": 1, "output_padding": 1},
            {"groups": 2, "dilation": 2, "bias": False},
        )
    ],
]


@pytest.mark.parametrize("row", LAYERS, ids=lambda row: f"{row[0]}-{row[2]}")
@pytest.mark.parametrize("batch", [(), (2,)])
def test_layers(row: Any, batch: tuple[int, ...]) -> None:
    """The same print, the same keys and shapes, and with one state the same function."""
    name, arguments, options = row
    ours = getattr(nn, name)(*arguments, **options).double()
    theirs = getattr(torch.nn, name)(*arguments, **options).double()
    assert repr(ours) == repr(theirs)
    state = {key: value.numpy() for key, value in theirs.state_dict().items()}
    assert [(k, v.shape) for k, v in ours.state_dict().items()] == [
        (k, v.shape) for k, v in state.items()
    ]
    ours.load_state_dict(state)
    axes = theirs.weight.ndim - 2
    x = np.random.default_rng(0).normal(size=(*batch, arguments[0], *(6, 5, 7)[:axes]))
    assert assert_same(ours, theirs, x)
    for (key, found), wanted in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(found.grad.numpy(), wanted.grad.numpy(), err_msg=key, **CLOSE)


@pytest.mark.parametrize("name", ["Conv1d", "Conv3d", "ConvTranspose2d", "ConvTranspose3d"])
@pytest.mark.parametrize("groups", [1, 4])
def test_first_values_have_the_same_spread(name: str, groups: int) -> None:
    mg.manual_seed(0)
    torch.manual_seed(0)
    ours = getattr(nn, name)(8, 2000, 3, groups=groups).state_dict()
    theirs = getattr(torch.nn, name)(8, 2000, 3, groups=groups).state_dict()
    for key in ("weight", "bias"):
        found, expected = ours[key].numpy(), theirs[key].numpy()
        assert found.shape == expected.shape
        assert abs(np.abs(found).max() / np.abs(expected).max() - 1) < 0.02, key
        assert abs(found.std() / expected.std() - 1) < 0.1, key


@pytest.mark.parametrize("size", [9, 10, (10, 9), (2, 3, 9, 10), (9, 9, 9), 8, 11, (11, 9)])
def test_transposed_layer_takes_an_output_size(size: Any) -> None:
    ours = nn.ConvTranspose2d(2, 3, 3, stride=2).double()
    theirs = torch.nn.ConvTranspose2d(2, 3, 3, stride=2).double()
    ours.load_state_dict({key: value.numpy() for key, value in theirs.state_dict().items()})
    x = np.random.default_rng(0).normal(size=(2, 2, 4, 4))
    pair = [size, size] if isinstance(size, int) else list(size)
    fits = size not in ((9, 9, 9), 8, 11, (11, 9))
    same = assert_same(lambda a: ours(a, size), lambda a: theirs(a, output_size=pair), x)
    assert same == fits
