"""Numeric derivatives by central differences at several steps, each with an error estimate.

D(h) = (f(x + h) - f(x - h)) / 2h has an error c h² + O(h⁴), so (4 D(h/2) - D(h)) / 3 has O(h⁴)
(Richardson 1911), and |D(h) - D(h/2)| bounds its size from what was seen. Rounding adds about
eps |f| / h. One-sided differences, which need no further evaluation, show kinks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from minigrad.checking.directions import Directions
from minigrad.checking.joined import Joined
from minigrad.checking.problem import flat
from minigrad.tensor import Array

Values = Callable[[Sequence[Array]], list[Array]]

BASE_STEP = {True: 2.0**-5, False: 2.0**-13}
"""About eps^(1/5), which makes h⁴ + eps / h smallest; by whether float32 is computed with."""
RETRIES = (2.0**-4, 2.0**-8, 2.0**4)
"""Factors on the base step where the first one leaves doubts."""
ROUNDING = 16
"""Roundings that the error of a value is taken to have."""
BEYOND = 32
"""Noises that a jump must exceed to be one."""

CONVERGENCE = 0.01
"""The part of a derivative that D(h) and D(h/2) may differ by to count against a formula."""


@dataclass(frozen=True)
class Difference:
    """What one step tells of the derivative in one direction.

    `columns` is the numeric derivative of every output element, `value` its products with the
    cotangents (one each), `estimate` the error to expect of them, of which rounding makes
    `noise`. `wide` and `narrow` are D(h) and D(h/2). `jump` is the largest difference between the
    right and the left derivative, `jump_noise` its rounding, and `kink` how far a jump that is no
    smaller at h/2, or a D that is larger there, exceeds the rounding: for a smooth function the
    one would be half, the other the same. `step` is h; `unseen` bounds what is lost in an output
    too large for its digits to show the change. `whole` tells where all outputs that moved were
    whole numbers at every point: a staircase, perhaps, of which no step was seen.
    """

    step: float
    columns: Array
    value: Array
    estimate: Array
    noise: Array
    wide: Array
    narrow: Array
    unseen: Array
    whole: Array
    jump: float
    jump_noise: float
    kink: float

    @property
    def is_finite(self) -> bool:
        return bool(np.all(np.isfinite(self.value)))

    def converged(self) -> Array:
        """Where D(h) and D(h/2) are so near that they tell of a derivative."""
        within = CONVERGENCE * np.abs(self.value) + self.noise
        return np.abs(self.wide - self.narrow) <= within

    def blurred(self) -> Difference:
        """The same, with an estimate that allows for changes lost in large outputs."""
        return replace(self, estimate=self.estimate + self.unseen)

    def without_columns(self) -> Difference:
        """The same for keeping: the derivatives of the outputs are most of its memory."""
        return replace(self, columns=np.zeros(0))

    def has_jump(self, tolerance: float) -> bool:
        """Whether the one-sided derivatives disagree, and no less so at half the step."""
        return self.kink > tolerance


class Prober:
    """Differences of `values` around a point, with fixed cotangents of shape (K, outputs).

    `joined` evaluates several at once, for the inputs that it takes.
    """

    def __init__(
        self,
        values: Values,
        point: Sequence[Array],
        cotangents: Array,
        base_step: float,
        eps: float,
        joined: Joined | None = None,
    ) -> None:
        self._values = values
        self.point = list(point)
        self._cotangents = cotangents
        self.base_step, self.eps = base_step, eps
        self._joined = joined
        self._centre = self._at(0, point[0])

    def _at(self, which: int, array: Array) -> Array:
        arrays = [*self.point[:which], array, *self.point[which + 1 :]]
        return flat(self._values(arrays))

    def joins(self, which: int) -> bool:
        """Whether `along_all` evaluates several values of input number `which` at once."""
        return self._joined is not None and self._joined.takes(which)

    def along_all(self, which: int, directions: Directions) -> Iterator[Difference]:
        """The differences in all directions of input number `which`, at the base step."""
        joined = self._joined if self.joins(which) else None
        count = max(1, joined.copies // 4) if joined else 1
        for start in range(0, len(directions), count):
            some = [directions[i] for i in range(start, min(start + count, len(directions)))]
            if not joined:
                ((direction, scale),) = some
                yield self.along(which, direction, scale * self.base_step)
                continue
            steps = [scale * self.base_step for _, scale in some]
            around = [
                array
                for (direction, _), step in zip(some, steps, strict=True)
                for array in self._around(which, direction, step)
            ]
            outputs = joined.values(which, around)
            for step in steps:
                yield self._difference(step, *(next(outputs) for _ in range(4)))

    def along(self, which: int, direction: Array, step: float) -> Difference:
        """The difference in a direction of input number `which`."""
        around = self._around(which, direction, step)
        return self._difference(step, *(self._at(which, array) for array in around))

    def _around(self, which: int, direction: Array, step: float) -> list[Array]:
        return [self.point[which] + h * direction for h in (step, -step, step / 2, -step / 2)]

    @np.errstate(all="ignore")
    def _difference(
        self, step: float, up: Array, down: Array, half_up: Array, half_down: Array
    ) -> Difference:
        centre, v = self._centre, self._cotangents
        full = _minus(up, down) / (2 * step)
        half = _minus(half_up, half_down) / step
        columns = (4 * half - full) / 3
        spread = np.abs(half - full)
        touched = spread + np.abs(half) != 0
        magnitude = np.maximum(np.abs(up), np.abs(centre))
        rounding = ROUNDING * self.eps * np.where(touched, magnitude, 0) / step
        lost = self.eps * _finite(np.where(touched, 0, magnitude)) / step
        weight = np.abs(v).max(axis=0, initial=0)
        values = np.stack([centre, up, down, half_up, half_down])
        broken_number = touched & np.any(values != np.rint(values), axis=0)
        jump = weight * np.abs(_finite((_minus(up, centre) - _minus(centre, down)) / step))
        half_change = _minus(half_up, centre) - _minus(centre, half_down)
        half_jump = weight * np.abs(_finite(half_change / (step / 2)))
        noise, jump_noise = np.abs(v) @ _finite(rounding), weight * _finite(rounding)
        wide, narrow = v @ full, v @ half
        broken = _excess(half_jump, jump_noise, half_jump > 0.75 * jump)
        torn = _excess(np.abs(narrow), noise, np.abs(narrow) > 1.4 * np.abs(wide))
        return Difference(
            step=step,
            columns=columns,
            value=v @ columns,
            estimate=np.abs(v @ (half - full)) + noise,
            noise=noise,
            wide=wide,
            narrow=narrow,
            unseen=np.where(v == 0, 0, np.abs(v) * lost).max(axis=1, initial=0.0),
            whole=~np.any((v != 0) & broken_number, axis=1),
            jump=float(np.max(jump, initial=0)),
            jump_noise=float(np.max(jump_noise, initial=0)),
            kink=max(broken, torn),
        )

    def is_finite_at_point(self) -> bool:
        return bool(np.all(np.isfinite(self._centre)))


def _excess(size: Array, noise: Array, counted: Array) -> float:
    """How far the largest of the sizes counted exceeds its noise."""
    beyond = size - BEYOND * noise
    return float(np.max(beyond[counted & ~np.isnan(beyond)], initial=-np.inf))


def _minus(left: Array, right: Array) -> Array:
    """left - right; no change where both are the same infinity."""
    return np.where(left == right, 0.0, left - right)


def _finite(values: Array) -> Array:
    return np.where(np.isfinite(values), values, np.inf)
