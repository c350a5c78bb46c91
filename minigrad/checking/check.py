"""`gradcheck`: set up the problem, get analytic and numeric gradients, and report on each input."""

from __future__ import annotations

import re
from ast import literal_eval
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.checking.differences import Prober, flat
from minigrad.checking.hints import Evidence, directional_hint, hint
from minigrad.checking.judge import Directions, Judged, Tolerance, judge
from minigrad.checking.problem import Gradient, Problem
from minigrad.checking.report import GradcheckReport, Result, Verdict
from minigrad.errors import (
    ArgumentError,
    GradcheckError,
    GradientError,
    MinigradError,
    ShapeError,
)
from minigrad.nn.module import Module
from minigrad.spec import Shape, as_integer, broadcast_shapes
from minigrad.tensor import Array

DIRECTIONS = 4
"""Random directions an input in fast mode."""
KEPT_COLUMNS = 4_000_000
"""Elements of a numeric Jacobian that are kept for the hints."""


@dataclass(frozen=True)
class Options:
    """How a check goes about it; see `gradcheck`."""

    fast: bool
    jacobian: bool
    tolerance: Tolerance
    seed: int


def gradcheck(
    function: Callable[..., Any],
    *inputs: Any,
    order: int = 1,
    fast: bool = False,
    jacobian: bool = False,
    rtol: float = 1e-5,
    atol: float = 1e-8,
    seed: int = 0,
    raise_on_failure: bool = True,
) -> GradcheckReport:
    """Hold the gradient of a function or module against central differences, in float64.

    Checked are all floating-point tensors and arrays among `inputs` (also in lists), and every
    parameter of a module. Both are copied, so the originals stay as they are; all other arguments
    are handed on. Outputs are weighted with cotangents drawn from `seed`; with `jacobian` every
    output element is differentiated for itself. `fast` takes derivatives along a few random
    directions instead of by every element. With `order=2` the gradient of the gradient is checked
    too, by the inputs and by the cotangents. An element is right within atol + rtol |numeric|, or
    within the error of the numeric value where that is small.

    A kink (relu at 0) is told as a kink and is no failure. Raises GradcheckError, whose text is
    the report, unless all is right or `raise_on_failure` is false; ArgumentError if there is
    nothing to check.
    """
    seed = as_integer("gradcheck", "seed", seed)
    if order not in (1, 2) or isinstance(order, bool):
        raise ArgumentError(f"gradcheck: order is 1 or 2, got {order!r}")
    if seed < 0:
        raise ArgumentError(f"gradcheck: seed is not negative, got {seed}")
    options = Options(fast, jacobian, _tolerance(rtol, atol), seed)
    problem = Problem(function, inputs)
    results = list(_check(problem, options, 1))
    # A gradient that cannot be computed at all has no second derivative to check.
    computed = all(r.index is not None or r.ok for r in results)
    if order == 2 and computed:
        values = problem.values(problem.point)
        rng = np.random.default_rng([seed, 2])
        gradient = Gradient(problem, [_weights(rng, y.shape) for y in values])
        results += _check(gradient, options, 2)
    report = GradcheckReport(_name_of(function), tuple(results))
    if raise_on_failure and not report.ok:
        error = GradcheckError(str(report))
        error.report = report
        raise error
    return report


def _tolerance(rtol: Any, atol: Any) -> Tolerance:
    for name, value in (("rtol", rtol), ("atol", atol)):
        if not isinstance(value, (int, float)) or not 0 <= value < np.inf:
            raise ArgumentError(f"gradcheck: {name} is a number of at least 0, got {value!r}")
    return Tolerance(float(rtol), float(atol))


def _name_of(function: Any) -> str:
    if isinstance(function, Module):
        return type(function).__name__
    inner = getattr(function, "func", function)  # of a functools.partial
    owner = getattr(inner, "__self__", None)
    if isinstance(owner, type):  # Cube.apply of a minigrad.Function
        inner = owner
    return str(getattr(inner, "__name__", type(inner).__name__))


def _weights(rng: np.random.Generator, shape: Shape) -> Array:
    """Random numbers between 0.5 and 1.5 from zero: none lets an element go unseen."""
    return np.asarray(rng.uniform(0.5, 1.5, shape) * rng.choice([-1.0, 1.0], shape))


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
    a, b = flat(first), flat(second)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(all="ignore"):
        return float(np.nan_to_num(np.abs(a - b)[~same], nan=np.inf).max(initial=0.0))


