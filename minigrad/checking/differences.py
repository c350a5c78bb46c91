"""Numeric derivatives by central differences at several steps, each with an error estimate.

D(h) = (f(x + h) - f(x - h)) / 2h has an error c h² + O(h⁴), so (4 D(h/2) - D(h)) / 3 has O(h⁴)
(Richardson 1911), and |D(h) - D(h/2)| bounds its size from what was seen. Rounding adds about
eps |f| / h. One-sided differences, which need no further evaluation, show kinks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from minigrad.tensor import Array

Values = Callable[[Sequence[Array]], list[Array]]

BASE_STEP = {True: 2.0**-5, False: 2.0**-13}
"""About eps^(1/5), which makes h⁴ + eps / h smallest; by whether float32 is computed with."""
RETRIES = (2.0**-4, 2.0**-8, 2.0**4)
"""Factors on the base step where the first one leaves doubts."""
ROUNDING = 16
"""Roundings that the error of a value is taken to have."""

CONVERGENCE = 0.01
"""The part of a derivative that D(h) and D(h/2) may differ by to count against a formula."""


@dataclass(frozen=True)
class Difference:
    """What one step tells of the derivative in one direction.

    `columns` is the numeric derivative of every output element, `value` its products with the
    cotangents (one each), `estimate` the error to expect of them. `jump` and `half_jump` are
    the right minus the left derivative of every output at h and h/2: half for a smooth function,
    the same at a kink. `wide` and `narrow` are D(h) and D(h/2), of which the latter is larger at
    a discontinuity. `step` is h; `unseen` bounds what is lost in an output too large for its
    digits to show the change.
    """

    step: float
    columns: Array
    value: Array
    estimate: Array
    jump: Array
    half_jump: Array
    wide: Array
    narrow: Array
    noise: Array
    jump_noise: Array
    unseen: Array

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

    def has_jump(self, tolerance: float) -> bool:
        """Whether the one-sided derivatives disagree, and no less so at half the step."""
        jump, half = np.abs(self.jump), np.abs(self.half_jump)
        kink = (half > 0.75 * jump) & (half > 32 * self.jump_noise + tolerance)
        wide, narrow = np.abs(self.wide), np.abs(self.narrow)
        step = (narrow > 1.4 * wide) & (narrow > 32 * self.noise + tolerance)
        return bool(np.any(kink) or np.any(step))


class Prober:
    """Differences of `values` around a point, with fixed cotangents of shape (K, outputs)."""

    def __init__(
        self, values: Values, point: Sequence[Array], cotangents: Array, single: bool
    ) -> None:
        self._values = values
        self.point = list(point)
        self._cotangents = cotangents
        self.base_step = BASE_STEP[single]
        self.eps = float(np.finfo(np.float32 if single else np.float64).eps)
        self._centre = self._at(0, point[0])

    def _at(self, which: int, array: Array) -> Array:
        arrays = [*self.point[:which], array, *self.point[which + 1 :]]
        return flat(self._values(arrays))

    def along(self, which: int, direction: Array, step: float) -> Difference:
        """The difference in a direction of input number `which`."""
        x, centre = self.point[which], self._centre
        with np.errstate(all="ignore"):
            up, down, half_up, half_down = (
                self._at(which, x + h * direction) for h in (step, -step, step / 2, -step / 2)
            )
            whole = _minus(up, down) / (2 * step)
            half = _minus(half_up, half_down) / step
            columns = (4 * half - whole) / 3
            spread = np.abs(half - whole)
            touched = spread + np.abs(half) != 0
            magnitude = np.maximum(np.abs(up), np.abs(centre))
            rounding = ROUNDING * self.eps * np.where(touched, magnitude, 0) / step
            lost = self.eps * _finite(np.where(touched, 0, magnitude)) / step
            v = self._cotangents
            weight = np.abs(v).max(axis=0, initial=0)
            jump = weight * _finite((_minus(up, centre) - _minus(centre, down)) / step)
            half_change = _minus(half_up, centre) - _minus(centre, half_down)
            half_jump = weight * _finite(half_change / (step / 2))
            noise = np.abs(v) @ _finite(rounding)
            return Difference(
                step=step,
                columns=columns,
                value=v @ columns,
                estimate=np.abs(v @ (half - whole)) + noise,
                jump=jump,
                half_jump=half_jump,
                wide=v @ whole,
                narrow=v @ half,
                noise=noise,
                jump_noise=weight * _finite(rounding),
                unseen=np.where(v == 0, 0, np.abs(v) * lost).max(axis=1, initial=0.0),
            )

    def is_finite_at_point(self) -> bool:
        return bool(np.all(np.isfinite(self._centre)))


def flat(outputs: Sequence[Array]) -> Array:
    """All outputs as one vector."""
    return np.concatenate([np.ravel(y) for y in outputs]) if outputs else np.zeros(0)


def _minus(left: Array, right: Array) -> Array:
    """left - right; no change where both are the same infinity."""
    return np.where(left == right, 0.0, left - right)


def _finite(values: Array) -> Array:
    return np.where(np.isfinite(values), values, np.inf)
