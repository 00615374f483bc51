"""Bytes of images from anyone: decoded alike everywhere, or refused with a reason."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from engine.tasks.image.data import decoding
from engine.tasks.image.data.decoding import InvalidImage, decode_image, open_image
from engine.tasks.image.data.parquet_images import read_image_bytes
from engine.tasks.image.data.preprocessing import Preprocessing, to_network_input


def encoded(picture, kind="PNG", **options):
    sink = io.BytesIO()
    picture.save(sink, kind, **options)
    return sink.getvalue()


def plain(color=(200, 30, 60), size=(8, 6)):
    return Image.new("RGB", size, color)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF", "WEBP", "JPEG"])
def test_every_format_on_offer_decodes_to_rgb(kind):
    decoded = decode_image(encoded(plain(), kind))
    assert (decoded.mode, decoded.size) == ("RGB", (8, 6))
    assert np.abs(np.asarray(decoded).astype(int) - (200, 30, 60)).max() <= 6


def test_transparency_lies_over_white():
    clear = Image.new("RGBA", (2, 2), (255, 0, 0, 0))
    half = Image.new("RGBA", (2, 2), (0, 0, 0, 128))
    assert np.asarray(decode_image(encoded(clear))).min() == 255
    assert np.asarray(decode_image(encoded(half)))[0, 0] == pytest.approx(127, abs=1)
    palette = plain().convert("P")
    palette.info["transparency"] = 0
    assert decode_image(encoded(palette, transparency=0)).mode == "RGB"


def test_grey_of_sixteen_bits_is_scaled_and_not_cut_off_at_white():
    deep = Image.fromarray(np.array([[0, 32_768, 65_535]], dtype=np.uint16))
    assert np.asarray(decode_image(encoded(deep)))[0, :, 0].tolist() == [0, 127, 255]
    shallow = Image.fromarray(np.array([[0, 128, 255]], dtype=np.int32), "I")
    assert np.asarray(decode_image(encoded(shallow, "TIFF")))[0, :, 0].tolist() == [0, 128, 255]


def test_only_the_first_frame_of_an_animation_counts():
    frames = [plain((255, 0, 0)), plain((0, 255, 0))]
    animation = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert np.asarray(decode_image(animation))[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"  <svg xmlns='x'/>", "it is a drawing"),
        (b"<?xml version='1.0'?><svg/>", "it is a drawing"),
        (b"PK\x03\x04rest", "an archive inside the archive"),
        (b"\x89PNG\r\n\x1a\nhalf of it", "damaged or cut short"),
        (b"%PDF-1.7", "no picture of a kind that is read"),
        (b"plain text", "no picture of a kind that is read"),
    ],
)
def test_what_is_no_image_is_refused_with_the_reason(content, reason):
    with pytest.raises(InvalidImage, match=reason):
        open_image(content)


def test_an_image_cut_short_opens_but_does_not_decode():
    whole = encoded(Image.effect_noise((64, 64), 60), "PNG")
    half = whole[: len(whole) // 2]
    assert open_image(half).size == (64, 64)
    with pytest.raises(InvalidImage, match="damaged or cut short"):
        decode_image(half)


def test_too_many_pixels_are_refused_before_they_are_decoded(monkeypatch):
    monkeypatch.setattr(decoding, "MAX_PIXELS", 47)
    with pytest.raises(InvalidImage, match="it is 8 by 6 pixels; at most 0 million are read"):
        open_image(encoded(plain()))
    monkeypatch.setattr(decoding, "MAX_PIXELS", 48)
    assert open_image(encoded(plain())).size == (8, 6)
    monkeypatch.setattr(decoding, "MAX_SIDE", 7)
    with pytest.raises(InvalidImage):
        open_image(encoded(plain()))


def test_a_jpeg_may_come_smaller_but_no_smaller_than_needed():
    large = encoded(plain(size=(640, 480)), "JPEG")
    width, height = decode_image(large, wanted_side=100).size
    assert width < 640
    assert min(width, height) >= 100
    assert decode_image(large).size == (640, 480)


@pytest.mark.parametrize(("orientation", "corner"), [(1, (0, 0)), (3, (5, 7)), (6, (0, 5))])
def test_an_image_is_turned_upright(orientation, corner):
    picture = plain((0, 0, 0))
    picture.putpixel((0, 0), (255, 255, 255))
    exif = picture.getexif()
    exif[0x0112] = orientation
    pixels = np.asarray(decode_image(encoded(picture, exif=exif)))
    assert pixels[corner].tolist() == [255, 255, 255]


def test_stretching_and_cropping_give_the_side_that_models_read():
    wide = encoded(plain(size=(90, 30)))
    for preprocessing in (
        Preprocessing(side=32),
        Preprocessing(side=32, fit="crop", resize=40),
        Preprocessing(side=32, resample="bicubic"),
    ):
        pixels = preprocessing.pixels(wide)
        assert pixels.shape == (32, 32, 3)
        assert pixels.dtype == np.uint8
        assert pixels[16, 16].tolist() == [200, 30, 60]


def test_the_visible_region_lies_inside_the_image():
    crop = Preprocessing(side=224, fit="crop", resize=256)
    for size in [(1, 1), (3000, 20), (20, 3000), (640, 480)]:
        left, top, width, height = crop.visible_region(*size)
        assert 0 <= left <= left + width <= 1 + 1e-9
        assert 0 <= top <= top + height <= 1 + 1e-9
        assert width * size[0] == pytest.approx(height * size[1])  # A square of pixels.


def test_networks_read_channels_first_from_zero_to_one():
    pixels = np.zeros((2, 4, 4, 3), dtype=np.uint8)
    pixels[1, 2, 3] = (255, 51, 0)
    inputs = to_network_input(pixels)
    assert inputs.shape == (2, 3, 4, 4)
    assert inputs.dtype == np.float32
    assert inputs.flags["C_CONTIGUOUS"]
    assert inputs[1, :, 2, 3] == pytest.approx([1.0, 0.2, 0.0])


def test_one_row_is_read_from_its_row_group(tmp_path):
    path = tmp_path / "images.parquet"
    contents = [b"zero", b"one", None, b"three", b"four"]
    pq.write_table(pa.table({"image": contents, "name": list("abcde")}), path, row_group_size=2)
    assert [read_image_bytes(path, "image", row) for row in range(5)] == contents
    assert read_image_bytes(path, "image", 5) is None
    assert read_image_bytes(path, "image", -1) is None
    assert read_image_bytes(path, "absent", 0) is None
    assert read_image_bytes(path, "name", 0) is None  # Text is no image.
    with path.open("rb") as file:
        assert read_image_bytes(file, "image", 3) == b"three"
