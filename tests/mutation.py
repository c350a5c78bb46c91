"""Ways to break the gradient of an op: what `gradcheck` has to find.

A mutant takes the right gradients of one call, and how to get those of another cotangent, and
gives wrong ones of the same shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.op import CATALOGUE
from minigrad.spec import FLOATING
from minigrad.tensor import Tensor

Gradients = Sequence[Tensor | None]
Again = Callable[[Callable[[Tensor], Tensor]], Gradients]
Mutant = Callable[[Gradients, Again], Gradients]


def _each(change: Callable[[Tensor], Tensor]) -> Mutant:
    return lambda found, _: [g if g is None else change(g) for g in found]


def _shifted(g: Tensor) -> Tensor:
    index = np.arange(g.size).reshape(g.shape)
    return _permuted(g, np.roll(index, 1, axis=-1) if g.ndim else index)


def _transposed(g: Tensor) -> Tensor:
    index = np.arange(g.size).reshape(g.shape)
    return _permuted(g, index.T.reshape(g.shape))


def _permuted(g: Tensor, index: Any) -> Tensor:
    return g.reshape(-1 if g.size else 0)[index.ravel()].reshape(g.shape)


def _without_an_element(g: Tensor) -> Tensor:
    kept = np.ones(g.shape, g.dtype)
    kept.flat[:1] = 0
    return g * mg.tensor(kept)


def _with_a_nan(g: Tensor) -> Tensor:
    broken = np.zeros(g.shape, g.dtype)
    broken.flat[-1:] = np.nan
    return g + mg.tensor(broken)


def _first_row(axis: int) -> Mutant:
    """The sum over an axis of the output left out: only its first position contributes."""

    def only_first(cotangent: Tensor) -> Tensor:
        if cotangent.ndim < abs(axis) or axis >= cotangent.ndim:
            return cotangent
        kept = np.zeros(cotangent.shape, cotangent.dtype)
        np.moveaxis(kept, axis, 0)[:1] = 1
        return cotangent * mg.tensor(kept)

    return lambda _, again: again(only_first)


def _straight_through(found: Gradients, again: Again) -> Gradients:
    """The cotangent added where it has the gradient's shape, or else its sum."""
    seen: list[Tensor] = []

    def watched(cotangent: Tensor) -> Tensor:
        seen.append(cotangent.detach())
        return cotangent

    again(watched)

    def added(g: Tensor) -> Tensor:
        for c in seen:
            extra = c if c.shape == g.shape else c.sum()
            g = g + extra.astype(str(g.dtype))
        return g

    return [g if g is None else added(g) for g in found]


def _ramp(g: Tensor) -> Tensor:
    return g + mg.tensor(np.linspace(-0.5, 1, g.size).reshape(g.shape).astype(g.dtype))


MUTANTS: dict[str, Mutant] = {
    "sign": _each(lambda g: -g),
    "factor": _each(lambda g: g * 2),
    "small_factor": _each(lambda g: g * 1.001),
    "shift": _each(_shifted),
    "transposition": _each(_transposed),
    "missing_sum": _first_row(0),
    "missing_sum_at_the_end": _first_row(-1),
    "dropped_element": _each(_without_an_element),
    "nan_in_an_element": _each(_with_a_nan),
    "dropped_gradient": _each(lambda g: g * 0),
    "added_constant": _each(lambda g: g + 0.25),
    "added_ramp": _each(_ramp),
    "straight_through": _straight_through,
}


@contextmanager
def mutated(op: str, mutant: Mutant) -> Iterator[None]:
    """Within: the op's backward is broken."""
    cls = CATALOGUE[op]
    original = cls.backward

    def backward(self: Any, call: Any, *cotangents: Tensor | None) -> tuple[Tensor | None, ...]:
        def listed(change: Callable[[Tensor], Tensor]) -> Gradients:
            changed = [c if c is None or c.dtype not in FLOATING else change(c) for c in cotangents]
            found = original(self, call, *changed)
            return found if isinstance(found, tuple) else (found,)

        return tuple(mutant(listed(lambda c: c), listed))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cls, "backward", backward)
        yield
