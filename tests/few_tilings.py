"""Two shapes of tiles instead of all, so that tests share the few kernels that they compile.

Every shape is compiled anew for each kernel and dtype, which takes seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from minigrad.kernels import direct_grad, direct_plan, strassen, tile, winograd

# One of whole vectors, which networks in other tests take as well, the other of halves.
FEW_SHAPES = tile.SHAPES[1], tile.SHAPES[-1]


@contextmanager
def few_tilings() -> Iterator[None]:
    """Convolutions choose from two shapes of tiles."""
    plans = (
        tile.tiling_for,
        direct_plan.forward_plan,
        direct_plan.input_grad_plan,
        direct_grad._plan,
        winograd._pass,
        strassen._pass,
    )
    before = tile.SHAPES
    tile.SHAPES = FEW_SHAPES
    for plan in plans:
        plan.cache_clear()
    try:
        yield
    finally:
        tile.SHAPES = before
        for plan in plans:
            plan.cache_clear()
