"""The functions of arrays, which stand in `minigrad` itself too.

Each family says its own in `__all__`, so a new op needs no entry here.
"""

from minigrad.ops.activation import *
from minigrad.ops.arithmetic import *
from minigrad.ops.bitwise import *
from minigrad.ops.comparison import *
from minigrad.ops.cumulative import *
from minigrad.ops.einsum import *
from minigrad.ops.elementwise import *
from minigrad.ops.exponential import *
from minigrad.ops.extrema import *
from minigrad.ops.floating import *
from minigrad.ops.gathering import *
from minigrad.ops.hyperbolic import *
from minigrad.ops.linear import *
from minigrad.ops.movement import *
from minigrad.ops.padding import *
from minigrad.ops.products import *
from minigrad.ops.rearrange import *
from minigrad.ops.reduction import *
from minigrad.ops.rounding import *
from minigrad.ops.softmax import *
from minigrad.ops.sorting import *
from minigrad.ops.special import *
from minigrad.ops.statistics import *
from minigrad.ops.triangle import diag as diag  # not trace: in `minigrad` it makes graphs
from minigrad.ops.triangle import diagonal as diagonal
from minigrad.ops.triangle import tril as tril
from minigrad.ops.triangle import triu as triu
from minigrad.ops.trigonometric import *
