"""Linear algebra under the names of the array API standard and NumPy: `minigrad.linalg`.

Every function takes stacks of matrices, in the two last axes, of float32 or float64.
"""

from minigrad.ops.decompositions import cholesky, qr
from minigrad.ops.determinants import det, slogdet
from minigrad.ops.inverse import inv, matrix_power, pinv, solve
from minigrad.ops.linear import matmul
from minigrad.ops.movement import matrix_transpose
from minigrad.ops.norms import matrix_norm, norm, vector_norm
from minigrad.ops.products import cross, outer, tensordot, vecdot
from minigrad.ops.spectral import eigh, eigvalsh, matrix_rank, svd, svdvals
from minigrad.ops.triangle import diagonal, trace

__all__ = [
    "cholesky",
    "cross",
    "det",
    "diagonal",
    "eigh",
    "eigvalsh",
    "inv",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "matrix_transpose",
    "norm",
    "outer",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "svd",
    "svdvals",
    "tensordot",
    "trace",
    "vecdot",
    "vector_norm",
]
