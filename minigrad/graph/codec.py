"""Ops and their parameters as plain data that JSON can hold, and back.

A parameter is written as it is (None, truth values, numbers, text; a tuple as a list), or as an
object with one key that says what it is: see `docs/graph-schema.md`. What is read is held to the
types that the op's class states, since a kernel trusts the parameters of its op.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from types import EllipsisType, NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from minigrad.errors import GraphError, MinigradError
from minigrad.op import CATALOGUE, Op
from minigrad.ops.pooling import Adaptive
from minigrad.spec import Window, as_dtype

RECORDS: dict[str, type[Any]] = {"Window": Window, "Adaptive": Adaptive}
"""What has fields of its own and can be a parameter."""

MINIMA = {"groups": 1, "output_padding": 0, "size": 1}
"""Of integer parameters that shape rules rely on, the least that the public functions take."""

LIMIT = 2**64
"""Integers of a file are smaller than this, those of windows than its root."""

NOT_ZERO = frozenset({"divisor_override"})


def encode(value: Any) -> Any:
    """A parameter as plain data. Raises GraphError for a kind that has no form."""
    if isinstance(value, np.generic):
        return {"number": [encode(value.item()), str(value.dtype)]}
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": str(value)}
    if isinstance(value, tuple):
        return [encode(item) for item in value]
    if isinstance(value, slice):
        return {"slice": [encode(part) for part in (value.start, value.stop, value.step)]}
    if value is Ellipsis:
        return {"ellipsis": True}
    if isinstance(value, np.dtype):
        return {"dtype": str(value)}
    if type(value).__name__ in RECORDS:
        return {type(value).__name__: parameters(value)}
    raise GraphError(f"a parameter of type {type(value).__name__} has no form in a file: {value!r}")


def parameters(record: Any) -> dict[str, Any]:
    """The fields of an op, or of a window, by name, as plain data."""
    if not is_dataclass(record):
        return {}
    return {field.name: encode(getattr(record, field.name)) for field in fields(record)}


def in_catalogue(op: Op) -> bool:
    """Whether the op can be found again by its name; one of a user's `Function` cannot."""
    return CATALOGUE.get(op.name) is type(op)


def identity(op: Op) -> Hashable:
    """Equal for two ops if and only if they are the same op with the same parameters, to the bit
    and the type."""
    if not in_catalogue(op):
        return (op.name, id(op))
    if not is_dataclass(op):
        return op.name
    return (op.name, json.dumps(parameters(op)))


# -- reading ----------------------------------------------------------------------------------


def decode(data: Any) -> Any:
    """A parameter from plain data. Raises GraphError for what `encode` does not write."""
    if isinstance(data, int) and abs(data) >= LIMIT:
        raise GraphError(f"an integer is smaller than 2^64, got {_short(data)}")
    if data is None or isinstance(data, (bool, int, float, str)):
        return data
    if isinstance(data, list):
        return tuple([decode(item) for item in data])
    if isinstance(data, dict) and len(data) == 1:
        ((kind, content),) = data.items()
        if kind in _FORMS:
            return _FORMS[kind](content)
        if kind in RECORDS and isinstance(content, dict):
            return _window(kind, content)
    raise GraphError(f"is no parameter of an op: {_short(data)}")


def _float(content: Any) -> float:
    if content not in ("nan", "inf", "-inf"):
        raise GraphError(f"a float is 'nan', 'inf' or '-inf' here, got {_short(content)}")
    return float(content)


def _slice(content: Any) -> slice:
    parts = [decode(part) for part in content] if isinstance(content, list) else []
    if len(parts) != 3 or any(type(part) not in (int, NoneType) for part in parts):
        raise GraphError(f"a slice has start, stop and step, integers or null: {_short(content)}")
    if parts[2] == 0:
        raise GraphError("the step of a slice is not 0")
    return slice(*parts)


def _number(content: Any) -> Any:
    if not isinstance(content, list) or len(content) != 2:
        raise GraphError(f"a number is a value and a dtype, got {_short(content)}")
    try:
        return as_dtype(content[1]).type(decode(content[0]))
    except (TypeError, ValueError, OverflowError) as error:
        raise GraphError(f"is no number: {_short(content)} ({error})") from None


