"""Methods and operators: bound as declared, Python numbers and arrays beside tensors, dtypes."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import gradients, nn, ops
from minigrad.errors import DtypeError
from minigrad.ops.methods import METHODS, Methods
from minigrad.tensor import Tensor

FAMILIES = [
    (package, importlib.import_module(f"{package.__name__}.{family.name}"))
    for package in (ops, nn, nn.functional)
    for family in pkgutil.iter_modules(package.__path__)
]


@pytest.mark.parametrize("name", METHODS)
def test_a_method_is_bound_as_it_is_declared(name: str) -> None:
    assert inspect.getattr_static(Tensor, name) is vars(Methods)[name]


def test_all_that_is_declared_is_bound() -> None:
    given = set(vars(type("Empty", (), {}))) | {"__hash__", "__static_attributes__"}
    assert set(vars(Methods)) - given - {"__firstlineno__"} == set(METHODS)


@pytest.mark.parametrize("name", [n for n in METHODS if not n.startswith("_")])
def test_a_method_is_the_function_of_its_name(name: str) -> None:
    method, function = METHODS[name], getattr(ops, name, None)
    if name in ("T", "at", "mT"):
        assert isinstance(method, property)
    elif name == "backward":
        assert method is gradients.backward
    elif name in ("expand", "permute_dims", "reshape"):
        assert name in ops.__all__
    else:
        assert method is function


@pytest.mark.parametrize(("package", "family"), FAMILIES)
def test_a_file_says_its_public_names(package: Any, family: Any) -> None:
    names = [] if hasattr(family, "__path__") else getattr(family, "__all__", [])
    assert len(set(names)) == len(names)
    for name in names:
        assert hasattr(package, name), f"{name}: __all__ is for what {package.__name__} collects"
        home = getattr(family, name).__module__
        assert home == family.__name__ or (package is nn.functional and "minigrad.ops." in home)
        assert getattr(package, name) is getattr(family, name)


def test_public_names_exist() -> None:
    for module in (mg, ops, nn, nn.functional):
        assert len(set(module.__all__)) == len(module.__all__)
        assert all(hasattr(module, name) for name in module.__all__)
    for name in ops.__all__:
        assert callable(getattr(ops, name))
        assert name in importlib.import_module(getattr(ops, name).__module__).__all__


@pytest.mark.slow
def test_a_type_checker_sees_every_function_and_method(tmp_path: Path) -> None:
    api = pytest.importorskip("mypy.api")
    asked = [f"mg.{name}" for name in mg.__all__] + [f"mg.ops.{name}" for name in ops.__all__]
    asked += [f"x.{name}" for name in METHODS] + ["x + 1", "1 - x", "x @ x", "x == x", "-x", "x[0]"]
    program = tmp_path / "program.py"
    lines = ["import minigrad as mg", "import minigrad.ops", "x = mg.tensor([1.0])"]
    program.write_text("\n".join([*lines, *[f"reveal_type({what})" for what in asked]]))
    cache = str(tmp_path / "cache")
    told, _, _ = api.run(
        ["--strict", "--follow-imports=silent", "--cache-dir", cache, str(program)]
    )
    answers = [line for line in told.splitlines() if "Revealed type is" in line]
    assert ": error:" not in told, told
    assert len(answers) == len(asked)
    unknown = [what for what, line in zip(asked, answers, strict=True) if line.endswith('"Any"')]
    # mypy does not follow the way in which an editable install finds the folder models/.
    assert set(unknown) <= {"mg.models"}


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
    x, numbers = mg.tensor([1.0, 2.0]), [1.0, 2.0]
    assert (x + numbers).tolist() == [2, 4]
    assert (numbers * x).tolist() == [1, 4]


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
