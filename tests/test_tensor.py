"""Tensors as values: how they are made, what dtype they get, and how they come out again."""

from __future__ import annotations

import array
import copy
import pickle

import numpy as np
import pytest

import minigrad as mg
from minigrad.errors import DtypeError, GradientError, MinigradError, ShapeError
from minigrad.spec import Spec
from minigrad.tensor import Tensor

# -- construction -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "spec"),
    [
        (1, Spec((), "int64")),
        (1.5, Spec((), "float32")),
        (True, Spec((), "bool")),
        ([1, 2], Spec((2,), "int64")),
        ((1, 2.5), Spec((2,), "float32")),
        ([True, False], Spec((2,), "bool")),
        ([True, 2], Spec((2,), "int64")),
        ([], Spec((0,), "float32")),
        ([[], []], Spec((2, 0), "float32")),
        (range(3), Spec((3,), "int64")),
        (float("nan"), Spec((), "float32")),
        (np.float64(1), Spec((), "float64")),
        (np.int8(1), Spec((), "int8")),
        (np.bool_(True), Spec((), "bool")),
        (np.zeros(2), Spec((2,), "float64")),
        (np.zeros((2, 0), "uint8"), Spec((2, 0), "uint8")),
        (np.zeros(2, ">f4"), Spec((2,), "float32")),
        (np.zeros(2, ">i8"), Spec((2,), "int64")),
        ([mg.tensor(1.5), 2], Spec((2,), "float32")),
        ([mg.tensor([1, 2]), [3, 4]], Spec((2, 2), "int64")),
        ([np.array([1, 2]), (3, mg.tensor(4))], Spec((2, 2), "int64")),
        (2**62, Spec((), "int64")),
    ],
    ids=repr,
)
def test_dtype_and_shape_follow_the_data(data: object, spec: Spec) -> None:
    assert mg.tensor(data).spec == spec
    assert mg.asarray(data).spec == spec
    assert Tensor(data).spec == spec


@pytest.mark.parametrize("dtype", ["float32", mg.float32, np.float32, np.dtype("float32")])
def test_a_dtype_can_be_named_in_several_ways(dtype: object) -> None:
    assert mg.tensor([1, 2], dtype).dtype == np.float32


def test_a_given_dtype_holds() -> None:
    assert mg.tensor([1, 2], "float64").tolist() == [1.0, 2.0]
    assert mg.tensor(np.array([1.5, 0.0]), "bool").tolist() == [True, False]
    assert mg.tensor(mg.tensor([1.5]), "float64").dtype == np.float64


def test_big_endian_values_arrive() -> None:
    assert mg.tensor(np.array([1.5, -2], ">f8")).tolist() == [1.5, -2]


@pytest.mark.parametrize(
    "data",
    [
        "text",
        b"bytes",
        None,
        1j,
        object(),
        {"a": 1},
        {1, 2},
        [1, "2"],
        [None],
        [1j],
        2**70,
        [10**400, 1.5],
        np.float16(1),
        np.zeros(2, np.float16),
        np.zeros(2, np.complex64),
        np.zeros(2, np.longdouble),
        np.array(["a"]),
        np.array([None]),
        np.array(["2020-01-01"], "M8[D]"),
        np.zeros(2, "i4,f4"),
        np.zeros(2, "V3"),
    ],
    ids=lambda data: type(data).__name__,
)
def test_what_is_not_a_real_number_is_refused(data: object) -> None:
    for make in (mg.tensor, mg.asarray):
        with pytest.raises(DtypeError):
            make(data)
        if getattr(data, "dtype", None) not in (np.float16, np.longdouble):
            with pytest.raises(DtypeError):
                make(data, "float32")


@pytest.mark.parametrize(
    "dtype", ["float16", "complex64", "object", "O", "U1", "M8[s]", "nope", None, "i4,f4", 3, ""]
)
def test_other_dtypes_are_refused(dtype: object) -> None:
    x = mg.tensor([1.0])
    with pytest.raises(DtypeError):
        x.astype(dtype)
    if dtype is not None:
        with pytest.raises(DtypeError):
            mg.tensor([1.0], dtype)


@pytest.mark.parametrize("data", [[[1], [1, 2]], [1, [2]], [[1, 2], 3.0], [np.zeros(2), [1]]])
def test_ragged_lists_are_refused(data: object) -> None:
    with pytest.raises(ShapeError, match="equal lengths"):
        mg.tensor(data)


@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool"])
def test_only_floating_point_requires_a_gradient(dtype: str) -> None:
    with pytest.raises(DtypeError, match=f"requires_grad.*{dtype}"):
        mg.tensor([1, 0], dtype, requires_grad=True)
    with pytest.raises(DtypeError, match=dtype):
        mg.tensor([1, 0], dtype).requires_grad_()
    with pytest.raises(DtypeError, match=dtype):
        mg.zeros(2, dtype, requires_grad=True)


