"""What layers compute, as functions, with PyTorch's names and signatures."""

from minigrad.nn.functional.activation import *
from minigrad.nn.functional.dropout import *
from minigrad.nn.functional.folding import *
from minigrad.nn.functional.linear import *
from minigrad.nn.functional.loss import *
from minigrad.nn.functional.normalization import *
from minigrad.nn.functional.similarity import *
from minigrad.nn.functional.sparse import *
from minigrad.nn.functional.vision import *
from minigrad.ops.average_pooling import *
from minigrad.ops.convolution import *
from minigrad.ops.max_pooling import *
from minigrad.ops.padding import torch_pad as pad
from minigrad.ops.transposed_convolution import *

__all__ = ["pad"]
__all__ += [name for name, function in globals().items() if callable(function) and name != "pad"]
