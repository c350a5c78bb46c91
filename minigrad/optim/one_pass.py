"""A step of one parameter as one pass of a kernel: what is new is written over what was old, where
nobody else holds that, so that a step takes no memory, and no time for getting any.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from minigrad import tape
from minigrad.kernels import buffers, parallel
from minigrad.kernels.rewriting import Home, taken, unheld
from minigrad.nn.parameter import Parameter
from minigrad.spec import Shape
from minigrad.tensor import Array, Tensor, asarray

__all__ = ["LEAST", "in_one_pass", "worth"]

LEAST = 1 << 15
"""Bytes of a parameter from which on one call of a kernel takes less time than NumPy's six."""


def worth(parameter: Tensor) -> bool:
    """Whether a parameter is worth a kernel.

    That hangs on the size and the dtype alone, so that a run that is resumed with other layouts in
    memory rounds as if it had not been interrupted.
    """
    if parameter.nbytes < LEAST or parameter.dtype not in parallel.TYPES:
        return False
    return tape.state.tracer is None and not parameter.is_abstract


def in_one_pass(
    kernel: Callable[..., None],
    parameter: Tensor,
    grad: Array,
    state: dict[str, Any],
    names: Sequence[str | None],
    numbers: Sequence[float],
    option: bool,
) -> None:
    """kernel(value, grad, *old, numbers, option, streamed, new value, *new), all arrays flat, where
    old and new are the arrays of these `names` in `state`, zeros at first; None stands for one that
    the kernel takes and does not touch."""
    from minigrad.kernels import streaming

    with _value_of(parameter) as place:
        order = parallel.dense_order(place[0].shape, place[0].strides, place[0].itemsize)
        if order is None:
            place[0] = np.ascontiguousarray(place[0])
            order = tuple(range(place[0].ndim)), ()
        kept = [name for name in names if name is not None]
        homes: list[tuple[Home, Any]] = [(place, 0)]
        homes += [(_home(state, name, place[0]), name) for name in kept]
        free = [unheld(home, key) for home, key in homes]
        old = [home[key] for home, key in homes]
        new = [x if over else buffers.empty_like(x) for x, over in zip(old, free, strict=True)]
        where = [0 if name is None else 1 + kept.index(name) for name in names]
        streamed = not any(free) and all(streaming.streams(x) for x in new)
        flat = partial(_flat, order[0])
        kernel(
            flat(old[0]),
            flat(_laid_out(grad, old[0])),
            *[flat(old[i]) for i in where],
            np.array(numbers, old[0].dtype),
            option,
            streamed,
            flat(new[0]),
            *[flat(new[i]) for i in where],
        )
        place[0] = new[0]
        state |= dict(zip(kept, new[1:], strict=True))


@contextmanager
def _value_of(parameter: Tensor) -> Iterator[list[Array]]:
    """The parameter's array alone in a list, and the parameter's again what is in it at the end.

    A tensor that no module counts among its own does not let go of its array meanwhile.
    """
    if isinstance(parameter, Parameter):
        with taken(parameter, "_array") as place:
            yield place
        return
    place = [parameter.detach().numpy()]
    yield place
    parameter.assign(asarray(place[0]))


def _home(state: dict[str, Any], name: str, like: Array) -> Home:
    """Where the array of this name is, laid out as `like`; one that has to be made is nowhere yet
    but here."""
    if name not in state:
        zeros = np.empty_like(like)  # for which NumPy asks for large pages, as not for zeros
        zeros.fill(0)
        return {name: zeros}
    laid_out = _laid_out(state[name], like)
    return state if laid_out is state[name] else {name: laid_out}


def _flat(axes: Shape, x: Array) -> Array:
    """The elements of x as they lie in memory, if these are its axes from the farthest."""
    return x.transpose(axes).reshape(-1)


def _laid_out(x: Array, like: Array) -> Array:
    """x with its axes in memory as those of `like`: a copy where they are not."""
    steps = zip(x.shape, x.strides, like.strides, strict=True)
    alike = all(n == 1 or own == other for n, own, other in steps)
    return x if alike else parallel.alike(x, like)