def test_a_list_of_tensors_that_require_gradients_says_so() -> None:
    with pytest.raises(GradientError, match=r"x\.detach\(\)"):
        mg.tensor([mg.ones(2, requires_grad=True)])


# -- memory -----------------------------------------------------------------------------------


@pytest.mark.parametrize("part", [slice(None), slice(None, None, -1), slice(1, 2)], ids=str)
def test_tensor_copies(part: slice) -> None:
    source = np.array([1.0, 2.0, 3.0])
    x = mg.tensor(source[part])
    before = x.tolist()
    source[:] = 9
    assert x.tolist() == before
    with mg.no_grad():
        x[0] = 100
    assert source.tolist() == [9, 9, 9]


def test_tensor_copies_what_lends_its_memory() -> None:
    source = array.array("f", [1, 2])
    x, y = mg.tensor(source), mg.tensor(memoryview(source))
    source[0] = 9
    assert x.tolist() == y.tolist() == [1, 2]


def test_tensor_keeps_the_memory_format() -> None:
    source = np.zeros((2, 4, 5, 3)).transpose(0, 3, 1, 2)
    assert mg.tensor(source).numpy().strides == source.strides


def test_asarray_shares() -> None:
    source = np.array([1.0, 2.0])
    x = mg.asarray(source)
    assert np.shares_memory(x.numpy(), source)
    assert mg.asarray(x) is x
    assert mg.asarray(x, "float64") is x
    assert mg.asarray(x, "float32").dtype == np.float32
    x[0] = 100.0
    assert source.tolist() == [1, 2]


def test_asarray_to_another_dtype_is_differentiable() -> None:
    x = mg.tensor([1.0], requires_grad=True)
    mg.asarray(x, "float64").sum().backward()
    assert x.grad.spec == x.spec


def test_index_arrays_may_be_changed_afterwards() -> None:
    x = mg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    index, at = np.array([0, 1]), np.array([2])
    y = x[index]
    z = mg.zeros(3)
    z[at] = x[2]
    index[:] = 2
    at[:] = 0
    (y.sum() + z[2] * 10).backward()
    assert x.grad.tolist() == [1, 1, 10]


def test_numpy_is_a_read_only_view() -> None:
    x = mg.tensor([1.0, 2.0])
    a = x.numpy()
    assert np.shares_memory(a, x.numpy())
    with pytest.raises(ValueError, match="read-only"):
        a[0] = 5
    x[0] = 5.0
    assert a.tolist() == [1, 2]


def test_numpy_of_a_tensor_that_requires_a_gradient() -> None:
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    for take in (x.numpy, lambda: np.asarray(x), lambda: np.array(x), lambda: np.sum(np.array(x))):
        with pytest.raises(GradientError, match=r"x\.detach\(\)\.numpy\(\)"):
            take()
    assert x.detach().numpy().tolist() == [1, 2]
    assert np.asarray(x > 1).tolist() == [False, True]


def test_numpy_takes_tensors() -> None:
    x = mg.tensor([1.0, 2.0])
    assert np.asarray(x).dtype == np.float32
    assert np.asarray(x, np.float64).dtype == np.float64
    own = np.array(x)
    own[0] = 7
    assert x.tolist() == [1, 2]


# -- one element, many elements ---------------------------------------------------------------


def test_numbers() -> None:
    x = mg.tensor([[2.5]])
    assert x.item() == 2.5
    assert (float(x), int(x), bool(x)) == (2.5, 2, True)
    assert type(x.item()) is float
    assert type(mg.tensor(3).item()) is int
    assert type(mg.tensor(True).item()) is bool
    assert f"{mg.tensor(2.5):.3f}" == "2.500"
    assert f"{mg.tensor([1, 2])}" == "tensor([1, 2])"


@pytest.mark.parametrize("convert", [Tensor.item, float, int, bool, lambda x: f"{x:.2f}"])
@pytest.mark.parametrize("shape", [(2,), (0,), (1, 2)])
def test_only_one_element_is_a_number(convert, shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=str(shape[-1])):
        convert(mg.zeros(shape))


def test_an_integer_tensor_is_an_index() -> None:
    assert [10, 20, 30][mg.tensor(1)] == 20
    assert list(range(mg.tensor(3))) == [0, 1, 2]
    for wrong in (mg.tensor(1.0), mg.tensor([1])):
        with pytest.raises(DtypeError, match="index"):
            [1, 2][wrong]


