"""All ops by their public names: of each family file what its `__all__` says."""

from minigrad.ops import methods as _methods
from minigrad.ops import protocol as _protocol
from minigrad.ops.arrays import *
from minigrad.ops.average_pooling import *
from minigrad.ops.convolution import *
from minigrad.ops.decompositions import *
from minigrad.ops.determinants import *
from minigrad.ops.indexing import *
from minigrad.ops.inverse import *
from minigrad.ops.loss import *
from minigrad.ops.max_pooling import *
from minigrad.ops.normalization import *
from minigrad.ops.norms import *
from minigrad.ops.random import *
from minigrad.ops.spectral import *
from minigrad.ops.transposed_convolution import *
from minigrad.ops.triangle import trace as trace

__all__ = sorted(n for n, value in globals().items() if callable(value) and not n.startswith("_"))

_methods.bind()
_protocol.register({name: globals()[name] for name in __all__})
