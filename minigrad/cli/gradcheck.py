"""`minigrad gradcheck`: import a layer of the user's as Python would, and check its gradients."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.checking import gradcheck
from minigrad.errors import ArgumentError
from minigrad.nn import Module
from minigrad.random import manual_seed
from minigrad.tensor import Tensor, tensor


def run(layer: str, inputs: Sequence[str], seed: int, **options: Any) -> int:
    """Print the report; returns 0 if it is ok and 1 otherwise. `options` are `gradcheck`'s."""
    shapes = [_shape(text) for text in inputs]
    manual_seed(seed)
    function = find(layer)
    rng = np.random.default_rng(seed)
    drawn: list[Tensor] = [tensor(np.asarray(rng.standard_normal(shape))) for shape in shapes]
    try:
        report = gradcheck(function, *drawn, seed=seed, raise_on_failure=False, **options)
    except TypeError as error:
        raise ArgumentError(f"gradcheck: {layer} with {len(drawn)} inputs: {error}") from None
    print(report)
    return 0 if report.ok else 1


def find(layer: str) -> Callable[..., Any]:
    """What PACKAGE.MODULE:LAYER names: a module, made if it is a class, or a function.

    LAYER is a name, dotted if need be, or a call with literal arguments: `Layer(3, bias=False)`.
    """
    module, colon, expression = layer.partition(":")
    if not (module and colon and expression):
        raise ArgumentError(
            f"gradcheck: {layer!r} is not PACKAGE.MODULE:LAYER, as in mylayers:Scale"
        )
    name, arguments, keywords, is_call = _parse(expression)
    found: Any = _imported(module)
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise ArgumentError(f"gradcheck: {module} has no {name!r}") from None
    if is_call or (isinstance(found, type) and issubclass(found, Module)):
        try:
            found = found(*arguments, **keywords)
        except TypeError as error:
            raise ArgumentError(
                f"gradcheck: {expression} cannot be made: {error}; give arguments as in "
                f"'{module}:{name}(3, 4)'"
            ) from None
    apply = getattr(found, "apply", None)
    if isinstance(found, type) and callable(apply):
        return apply  # of a minigrad.Function
    if not callable(found) or isinstance(found, type):
        raise ArgumentError(f"gradcheck: {layer} is no module and no function, but {found!r}")
    return found


def _imported(module: str) -> Any:
    """The module, with the current directory first on the path."""
    sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(module)
    except (ImportError, ValueError, TypeError, SyntaxError) as error:
        raise ArgumentError(f"gradcheck: cannot import {module!r}: {error}") from None


def _parse(expression: str) -> tuple[str, list[Any], dict[str, Any], bool]:
    """The name, and the literal arguments if it is a call."""
    try:
        node = ast.parse(expression, mode="eval").body
        is_call = isinstance(node, ast.Call)
        name = ast.unparse(node.func if isinstance(node, ast.Call) else node)
        if not all(part.isidentifier() for part in name.split(".")):
            raise ValueError
        if not isinstance(node, ast.Call):
            return name, [], {}, False
        arguments = [ast.literal_eval(argument) for argument in node.args]
        keywords = {str(k.arg): ast.literal_eval(k.value) for k in node.keywords}
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        raise ArgumentError(
            f"gradcheck: {expression!r} is neither a name nor a call with plain values, as in "
            "Layer(3, bias=False)"
        ) from None
    return name, arguments, keywords, is_call


def _shape(text: str) -> tuple[int, ...]:
    """2,3,8,8 as a shape; an empty text is that of a number."""
    try:
        shape = tuple([int(part) for part in text.split(",") if part.strip() or len(text) > 1])
    except ValueError:
        shape = (-1,)
    if any(length < 0 for length in shape):
        raise ArgumentError(f"gradcheck: --input takes lengths as in 2,3,8,8, got {text!r}")
    if np.prod([float(length) for length in shape]) > 1e8:
        raise ArgumentError(f"gradcheck: --input {text} is too large to check element by element")
    return shape
