"""Pictures from files as arrays: what a network sees of them, and files that are refused."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minigrad import data
from minigrad.data import Preprocessing, read_picture
from minigrad.errors import ArgumentError, DataError

Image = pytest.importorskip("PIL.Image")

GREY = Preprocessing((1, 8, 8), (0.0,), (1.0,), 8)
COLOUR = Preprocessing((3, 8, 8), (0.0, 0.5, 0.25), (1.0, 0.5, 2.0), 8)
RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (8, 8, 3)).astype(np.uint8)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "picture.png"


def seen(picture: Any, path: Path, preprocessing: Preprocessing = COLOUR, **options: Any) -> Any:
    """What a network sees, as the pixels 0..255 that it was, (H, W, C)."""
    picture.save(path, **options)
    found = read_picture(path, preprocessing)
    assert found.dtype == np.float32 and found.shape == preprocessing.shape
    assert found.flags.c_contiguous
    mean, std = (np.array(v)[:, None, None] for v in (preprocessing.mean, preprocessing.std))
    return np.rint((found * std + mean) * 255).transpose(1, 2, 0)


class TestPixels:
    def test_each_channel_is_normalized(self, path: Path) -> None:
        Image.fromarray(PIXELS).save(path)
        mean, std = np.array(COLOUR.mean), np.array(COLOUR.std)
        expected = ((PIXELS / 255 - mean) / std).transpose(2, 0, 1)
        np.testing.assert_allclose(read_picture(path, COLOUR), expected, rtol=1e-5, atol=1e-6)

    def test_a_data_sets_own_picture_gives_the_same_bits(self, path: Path) -> None:
        digits = data.digits("test")
        same = Preprocessing(digits.image_shape, (digits.mean,), (digits.std,), 32)
        for i in range(5):
            Image.fromarray(digits.images[i, 0]).save(path)
            np.testing.assert_array_equal(read_picture(path, same), digits[i][0])

    def test_black_is_put_around_what_is_smaller(self, path: Path) -> None:
        padded = Preprocessing((1, 8, 8), (0.0,), (1.0,), 4)
        found = seen(Image.new("L", (4, 4), 255), path, padded)[..., 0]
        expected = np.zeros((8, 8))
        expected[2:6, 2:6] = 255
        np.testing.assert_array_equal(found, expected)

    @pytest.mark.parametrize("size", [(40, 30), (30, 40), (31, 97), (256, 256), (9, 300)])
    def test_the_middle_is_cut_out_of_the_scaled_picture(
        self, size: tuple[int, int], path: Path
    ) -> None:
        """As torchvision's Resize and CenterCrop: all of it scaled, then cut."""
        yx = np.mgrid[: size[1], : size[0]]
        smooth = np.stack([yx[0] * 255 // size[1], yx[1] * 255 // size[0], yx[0] * 0 + 9], -1)
        picture = Image.fromarray(smooth.astype(np.uint8))
        imagenet = Preprocessing((3, 16, 16), (0.0,) * 3, (1.0,) * 3, 20)
        scaled = [n * 20 // min(size) for n in size]
        left, top = (round((n - 16) / 2) for n in scaled)
        whole = np.asarray(picture.resize(scaled, Image.Resampling.BILINEAR))
        expected = whole[top : top + 16, left : left + 16].astype(int)
        assert abs(seen(picture, path, imagenet) - expected).max() <= 1

    def test_a_long_strip_is_not_blown_up(self, path: Path) -> None:
        found = seen(
            Image.new("L", (60_000, 1), 77), path, Preprocessing((1, 224, 224), (0,), (1,), 256)
        )
        np.testing.assert_array_equal(found, np.full((224, 224, 1), 77))


class TestModes:
    @pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "LA", "YCbCr"])
    @pytest.mark.parametrize("preprocessing", [GREY, COLOUR], ids=["grey", "colour"])
    def test_every_mode(self, mode: str, preprocessing: Preprocessing, tmp_path: Path) -> None:
        picture = Image.new("RGB", (8, 8), (255, 255, 255)).convert(mode)
        found = seen(
            picture, tmp_path / ("x.png" if mode in "1LPRGBA" else "x.tiff"), preprocessing
        )
        np.testing.assert_array_equal(found, np.full_like(found, 255))

    def test_what_is_transparent_is_white(self, path: Path) -> None:
        alpha = np.zeros((8, 8), np.uint8)
        alpha[:, 4:] = 255
        found = seen(Image.fromarray(np.dstack([PIXELS, alpha])), path)
        np.testing.assert_array_equal(found[:, 4:], PIXELS[:, 4:])
        np.testing.assert_array_equal(found[:, :4], np.full((8, 4, 3), 255))

    def test_a_transparent_colour_of_a_palette_is_white(self, tmp_path: Path) -> None:
        picture = Image.new("P", (8, 8), 1)
        picture.putpalette([10, 20, 30, 40, 50, 60])
        for ending in ("png", "gif"):
            path = tmp_path / f"x.{ending}"
            assert (seen(picture, path)[0, 0] == (40, 50, 60)).all()
            assert (seen(picture, path, transparency=1)[0, 0] == 255).all()

    @pytest.mark.parametrize("ending", ["png", "tiff"])
    def test_16_bits(self, ending: str, tmp_path: Path) -> None:
        deep = (PIXELS[..., 0].astype(np.uint16)) * 257
        found = seen(Image.fromarray(deep), tmp_path / f"x.{ending}", GREY)
        np.testing.assert_array_equal(found[..., 0], PIXELS[..., 0])

    def test_the_cameras_orientation(self, tmp_path: Path) -> None:
        picture, exif = Image.fromarray(PIXELS), Image.Exif()
        for orientation, turned in ((3, PIXELS[::-1, ::-1]), (6, np.rot90(PIXELS, -1))):
            exif[0x0112] = orientation
            np.testing.assert_array_equal(seen(picture, tmp_path / "x.png", exif=exif), turned)

    def test_the_first_picture_of_an_animation(self, tmp_path: Path) -> None:
        first, second = Image.new("L", (8, 8), 10), Image.new("L", (8, 8), 200)
        options = {"save_all": True, "append_images": [second]}
        assert (seen(first, tmp_path / "x.gif", **options) == 10).all()


def png_of(width: int, height: int) -> bytes:
    """A tiny file that says it is this large."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0)
    body = zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )


def encoded(form: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(PIXELS.repeat(8, 0).repeat(8, 1)).save(file, form)
    return file.getvalue()


class TestRefused:
    @pytest.mark.parametrize(
        ("content", "text"),
        [
            (b"", "no picture"),
            (b"hello", "no picture"),
            (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "no picture"),
            (png_of(20_000, 20_000), "too many to be decoded"),
            (png_of(2**31 - 1, 2**31 - 1), "too many to be decoded"),
            (png_of(10_000, 8_000), "cannot be read"),
            (png_of(0, 5), "no picture"),
            (encoded("PNG")[:200], "cannot be read"),
            (encoded("JPEG")[:-200], "cannot be read"),
        ],
    )
    def test_what_is_no_sound_picture(self, content: bytes, text: str, path: Path) -> None:
        path.write_bytes(content)
        with pytest.raises(DataError, match=text) as caught:
            read_picture(path, COLOUR)
        assert str(path) in str(caught.value)

    def test_floating_point_pixels(self, tmp_path: Path) -> None:
        Image.fromarray(np.ones((8, 8), np.float32)).save(tmp_path / "x.tiff")
        with pytest.raises(DataError, match="floating-point"):
            read_picture(tmp_path / "x.tiff", GREY)

    def test_whole_numbers_beyond_16_bits(self, tmp_path: Path) -> None:
        Image.fromarray(np.full((8, 8), 70_000, np.int32)).save(tmp_path / "x.tiff")
        with pytest.raises(DataError, match="outside 0 to 65,535"):
            read_picture(tmp_path / "x.tiff", GREY)

    def test_absent_and_folder(self, tmp_path: Path) -> None:
        for wrong in (tmp_path / "absent.png", tmp_path, tmp_path / "a\0b"):
            with pytest.raises(DataError, match="cannot be read"):
                read_picture(wrong, GREY)

    @pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
    @settings(
        suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50
    )
    @given(drawn=st.data())
    def test_damaged_files(self, form: str, drawn: st.DataObject, path: Path) -> None:
        content = bytearray(encoded(form))
        places = st.integers(0, min(400, len(content) - 1))
        for place in drawn.draw(st.lists(places, max_size=3)):
            content[place] = drawn.draw(st.integers(0, 255))
        path.write_bytes(content[: drawn.draw(st.integers(0, len(content)))])
        try:
            assert np.isfinite(read_picture(path, COLOUR)).all()
        except DataError as error:
            assert str(path) in str(error)

    @pytest.mark.parametrize(
        "arguments",
        [
            ((2, 8, 8), (0.0,) * 2, (1.0,) * 2, 8),
            ((3, 8, 8), (0.0,), (1.0,), 8),
            ((1, 8, 8), (0.0,), (0.0,), 8),
            ((1, 0, 8), (0.0,), (1.0,), 8),
            ((1, 8), (0.0,), (1.0,), 8),
            ((1, 8, 8), (0.0,), (1.0,), 8.5),
        ],
    )
    def test_preprocessing_that_does_not_fit_together(self, arguments: Any) -> None:
        with pytest.raises(ArgumentError):
            Preprocessing(*arguments)


def test_without_pillow_an_error_says_what_to_install(path: Path) -> None:
    code = (
        "import sys; sys.modules['PIL'] = None; from minigrad import data\n"
        "data.read_picture('x.png', data.Preprocessing((1, 8, 8), (0,), (1,), 8))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'minigrad[io]'" in done.stderr


def test_importing_data_does_not_import_pillow() -> None:
    code = "import sys, minigrad.data, minigrad.cli.predict; print('PIL' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
