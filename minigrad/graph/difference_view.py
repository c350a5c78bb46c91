"""A difference of graphs as text, what changed only, and as a page with both side by side."""

from __future__ import annotations

import os
from collections.abc import Iterator
from html import escape
from pathlib import Path

from minigrad.errors import MinigradError
from minigrad.graph.difference import Change, Fate, GraphDiff, Pair

SIGNS = {Fate.SAME: " ", Fate.ADDED: "+", Fate.REMOVED: "-", Fate.CHANGED: "~"}

STYLE = """
:root { color-scheme: light dark; }
body { font: 14px/1.4 system-ui, sans-serif; margin: 2em; }
table { border-collapse: collapse; width: 100%; table-layout: fixed; }
th, td { text-align: left; vertical-align: top; padding: 2px 8px; overflow-wrap: anywhere; }
tr.block td { font-weight: 600; }
.added td:last-child { background: rgb(40 160 60 / 25%); }
.removed td:first-child { background: rgb(200 40 40 / 25%); }
.changed td { background: rgb(210 160 0 / 25%); }
.same { opacity: 0.6; }
small { display: block; }
"""


def lines(difference: GraphDiff) -> Iterator[tuple[Fate, str]]:
    """What differs, line by line: of a block that came or went its own line and its size, of ops
    on arrays of other shapes only their number."""
    counts = [_count(difference, what, fate) for what in ("block", "node") for fate in SIGNS]
    told = ", ".join([count for count in counts if count])
    yield Fate.SAME, f"{difference.first} -> {difference.second}: {told or 'nothing in either'}"
    pairs = difference.pairs
    i = 0
    while i < len(pairs):
        pair, end = pairs[i], i + 1
        if pair.what == "block" and pair.fate in (Fate.ADDED, Fate.REMOVED):
            while end < len(pairs) and pairs[end].depth > pair.depth:
                end += 1
        if pair.fate is not Fate.SAME and not pair.is_of_shapes:
            ops = sum([inner.what == "node" for inner in pairs[i + 1 : end]])
            yield pair.fate, _line(pair) + (f", {ops} op(s)" if end > i + 1 else "")
        i = end
    reshaped = sum([pair.is_of_shapes for pair in pairs])
    if reshaped:
        yield Fate.CHANGED, f"{reshaped} op(s) that differ in the shapes of their arrays alone"


def _count(difference: GraphDiff, what: str, fate: Fate) -> str:
    found = difference.blocks(fate) if what == "block" else difference.nodes(fate)
    plural = "s" if len(found) != 1 else ""
    return f"{len(found)} {what}{plural} {fate}" if found else ""


def _line(pair: Pair) -> str:
    where = f"{pair.path}: " if pair.path else ""
    changes = "; ".join([_told(change) for change in pair.changes])
    if pair.what == "block":
        name = (pair.first or pair.second or "").partition(" ")[2]
        return f"{where}{changes or name}"
    call = pair.first or pair.second or ""
    return f"{where}{call.partition('(')[0]}: {changes}" if changes else f"{where}{call}"


def _told(change: Change) -> str:
    return f"{change.name} {change.before or 'none'} -> {change.after or 'none'}"


def text(difference: GraphDiff) -> str:
    """The first line counts, each further one says what differs, with a sign in front."""
    (_, head), *rest = lines(difference)
    return "\n".join([head, *[f"{SIGNS[fate]} {line}" for fate, line in rest]])


def table(difference: GraphDiff) -> str:
    """All blocks and ops of both graphs as an HTML table."""
    head = "".join([f"<th>{escape(name)}</th>" for name in (difference.first, difference.second)])
    body = "\n".join([_row(pair) for pair in difference.pairs])
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>"


def _row(pair: Pair) -> str:
    style = f' style="padding-left:{1.2 * pair.depth + 0.5:.1f}em"'
    told = "".join([f"<small>{escape(_told(change))}</small>" for change in pair.changes])
    first = f"<td{style}>{escape(pair.first or '')}</td>"
    second = f"<td{style}>{escape(pair.second or '')}{told}</td>"
    return f'<tr class="{pair.what} {pair.fate}">{first}{second}</tr>'


def save(difference: GraphDiff, path: str | os.PathLike[str]) -> None:
    """Write the table as a page of its own."""
    title = escape(f"{difference.first} -> {difference.second}")
    (_, head), *_ = lines(difference)
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{title}</title><style>{STYLE}</style></head>\n"
        f"<body><h1>{title}</h1><p>{escape(head)}</p>\n{table(difference)}\n</body></html>\n"
    )
    try:
        Path(path).write_text(page, encoding="utf-8")
    except OSError as error:
        raise MinigradError(f"diff: cannot write {os.fspath(path)}: {error.strerror}") from None
