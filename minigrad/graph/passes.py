"""Passes that make a graph smaller: dead code, constant folding, common subexpressions.

A pass is a function from graph to graph. It changes no result: a run of the new graph gives the
same bits and the same updates for the same inputs. What remains keeps its leaf, module, line and
forward node.
"""

from __future__ import annotations

from collections.abc import Hashable

from minigrad import tape
from minigrad.graph.equality import identity
from minigrad.graph.graph import Graph, Leaf, Role, closed
from minigrad.graph.interpreter import call
from minigrad.graph.rebuild import Rebuild
from minigrad.tape import Node

__all__ = ["eliminate_dead_code", "fold_constants", "merge_common"]


def eliminate_dead_code(graph: Graph) -> Graph:
    """The graph without the calls and leaves that no output and no update needs. Inputs stay, as
    they are what a call takes."""
    needed = [*graph.outputs, *[value for _, value in graph.updates]]
    needed += [(leaf, 0) for leaf, _ in graph.updates]
    needed += [(node, 0) for node in graph.inputs]
    new = Rebuild(graph)
    for node in closed(graph.nodes, needed):
        new.keep(node)
    return new.graph_of_new()


def fold_constants(graph: Graph) -> Graph:
    """The graph with every call that depends on constants alone run now: what it gives is a
    constant. Those without values (of a trace within `abstract`) are left alone."""
    new = Rebuild(graph)
    constants = {
        (node, 0): leaf.tensor
        for node, leaf in graph.leaves.items()
        if leaf.role == Role.CONSTANT and leaf.tensor is not None and not leaf.tensor.is_abstract
    }
    for node in graph.nodes:
        inputs = new.inputs(node)
        if node.op is None or any(value not in constants for value in inputs):
            new.keep(node)
            continue
        with tape.no_grad():
            results = call(node.op, [constants[value] for value in inputs])
        for index, tensor in enumerate(results):
            leaf = Node(None, (), (), (tensor.spec,))
            leaf.age = node.age
            new.add_leaf(leaf, Leaf("", Role.CONSTANT, tensor))
            new.values[node, index] = (leaf, 0)
            constants[leaf, 0] = tensor
    return eliminate_dead_code(new.graph_of_new())


def merge_common(graph: Graph) -> Graph:
    """The graph with equal calls of the same values made once. Leaves are never merged, nor are
    two draws of random numbers, nor calls of which one is differentiated and one is not."""
    new = Rebuild(graph)
    first: dict[Hashable, Node] = {}
    for node in graph.nodes:
        if node.op is None:
            new.keep(node)
            continue
        key = (identity(node.op), new.inputs(node), node.needs, node.recorded)
        if key in first:
            new.stands_for(first[key], node)
        else:
            first[key] = new.keep(node)
    return new.graph_of_new()
