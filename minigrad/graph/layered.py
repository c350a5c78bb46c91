"""Layered drawing of a directed graph (Sugiyama, Tagawa and Toda 1981): ranks, dummies along long
edges, few crossings by barycenters, then coordinates.

Coordinates solve, rank by rank, a least-squares problem with the order as its constraint, by
pooling adjacent violators (Barlow, Bartholomew, Bremner and Brunk 1972), so neighbours line up.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

Point = tuple[float, float]
Edge = tuple[int, int]

MIDDLE: Point = (0.0, 0.0)
MIDDLES: Mapping[int, Point] = {}
SWEEPS = 6
STRAIGHT = 8.0
"""How much more a bend in a long edge weighs than one at a box."""


@dataclass(frozen=True)
class Layout:
    """Centres of the nodes, the points that each edge passes (from its start's rim to its end's)
    and the size of it all."""

    centres: list[Point]
    routes: dict[Edge, list[Point]]
    width: float
    height: float


def layered(
    sizes: Sequence[Point],
    edges: Sequence[Edge],
    first: int | None = None,
    last: int | None = None,
    anchors: Mapping[int, Point] = MIDDLES,
    gap: Point = (22.0, 32.0),
) -> Layout:
    """Lay out nodes of these widths and heights from top to bottom.

    Nodes are numbered in an order that most edges follow; edges against it are drawn upwards. The
    nodes `first` and `last` get a rank of their own at the top and at the bottom. Edges meet a
    node in the middle of its upper and its lower side, or as far beside it as `anchors` says.
    """
    net = _Net(len(sizes), edges, first, last)
    order = net.ordered()
    widths = [w for w, _ in sizes] + [0.0] * (len(net.rank) - len(sizes))
    xs = _coordinates(net, order, widths, gap[0], anchors)
    heights = [max((sizes[n][1] for n in row if n < len(sizes)), default=0.0) for row in order]
    ys, y = [], 0.0
    for height in heights:
        ys.append(y + height / 2)
        y += height + (gap[1] if height else gap[1] / 2)
    left = min((xs[n] - widths[n] / 2 for n in range(len(xs))), default=0.0)
    xs = [x - left for x in xs]
    right = max((xs[n] + widths[n] / 2 for n in range(len(xs))), default=0.0)
    centres = [(xs[n], ys[net.rank[n]]) for n in range(len(sizes))]
    routes = {}
    for edge, chain in net.chains.items():
        points = [(xs[n], ys[net.rank[n]]) for n in chain]
        down = edge[0] == chain[0]
        points = points if down else points[::-1]
        sign = 0.5 if down else -0.5
        (x0, y0), (x1, y1) = points[0], points[-1]
        x0 += anchors.get(edge[0], MIDDLE)[1 if down else 0]
        x1 += anchors.get(edge[1], MIDDLE)[0 if down else 1]
        points[0] = x0, y0 + sign * sizes[edge[0]][1]
        points[-1] = x1, y1 - sign * sizes[edge[1]][1]
        routes[edge] = points
    return Layout(centres, routes, right, ys[-1] + heights[-1] / 2 if ys else 0.0)


class _Net:
    """The graph with ranks, and with dummies so that every edge leads to the next rank. `above`
    and `below` are neighbours by node; `chains` the nodes along each edge, from top to bottom."""

    def __init__(
        self, count: int, edges: Sequence[Edge], first: int | None, last: int | None
    ) -> None:
        forward = {edge: _downwards(edge, first, last) for edge in edges if edge[0] != edge[1]}
        self.rank = _ranks(count, list(forward.values()), first, last)
        self.above: list[list[int]] = [[] for _ in range(count)]
        self.below: list[list[int]] = [[] for _ in range(count)]
        self.chains: dict[Edge, list[int]] = {}
        self.real = count
        for edge, (a, b) in forward.items():
            chain = [a]
            for rank in range(self.rank[a] + 1, self.rank[b]):
                chain.append(len(self.rank))
                self.rank.append(rank)
                self.above.append([])
                self.below.append([])
            chain.append(b)
            for upper, lower in pairwise(chain):
                self.below[upper].append(lower)
                self.above[lower].append(upper)
            self.chains[edge] = chain

    def ordered(self) -> list[list[int]]:
        """The nodes of each rank from left to right: each moves to the mean place of its
        neighbours, down and up in turns; the order with the fewest crossings is kept."""
        rows: list[list[int]] = [[] for _ in range(max(self.rank, default=-1) + 1)]
        for node, rank in enumerate(self.rank):
            rows[rank].append(node)
        best, fewest = [list(row) for row in rows], self._crossings(rows)
        for sweep in range(SWEEPS):
            down = sweep % 2 == 0
            neighbours = self.above if down else self.below
            for i in range(len(rows)) if down else reversed(range(len(rows))):
                beside = rows[i - 1] if down else rows[min(i + 1, len(rows) - 1)]
                place = {n: j for j, n in enumerate(beside)}
                own = {n: j for j, n in enumerate(rows[i])}
                means = {
                    n: _mean([place[m] for m in neighbours[n] if m in place], own[n])
                    for n in rows[i]
                }
                rows[i].sort(key=means.__getitem__)
            crossings = self._crossings(rows)
            if crossings < fewest:
                best, fewest = [list(row) for row in rows], crossings
        return best

    def _crossings(self, rows: list[list[int]]) -> int:
        total = 0
        for upper, lower in pairwise(rows):
            place = {n: j for j, n in enumerate(lower)}
            passed: list[int] = []
            for node in upper:
                ends = sorted([place[m] for m in self.below[node]])
                total += sum(len(passed) - bisect_right(passed, end) for end in ends)
                for end in ends:
                    insort(passed, end)
        return total


def _downwards(edge: Edge, first: int | None, last: int | None) -> Edge:
    a, b = edge
    if a == first or b == last:
        return edge
    return (min(a, b), max(a, b))


def _ranks(count: int, edges: Sequence[Edge], first: int | None, last: int | None) -> list[int]:
    """The longest way from the top; what nothing leads to stands right above what it leads to."""
    after: list[list[int]] = [[] for _ in range(count)]
    fed = [0] * count
    for a, b in edges:
        after[a].append(b)
        fed[b] += 1
    rank = [0 if first is None else 1] * count
    if first is not None:
        rank[first] = 0
    for a in sorted(range(count), key=lambda n: (n != first, n == last, n)):
        for b in after[a]:
            rank[b] = max(rank[b], rank[a] + 1)
    for a in range(count):
        if not fed[a] and after[a] and a != first:
            rank[a] = min([rank[b] for b in after[a]]) - 1
    if last is not None:
        rank[last] = max([r for n, r in enumerate(rank) if n != last], default=0) + 1
    return rank


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _coordinates(
    net: _Net,
    order: list[list[int]],
    widths: Sequence[float],
    gap: float,
    anchors: Mapping[int, Point],
) -> list[float]:
    """The centre of every node from left to right."""
    xs = [0.0] * len(net.rank)
    for row in order:
        x = 0.0
        for node in row:
            xs[node] = x + widths[node] / 2
            x += widths[node] + gap
    for sweep in range(2 * SWEEPS):
        down = sweep % 2 == 0
        neighbours = net.above if down else net.below
        own, other = (0, 1) if down else (1, 0)
        for row in order if down else order[::-1]:
            wanted, weights = [], []
            for node in row:
                ends = [xs[m] + anchors.get(m, MIDDLE)[other] for m in neighbours[node]]
                shift = anchors.get(node, MIDDLE)[own] if ends else 0.0
                wanted.append(_mean(ends, xs[node]) - shift)
                weights.append(STRAIGHT if node >= net.real else 1.0)
            for node, x in zip(row, _placed(row, wanted, weights, widths, gap), strict=True):
                xs[node] = x
    return xs


def _placed(
    row: Sequence[int],
    wanted: Sequence[float],
    weights: Sequence[float],
    widths: Sequence[float],
    gap: float,
) -> list[float]:
    """The places next to the wanted ones that keep the order and the gaps."""
    offsets, offset = [], 0.0
    for i, node in enumerate(row):
        offset += (widths[row[i - 1]] + widths[node]) / 2 + gap if i else 0.0
        offsets.append(offset)
    blocks: list[tuple[float, float, int]] = []  # mean, weight, length
    for x, weight, offset in zip(wanted, weights, offsets, strict=True):
        mean, length = x - offset, 1
        while blocks and blocks[-1][0] > mean:
            left, heavy, long = blocks.pop()
            mean = (left * heavy + mean * weight) / (heavy + weight)
            weight, length = heavy + weight, length + long
        blocks.append((mean, weight, length))
    starts = [mean for mean, _, length in blocks for _ in range(length)]
    return [start + offset for start, offset in zip(starts, offsets, strict=True)]
