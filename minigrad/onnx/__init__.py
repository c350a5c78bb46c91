"""Networks as ONNX files, which other programs run: `export` writes one,
`load` reads one.

The package `onnx` is imported when it is first needed; it is installed by `minigrad[onnx]`.
"""

from minigrad.onnx.exporting import export, load

__all__ = ["export", "load"]
