"""The verdict on the gradient by one input: its analytic values against numeric ones.

An element is doubted where both differ by more than the tolerance; it is then probed with other
steps, and called wrong only where two steps that contradict the analytic value agree. Doubts are
settled by separate evaluations, also where the first ones were joined.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minigrad.checking.differences import RETRIES, Difference, Prober
from minigrad.checking.directions import Directions
from minigrad.checking.report import Verdict
from minigrad.tensor import Array

RESOLUTION = 1e-3
"""The part of the largest derivative that an estimate must stay below to settle an element."""
AGREEMENT = 0.1
"""The part of the error that two numeric values may differ by to contradict an analytic one."""
FINE = (2.0**-10, 2.0**-12, 2.0**-14, 2.0**-16, 2.0**-20, 2.0**-24)
"""Factors on the base step where a kink or a pole may lie within the others."""
FINE_PARTS = (2.0**-9, 2.0**-11)
"""Steps as parts of the smallest element: near 0 only these stay on the side of log or 1/x."""


@dataclass(frozen=True)
class Tolerance:
    """|analytic - numeric| may be atol + rtol |numeric|."""

    rtol: float
    atol: float

    def of(self, numeric: Array) -> Array:
        return self.atol + self.rtol * np.abs(numeric)


@dataclass(frozen=True)
class Judged:
    """All directions of one input, one after the other: arrays of shape (directions, K)."""

    verdicts: list[Verdict]
    analytic: Array
    numeric: Array
    estimate: Array
    columns: Array

    def mask(self, verdict: Verdict) -> Array:
        return np.array([v == verdict for v in self.verdicts], bool)


def judge(
    prober: Prober,
    which: int,
    directions: Directions,
    analytic: Array,
    tolerance: Tolerance,
    keep_columns: bool,
) -> Judged:
    """Probe every direction and judge `analytic` along it.

    `analytic` has the shape (directions, K), K the number of cotangents.
    """
    base, columns = [], []
    for difference in prober.along_all(which, directions):
        columns += [difference.columns] * keep_columns
        base.append(difference.without_columns())
    numeric = np.array([difference.value for difference in base]).reshape(analytic.shape)
    estimate = np.array([difference.estimate for difference in base]).reshape(analytic.shape)
    finite = np.abs(numeric[np.isfinite(numeric)])
    largest = max(float(finite.max(initial=0.0)), tolerance.atol)
    verdicts = []
    for i, first in enumerate(base):
        found = _Element(prober, which, *directions[i], analytic[i], tolerance, largest)
        verdict, chosen = found.settle(first)
        verdicts.append(verdict)
        numeric[i], estimate[i] = chosen.value, chosen.estimate
    kept = np.array(columns) if columns else np.zeros((0, 0))
    return Judged(verdicts, analytic, numeric, estimate, kept)


@dataclass(frozen=True)
class _Element:
    """One direction under judgement; `largest` is the largest numeric derivative of the input."""

    prober: Prober
    which: int
    direction: Array
    scale: float
    analytic: Array
    tolerance: Tolerance
    largest: float

    def settle(self, base: Difference) -> tuple[Verdict, Difference]:
        """The verdict, and the difference that it rests on."""
        floor = self.tolerance.atol + self.tolerance.rtol * self.largest
        if self._is_plainly_right(base, floor):
            return Verdict.RIGHT, base
        if self.prober.joins(self.which):
            base = self._along(1)
            if self._is_plainly_right(base, floor):
                return Verdict.RIGHT, base
        return self._settle_doubts([base, *map(self._along, RETRIES)], floor)

    def _is_plainly_right(self, base: Difference, floor: float) -> bool:
        return base.is_finite and not base.has_jump(floor) and self._agrees(base)

    def _along(self, factor: float) -> Difference:
        step = self.scale * self.prober.base_step * factor
        return self.prober.along(self.which, self.direction, step)

    def _settle_doubts(self, tried: list[Difference], floor: float) -> tuple[Verdict, Difference]:
        """Of the differences at the base step and those of `RETRIES`."""
        base, smaller = tried[0], tried[1:-1]
        if not any(d.is_finite for d in tried) and not self.prober.is_finite_at_point():
            return Verdict.IMPRECISE, base
        if not smaller[-1].is_finite:  # no value on one side, however near: an edge
            return Verdict.KINK, base
        if self._jumps(smaller, floor):
            return Verdict.KINK, base
        usable = [d for d in tried if d.is_finite]
        right = [d for d in usable if self._agrees(d)]
        if right:
            return Verdict.RIGHT, right[0]
        ladder = [d.blurred() for d in [*usable, *self._fine()]]
        wrong = self._contradicted(self._unrefuted(ladder, floor))
        if wrong:
            return wrong
        right = [d for d in ladder if self._agrees(d)]
        return (Verdict.RIGHT, right[0]) if right else (Verdict.IMPRECISE, (usable or [base])[0])

    def _jumps(self, smaller: list[Difference], floor: float) -> bool:
        """Whether there is a jump at all steps that could show it above the rounding."""
        size = max(d.jump for d in smaller)
        clear = [d for d in smaller if 64 * d.jump_noise <= size]
        return all(d.has_jump(floor) for d in (clear if len(clear) > 1 else smaller))

    def _fine(self) -> list[Difference]:
        """Differences at steps so small that rounding shows, but nothing is stepped over."""
        steps = [self.scale * self.prober.base_step * factor for factor in FINE]
        moved = np.abs(self.prober.point[self.which][self.direction != 0])
        least = float(moved.min(initial=np.inf))
        if 0 < least < self.scale / 16:
            steps += [part * least for part in FINE_PARTS]
        # Below this the elements themselves, rounded on the way, may not move.
        lowest = 64 * self.prober.eps * float(moved.max(initial=0))
        found = [
            self.prober.along(self.which, self.direction, step) for step in steps if step >= lowest
        ]
        return [d for d in found if d.is_finite]

    def _unrefuted(self, ladder: list[Difference], floor: float) -> list[Difference]:
        """Without those that step over something: a smaller step contradicts them or meets it."""

        def refutes(fine: Difference, coarse: Difference) -> bool:
            apart = np.abs(fine.value - coarse.value)
            within = 2 * (fine.estimate + coarse.estimate) + self.tolerance.of(fine.value)
            # Rounding shared by several outputs looks like a jump in the least of them.
            visible = max(floor, float(np.max(fine.noise, initial=0)))
            return fine.has_jump(visible) or bool(np.any(apart > within))

        return [
            d for d in ladder if not any(refutes(fine, d) for fine in ladder if fine.step <= d.step)
        ]

    def _error(self, difference: Difference) -> Array:
        """How far the analytic values are off: where one is not finite, all of the numeric one."""
        numeric = np.abs(difference.value)
        all_of_it = np.maximum(numeric, RESOLUTION * self.largest)
        return np.where(
            np.isfinite(self.analytic),
            np.abs(self.analytic - difference.value),
            np.maximum(all_of_it, 2 / AGREEMENT * self.tolerance.of(numeric)),
        )

    def _agrees(self, difference: Difference) -> bool:
        error = self._error(difference)
        within = self.tolerance.of(difference.value)
        trusted = difference.estimate <= np.maximum(RESOLUTION * self.largest, within)
        close = (error <= np.maximum(within, difference.estimate)) & np.isfinite(self.analytic)
        return bool(np.all(trusted & close))

    def _contradicted(self, usable: list[Difference]) -> tuple[Verdict, Difference] | None:
        """WRONG if two steps agree with each other on a value that is not the analytic one. That a
        function of whole numbers has no slope cannot be contradicted: its stairs may be finer than
        the steps, or than its digits."""
        ranked = sorted(usable, key=lambda d: float(np.max(d.estimate, initial=0)))
        for k in range(len(self.analytic)):
            sure = [
                d
                for d in ranked
                if not (self.analytic[k] == 0 and d.whole[k])
                and d.converged()[k]
                and d.estimate[k] < AGREEMENT * self._error(d)[k]
            ]
            for i, first in enumerate(sure):
                for other in sure[i + 1 :]:
                    apart = abs(first.value[k] - other.value[k])
                    beyond = self._error(first)[k] > self.tolerance.of(first.value)[k]
                    if beyond and apart < AGREEMENT * self._error(first)[k]:
                        return Verdict.WRONG, first
        return None
