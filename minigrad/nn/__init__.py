"""Layers and networks, with PyTorch's names, signatures and defaults."""

from minigrad.nn import functional, init
from minigrad.nn.activation import *
from minigrad.nn.container import *
from minigrad.nn.convolution import *
from minigrad.nn.dropout import *
from minigrad.nn.embedding import *
from minigrad.nn.folding import *
from minigrad.nn.linear import *
from minigrad.nn.loss import *
from minigrad.nn.module import *
from minigrad.nn.normalization import *
from minigrad.nn.parameter import *
from minigrad.nn.pooling import *
from minigrad.nn.upsampling import *

__all__ = ["functional", "init"]
__all__ += [name for name, layer in globals().items() if isinstance(layer, type)]
