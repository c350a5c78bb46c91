"""`save` and `load`: checkpoints in files, none of which can run code.

Written are safetensors and npz; read are these and what PyTorch's `torch.save` wrote, told apart by
their first bytes. `load` (loading.py) chooses a reader, and every reader takes its bytes from
`Contents`, which never gives out more of them than the file has.
"""

from minigrad.serialization.atomic import write_atomically
from minigrad.serialization.loading import load
from minigrad.serialization.saving import save

__all__ = ["load", "save", "write_atomically"]