def _dtype(content: Any) -> np.dtype[Any]:
    if not isinstance(content, str):
        raise GraphError(f"a dtype is named by text, got {_short(content)}")
    return as_dtype(content)


def _ellipsis(content: Any) -> EllipsisType:
    return ...


_FORMS: dict[str, Callable[[Any], Any]] = {
    "float": _float,
    "slice": _slice,
    "number": _number,
    "dtype": _dtype,
    "ellipsis": _ellipsis,
}


def _window(kind: str, content: Mapping[str, Any]) -> Any:
    """A window, made as the public functions make one, so that it is checked as theirs are."""
    values = {name: decode(item) for name, item in content.items()}
    made: Any = _built(RECORDS[kind], kind, values)
    if isinstance(made, Window) and made.kernel_size:
        checked: Any = Window.of(kind, len(made.kernel_size), **values)
    elif isinstance(made, Adaptive) and made.lengths:
        checked = Adaptive.of(kind, len(made.lengths), made.lengths)
    else:
        raise GraphError(f"a {kind} slides over one axis at least")
    large = any(n >= math.isqrt(LIMIT) for n in _integers(values))
    if checked != made or large:
        raise GraphError(f"is no {kind}: {_short(content)}")
    return made


def _integers(value: Any) -> list[int]:
    if isinstance(value, dict):
        value = tuple(value.values())
    if isinstance(value, tuple):
        return [n for item in value for n in _integers(item)]
    return [value] if isinstance(value, int) else []


def decode_op(name: Any, data: Any) -> Op:
    """The op of the catalogue with this name and these parameters. Raises GraphError."""
    if not isinstance(name, str) or name not in CATALOGUE:
        raise GraphError(f"no op is named {_short(name)}; docs/ops.md lists them")
    if not isinstance(data, dict):
        raise GraphError(f"{name}: parameters are an object, got {_short(data)}")
    try:
        op: Op = _built(CATALOGUE[name], name, {key: decode(item) for key, item in data.items()})
    except MinigradError as error:
        raise GraphError(f"{name}: {error}") from None
    return op


def _built(made: Any, name: str, values: Mapping[str, Any]) -> Any:
    hints = _hints(made)
    if values.keys() != hints.keys():
        raise GraphError(f"takes the parameters {sorted(hints)}, got {sorted(values)}")
    for key, value in values.items():
        if not _fits(value, hints[key]):
            raise GraphError(f"the parameter {key} of {name} is no {hints[key]}: {_short(value)}")
        least = MINIMA.get(key)
        given = value if isinstance(value, tuple) else (value,)
        if least is not None and any(isinstance(n, int) and n < least for n in given):
            raise GraphError(f"the parameter {key} of {name} is at least {least}, got {value}")
        if key in NOT_ZERO and value == 0:
            raise GraphError(f"the parameter {key} of {name} is not 0")
    return made(**values)


@cache
def _hints(made: type[Any]) -> dict[str, Any]:
    if not is_dataclass(made):
        return {}
    hints = get_type_hints(made, localns={"Tensor": Any})
    return {field.name: hints[field.name] for field in fields(made)}


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is of the kind that a class states for its field."""
    kind, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return isinstance(value, (NoneType, bool, int, str, slice, EllipsisType))
    if kind is Literal:
        return value in inner
    if kind in (Union, UnionType):
        return any(_fits(value, option) for option in inner)
    if kind is tuple:
        if not isinstance(value, tuple):
            return False
        if inner[-1] is Ellipsis:
            return all(_fits(item, inner[0]) for item in value)
        return len(value) == len(inner) and all(map(_fits, value, inner))
    if kind is not None:
        return isinstance(value, kind)
    if hint is float:
        return isinstance(value, (float, int, np.number)) and not isinstance(value, bool)
    return type(value) is hint


def _short(data: Any) -> str:
    text = repr(data)
    return text if len(text) <= 80 else f"{text[:77]}..."
