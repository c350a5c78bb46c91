"""Computation graphs: traced from functions and modules, run, measured, shown and handed on."""

from minigrad.graph.graph import Graph, Leaf, Role
from minigrad.graph.summaries import Row, Summary, summary
from minigrad.graph.tracing import graph_of, trace

__all__ = ["Graph", "Leaf", "Role", "Row", "Summary", "graph_of", "summary", "trace"]
