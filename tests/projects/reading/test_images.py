"""Archives of pictures: folders and tables become labels, ugly files become reasons."""

import io
import struct
import zipfile
import zlib

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from projects.importing.import_process import carry_out
from projects.models import ImportStatus
from projects.queries import thumbnails
from projects.reading.images import zip_archive
from projects.reading.results import UnreadableFile
from tests.pictures import coloured, encoded, photos, zipped
from tests.projects.conftest import names_of

PHOTO = encoded(coloured("red", 1), "JPEG")


def in_folders(outer="", parts=("train", "validation", "test")):
    return {
        f"{outer}{part}/{label}/{number}.png": content
        for part in parts
        for (label, number), content in photos(3).items()
    }


def column(table, name):
    return pq.read_table(table.data)[name].to_pylist()


def reasons(table):
    return [issue["sentence"] for issue in table.issues if issue["code"] == "rejected_row"]


def test_folders_become_labels_and_those_above_them_splits(read):
    table = read(zipped(in_folders("all/photos/")), "photos.zip")
    assert names_of(table) == ["image", "label", "split", "file", "width", "height"]
    assert table.rows == 27
    assert set(column(table, "label")) == {"red", "green", "blue"}
    assert set(column(table, "split")) == {"train", "validation", "test"}
    assert column(table, "width") == [40] * 27


def test_plain_class_folders_need_no_split_and_keep_the_bytes(read):
    files = {f"{label}/{number}.png": content for (label, number), content in photos(2).items()}
    table = read(zipped(files | {"__MACOSX/red/._0.png": b"junk"}), "photos.zip")
    assert "split" not in names_of(table)
    assert sorted(column(table, "image")) == sorted(files.values())
    assert any("left out" in issue["sentence"] for issue in table.issues)


def test_a_table_inside_names_labels_and_splits(read):
    lines = ["file,label,split", "pics/a.jpg,cat,train", "b.jpg,dog,test", "c.jpg,dog,", "d.jpg,,"]
    lines += ["b.jpg,cat,train", "a.jpg,cat,someday"]
    files = {"x/labels.csv": "\n".join(lines), "x/pics/a.jpg": PHOTO, "x/more/b.jpg": PHOTO}
    table = read(zipped(files | {"x/unnamed.jpg": PHOTO}), "photos.zip")
    assert list(zip(column(table, "label"), column(table, "split"), strict=True)) == [
        ("cat", "train"),
        ("dog", "test"),
    ]
    assert table.rejected_rows == 4
    assert any("no such picture" in reason for reason in reasons(table))
    assert any("named twice" in reason for reason in reasons(table))
    assert any("'someday'" in reason for reason in reasons(table))


def rotated():
    picture = Image.fromarray(np.zeros((20, 40, 3), dtype=np.uint8))
    exif = picture.getexif()
    exif[0x0112] = 6
    return encoded(picture, "JPEG", exif=exif)


def deep_grey():
    return encoded(Image.fromarray(np.full((30, 30), 32768, dtype=np.uint16)))


def animated():
    frames = [Image.fromarray(coloured("red", number)) for number in range(3)]
    return encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])


def huge():
    """A PNG whose head promises 60,000 by 60,000 pixels."""
    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


LARGE_PHOTO = encoded(coloured("red", 1, side=300), "JPEG")
UGLY = {
    "truncated.jpg": LARGE_PHOTO[: len(LARGE_PHOTO) // 2],
    "stump.jpg": PHOTO[:40],
    "huge.png": huge(),
    "drawing.svg.png": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "text.jpg": b"this is no picture at all",
    "empty.png": b"",
    "nested.jpg": zipped({"a.jpg": PHOTO}),
    "notes.txt": b"hello",
}
KEPT = {
    "plain.jpg": PHOTO,
    "rotated.jpg": rotated(),
    "deep.png": deep_grey(),
    "animated.gif": animated(),
    "cmyk.jpg": encoded(Image.new("CMYK", (30, 30), (0, 255, 255, 0)), "JPEG"),
    "see-through.png": encoded(Image.new("RGBA", (30, 30), (255, 0, 0, 0))),
    "palette.png": encoded(Image.fromarray(coloured("blue", 3)).quantize(8)),
    "scan.tiff": encoded(coloured("green", 4), "TIFF"),
}


def test_ugly_files_are_rejected_each_with_its_reason_and_odd_ones_kept(read):
    files = {f"things/{name}": content for name, content in (UGLY | KEPT).items()}
    table = read(zipped(files), "photos.zip")
    assert table.rows == len(KEPT)
    assert table.rejected_rows == len(UGLY)
    words = " ".join(reasons(table))
    for said in ("cut short", "more pixels than", "SVG", "it is empty", "archive inside"):
        assert said in words
    sizes = dict(zip(column(table, "file"), column(table, "width"), strict=True))
    assert sizes["things/rotated.jpg"] == 20
    seen = dict(zip(column(table, "file"), column(table, "image"), strict=True))
    assert Image.open(io.BytesIO(seen["things/animated.gif"])).format == "PNG"
    assert Image.open(io.BytesIO(seen["things/scan.tiff"])).format == "PNG"


def test_sixteen_bits_are_scaled_and_transparency_is_white():
    from engine.tasks.image.data.decoding import decode_image

    assert decode_image(deep_grey()).getpixel((0, 0)) == (127, 127, 127)
    assert decode_image(KEPT["see-through.png"]).getpixel((0, 0)) == (255, 255, 255)
    red = decode_image(KEPT["cmyk.jpg"]).getpixel((5, 5))
    assert red[0] > 200
    assert red[1] < 60


def test_large_pictures_are_kept_smaller(read):
    table = read(zipped({"a/big.jpg": encoded(Image.new("RGB", (3000, 1500)), "JPEG")}), "p.zip")
    assert column(table, "width") == [2048]
    assert any("very large" in issue["sentence"] for issue in table.issues)


def test_names_that_point_outside_are_refused(read):
    files = {"../../etc/a.jpg": PHOTO, "/root/b.jpg": PHOTO, "ok/c.jpg": PHOTO}
    table = read(zipped(files), "slip.zip")
    assert column(table, "file") == ["ok/c.jpg"]
    assert sum("outside the archive" in reason for reason in reasons(table)) == 2


def test_bombs_are_refused_before_they_are_unpacked(read, monkeypatch):
    bomb = encoded(np.zeros((9, 9, 3), dtype=np.uint8), "BMP") + b"\0" * 30_000_000
    files = {"a/bomb.bmp": bomb, "a/fine.jpg": PHOTO}
    table = read(zipped(files, zipfile.ZIP_DEFLATED), "bomb.zip")
    assert table.rows == 1
    assert any("zip bombs" in reason for reason in reasons(table))
    monkeypatch.setattr(zip_archive, "MAX_ARCHIVE_BYTES", 1000)
    with pytest.raises(UnreadableFile, match="would take"):
        read(zipped(files), "bomb.zip")
    monkeypatch.setattr(zip_archive, "MAX_IMAGES", 1)
    with pytest.raises(UnreadableFile, match="holds 2 files"):
        read(zipped(files), "bomb.zip")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a.jpg": PHOTO}, "No picture in this archive has a label"),
        ({"readme.txt": b"x"}, "holds no table, pictures or labelled texts, but readme.txt"),
        ({"a/broken.jpg": b"x"}, "No picture could be read"),
        ({}, "is empty"),
    ],
)
def test_useless_archives_are_refused_with_a_sentence(read, files, said):
    with pytest.raises(UnreadableFile, match=said):
        read(zipped(files), "photos.zip")