class _Checker:
    """The check of one problem: analytic gradients first, then input after input."""

    def __init__(
        self, problem: Problem, options: Options, order: int, values: Sequence[Array]
    ) -> None:
        self.problem, self.options, self.order = problem, options, order
        self.outputs = [y.shape for y in values]
        self.rng = np.random.default_rng([options.seed, order])
        size = sum(y.size for y in values)
        self.cotangents = np.eye(size) if options.jacobian else _weights(self.rng, (1, size))

    def results(self) -> Iterator[Result]:
        names, point = self.problem.names, self.problem.point
        try:
            analytic = self.problem.gradients([self._parts(row) for row in self.cotangents])
        except GradientError as error:
            text = _shape_hint(str(error)) or str(error)
            for name, x in zip(names, point, strict=True):
                yield Result(name, self.order, Verdict.WRONG, x.shape, hint=text)
            return
        single = self.problem.computes_in_single()
        prober = Prober(self._values, point, self.cotangents, single)
        judged, connected = [], []
        for i in range(len(point)):
            by_cotangent = [row[i] for row in analytic]
            connected.append(any(g is not None for g in by_cotangent))
            filled = [np.zeros(point[i].shape) if g is None else g for g in by_cotangent]
            judged.append(self._judge(prober, i, np.array(filled, np.float64)))
        for i in range(len(point)):
            yield self._result(i, judged, connected[i])

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
        drawn = list(self._directions(x)) if self.options.fast else []
        listed: Directions = drawn if self.options.fast else _Units(x)
        flattened = analytic.reshape(len(analytic), x.size)
        if self.options.fast:
            basis = np.array([d.ravel() for d, _ in drawn]).reshape(len(drawn), x.size)
            flattened = flattened @ basis.T
        keep = not self.options.fast and x.size * self.cotangents.shape[1] <= KEPT_COLUMNS
        return judge(prober, which, listed, flattened.T, self.options.tolerance, keep)

    def _directions(self, x: Array) -> Iterator[tuple[Array, float]]:
        scale = _power_of_two(float(np.median(np.abs(x)))) if x.size else 1.0
        for _ in range(DIRECTIONS if x.size else 0):
            direction = _weights(self.rng, x.shape)
            yield direction, scale

    def _result(self, which: int, judged: Sequence[Judged], connected: bool) -> Result:
        found, x = judged[which], self.problem.point[which]
        name = self.problem.names[which]
        if not found.verdicts:
            return Result(name, self.order, Verdict.RIGHT, x.shape, hint="no elements")
        wrong, kinks = found.mask(Verdict.WRONG), found.mask(Verdict.KINK)
        ranked = (Verdict.WRONG, Verdict.IMPRECISE, Verdict.KINK, Verdict.RIGHT)
        verdict = next(v for v in ranked if v in found.verdicts)
        error = np.abs(found.analytic - found.numeric).max(axis=1, initial=0.0)
        error = np.where(found.mask(verdict), np.nan_to_num(error, nan=np.inf), -1.0)
        worst = int(error.argmax())
        column = int(np.nan_to_num(np.abs(found.analytic - found.numeric)[worst]).argmax())
        told = ""
        if verdict is Verdict.WRONG:
            told = self._hint(which, judged)
            verdict = verdict if connected else Verdict.MISSING
        elif verdict is not Verdict.RIGHT:
            told = _explanation(verdict, int(found.mask(verdict).sum()), len(kinks))
        where = (worst,) if self.options.fast else np.unravel_index(worst, x.shape)
        return Result(
            name,
            self.order,
            verdict,
            x.shape,
            tuple(int(i) for i in where),
            float(found.analytic[worst, column]),
            float(found.numeric[worst, column]),
            float(abs(found.analytic[worst, column] - found.numeric[worst, column])),
            float(found.estimate[worst, column]),
            told if connected or verdict is not Verdict.MISSING else _UNCONNECTED,
            *(np.array(a) for a in (found.analytic.T, found.numeric.T)),
            *(np.broadcast_to(a, found.analytic.T.shape) for a in (wrong, kinks)),
        )

    def _slack(self, found: Judged) -> Array:
        """How far analytic and numeric values may differ and still be called equal."""
        largest = np.abs(found.numeric[np.isfinite(found.numeric)]).max(initial=0.0)
        within = self.options.tolerance.of(found.numeric) + 10 * found.estimate
        return np.asarray(within + 1e-7 * largest)

    def _hint(self, which: int, judged: Sequence[Judged]) -> str:
        found, names = judged[which], self.problem.names
        slack = self._slack(found)
        if self.options.fast:
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
        with np.errstate(all="ignore"):
            return hint(evidence)


class _Units:
    """The directions of the elements one by one, with a step that suits each value."""

    def __init__(self, x: Array) -> None:
        self._x = x

    def __len__(self) -> int:
        return self._x.size

    def __getitem__(self, index: int) -> tuple[Array, float]:
        unit = np.zeros(self._x.shape)
        unit.flat[index] = 1
        return unit, _power_of_two(float(self._x.flat[index]))


def _power_of_two(value: float) -> float:
    """The power of two below |value|, at least 1: adding it loses no digits of the step."""
    return float(2.0 ** np.floor(np.log2(max(1.0, abs(value)))))


_UNCONNECTED = "the output does not depend on it as far as the record knows (detached?)"


def _explanation(verdict: Verdict, count: int, size: int) -> str:
    if verdict is Verdict.KINK:
        return f"no derivative at {count} of {size} elements: one-sided differences disagree"
    return f"numeric differences do not settle {count} of {size} elements"


def _shape_hint(text: str) -> str:
    """Of the engine's complaint about a gradient's shape: whether a sum is missing."""
    found = re.search(r"is Spec\((\([^)]*\)), .* input is Spec\((\([^)]*\)), ", text)
    if not found:
        return ""
    got, wanted = (literal_eval(part) for part in found.groups())
    try:
        fits = got != wanted and broadcast_shapes("gradcheck", got, wanted) == got
    except MinigradError:
        return ""
    if not fits:
        return "transposed: " * (sorted(got) == sorted(wanted)) + text
    return (
        f"missing sum over a broadcast axis: a gradient of shape {got} for shape {wanted} ({text})"
    )
