"""Functions made of functions: vjp, jvp, jacobian, hessian, hvp, and checkpoint.

All rest on reverse mode. Forward mode is two reverse sweeps: the gradient of <u, y> by x is linear
in u, and differentiating it by u along v gives the derivative of y along v (Townsend 2017, "A new
trick for calculating Jacobian vector products").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad import tape
from minigrad.errors import ArgumentError, ShapeError
from minigrad.gradients import grad
from minigrad.op import Call, Op
from minigrad.ops import concat
from minigrad.random import get_rng_state, set_rng_state
from minigrad.spec import require_floating
from minigrad.tensor import Tensor, adopt, as_tensor, of_value, value_of, wrap


def vjp(fn: Callable[..., Any], *primals: Tensor) -> tuple[Any, Callable[..., tuple[Tensor, ...]]]:
    """The value fn(*primals), and the function that maps a cotangent of it (one an output) to the
    vector-Jacobian products, one a primal. An unused primal gets zeros. Can be called repeatedly.
    """
    inputs = _variables("vjp", primals)
    with tape.enable_grad():
        outputs = fn(*inputs)
    listed = _listed("vjp", outputs)

    def pullback(*cotangents: Tensor) -> tuple[Tensor, ...]:
        if len(cotangents) != len(listed):
            raise ArgumentError(f"vjp: {len(cotangents)} cotangents for {len(listed)} outputs")
        given = [as_tensor(cotangent) for cotangent in cotangents]
        nested = _is_nested(listed, inputs) or any(c.requires_grad for c in given)
        return _gradients(listed, inputs, given, nested and tape.state.recording)

    return _settled(outputs, inputs), pullback


def jvp(
    fn: Callable[..., Any], primals: Sequence[Tensor], tangents: Sequence[Tensor]
) -> tuple[Any, Any]:
    """The value fn(*primals), and its derivative along `tangents`, of the value's structure."""
    inputs = _variables("jvp", primals)
    directions = [as_tensor(tangent) for tangent in tangents]
    if [d.spec for d in directions] != [x.spec for x in inputs]:
        raise ShapeError(
            f"jvp: tangents must be {[x.spec for x in inputs]} as the primals, got "
            f"{[d.spec for d in directions]}"
        )
    with tape.enable_grad():
        outputs = fn(*inputs)
        listed = _listed("jvp", outputs)
        dummies = [Tensor(np.zeros(y.shape, y.dtype), requires_grad=True) for y in listed]
        linear = _gradients(listed, inputs, dummies, create_graph=True)
        products = [
            (g * d).sum() for g, d in zip(linear, directions, strict=True) if g.requires_grad
        ]
    if products:
        total = products[0]
        with tape.enable_grad():
            for product in products[1:]:
                total = total + product
        nested = tape.state.recording and _is_nested(listed, inputs)
        derivatives = _gradients([total], dummies, [None], nested)
    else:
        derivatives = tuple(Tensor(np.zeros(y.shape, y.dtype)) for y in listed)
    derivative = derivatives if isinstance(outputs, tuple) else derivatives[0]
    return _settled(outputs, inputs), derivative


def jacobian(fn: Callable[..., Any], x: Any, create_graph: bool = False) -> Any:
    """The derivatives of every element of fn(x) by every element of x, of shape
    (*output shape, *input shape). For a tuple x, fn takes its items and the result is a tuple.
    """
    single = isinstance(x, Tensor)
    inputs = _variables("jacobian", (x,) if single else tuple(x))
    with tape.enable_grad():
        y = fn(*inputs)
    if not isinstance(y, Tensor):
        raise ArgumentError(f"jacobian: fn returns one tensor, got {type(y).__name__}")
    rows: list[tuple[Tensor, ...]] = []
    for index in range(y.size):
        one_hot = np.zeros(y.size, y.dtype)
        one_hot[index] = 1
        cotangent = Tensor(one_hot.reshape(y.shape))
        rows.append(_gradients([y], inputs, [cotangent], create_graph))
    results = tuple(_stack([row[i] for row in rows], y, v) for i, v in enumerate(inputs))
    return results[0] if single else results


def hessian(fn: Callable[..., Tensor], x: Tensor, create_graph: bool = False) -> Tensor:
    """The second derivatives of a function of one element, of shape (*x.shape, *x.shape)."""

    def gradient(v: Tensor) -> Tensor:
        return _gradients([_scalar("hessian", fn(v))], [v], [None], create_graph=True)[0]

    result: Tensor = jacobian(gradient, x, create_graph)
    return result


