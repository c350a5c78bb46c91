"""Every op over the table of samples: value, shape rule, gradients of first and second order,
memory layouts, untouched inputs, kept arrays and costs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from conftest import Execution
from numeric import along, central_differences
from sample import Array, Sample
from samples import SAMPLES

import minigrad as mg
from minigrad import tape
from minigrad.op import CATALOGUE, Op
from minigrad.spec import Spec
from minigrad.tensor import Tensor

DIFFERENTIABLE = [sample for sample in SAMPLES if sample.differentiable]

over_all = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.id)
over_differentiable = pytest.mark.parametrize(
    "sample", DIFFERENTIABLE, ids=lambda sample: sample.id
)


def is_floating(array: Array) -> bool:
    return array.dtype.kind == "f"


def tensors(arrays: Sequence[Array], requires_grad: bool = True) -> list[Tensor]:
    """Tensors that share the arrays; those of numbers with a fraction require a gradient."""
    result = [mg.asarray(array) for array in arrays]
    for tensor in result:
        tensor.requires_grad = requires_grad and is_floating(tensor.detach().numpy())
    return result


def leaves(arguments: Sequence[Tensor]) -> list[Tensor]:
    return [x for x in arguments if x.requires_grad]


def singles(arrays: Sequence[Array]) -> list[Array]:
    """The inputs in single precision."""
    return [a.astype(np.float32) if is_floating(a) else a for a in arrays]


def cotangent_of(y: Tensor) -> Array:
    """A cotangent of multiples of 1/4, exact in either precision."""
    rng = np.random.default_rng(y.size)
    return np.asarray(rng.integers(-8, 9, y.shape) / 4, y.dtype)


def gradients(sample: Sample, arrays: Sequence[Array]) -> list[Array]:
    """By all floating-point inputs, from the cotangent of `cotangent_of`."""
    arguments = tensors(arrays)
    y = sample.function(*arguments)
    cotangent = mg.asarray(cotangent_of(y))
    return [g.numpy() for g in mg.grad(y, leaves(arguments), cotangent)]


# -- value and shape rule ---------------------------------------------------------------------


def test_every_op_has_a_row() -> None:
    missing = set(CATALOGUE) - {sample.op for sample in SAMPLES}
    assert not missing, f"ops without a sample: {sorted(missing)}"


def test_rows_have_names_of_their_own() -> None:
    assert len({sample.id for sample in SAMPLES}) == len(SAMPLES)


@over_all
def test_value_is_that_of_numpy(sample: Sample) -> None:
    for arrays in (sample.inputs, singles(sample.inputs)):
        y = sample.function(*tensors(arrays, False))
        expected = np.asarray(sample.reference(*arrays))
        assert y.dtype == expected.dtype
        assert y.shape == expected.shape
        tolerance = {"rtol": 1e-12, "atol": 1e-13} if y.dtype != np.float32 else {}
        np.testing.assert_allclose(y.numpy(), expected, **tolerance or {"rtol": 2e-5, "atol": 2e-6})


def execute_all(sample: Sample, arrays: Sequence[Array]) -> Tensor:
    """The sample forward and, where it has derivatives, twice backward."""
    arguments = tensors(arrays, sample.differentiable)
    y: Tensor = sample.function(*arguments)
    if sample.differentiable:
        cotangent = mg.asarray(cotangent_of(y))
        cotangent.requires_grad = True
        first = mg.grad(y, leaves(arguments), cotangent, create_graph=True)
        total = sum_of_products(first, [np.ones(g.shape, g.dtype) for g in first])
        if total.requires_grad:
            mg.grad(total, [*leaves(arguments), cotangent], allow_unused=True)
    return y


def sum_of_products(tensors: Sequence[Tensor], weights: Sequence[Array]) -> Tensor:
    """Σ <tensor, weight>, added up in float64."""
    products = [
        (t * mg.asarray(w)).sum().astype("float64") for t, w in zip(tensors, weights, strict=True)
    ]
    total = products[0]
    for product in products[1:]:
        total = total + product
    return total


@over_all
def test_shape_rule_and_cost_of_every_op_that_runs(
    sample: Sample, executions: list[Execution]
) -> None:
    for arrays in (sample.inputs, singles(sample.inputs)):
        executions.clear()
        execute_all(sample, arrays)
        ran = {execution.op.name for execution in executions}
        assert sample.op in ran, "a sample of another op"
        for op, inputs, outputs in executions:
            inferred = op.infer(*inputs)
            assert (inferred if isinstance(inferred, tuple) else (inferred,)) == outputs, op
            assert_cost_counts(op, inputs, outputs)


def assert_cost_counts(op: Op, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> None:
    cost = op.cost(inputs, outputs)
    for count in (cost.macs, cost.flops, cost.bytes_moved):
        assert type(count) is int, op
        assert count >= 0, op
    assert cost.flops >= 2 * cost.macs, op
    assert cost.bytes_moved == sum(spec.nbytes for spec in (*inputs, *outputs)), op


# -- gradients --------------------------------------------------------------------------------


@over_differentiable
def test_gradient_is_that_of_central_differences(sample: Sample) -> None:
    floating = [i for i, a in enumerate(sample.inputs) if is_floating(a)]

    def loss(*moved: Array) -> float:
        arrays = list(sample.inputs)
        for i, array in zip(floating, moved, strict=True):
            arrays[i] = array
        y = sample.function(*tensors(arrays, False))
        return float(np.sum(y.numpy().astype(np.float64) * cotangent_of(y)))

    found = gradients(sample, sample.inputs)
    expected = central_differences(loss, [sample.inputs[i] for i in floating], sample.step)
    for got, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-7)


@over_differentiable
def test_second_derivative_is_that_of_central_differences(sample: Sample) -> None:
    """Of s = Σ <gradient, weight>, by the inputs and by the cotangent at once."""
    floating = [i for i, a in enumerate(sample.inputs) if is_floating(a)]
    cotangent = cotangent_of(sample.function(*tensors(sample.inputs, False)))
    point = [*[sample.inputs[i] for i in floating], cotangent]
    rng = np.random.default_rng(1)
    weights = [rng.standard_normal(sample.inputs[i].shape) for i in floating]

    def first_order(*moved: Array) -> tuple[Tensor, list[Tensor]]:
        arrays = list(sample.inputs)
        for i, array in zip(floating, moved, strict=False):
            arrays[i] = array
        arguments = tensors(arrays)
        v = mg.tensor(moved[-1], cotangent.dtype, requires_grad=True)
        variables = [*leaves(arguments), v]
        first = mg.grad(sample.function(*arguments), variables[:-1], v, create_graph=True)
        return sum_of_products(first, weights), variables

    total, variables = first_order(*point)
    second = mg.grad(total, variables, allow_unused=True)
    for _ in range(3):
        direction = [np.round(rng.uniform(-2, 2, array.shape) * 4) / 4 for array in point]
        got = sum(
            np.sum(g.numpy() * d) for g, d in zip(second, direction, strict=True) if g is not None
        )
        expected = along(lambda *a: first_order(*a)[0].item(), point, direction, sample.step)
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-7)


@over_differentiable
def test_gradient_in_single_precision(sample: Sample) -> None:
    arrays = singles(sample.inputs)
    found = gradients(sample, arrays)
    expected = gradients(sample, [a.astype(np.float64) if is_floating(a) else a for a in arrays])
    for got, wanted, array in zip(
        found, expected, [a for a in arrays if is_floating(a)], strict=True
    ):
        assert (got.shape, got.dtype) == (array.shape, np.float32)
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


@over_differentiable
def test_one_input_at_a_time(sample: Sample) -> None:
    """The gradient by an input does not depend on which others want one."""
    expected = gradients(sample, sample.inputs)
    floating = [i for i, a in enumerate(sample.inputs) if is_floating(a)]
    for place, i in enumerate(floating):
        arguments = tensors(sample.inputs, False)
        arguments[i].requires_grad = True
        y = sample.function(*arguments)
        (got,) = mg.grad(y, arguments[i], mg.asarray(cotangent_of(y)))
        np.testing.assert_allclose(got.numpy(), expected[place], rtol=1e-12, atol=1e-13)


# -- memory -----------------------------------------------------------------------------------


def embedded(array: Array) -> tuple[Array, Array]:
    """The array as a part of a larger one, and that."""
    base = np.full([n + 2 for n in array.shape], 3, array.dtype)
    part = base[(..., *[slice(1, -1)] * array.ndim)]
    part[...] = array
    return part, base


@over_all
def test_inputs_are_never_written_to(sample: Sample) -> None:
    pairs = [embedded(array) for array in sample.inputs]
    before = [base.copy() for _, base in pairs]
    for _, base in pairs:
        base.flags.writeable = False
    parts = [part.view() for part, _ in pairs]
    for part in parts:
        part.flags.writeable = False
    execute_all(sample, parts)
    for (_, base), copy in zip(pairs, before, strict=True):
        np.testing.assert_array_equal(base, copy)
    # Nor those that could be.
    arrays = [array.copy() for array in sample.inputs]
    execute_all(sample, arrays)
    for array, original in zip(arrays, sample.inputs, strict=True):
        np.testing.assert_array_equal(array, original)
        assert array.flags.writeable


def reversed_memory(array: Array) -> Array:
    back = (..., *[slice(None, None, -1)] * array.ndim)
    return array[back].copy()[back]


def spread_memory(array: Array) -> Array:
    wide = np.full([2 * n for n in array.shape], 99, array.dtype)
    part = wide[(..., *[slice(None, None, 2)] * array.ndim)]
    part[...] = array
    return part


def channels_last(array: Array) -> Array:
    if array.ndim != 4:
        return array
    return np.ascontiguousarray(array.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


LAYOUTS = {
    "reversed": reversed_memory,
    "strided": spread_memory,
    "transposed": lambda array: np.array(array, order="F"),
    "channels_last": channels_last,
}


@over_all
def test_memory_layout_does_not_matter(sample: Sample) -> None:
    def results(arrays: Sequence[Array]) -> list[Array]:
        value = sample.function(*tensors(arrays, False)).numpy()
        return [value, *(gradients(sample, arrays) if sample.differentiable else [])]

    expected = results(sample.inputs)
    for name, layout in LAYOUTS.items():
        got = results([np.asarray(layout(array)) for array in sample.inputs])
        for g, e in zip(got, expected, strict=True):
            np.testing.assert_allclose(g, e, rtol=1e-11, atol=1e-12, err_msg=name)


# -- record and cost --------------------------------------------------------------------------


def record_of(y: Tensor) -> Iterator[tape.Node]:
    """Every recorded call that y depends on."""
    if y.requires_grad:
        node, _ = y._node, y._index
        yield from [n for n in tape.ancestors([node]) if n.op is not None]


@over_differentiable
def test_record_counts_the_bytes_it_keeps(sample: Sample) -> None:
    y = sample.function(*tensors(sample.inputs))
    kept = [(node, node.saved_bytes, node.saved) for node in record_of(y)]
    assert kept
    for _, declared, saved in kept:
        assert declared == sum(array.nbytes for array in saved)
    y.backward(mg.asarray(cotangent_of(y)))
    for node, declared, _ in kept:
        assert node.saved is None
        assert node.saved_bytes == declared


@pytest.mark.parametrize(
    "sample", [s for s in SAMPLES if s.op.startswith("conv")], ids=lambda sample: sample.id
)
def test_convolution_counts_its_products(sample: Sample, executions: list[Execution]) -> None:
    """N OH OW K (C / groups) R S multiply-adds over two axes, for the convolution and both its
    gradients; of a transposed convolution the input has the place of the output."""
    sample.function(*tensors(sample.inputs, False))
    (run,) = [execution for execution in executions if execution.op.name == sample.op]
    first, second, result = *run.inputs[:2], run.outputs[0]
    y, weight = {
        "": (first if "transpose" in sample.op else result, second),
        "input_grad": (first, second),
        "weight_grad": (second, result),
    }[sample.op.partition("d_")[2]]
    products = y.size * weight.size // weight.shape[0]
    assert run.op.cost(run.inputs, run.outputs).macs == products


def test_matmul_counts_its_products() -> None:
    op = CATALOGUE["matmul"]()
    a, b = Spec((5, 2, 3)), Spec((5, 3, 7))
    cost = op.cost([a, b], [op.infer(a, b)])
    assert (cost.macs, cost.flops) == (5 * 2 * 3 * 7, 2 * 5 * 2 * 3 * 7)


def test_movements_compute_nothing(executions: list[Execution]) -> None:
    x = mg.zeros((2, 3))
    mg.concat([x.reshape(3, 2).T.expand(2, 2, 3)[0], x.clone()]).astype("float64")
    assert len({run.op.name for run in executions}) >= 6
    assert all(run.op.cost(run.inputs, run.outputs).flops == 0 for run in executions)


# -- the catalogue ----------------------------------------------------------------------------


@pytest.mark.parametrize("op", CATALOGUE.values(), ids=CATALOGUE)
def test_op_states_its_mathematics(op: type[Op]) -> None:
    assert op.__doc__
    assert op.name == op.name.lower()


def test_an_op_without_its_parts_is_refused() -> None:
    with pytest.raises(TypeError, match="backward"):

        class Half(Op):
            """y = x / 2."""

            name = "half"

            def infer(self, x: Spec) -> Spec:
                return x

            def forward(self, x: Array) -> Array:
                return x / 2

    with pytest.raises(TypeError, match="'add'"):

        class Again(CATALOGUE["add"]):
            """z = x + y."""

            name = "add"

    assert "half" not in CATALOGUE
