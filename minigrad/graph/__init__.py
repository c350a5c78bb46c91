"""Computation graphs: traced from functions and modules, run, measured, shown and handed on.

`passes` and `depth` make graphs from graphs; what networkx reads off one is in `structure`.
"""

from minigrad.graph.depth import at_depth, fold_repeats
from minigrad.graph.graph import Graph, Leaf, Role
from minigrad.graph.passes import eliminate_dead_code, fold_constants, merge_common
from minigrad.graph.tracing import graph_of, trace

__all__ = [
    "Graph",
    "Leaf",
    "Role",
    "at_depth",
    "eliminate_dead_code",
    "fold_constants",
    "fold_repeats",
    "graph_of",
    "merge_common",
    "trace",
]
