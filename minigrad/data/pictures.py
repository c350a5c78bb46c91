"""Pictures from files, as the arrays that a network takes. Pillow (the extra `io`) decodes them.

Files come from anywhere: only formats that Pillow decodes itself are opened, sizes are bounded,
and whatever is wrong with one is a DataError that names it.
"""

from __future__ import annotations

import os
import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigrad.errors import ArgumentError, DataError

# Not among them: EPS, which would start another program.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")

_MODES = {1: "L", 3: "RGB"}
_BRIGHTEST = 65_535
_BROKEN = (
    *(OSError, ValueError, SyntaxError, LookupError, TypeError, ArithmeticError, AttributeError),
    *(EOFError, MemoryError, RuntimeError, struct.error, zlib.error),
)


@dataclass(frozen=True)
class Preprocessing:
    """What happens to a picture before a network sees it.

    Its shorter side is scaled to `resize` pixels (bilinear, with averaging where it shrinks); the
    middle H x W of it is taken, with black around where it is smaller; and each channel becomes
    (pixel / 255 - mean) / std. `shape` is (C, H, W), with 1 channel (grey) or 3 (RGB), and `mean`
    and `std` have a number for each channel. Raises ArgumentError for what does not fit together.
    """

    shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resize: int

    def __post_init__(self) -> None:
        lengths = (*self.shape, self.resize)
        if len(lengths) != 4 or any(type(n) is not int or n < 1 for n in lengths):
            raise ArgumentError(f"pictures become (C, H, W), got {self.shape} from {self.resize}")
        channels = self.shape[0]
        if channels not in _MODES:
            raise ArgumentError(f"a picture has 1 channel or 3, and the network takes {channels}")
        if len(self.mean) != channels or len(self.std) != channels or min(self.std) <= 0:
            raise ArgumentError(
                f"{channels} channels take as many means and positive stds, got {self.mean} and "
                f"{self.std}"
            )


def read_picture(path: str | os.PathLike[str], preprocessing: Preprocessing) -> NDArray[np.float32]:
    """The picture in a file as a float32 array (C, H, W).

    Of an animation the first picture is taken. The camera's orientation (EXIF) is applied,
    transparency is put on white, and 16 bits are scaled to 8. Raises DataError for a file that is
    absent, damaged, cut short, too large to decode, or no picture, ArgumentError without Pillow.
    """
    try:
        from PIL import Image
    except ImportError:
        raise ArgumentError(
            "reading pictures takes Pillow, which is not installed: pip install 'minigrad[io]'"
        ) from None
    file = Path(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file, formats=FORMATS) as opened:
                pixels = _cropped(_flat(opened, preprocessing.shape[0]), preprocessing)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DataError(
            f"{file}: has more than {Image.MAX_IMAGE_PIXELS:,} pixels, too many to be decoded"
        ) from None
    except Image.UnidentifiedImageError:
        raise DataError(f"{file}: is no picture that can be read ({', '.join(FORMATS)})") from None
    except _BROKEN as error:
        reason = getattr(error, "strerror", None) or error or type(error).__name__
        raise DataError(f"{file}: cannot be read ({reason})") from None
    # The very arithmetic of ImageDataset, so that a network sees what it was trained on.
    scale = np.array([1 / (255 * std) for std in preprocessing.std], np.float32)
    shift = np.array(
        [m / s for m, s in zip(preprocessing.mean, preprocessing.std, strict=True)], np.float32
    )
    planes = pixels.transpose(2, 0, 1).astype(np.float32)
    return np.ascontiguousarray(planes * scale[:, None, None] - shift[:, None, None])


def _flat(picture: Any, channels: int) -> Any:
    """The picture upright, opaque, with 8 bits, grey or in RGB."""
    from PIL import Image, ImageOps

    picture.load()
    picture = ImageOps.exif_transpose(picture)
    if picture.mode == "F":
        raise DataError("its pixels are floating-point numbers, whose range is not known")
    if picture.mode == "I" or picture.mode.startswith("I;16"):
        deep = np.asarray(picture)
        if deep.size and not 0 <= deep.min() <= deep.max() <= _BRIGHTEST:
            raise DataError(f"its pixels lie outside 0 to {_BRIGHTEST:,}")
        picture = Image.fromarray(np.rint(deep / 257).astype(np.uint8))
    if "A" in picture.getbands() or "a" in picture.getbands() or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    return picture.convert(_MODES[channels])


def _cropped(picture: Any, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """The middle of the scaled picture, (H, W, C).

    Only the part that is seen is scaled: a long strip would otherwise grow beyond all memory.
    """
    from PIL import Image

    _, height, width = preprocessing.shape
    shorter = min(picture.size)
    # What lies where: for each axis the length scaled, the part of it that is seen, and its start.
    scaled = [length * preprocessing.resize // shorter for length in picture.size]
    seen = [min(side, length) for side, length in zip((width, height), scaled, strict=True)]
    start = [round((a - b) / 2) for a, b in zip(scaled, seen, strict=True)]
    ratio = [a / b for a, b in zip(picture.size, scaled, strict=True)]
    box = [s * r for s, r in zip(start, ratio, strict=True)]
    end = [(s + n) * r for s, n, r in zip(start, seen, ratio, strict=True)]
    end = [min(e, length) for e, length in zip(end, picture.size, strict=True)]
    if picture.size != tuple(seen):
        picture = picture.resize(tuple(seen), Image.Resampling.BILINEAR, (*box, *end))
    pixels = np.asarray(picture).reshape(seen[1], seen[0], preprocessing.shape[0])
    top, left = (height - seen[1]) // 2, (width - seen[0]) // 2
    canvas = np.zeros((height, width, preprocessing.shape[0]), np.uint8)
    canvas[top : top + seen[1], left : left + seen[0]] = pixels
    return canvas