def test_length_and_iteration() -> None:
    x = mg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    assert len(x) == 2
    first, second = x
    (first * 10 + second).sum().backward()
    assert x.grad.tolist() == [[10, 10], [1, 1]]
    for take in (len, iter):
        with pytest.raises(ShapeError, match="0-d"):
            list(range(take(mg.tensor(1))))


def test_sizes() -> None:
    x = mg.zeros((2, 3), "float64")
    assert (x.shape, x.ndim, x.size, x.nbytes, x.dtype) == ((2, 3), 2, 6, 48, np.float64)
    assert type(x.shape[0]) is int


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (mg.tensor([1.5, 2.0]), "tensor([1.5, 2. ])"),
        (mg.tensor(3), "tensor(3)"),
        (mg.tensor([True]), "tensor([ True])"),
        (mg.tensor([1.0], "float64"), "tensor([1.], dtype=float64)"),
        (mg.tensor([1.0], requires_grad=True), "tensor([1.], requires_grad=True)"),
        (mg.tensor([1.0], requires_grad=True) * 2, "tensor([2.], op=multiply)"),
        (mg.zeros((0, 2)), "tensor([])"),
    ],
    ids=str,
)
def test_repr(x: Tensor, text: str) -> None:
    assert repr(x) == text
    assert str(x) == text


def test_repr_of_a_large_tensor_is_short() -> None:
    assert len(repr(mg.zeros((1000, 1000)))) < 1000


def test_tensors_are_told_apart_by_identity() -> None:
    x, y = mg.tensor([1.0]), mg.tensor([1.0])
    assert len({x, y, x}) == 2
    assert {x: "x"}[x] == "x"


# -- copies -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_copies_of_a_leaf(duplicate) -> None:
    x = mg.tensor([1.0, 2.0], "float64", requires_grad=True)
    y = duplicate(x)
    assert y.spec == x.spec
    assert y.requires_grad
    assert y.is_leaf
    (y * x.detach()).sum().backward()
    assert x.grad is None
    assert y.grad.tolist() == [1, 2]
    with mg.no_grad():
        y[0] = 7
    assert x.tolist() == [1, 2]


def test_deepcopy_takes_the_gradient_along() -> None:
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    (x * x).sum().backward()
    pair = copy.deepcopy([x, x])
    assert pair[0] is pair[1]
    assert pair[0].grad.tolist() == [2, 4]
    assert pair[0].grad is not x.grad


@pytest.mark.parametrize("duplicate", [copy.deepcopy, pickle.dumps])
def test_a_computed_tensor_cannot_take_its_history_along(duplicate) -> None:
    y = mg.tensor([1.0], requires_grad=True) * 2
    with pytest.raises(GradientError, match=r"x\.detach\(\)"):
        duplicate(y)
    duplicate(y.detach())


@pytest.mark.parametrize("dtype", ["float32", "int8", "bool"])
def test_pickle_keeps_values_and_dtype(dtype: str) -> None:
    x = mg.tensor(np.arange(6).reshape(2, 3).T, dtype)
    y = pickle.loads(pickle.dumps(x))
    assert y.spec == x.spec
    assert y.tolist() == x.tolist()


def test_convert_changes_a_leaf_and_drops_its_gradient() -> None:
    x = mg.tensor([1.5], requires_grad=True)
    (x * x).sum().backward()
    assert x.convert_("float64") is x
    assert x.dtype == np.float64
    assert x.grad is None
    (x * x).sum().backward()
    assert x.grad.dtype == np.float64
    for wrong in ("int64", "float16"):
        with pytest.raises(DtypeError, match=wrong):
            x.convert_(wrong)
    with pytest.raises(GradientError, match="convert_"):
        (x * 2).convert_("float32")


@pytest.mark.parametrize(
    ("value", "error"), [(np.zeros(3, "float32"), ShapeError), (np.zeros(2), DtypeError)]
)
def test_assign_takes_the_same_spec(value: np.ndarray, error: type[MinigradError]) -> None:
    with pytest.raises(error, match="assign"):
        mg.zeros(2).assign(value)


def test_lists_of_arrays_keep_their_dtype() -> None:
    assert mg.tensor([np.zeros(2), np.ones(2)]).dtype == mg.float64
    assert mg.tensor([mg.zeros(2, "float64")]).dtype == mg.float64
    assert mg.tensor([[1.5, 2.5]]).dtype == mg.float32


@pytest.mark.parametrize(("value", "dtype"), [([300], "uint8"), (-1, "uint16"), ([2**40], "int32")])
def test_integers_that_do_not_fit_are_an_error(value: object, dtype: str) -> None:
    with pytest.raises(DtypeError, match="does not fit"):
        mg.tensor(value, dtype)
