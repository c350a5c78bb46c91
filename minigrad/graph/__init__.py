"""Computation graphs: traced from functions and modules, run, measured, shown and handed on."""

from minigrad.graph.difference import GraphDiff, diff
from minigrad.graph.graph import Graph, Leaf, Role
from minigrad.graph.profiles import Profile, profile
from minigrad.graph.summaries import Row, Summary, summary
from minigrad.graph.tracing import graph_of, trace

__all__ = [
    "Graph",
    "GraphDiff",
    "Leaf",
    "Profile",
    "Role",
    "Row",
    "Summary",
    "diff",
    "graph_of",
    "profile",
    "summary",
    "trace",
]
