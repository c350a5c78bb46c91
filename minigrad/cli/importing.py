"""What a user names on the command line, as PACKAGE.MODULE:NAME, imported as Python would."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minigrad.errors import ArgumentError
from minigrad.nn import Module
from minigrad.spec import Shape


def find(named: str, command: str) -> Callable[..., Any]:
    """What PACKAGE.MODULE:LAYER names: a module, made if it is a class, or a function.

    LAYER is a name, dotted if need be, or a call with literal arguments: `Layer(3, bias=False)`.
    `command` is who asks, for the errors.
    """
    module, colon, expression = named.partition(":")
    if not (module and colon and expression):
        raise ArgumentError(
            f"{command}: {named!r} is not PACKAGE.MODULE:LAYER, as in mylayers:Scale"
        )
    name, arguments, keywords, is_call = parse(expression, command)
    found: Any = _imported(module, command)
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise ArgumentError(f"{command}: {module} has no {name!r}") from None
    if is_call or (isinstance(found, type) and issubclass(found, Module)):
        try:
            found = found(*arguments, **keywords)
        except TypeError as error:
            raise ArgumentError(
                f"{command}: {expression} cannot be made: {error}; give arguments as in "
                f"'{module}:{name}(3, 4)'"
            ) from None
    apply = getattr(found, "apply", None)
    if isinstance(found, type) and callable(apply):
        return apply  # of a minigrad.Function
    if not callable(found) or isinstance(found, type):
        raise ArgumentError(f"{command}: {named} is no module and no function, but {found!r}")
    return found


def _imported(module: str, command: str) -> Any:
    """The module, with the current directory first on the path."""
    sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(module)
    except (ImportError, ValueError, TypeError, SyntaxError) as error:
        raise ArgumentError(f"{command}: cannot import {module!r}: {error}") from None


def parse(expression: str, command: str) -> tuple[str, list[Any], dict[str, Any], bool]:
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
            f"{command}: {expression!r} is neither a name nor a call with plain values, as in "
            "Layer(3, bias=False)"
        ) from None
    return name, arguments, keywords, is_call


def shape(text: str, command: str) -> Shape:
    """2,3,8,8 as a shape; an empty text is that of a number."""
    try:
        lengths = tuple([int(part) for part in text.split(",") if part.strip() or len(text) > 1])
    except ValueError:
        lengths = (-1,)
    if any(length < 0 for length in lengths):
        raise ArgumentError(f"{command}: --input takes lengths as in 2,3,8,8, got {text!r}")
    return lengths
