"""The constants of the array API standard, as Python numbers, and the dtype of booleans by its
name there.
"""

import math

from minigrad.spec import bool_

__all__ = ["bool", "e", "inf", "nan", "newaxis", "pi"]

bool = bool_
e = math.e
inf = math.inf
nan = math.nan
newaxis = None
pi = math.pi
