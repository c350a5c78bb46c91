"""The inputs of a network from the shapes that a user gives: with a batch axis in front or not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from minigrad.errors import ArgumentError
from minigrad.spec import Spec, as_integer
from minigrad.tensor import Tensor

Arguments = tuple[list[Any], dict[str, Any], int | None]
"""Positional and named arguments, and the length of the batch axis put in front of them, if one
was."""

WHOLE = Spec, Tensor, np.ndarray
OPEN = None, -1
# Shapes of so many axes are first taken for one picture's, longer ones for a whole batch's.
PICTURE_AXES = 3


def attempts(input_shape: Any, dtypes: Any, batch_size: int | None) -> Iterator[Arguments]:
    """The arguments that may be meant, the likelier ones first.

    With `batch_size`, shapes are those of one sample. Otherwise a sample's or whole ones, except
    where nothing is left open: specs and tensors, or shapes that begin with -1 or None.
    """
    if batch_size is not None:
        if as_integer("summary", "batch_size", batch_size) < 1:
            raise ArgumentError(f"summary: batch_size is at least 1, got {batch_size}")
        yield *_arguments(input_shape, dtypes, batch_size), batch_size
        return
    shapes = list(_shapes(input_shape))
    if all(isinstance(shape, WHOLE) for shape in shapes):
        yield *_arguments(input_shape, dtypes, None), None
        return
    readings: list[int | None] = [1] if any(_is_open(shape) for shape in shapes) else [1, None]
    if any(_is_shape(shape) and len(shape) > PICTURE_AXES for shape in shapes):
        readings.reverse()
    for batch in readings:
        yield *_arguments(input_shape, dtypes, batch), batch


def _is_shape(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and all(
        n is None or (isinstance(n, (int, np.integer)) and not isinstance(n, bool)) for n in value
    )


def _is_open(value: Any) -> bool:
    return _is_shape(value) and len(value) > 0 and value[0] in OPEN


def _shapes(value: Any) -> Iterator[Any]:
    """All shapes, specs and tensors in what was given."""
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _shapes(item)
    elif isinstance(value, (tuple, list)) and not _is_shape(value):
        for item in value:
            yield from _shapes(item)
    else:
        yield value


def _arguments(
    input_shape: Any, dtypes: Any, batch: int | None
) -> tuple[list[Any], dict[str, Any]]:
    if isinstance(input_shape, Mapping):
        return [], {
            name: _input(value, _dtype(dtypes, name), batch) for name, value in input_shape.items()
        }
    single = not isinstance(input_shape, (tuple, list)) or _is_shape(input_shape)
    listed = [input_shape] if single else list(input_shape)
    return [_input(value, _dtype(dtypes, i), batch) for i, value in enumerate(listed)], {}


def _dtype(dtypes: Any, key: Any) -> Any:
    """The dtype of one input: the one for all, or that under its place or name."""
    if isinstance(dtypes, (Mapping, tuple, list)):
        try:
            return dtypes[key]
        except (LookupError, TypeError):
            raise ArgumentError(f"summary: dtypes has none for input {key!r}") from None
    return "float32" if dtypes is None else dtypes


def _input(value: Any, dtype: Any, batch: int | None) -> Any:
    """One argument: a spec for each shape in it."""
    if isinstance(value, WHOLE):
        return value
    if isinstance(value, Mapping):
        return {name: _input(item, dtype, batch) for name, item in value.items()}
    if isinstance(value, (int, np.integer)):
        value = (value,)
    if not _is_shape(value):
        if isinstance(value, (tuple, list)):
            return [_input(item, dtype, batch) for item in value]
        raise ArgumentError(
            f"summary: input_shape takes a shape as (3, 224, 224), a Spec, or a list or dictionary "
            f"of them, got {value!r}"
        )
    if _is_open(value):
        return Spec((batch or 1, *value[1:]), dtype)
    return Spec(value if batch is None else (batch, *value), dtype)
