"""How a tensor shows itself in a notebook: small matrices as tables, all else as it prints."""

from __future__ import annotations

from minigrad.tensor import Tensor

# The longest side of a table: more does not fit a notebook's page.
LONGEST = 16


def html(x: Tensor) -> str:
    """The values of x with its shape and dtype as HTML."""
    from html import escape

    about = f"tensor {list(x.shape)}, {x.dtype}"
    if not x.is_leaf and x._node is not None:
        about += f", computed by {x._node.name}"
    about += ", requires a gradient" * x.requires_grad
    caption = f'<caption style="text-align:left">{escape(about)}</caption>'
    if x.is_abstract:
        return f"<table>{caption}<tbody><tr><td>no values</td></tr></tbody></table>"
    if not x.size or x.ndim > 2 or max(x.shape, default=1) > LONGEST:
        return f"<p>{escape(about)}</p><pre>{escape(repr(x))}</pre>"
    rows = x.detach().numpy().reshape((-1, x.shape[-1] if x.ndim else 1))
    cells = [[f"<td>{escape(_number(value))}</td>" for value in row] for row in rows.tolist()]
    body = "".join([f"<tr>{''.join(row)}</tr>" for row in cells])
    return f"<table>{caption}<tbody>{body}</tbody></table>"


def _number(value: float | int | bool) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