def test_a_password_and_damage_inside_are_reasons(read):
    content = bytearray(zipped({"a/x.jpg": PHOTO, "a/y.jpg": PHOTO}))
    content[content.find(PHOTO) + 30] ^= 0xFF
    table = read(bytes(content), "photos.zip")
    assert table.rejected_rows == 1
    assert "damaged inside the archive" in reasons(table)[0]
    with pytest.raises(UnreadableFile, match="damaged or cut short"):
        read(zipped({"a/x.jpg": PHOTO})[:-40], "photos.zip")


def test_rows_are_written_in_small_groups(read, monkeypatch):
    monkeypatch.setattr("projects.reading.images.image_table.ROW_GROUP_SIZE", 4)
    table = read(zipped(in_folders()), "photos.zip")
    assert pq.ParquetFile(table.data).num_row_groups == 7


def test_the_profile_counts_repeats_leaks_and_torn_labels(tmp_path):
    files = in_folders(parts=("train", "test")) | {"train/red/again.png": photos(3)["blue", 0]}
    (tmp_path / "upload").write_bytes(zipped(files))
    order = {"upload": str(tmp_path / "upload"), "filename": "p.zip", "overrides": {}}
    answer = carry_out(order, tmp_path)
    profile = answer["table"]["profile"]
    assert profile["suggested"]["task"] == "image-classification"
    assert profile["suggested"]["image_column"] == "image"
    assert profile["suggested"]["split_column"] == "split"
    assert profile["duplicates"] == 10
    assert profile["pictures"]["leaked"] == 9
    assert profile["label_noise_candidates"][0]["labels"] == ["blue", "red"]
    assert any("more than one split" in one["sentence"] for one in profile["warnings"])
    assert {entry["label"] for entry in profile["class_balance"]} == {"red", "green", "blue"}


def test_the_page_shows_thumbnails_and_strangers_see_none(bring_in, client_of, alice, mallory):
    version = bring_in(zipped(in_folders()), "photos.zip")
    assert version.status == ImportStatus.READY, version.failure_sentence
    page = f"/datasets/{version.dataset_id}/"
    client = client_of(alice)
    text = client.get(page).content.decode()
    row = thumbnails.load_gallery(version, "label")[0]["row"]
    assert f"{page}pictures/{row}/?version=1" in text
    assert "Learn <strong>label</strong>" in text
    assert "from <strong>image</strong>" in text
    answer = client.get(f"{page}pictures/{row}/?version=1")
    assert answer["Content-Type"] == "image/jpeg"
    assert "private" in answer["Cache-Control"]
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert Image.open(io.BytesIO(answer.content)).size == (40, 40)
    assert client.get(f"{page}pictures/26/").status_code == 200
    assert client.get(f"{page}pictures/27/").status_code == 404
    assert client_of(mallory).get(f"{page}pictures/{row}/").status_code == 404


def test_a_table_has_no_pictures_to_show(dataset_version, client_of, alice):
    page = f"/datasets/{dataset_version.dataset_id}/pictures/0/"
    assert client_of(alice).get(page).status_code == 404


def test_the_launch_form_offers_the_picture_and_its_split(bring_in, client_of, alice):
    version = bring_in(zipped(in_folders()), "photos.zip")
    text = client_of(alice).get(f"/datasets/{version.dataset_id}/launch/").content.decode()
    assert 'name="image_column"' in text
    assert '<option value="split" selected>' in text
    assert "Small ResNet" in text
    assert "/pictures/" in text
