"""What minigrad raises. Every error is a `MinigradError` and also the built-in error a Python
programmer would catch; its text says what was given, what was expected and what to do.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "AnomalyError",
    "ArgumentError",
    "AxisError",
    "CheckpointError",
    "DataError",
    "DtypeError",
    "FreedGraphError",
    "GradcheckError",
    "GradientError",
    "GraphError",
    "IndexingError",
    "LinAlgError",
    "MinigradError",
    "ShapeError",
    "StateDictError",
    "TraceError",
]


class MinigradError(Exception):
    """The root of all errors of minigrad.

    `module_path` is the path of the network's module in whose call the error arose
    (`lenet5.features_detector.0`); it is set on the way out and printed in front.
    """

    module_path: str | None = None

    def __str__(self) -> str:
        message = super().__str__()
        return f"{self.module_path}: {message}" if self.module_path else message


class ArgumentError(MinigradError, ValueError):
    """An argument has a value the function does not take."""


class ShapeError(MinigradError, ValueError):
    """Shapes do not fit together, or do not fit the operation."""


class AxisError(ShapeError):
    """An axis does not exist, or is named twice."""


class IndexingError(MinigradError, ValueError, IndexError):
    """An index lies outside its axis, or is of a kind that cannot index."""


class LinAlgError(MinigradError, ValueError):
    """A matrix that an operation cannot take: singular, or not positive definite."""


class DtypeError(MinigradError, TypeError):
    """A dtype the operation does not take, or two dtypes that do not mix."""


class GradientError(MinigradError, RuntimeError):
    """A gradient was asked for that does not exist or cannot be computed."""


class AnomalyError(GradientError):
    """Within `detect_anomaly`, an op made a value that is not finite."""


class FreedGraphError(GradientError):
    """A second backward pass through a graph whose saved arrays the first one released."""


class GradcheckError(GradientError, ValueError):
    """A gradient that `gradcheck` found wrong; the text is its report, also in `report`."""

    report: Any = None


class TraceError(MinigradError, RuntimeError):
    """A trace, which knows shapes and dtypes alone, met what depends on values, or left itself."""


class GraphError(MinigradError, ValueError):
    """A graph or its file that is damaged, has a cycle, or holds what cannot be written."""


class DataError(MinigradError, ValueError):
    """A data file is absent, damaged, or not what it says it is."""


class CheckpointError(MinigradError, ValueError):
    """A checkpoint is absent, damaged, or belongs to something else."""


class StateDictError(MinigradError, ValueError):
    """A state_dict does not fit the module or optimizer it is loaded into."""