def hvp(fn: Callable[..., Tensor], x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """The value of a function of one element, and its Hessian times v  (Pearlmutter 1994)."""
    (variable,) = _variables("hvp", (x,))
    direction = as_tensor(v)
    if direction.spec != variable.spec:
        raise ShapeError(f"hvp: v must be {variable.spec} as x, got {direction.spec}")
    with tape.enable_grad():
        y = _scalar("hvp", fn(variable))
        (gradient,) = _gradients([y], [variable], [None], create_graph=True)
    (product,) = _gradients([gradient], [variable], [direction])
    return y.detach(), product


def _variables(who: str, primals: Sequence[Any]) -> list[Tensor]:
    """The arguments as variables to differentiate by, still connected to what they came from."""
    variables = []
    for primal in primals:
        tensor = as_tensor(primal)
        require_floating(who, tensor.spec)
        if tensor.requires_grad and tape.state.recording:
            variables.append(tensor.clone())
        else:
            variables.append(tensor.detach().requires_grad_())
    return variables


def _listed(who: str, outputs: Any) -> list[Tensor]:
    listed = list(outputs) if isinstance(outputs, tuple) else [outputs]
    for output in listed:
        if not isinstance(output, Tensor):
            raise ArgumentError(f"{who}: fn returns tensors, got {type(output).__name__}")
    return listed


def _scalar(who: str, y: Any) -> Tensor:
    if not isinstance(y, Tensor) or y.size != 1:
        got = y.shape if isinstance(y, Tensor) else type(y).__name__
        raise ShapeError(f"{who}: fn returns a tensor of one element, got {got}")
    return y


def _is_nested(outputs: Sequence[Tensor], variables: Sequence[Tensor]) -> bool:
    """Whether the outputs depend on what wants a gradient besides the variables."""
    own = {value_of(variable)[0] for variable in variables}
    nodes = tape.ancestors(value_of(y)[0] for y in outputs if y.requires_grad)
    return any(node.op is None and node not in own for node in nodes)


def _settled(outputs: Any, variables: Sequence[Tensor]) -> Any:
    """The outputs, without a record if it leads to the variables alone."""
    listed = list(outputs) if isinstance(outputs, tuple) else [outputs]
    if not _is_nested(listed, variables):
        listed = [y.detach() for y in listed]
    return tuple(listed) if isinstance(outputs, tuple) else listed[0]


def _gradients(
    outputs: Sequence[Tensor],
    inputs: Sequence[Tensor],
    cotangents: Sequence[Tensor | None],
    create_graph: bool = False,
) -> tuple[Tensor, ...]:
    """`grad`, with zeros where an output does not depend on an input."""
    pairs = [(y, c) for y, c in zip(outputs, cotangents, strict=True) if y.requires_grad]
    found: tuple[Tensor | None, ...] = (None,) * len(inputs)
    if pairs:
        ys, cs = zip(*pairs, strict=True)
        found = grad(ys, inputs, cs, create_graph, retain_graph=True, allow_unused=True)
    return tuple(
        [
            Tensor(np.zeros(x.shape, x.dtype)) if g is None else g
            for g, x in zip(found, inputs, strict=True)
        ]
    )


def _stack(rows: Sequence[Tensor], y: Tensor, x: Tensor) -> Tensor:
    if not rows:
        return Tensor(np.zeros(y.shape + x.shape, x.dtype))
    return concat([row.reshape((1, *x.shape)) for row in rows]).reshape(y.shape + x.shape)


# -- checkpoint -------------------------------------------------------------------------------


class Recomputed(Op):
    """y = fn(...), of which nothing is kept: the backward runs fn again and differentiates that
    (Chen et al. 2016, "Training deep nets with sublinear memory cost")."""

    def __init__(self, run: Callable[[], tuple[Tensor, ...]], values: Sequence[tape.Value]) -> None:
        # Only a name of the class itself would enter it into the catalogue.
        vars(self)["name"] = "checkpoint"
        self.run = run
        self.values = values

    def backward(self, call: Call, *cotangents: Tensor | None) -> tuple[Tensor | None, ...]:
        create_graph = tape.state.recording
        started = tape.now()
        with tape.enable_grad():
            outputs = self.run()
        roots = [
            (value_of(y), c)
            for y, c in zip(outputs, cotangents, strict=True)
            if c is not None and y.requires_grad
        ]
        with tape.Recording(create_graph):
            found = tape.sweep(roots, set(self.values), wrap, create_graph, started)
        return tuple([found.get(value) for value in self.values])


def checkpoint(fn: Callable[..., Any], *args: Any) -> Any:
    """fn(*args), recomputed in the backward pass instead of keeping what lies between.

    Gradients also reach what fn uses besides its arguments (a module's parameters). Random
    numbers are drawn again as they were. fn must not change state that its result depends on.
    """
    if not tape.state.recording:
        return fn(*args)
    draws = get_rng_state()
    started = tape.now()
    result = fn(*args)
    outputs = _listed("checkpoint", result)
    values = _entering(outputs, started)

    def run() -> tuple[Tensor, ...]:
        now = get_rng_state()
        set_rng_state(draws)
        try:
            return tuple(_listed("checkpoint", fn(*args)))
        finally:
            set_rng_state(now)

    if not values:
        return result
    inputs = [of_value(value) for value in values]
    recorded = adopt(Recomputed(run, values), inputs, outputs)
    return recorded if isinstance(result, tuple) else recorded[0]


def _entering(outputs: Sequence[Tensor], started: int) -> list[tape.Value]:
    """The values that a computation begun at the age `started` took its gradient paths from."""
    values: dict[tape.Value, None] = {}
    for node in tape.ancestors((value_of(y)[0] for y in outputs if y.requires_grad), started):
        if node.age < started:
            continue
        for value, need in zip(node.inputs, node.needs, strict=True):
            source = value[0]
            if need and (source.op is None or source.age < started):
                values[value] = None
    for y in outputs:
        if y.requires_grad and (y.is_leaf or value_of(y)[0].age < started):
            values[value_of(y)] = None  # fn handed on what it was given
    return list(values)
