"""PyTorch as the reference of the array functions: values, gradients, second derivatives.

`torch_pairs` and its companions hold the pairs. Each is compared at arguments drawn at random,
and the elementwise functions and reductions also at special numbers, where `KNOWN` lists every
difference.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import pytest
from torch_known import COMPARED_ELSEWHERE, KNOWN, WITHOUT_COUNTERPART
from torch_pairs import BINARY, COMPARISONS, PAIRS, PREDICATES, UNARY, Pair

import minigrad as mg
from minigrad import linalg, ops
from minigrad.errors import DtypeError

torch = pytest.importorskip("torch")
for companion in ("arrays", "linalg", "products"):
    import_module(f"torch_pairs_{companion}")  # which adds its rows to PAIRS

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

DRAWS = 30
CLOSE = {"rtol": 1e-9, "atol": 1e-10}
INF, NAN = np.inf, np.nan
ONE = [*[name for name, *_ in UNARY], *PREDICATES]
TWO = [*[name for name, *_ in BINARY], *COMPARISONS, "floor_divide"]
EXTRA: dict[str, dict[str, Any]] = {
    **{f"cumulative_{name}": {"include_initial": False} for name in ("sum", "prod")},
    **{name: {"descending": False} for name in ("sort", "argsort")},
    **{name: {"correction": 0} for name in ("var", "std")},
    **{name: {"keepdims": False} for name in ("argmax", "argmin")},
}


def listed(result: Any) -> list[Any]:
    return list(result) if isinstance(result, (tuple, list)) else [result]


def as_leaves(arrays: list[Any], gradient: bool) -> tuple[list[Any], list[Any]]:
    floating = [gradient and a.dtype.kind == "f" for a in arrays]
    ours = [mg.tensor(a, requires_grad=g) for a, g in zip(arrays, floating, strict=True)]
    theirs = [torch.tensor(a, requires_grad=g) for a, g in zip(arrays, floating, strict=True)]
    return ours, theirs


def assert_close(ours: Any, theirs: Any, what: str) -> None:
    expected = theirs.detach().numpy(force=True)
    assert ours.shape == expected.shape, what
    assert ours.dtype == expected.dtype, what
    np.testing.assert_allclose(ours.detach().numpy(), expected, err_msg=what, **CLOSE)


def weighed(tensors: list[Any], seed: int) -> tuple[list[Any], list[Any]]:
    """A random array for each tensor: for us and for PyTorch."""
    rng = np.random.default_rng(seed)
    arrays = [np.asarray(rng.normal(size=tuple(t.shape))) for t in tensors]
    return [mg.tensor(a) for a in arrays], [torch.tensor(a) for a in arrays]


def gradients(
    ours: tuple[list[Any], list[Any]], theirs: tuple[list[Any], list[Any]], seed: int
) -> tuple[list[Any], list[Any]]:
    """The gradients of (outputs, inputs) through random cotangents, 0 where nothing depends."""
    chosen = [i for i, y in enumerate(theirs[0]) if y.is_floating_point()]
    cotangents = weighed([theirs[0][i] for i in chosen], seed)
    totals = [
        sum((side[0][i] * c).sum() for i, c in zip(chosen, weights, strict=True))
        for side, weights in zip((ours, theirs), cotangents, strict=True)
    ]
    options = {"create_graph": True, "allow_unused": True}
    grad = mg.grad if totals[0].requires_grad else _nothing
    found = grad(totals[0], ours[1], **options)
    grad = torch.autograd.grad if totals[1].requires_grad else _nothing
    expected = grad(totals[1], theirs[1], **options)
    return (
        [mg.zeros_like(x) if g is None else g for g, x in zip(found, ours[1], strict=True)],
        [torch.zeros_like(x) if g is None else g for g, x in zip(expected, theirs[1], strict=True)],
    )


def _nothing(outputs: Any, inputs: list[Any], **options: Any) -> list[None]:
    return [None] * len(inputs)


def compare(pair: Pair, seed: int) -> None:
    arrays, options = pair.draw(np.random.default_rng(seed))
    ours, theirs = as_leaves(arrays, pair.gradient)
    found, expected = listed(pair.ours(*ours, **options)), listed(pair.theirs(*theirs, **options))
    what = f"{pair.name} of {[a.shape for a in arrays]} with {options}"
    assert len(found) == len(expected), what
    for y, z in zip(found, expected, strict=True):
        assert_close(y, z, what)
    if not pair.gradient:
        return
    leaves = [i for i, x in enumerate(theirs) if x.requires_grad]
    sides = [x for x in ours if x.requires_grad], [theirs[i] for i in leaves]
    for order in ("gradient", "second derivative"):
        found, expected = gradients((found, sides[0]), (expected, sides[1]), seed)
        for y, z in zip(found, expected, strict=True):
            assert_close(y, z, f"{order}: {what}")


@pytest.mark.parametrize("number", range(len(PAIRS)), ids=lambda i: f"{i}-{PAIRS[i].name}")
def test_generic_arguments(number: int) -> None:
    for seed in range(DRAWS):
        compare(PAIRS[number], seed)


SPECIAL = np.array([0.0, -0.0, 1, -1, 0.5, -0.5, 2, -2, 3, -3, 6, 1e300, -1e300, INF, -INF, NAN])
ACROSS = np.stack(np.meshgrid(SPECIAL, SPECIAL, indexing="ij"), -1).reshape(-1, 2)
REDUCTIONS = [
    "sum",
    "mean",
    "max",
    "min",
    "amax",
    "amin",
    "prod",
    "logsumexp",
    "var",
    "std",
    "all",
    "any",
    "count_nonzero",
    "argmax",
]
REDUCTIONS += [
    "argmin",
    "cumulative_sum",
    "cumulative_prod",
    "softmax",
    "log_softmax",
    "sort",
    "argsort",
]
REDUCTIONS += ["vector_norm"]


def columns(name: str) -> list[np.ndarray]:
    if name in REDUCTIONS:
        return [ACROSS]
    return [SPECIAL] if name in ONE else [ACROSS[:, 0].copy(), ACROSS[:, 1].copy()]


def differing(name: str) -> dict[str, np.ndarray]:
    """Where values, and gradients, differ at special numbers: a mask over the points."""
    pair = next(pair for pair in PAIRS if pair.name == name)
    arrays = columns(name)
    ours, theirs = as_leaves(arrays, pair.gradient)
    options = {**EXTRA.get(name, {}), **({"axis": -1} if name in REDUCTIONS else {})}
    y, z = pair.ours(*ours, **options), pair.theirs(*theirs, **options)
    masks = {"value": unequal(y, z, len(arrays[0]))}
    if pair.gradient:
        cotangents = weighed([z], 0)
        y.backward(cotangents[0][0])
        z.backward(cotangents[1][0])
        for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            masks[f"gradient {i}"] = unequal(a.grad, b.grad, len(arrays[0]))
    return masks


def unequal(ours: Any, theirs: Any, points: int) -> np.ndarray:
    same = np.isclose(
        ours.detach().numpy(), theirs.detach().numpy(force=True), rtol=1e-9, atol=0, equal_nan=True
    )
    return ~same.reshape(points, -1).all(axis=1)


@pytest.mark.parametrize("name", [*ONE, *TWO, *REDUCTIONS])
def test_special_numbers(name: str) -> None:
    points = [ACROSS[:, 0], ACROSS[:, 1]] if len(columns(name)[0]) == len(ACROSS) else [SPECIAL]
    for what, mask in differing(name).items():
        where, reason = KNOWN.get((name, what), (None, ""))
        allowed = np.zeros_like(mask) if where is None else where(*points)
        unexpected = [tuple(float(p[i]) for p in points) for i in np.flatnonzero(mask & ~allowed)]
        assert not unexpected, f"{what} of {name}"
        assert where is None or mask.any(), f"{what} of {name} is the same now: {reason}"


def test_every_function_is_compared() -> None:
    named = {pair.name for pair in PAIRS}
    assert not named & {*WITHOUT_COUNTERPART, *COMPARED_ELSEWHERE}
    for module in (ops, linalg):
        assert {*module.__all__} <= {*named, *WITHOUT_COUNTERPART, *COMPARED_ELSEWHERE}


def test_counts(capsys: pytest.CaptureFixture[str]) -> None:
    functions, special = {pair.name for pair in PAIRS}, len([*ONE, *TWO, *REDUCTIONS])
    with capsys.disabled():
        print(f"\n{len(functions)} functions, {len(PAIRS) * DRAWS} draws, {special} at specials")
    assert len(functions) > 150


class TestOtherDifferences:
    """What differs by convention, away from special numbers."""

    def test_an_advanced_index_cut_in_two_goes_first_as_in_numpy(self) -> None:
        x = np.arange(60.0).reshape(3, 4, 5)
        index = (0, slice(None), [1, 0])
        found = ops.getitem(x, index).numpy()
        np.testing.assert_array_equal(found, x[index])
        np.testing.assert_array_equal(found.T, torch.tensor(x)[index].numpy())

    def test_a_fractional_step_is_rounded_after_it_was_taken(self) -> None:
        found = mg.arange(0.5, 4.25, 0.75, dtype="uint8").numpy()
        np.testing.assert_array_equal(found, [0, 1, 2, 2, 3])
        assert torch.arange(0.5, 4.25, 0.75, dtype=torch.uint8).tolist() == [0] * 5

    def test_dtypes_are_not_promoted(self) -> None:
        for dtypes in [("float32", "float64"), ("int32", "int64"), ("int64", "float32")]:
            arrays = [np.ones(2, dtype) for dtype in dtypes]
            torch.add(*[torch.tensor(a) for a in arrays])
            with pytest.raises(DtypeError):
                ops.add(*[mg.tensor(a) for a in arrays])

    def test_second_derivative_of_bounds_that_broadcast_x(self) -> None:
        """PyTorch fails at them; minigrad takes them."""
        x, low = mg.tensor(np.zeros((3, 1)), requires_grad=True), mg.tensor(np.ones((3, 2)))
        ops.clip(x, low).sum().backward(create_graph=True)
        np.testing.assert_array_equal(x.grad.detach().numpy(), np.zeros((3, 1)))


def cofactors(x: np.ndarray) -> np.ndarray:
    """(-1)^(i + j) det of x without row i and column j."""
    places = range(len(x))
    minors = [[np.linalg.det(np.delete(np.delete(x, i, 0), j, 1)) for j in places] for i in places]
    return np.array(minors) * (-1.0) ** np.add.outer(places, places)


@pytest.mark.parametrize("n", [2, 3, 4])
def test_det_of_singular_matrices(n: int) -> None:
    """The gradient is the matrix of cofactors, whatever the rank; PyTorch may have zeros."""
    rng = np.random.default_rng(n)
    for rank in range(n):
        x = rng.normal(size=(n, rank)) @ rng.normal(size=(rank, n))
        ours, theirs = as_leaves([x], True)
        y = linalg.det(ours[0])
        assert_close(y, torch.linalg.det(theirs[0]), "value")
        y.backward()
        np.testing.assert_allclose(ours[0].grad.numpy(), cofactors(x), rtol=1e-7, atol=1e-9)


# uint8 is left out: its sums are uint64 as in the array API standard, int64 in PyTorch.
INTEGERS = ["int8", "int16", "int32", "int64"]


@pytest.mark.parametrize("dtype", ["bool", *INTEGERS, "float32"])
@pytest.mark.parametrize(
    "name", ["sum", "prod", "cumulative_sum", "cumulative_prod", "max", "sort"]
)
def test_dtypes_of_results(name: str, dtype: str) -> None:
    pair = next(pair for pair in PAIRS if pair.name == name)
    x = np.array([[1, 0, 1], [1, 1, 1]]).astype(dtype)
    options = {**EXTRA.get(name, {}), "axis": -1}
    found, expected = (
        f(g(x), **options) for f, g in ((pair.ours, mg.tensor), (pair.theirs, torch.tensor))
    )
    assert str(expected.dtype).removeprefix("torch.") == found.dtype
    np.testing.assert_array_equal(found.numpy(), expected.numpy())
