"""How a state_dict differs from the module it is loaded into, told key by key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minigrad.errors import MinigradError
from minigrad.spec import Spec
from minigrad.tensor import Tensor, asarray


def differences(own: Mapping[str, Tensor], given: Mapping[str, Any], strict: bool) -> str:
    """All differences, a line for each key, in groups; nothing where there are none.

    Without `strict`, keys that are missing or left over are none.
    """
    missing = [key for key in own if key not in given]
    extra = [key for key in given if key not in own]
    misshapen = [key for key in own if key in given and _spec(given[key]) != own[key].spec]
    groups = {
        "of another shape or dtype": [
            f"{key!r} takes {_shown(own[key])}, got {_shown(given[key])}" for key in misshapen
        ],
        "missing": [f"{key!r}, {_shown(own[key])}" for key in missing if strict],
        "unexpected": [f"{key!r}, {_shown(given[key])}" for key in extra if strict],
    }
    lines = []
    for title, entries in groups.items():
        if entries:
            lines += [f"{len(entries)} {title}:", *[f"  {entry}" for entry in entries]]
    prefix = _prefix(missing, extra) if strict else ""
    if prefix:
        lines.append(f"the prefix {prefix!r} is in the way: load(path, strip_prefix={prefix!r})")
    return "\n".join(lines)


def _prefix(missing: list[str], extra: list[Any]) -> str:
    """What stands in front of the name of a missing key in one that is left over."""
    names = set(missing)
    lengths = sorted({len(name) for name in names}, reverse=True)
    for key in map(str, extra):
        for length in lengths:  # not every dot of a key: there may be a million
            if key[-length:] in names and key[-length - 1 : -length] == ".":
                return key[:-length]
    return ""


def _spec(value: Any) -> Spec | None:
    try:
        return asarray(value).spec
    except MinigradError:
        return None


def _shown(value: Any) -> str:
    spec = _spec(value)
    return f"{spec.dtype} {spec.shape}" if spec else f"a {type(value).__name__}"
