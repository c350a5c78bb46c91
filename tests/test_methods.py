"""Methods and operators: bound as declared, Python numbers and arrays beside tensors, dtypes."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import ops
from minigrad.errors import DtypeError
from minigrad.tensor import Tensor

SOURCE = Path(inspect.getsourcefile(Tensor) or "")


def declared() -> dict[str, ast.FunctionDef | None]:
    """The names in the `if TYPE_CHECKING:` block of Tensor; None for a property.
    `sin = exp` declares sin as exp."""
    tree = ast.parse(SOURCE.read_text(encoding="utf-8"))
    (body,) = [n.body for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "Tensor"]
    (block,) = [n.body for n in body if isinstance(n, ast.If)]
    found: dict[str, ast.FunctionDef | None] = {}
    for entry in block:
        if isinstance(entry, ast.FunctionDef):
            found[entry.name] = entry
        elif isinstance(entry, ast.AnnAssign):
            found[ast.unparse(entry.target)] = None
        elif isinstance(entry, ast.Assign):
            for target in entry.targets:
                found[ast.unparse(target)] = found[ast.unparse(entry.value)]
    return found


DECLARED = declared()


def test_what_is_declared_is_bound_and_the_reverse() -> None:
    assert set(DECLARED) == set(ops.METHODS)
    for name, method in ops.METHODS.items():
        assert inspect.getattr_static(Tensor, name) is method


@pytest.mark.parametrize("name", [name for name, method in DECLARED.items() if method])
def test_the_bound_function_takes_what_is_declared(name: str) -> None:
    declaration = DECLARED[name]
    assert declaration is not None
    arguments = declaration.args
    parameters = list(inspect.signature(ops.METHODS[name]).parameters.values())[1:]
    variadic = [p for p in parameters if p.kind is p.VAR_POSITIONAL]
    assert bool(arguments.vararg) == bool(variadic)
    if variadic:
        return
    names = [argument.arg for argument in arguments.args[1:]]
    assert names == [p.name for p in parameters]
    defaults = [ast.literal_eval(default) for default in arguments.defaults]
    assert defaults == [p.default for p in parameters if p.default is not p.empty]


@pytest.mark.parametrize("name", [n for n in ops.METHODS if not n.startswith("_")])
def test_a_method_is_the_function_of_its_name(name: str) -> None:
    if name not in ("T", "at", "mT"):
        assert name in ops.__all__


def test_public_names_exist() -> None:
    for module in (mg, ops):
        assert len(set(module.__all__)) == len(module.__all__)
    for name in ops.__all__:
        assert callable(getattr(ops, name))


# -- Python numbers ---------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("number", [2, 2.5, True, np.float64(2.5), np.float32(2.5), np.int8(2)])
def test_a_number_takes_the_dtype_of_the_tensor(dtype: str, number: Any) -> None:
    x = mg.tensor([1.0, 2.0], dtype)
    results = [x + number, number + x, x - number, number - x, x * number, number * x]
    results += [x / number, number / x, x**number, number**x]
    results += [mg.add(x, number), mg.multiply(number, x), mg.where(x > 1, x, number)]
    for y in results:
        assert isinstance(y, Tensor)
        assert y.dtype == dtype
    for y in (x < number, number < x, x == number, number != x):
        assert isinstance(y, Tensor)
        assert y.dtype == np.bool_


def test_values_of_reflected_operators() -> None:
    x = mg.tensor([1.0, 2.0, 4.0])
    assert (8 - x).tolist() == [7, 6, 4]
    assert (8 / x).tolist() == [8, 4, 2]
    assert (2**x).tolist() == [2, 4, 16]
    assert (x < 3).tolist() == [True, True, False]
    assert (+x).tolist() == x.tolist()
    assert (-x).tolist() == [-1, -2, -4]
    assert abs(-x).tolist() == x.tolist()


@pytest.mark.parametrize("dtype", ["int64", "int8", "uint8"])
def test_a_number_that_an_integer_tensor_cannot_hold(dtype: str) -> None:
    x = mg.tensor([1, 2], dtype)
    assert (x + 1).dtype == dtype
    assert (x + True).dtype == dtype
    for number in (1.5, 2**70, -(2**70)):
        with pytest.raises(DtypeError, match="add"):
            x + number
    if dtype != "int64":
        with pytest.raises(DtypeError, match=f"1000 is no {dtype}"):
            x * 1000


def test_numbers_too_large_for_a_float() -> None:
    x = mg.tensor([1.0])
    assert (x + 1e300).tolist() == [np.inf]
    with pytest.raises(DtypeError, match="add"):
        x + 10**400


@pytest.mark.parametrize(
    ("x", "y", "dtype"),
    [
        (1, 2, "int64"),
        (1, 2.5, "float32"),
        (2.5, 1, "float32"),
        (True, 2, "int64"),
        (2, True, "int64"),
        (np.float64(1), 2, "float64"),
    ],
)
def test_two_numbers(x: Any, y: Any, dtype: str) -> None:
    assert mg.where(True, x, y).dtype == dtype
    assert mg.equal(x, y).item() == (x == y)
    assert mg.where(True, x, y).item() == x
    assert mg.where(False, x, y).item() == y


# -- arrays -----------------------------------------------------------------------------------


def test_an_array_on_the_left_leaves_the_work_to_the_tensor() -> None:
    x = mg.tensor([[1.0, 2.0], [3.0, 4.0]], "float64", requires_grad=True)
    a = np.array([[1.0, 0.0], [2.0, 1.0]])
    for y, expected in [
        (a + x, a + x.detach().numpy()),
        (a - x, a - x.detach().numpy()),
        (a * x, a * x.detach().numpy()),
        (a / x, a / x.detach().numpy()),
        (a @ x, a @ x.detach().numpy()),
        (a**x, a ** x.detach().numpy()),
    ]:
        assert isinstance(y, Tensor)
        assert y.requires_grad
        np.testing.assert_allclose(y.detach().numpy(), expected)
    for y in (a == x, a < x, a >= x, np.array([True, False]) & (x > 2)):
        assert isinstance(y, Tensor)
        assert y.shape == (2, 2)
    assert (np.array([True, False]) | mg.tensor([False, False])).tolist() == [True, False]


def test_a_list_is_an_operand() -> None:
    x = mg.tensor([1.0, 2.0])
    assert (x + [1.0, 2.0]).tolist() == [2, 4]  # noqa: RUF005
    assert ([1.0, 2.0] * x).tolist() == [1, 4]


@pytest.mark.parametrize("other", ["text", None, object(), 1j, {}])
def test_what_cannot_be_an_operand(other: Any) -> None:
    x = mg.tensor([1.0])
    for operate in (lambda: x + other, lambda: other - x, lambda: x < other, lambda: x @ other):
        with pytest.raises(TypeError):
            operate()
    assert (x == other) is False
    assert (x != other) is True


@pytest.mark.parametrize(
    "operate",
    [
        mg.add,
        mg.multiply,
        mg.divide,
        mg.power,
        mg.less,
        mg.equal,
        mg.matmul,
        lambda x, y: mg.concat([x, y]),
    ],
)
def test_dtypes_do_not_mix(operate) -> None:
    pairs = [("float32", "float64"), ("float32", "int64"), ("int64", "int32"), ("bool", "float64")]
    for left, right in pairs:
        x, y = mg.ones((2, 2), left), mg.ones((2, 2), right)
        for first, second in ((x, y), (y, x), (x, y.numpy())):
            with pytest.raises(DtypeError):
                operate(first, second)


def test_the_message_names_both_dtypes() -> None:
    with pytest.raises(DtypeError, match=r"add.*float32 and int64.*astype\('float32'\)"):
        mg.ones(2) + mg.ones(2, "int64")


def test_in_place_operators_rebind() -> None:
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    y = x
    y += 1
    y *= x
    assert x.tolist() == [1, 2]
    y.sum().backward()
    assert x.grad.tolist() == [3, 5]


def test_shapes_and_axes_are_given_one_by_one_or_as_a_tuple() -> None:
    x = mg.zeros((2, 3))
    for y in (x.reshape(3, 2), x.reshape((3, 2)), x.reshape([3, -1]), x.permute_dims(1, 0),
              x.permute_dims((1, 0)), x.T, x.mT):  # fmt: skip
        assert y.shape == (3, 2)
    assert x.expand(4, 2, 3).shape == x.expand((4, 2, 3)).shape == (4, 2, 3)
    assert mg.tensor([5]).reshape().shape == ()
