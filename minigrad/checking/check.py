"""`gradcheck`: set up the problem, get analytic and numeric gradients, and report on each input."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.checking.differences import BASE_STEP, Prober
from minigrad.checking.directions import Directions, Units, drawn, power_of_two, weights
from minigrad.checking.hints import Evidence, directional_hint, hint, shape_hint
from minigrad.checking.joined import Joined
from minigrad.checking.judge import Judged, Tolerance, judge
from minigrad.checking.problem import Gradient, Problem, distance, flat
from minigrad.checking.report import GradcheckReport, Result, Verdict
from minigrad.errors import ArgumentError, GradcheckError, GradientError, ShapeError
from minigrad.nn.module import Module
from minigrad.spec import as_integer
from minigrad.tensor import Array

KEPT_COLUMNS = 4_000_000
"""Elements of a numeric Jacobian that are kept for the hints."""


@dataclass(frozen=True)
class Options:
    """How a check goes about it; see `gradcheck`."""

    directions: int
    """Random ones for each input; 0 for all elements one by one."""
    jacobian: bool
    tolerance: Tolerance
    eps: float | None
    seed: int


def gradcheck(
    function: Callable[..., Any],
    *inputs: Any,
    order: int = 1,
    fast: bool = False,
    directions: int = 4,
    batched: bool | int = False,
    jacobian: bool = False,
    rtol: float = 1e-5,
    atol: float = 1e-8,
    eps: float | None = None,
    seed: int = 0,
    strict: bool = False,
    raise_on_failure: bool = True,
) -> GradcheckReport:
    """Hold the gradient of a function or module against central differences, in float64.

    Checked are all floating-point tensors and arrays among `inputs` (also in lists), and every
    parameter of a module. Both are copied, so the originals stay as they are; all other arguments
    are handed on. Outputs are weighted with cotangents drawn from `seed`; with `jacobian` every
    output element is differentiated for itself. With `order=2` the gradient of the gradient is
    checked too, by the inputs and by the cotangents. An element is right within
    atol + rtol |numeric|, or within the error of the numeric value where that is small. `eps` is
    the step to begin with, for values up to 1 (larger ones get a larger one); it is rounded down
    to a power of two and chosen by the precision where it is not given.

    `fast` takes derivatives along so many random `directions` instead of by every element.
    `batched` says that the function treats the samples along axis 0 of all inputs (with a number:
    of the first n) independently of one another, as layers do; many perturbed copies of them are
    then evaluated in one call. That it is so is verified.

    A kink (relu at 0) is told as a kink and is no failure; elements that the numeric differences
    do not settle are warned of, and are a failure if `strict`, or if no element is right. Raises
    GradcheckError, whose text is the report, unless the report is ok or `raise_on_failure` is
    false; ArgumentError if there is nothing to check, or if samples are not independent.
    """
    if order not in (1, 2) or isinstance(order, bool):
        raise ArgumentError(f"gradcheck: order is 1 or 2, got {order!r}")
    options = Options(
        _at_least(1, "directions", directions) * bool(fast),
        jacobian,
        Tolerance(_number("rtol", rtol), _number("atol", atol)),
        eps if eps is None else _step(eps),
        _at_least(0, "seed", seed),
    )
    problem = Problem(function, inputs, _batched(batched, len(inputs)))
    results = list(_check(problem, options, 1))
    # A gradient that cannot be computed at all has no second derivative to check.
    computed = all(r.index is not None or r.ok for r in results)
    if order == 2 and computed:
        values = problem.values(problem.point)
        rng = np.random.default_rng([options.seed, 2])
        gradient = Gradient(problem, [weights(rng, y.shape) for y in values])
        results += _check(gradient, options, 2)
    report = GradcheckReport(_name_of(function), tuple(results), bool(strict))
    if raise_on_failure and not report.ok:
        error = GradcheckError(str(report))
        error.report = report
        raise error
    return report


def _at_least(least: int, name: str, value: Any) -> int:
    number = as_integer("gradcheck", name, value)
    if number < least:
        raise ArgumentError(f"gradcheck: {name} is at least {least}, got {value}")
    return number


def _number(name: str, value: Any) -> float:
    if not isinstance(value, (int, float)) or not 0 <= value < np.inf:
        raise ArgumentError(f"gradcheck: {name} is a number of at least 0, got {value!r}")
    return float(value)


def _step(eps: Any) -> float:
    number = _number("eps", eps)
    if not 1e-12 <= number <= 1:
        raise ArgumentError(f"gradcheck: eps is a step from 1e-12 to 1, got {eps!r}")
    return power_of_two(number)


def _batched(value: bool | int, inputs: int) -> int:
    """How many of the first inputs hold samples along axis 0."""
    if isinstance(value, (bool, np.bool_)):
        return inputs if value else 0
    number = _at_least(0, "batched", value)
    if number > inputs:
        raise ArgumentError(
            f"gradcheck: batched={number} says that {number} inputs hold samples, got {inputs}"
        )
    return number


def _name_of(function: Any) -> str:
    if isinstance(function, Module):
        return type(function).__name__
    inner = getattr(function, "func", function)  # of a functools.partial
    owner = getattr(inner, "__self__", None)
    if isinstance(owner, type):  # Cube.apply of a minigrad.Function
        inner = owner
    return str(getattr(inner, "__name__", type(inner).__name__))


def _check(problem: Problem, options: Options, order: int) -> Iterator[Result]:
    values, again = (problem.values(problem.point) for _ in range(2))
    apart = _distance(values, again)
    if apart:
        for name, x in zip(problem.names, problem.point, strict=True):
            told = f"two evaluations at the same point differ by up to {apart:.3g}"
            yield Result(name, order, Verdict.RANDOM, x.shape, hint=told)
        return
    problem.stop_recording(values)
    checker = _Checker(problem, options, order, values)
    yield from checker.results()


def _distance(first: Sequence[Array], second: Sequence[Array]) -> float:
    """How far two evaluations lie apart; infinite where their shapes differ."""
    if [y.shape for y in first] != [y.shape for y in second]:
        return np.inf
    return distance(flat(first), flat(second))


class _Checker:
    """The check of one problem: analytic gradients first, then input after input."""

    def __init__(
        self, problem: Problem, options: Options, order: int, values: Sequence[Array]
    ) -> None:
        self.problem, self.options, self.order = problem, options, order
        self.outputs = [y.shape for y in values]
        self.rng = np.random.default_rng([options.seed, order])
        size = sum(y.size for y in values)
        self.cotangents = np.eye(size) if options.jacobian else weights(self.rng, (1, size))
        self.joined = Joined(problem, values) if problem.joined else None

    def results(self) -> Iterator[Result]:
        names, point = self.problem.names, self.problem.point
        try:
            analytic = self.problem.gradients([self._parts(row) for row in self.cotangents])
        except GradientError as error:
            text = shape_hint(str(error)) or str(error)
            for name, x in zip(names, point, strict=True):
                yield Result(name, self.order, Verdict.WRONG, x.shape, hint=text)
            return
        prober = self._prober()
        judged, connected = [], []
        for i in range(len(point)):
            by_cotangent = [row[i] for row in analytic]
            connected.append(any(g is not None for g in by_cotangent))
            filled = [np.zeros(point[i].shape) if g is None else g for g in by_cotangent]
            judged.append(self._judge(prober, i, np.array(filled, np.float64)))
        for i in range(len(point)):
            yield self._result(i, judged, connected[i])

    def _prober(self) -> Prober:
        single = self.problem.computes_in_single()
        step = self.options.eps or BASE_STEP[single]
        eps = float(np.finfo(np.float32 if single else np.float64).eps)
        if self.joined:
            self.joined.prove([self.options.seed, self.order, 1], step, eps)
        point = self.problem.point
        return Prober(self._values, point, self.cotangents, step, eps, self.joined)

    def _values(self, arrays: Sequence[Array]) -> list[Array]:
        """The outputs near the point, held to the shapes that they have at it."""
        values = self.problem.values(arrays)
        if [y.shape for y in values] != self.outputs:
            raise ShapeError("gradcheck: the shape of the outputs depends on the values of inputs")
        return values

    def _parts(self, cotangent: Array) -> list[Array]:
        """A cotangent of all outputs, split into those of each."""
        ends = np.cumsum([int(np.prod(shape)) for shape in self.outputs])[:-1]
        parts = np.split(cotangent, ends)
        return [part.reshape(shape) for part, shape in zip(parts, self.outputs, strict=True)]

    def _judge(self, prober: Prober, which: int, analytic: Array) -> Judged:
        x = self.problem.point[which]
        directions: Directions = Units(x)
        flattened = analytic.reshape(len(analytic), x.size)
        if self.options.directions:
            directions = drawn(self.rng, x, self.options.directions)
            basis = np.array([d.ravel() for d, _ in directions]).reshape(len(directions), x.size)
            flattened = flattened @ basis.T
        keep = x.size * self.cotangents.shape[1] <= KEPT_COLUMNS and not self.options.directions
        return judge(prober, which, directions, flattened.T, self.options.tolerance, keep)

    def _result(self, which: int, judged: Sequence[Judged], connected: bool) -> Result:
        found, x = judged[which], self.problem.point[which]
        name = self.problem.names[which]
        if not found.verdicts:
            return Result(name, self.order, Verdict.RIGHT, x.shape, hint="no elements")
        verdict = next(v for v in WORST_FIRST if v in found.verdicts)
        row, column = _worst(found, verdict)
        where = (row,) if self.options.directions else np.unravel_index(row, x.shape)
        told = self._hint(which, judged) if verdict is Verdict.WRONG else self._explained(found)
        if verdict is Verdict.WRONG and not connected:
            verdict, told = Verdict.MISSING, UNCONNECTED
        elif verdict is Verdict.IMPRECISE and Verdict.RIGHT not in found.verdicts:
            verdict = Verdict.UNDECIDED
        shape = found.analytic.T.shape
        return Result(
            name,
            self.order,
            verdict,
            x.shape,
            tuple(int(i) for i in where),
            float(found.analytic[row, column]),
            float(found.numeric[row, column]),
            float(abs(found.analytic[row, column] - found.numeric[row, column])),
            float(found.estimate[row, column]),
            told,
            np.array(found.analytic.T),
            np.array(found.numeric.T),
            np.broadcast_to(found.mask(Verdict.WRONG), shape),
            np.broadcast_to(found.mask(Verdict.KINK), shape),
        )

    def _explained(self, found: Judged) -> str:
        """What there is to say of an input that has no wrong element."""
        verdict = next(v for v in WORST_FIRST if v in found.verdicts)
        count, total = found.verdicts.count(verdict), len(found.verdicts)
        what = "directions" if self.options.directions else "elements"
        return EXPLANATIONS[verdict].format(f"{count} of {total} {what}")

    def _slack(self, found: Judged) -> Array:
        """How far analytic and numeric values may differ and still be called equal."""
        largest = np.abs(found.numeric[np.isfinite(found.numeric)]).max(initial=0.0)
        within = self.options.tolerance.of(found.numeric) + 10 * found.estimate
        return np.asarray(within + 1e-7 * largest)

    @np.errstate(all="ignore")
    def _hint(self, which: int, judged: Sequence[Judged]) -> str:
        found, names = judged[which], self.problem.names
        slack = self._slack(found)
        if self.options.directions:
            return directional_hint(found.analytic, found.numeric, slack)
        shapes = [(len(self.cotangents), *x.shape) for x in self.problem.point]
        shape = shapes[which]
        columns = found.columns if found.columns.size else None
        evidence = Evidence(
            found.analytic.T.reshape(shape),
            found.numeric.T.reshape(shape),
            slack.T.reshape(shape),
            ~found.mask(Verdict.KINK).reshape(shape[1:]),
            columns,
            self.cotangents,
            self.outputs,
            [
                (name, other.numeric.T.reshape(s))
                for i, (name, other, s) in enumerate(zip(names, judged, shapes, strict=True))
                if i != which
            ],
        )
        return hint(evidence)


WORST_FIRST = (Verdict.WRONG, Verdict.IMPRECISE, Verdict.KINK, Verdict.RIGHT)
"""An input is told by the first of these that one of its elements has."""
UNCONNECTED = "the output does not depend on it as far as the record knows (detached?)"
EXPLANATIONS = {
    Verdict.RIGHT: "",
    Verdict.KINK: "no derivative at {}: one-sided differences disagree",
    Verdict.IMPRECISE: (
        "numeric differences do not settle {}: bring inputs and outputs to about 1, compute in "
        "float64, move away from poles, or try another eps"
    ),
}


def _worst(found: Judged, verdict: Verdict) -> tuple[int, int]:
    """Direction and cotangent of the largest error among the elements with this verdict."""
    error = np.nan_to_num(np.abs(found.analytic - found.numeric), nan=np.inf)
    largest = np.where(found.mask(verdict), error.max(axis=1, initial=0.0), -1.0)
    row = int(largest.argmax())
    return row, int(error[row].argmax())
