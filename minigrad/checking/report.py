"""What a check found: one `Result` for each input and parameter, and the report of all.

The report prints as a plain table and draws itself as a picture of analytic against numeric
values.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minigrad.errors import MinigradError

if TYPE_CHECKING:
    from minigrad.tensor import Array


class Verdict(StrEnum):
    """What was found about one gradient."""

    RIGHT = "right"
    KINK = "kink at this point"
    WRONG = "wrong formula"
    MISSING = "no gradient"
    IMPRECISE = "not enough precision"
    UNDECIDED = "cannot be judged"
    RANDOM = "not deterministic"

    @property
    def is_ok(self) -> bool:
        """Whether nothing was found wrong and something right.

        A kink is no failure. Nor is an input of which some elements could not be settled
        (IMPRECISE) but others are right; one of which none is right is UNDECIDED, and a failure.
        """
        return self in (Verdict.RIGHT, Verdict.KINK, Verdict.IMPRECISE)


@dataclass(frozen=True)
class Result:
    """The check of the gradient by one input or parameter.

    `index` is that of the worst element (of a random direction with `fast=True`, where the values
    are derivatives along it), `analytic` and `numeric` are the values there, `error` their
    difference, `estimate` how far the numeric value is to be trusted. The arrays hold all
    elements (by cotangent, then by element); `failed` marks the wrong ones, `kinks` those where
    no derivative exists. `order` is 2 for a second derivative.
    """

    name: str
    order: int
    verdict: Verdict
    shape: tuple[int, ...]
    index: tuple[int, ...] | None = None
    analytic: float | None = None
    numeric: float | None = None
    error: float | None = None
    estimate: float | None = None
    hint: str = ""
    analytic_values: Array | None = field(default=None, repr=False, compare=False)
    numeric_values: Array | None = field(default=None, repr=False, compare=False)
    failed: Array | None = field(default=None, repr=False, compare=False)
    kinks: Array | None = field(default=None, repr=False, compare=False)

    @property
    def ok(self) -> bool:
        return self.verdict.is_ok

    @property
    def title(self) -> str:
        """The name, and that it is a second derivative if it is one."""
        return f"{self.name} (2nd order)" if self.order == 2 else self.name


TITLES = ("gradient by", "shape", "verdict", "at", "analytic", "numeric", "error", "estimate")


@dataclass(frozen=True)
class GradcheckReport:
    """The results of one check, in the order of inputs and then parameters.

    `strict` says that elements which could not be settled count as failures.
    """

    subject: str
    results: tuple[Result, ...]
    strict: bool = False

    @property
    def ok(self) -> bool:
        """Whether every gradient is right, stands at a kink or, unless `strict`, is right as far
        as it could be settled."""
        return all(r.ok for r in self.results) and not (self.strict and self.warnings)

    @property
    def warnings(self) -> tuple[Result, ...]:
        """The results of which some elements could not be settled."""
        return tuple([r for r in self.results if r.verdict is Verdict.IMPRECISE])

    def __str__(self) -> str:
        rows = [TITLES, *[_cells(result) for result in self.results]]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [f"gradcheck of {self.subject}: {self._summary()}"]
        for i, row in enumerate(rows):
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            lines.append("  ".join(cells).rstrip())
            if i and self.results[i - 1].hint:
                label = "warning" if self.results[i - 1] in self.warnings else "hint"
                lines.append(f"    {label}: {self.results[i - 1].hint}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """The same as a table, for notebooks."""
        head = "".join([f"<th>{escape(title)}</th>" for title in (*TITLES, "hint")])
        rows = [[*_cells(result), result.hint] for result in self.results]
        body = ["".join([f"<td>{escape(cell)}</td>" for cell in row]) for row in rows]
        caption = escape(f"gradcheck of {self.subject}: {self._summary()}")
        return (
            f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead>"
            f"<tbody>{''.join([f'<tr>{cells}</tr>' for cells in body])}</tbody></table>"
        )

    def _summary(self) -> str:
        counts = {v: sum(r.verdict == v for r in self.results) for v in Verdict}
        told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
        return ("ok" if self.ok else "failed") + f" ({told})"

    def plot(self, path: str | Path | None = None) -> Any:
        """A picture of analytic over numeric values, the wrong ones marked.

        Returns matplotlib's figure; with `path` it is saved there, in the format of the ending.
        Raises MinigradError where matplotlib is not installed.
        """
        try:
            from matplotlib.figure import Figure
        except ImportError:
            raise MinigradError(
                "GradcheckReport.plot: matplotlib is not installed; pip install 'minigrad[plot]'"
            ) from None
        drawn = [result for result in self.results if result.numeric_values is not None]
        columns = max(1, min(3, len(drawn)))
        rows = max(1, -(-len(drawn) // columns))
        figure = Figure(figsize=(4 * columns, 3.6 * rows), layout="constrained")
        for i, result in enumerate(drawn):
            _draw(figure.add_subplot(rows, columns, i + 1), result)
        figure.suptitle(f"gradcheck of {self.subject}")
        if path is not None:
            try:
                figure.savefig(path)
            except (OSError, ValueError) as error:
                raise MinigradError(f"GradcheckReport.plot: cannot write {path}: {error}") from None
        return figure


def _cells(result: Result) -> tuple[str, ...]:
    at = "" if result.index is None else str(list(result.index))
    numbers = (
        (8, result.analytic),
        (8, result.numeric),
        (2, result.error),
        (2, result.estimate),
    )
    told = ["" if value is None else f"{value:.{digits}g}" for digits, value in numbers]
    return (result.title, str(result.shape), str(result.verdict), at, *told)


def _draw(axes: Any, result: Result) -> None:
    analytic, numeric = result.analytic_values, result.numeric_values
    failed, kinks = result.failed, result.kinks
    assert analytic is not None and numeric is not None
    assert failed is not None and kinks is not None
    for chosen, color, marker, label in (
        (~failed & ~kinks, "tab:blue", "o", "right"),
        (kinks & ~failed, "tab:gray", "s", "kink"),
        (failed, "tab:red", "x", "wrong"),
    ):
        if chosen.any():
            axes.scatter(numeric[chosen], analytic[chosen], c=color, marker=marker, label=label)
    axes.axline((0, 0), slope=1, color="black", linewidth=0.6)
    axes.set(xlabel="numeric", ylabel="analytic", title=f"{result.title}: {result.verdict}")
    axes.legend()
