"""Images of a dataset version: a few of each label, and single ones as thumbnails."""

import io
from typing import TypedDict

import pyarrow.parquet as pq
from PIL import Image

from engine.tasks.image.data.decoding import InvalidImage, decode_image
from engine.tasks.image.data.parquet_images import read_image_bytes
from projects import storage
from projects.models import DatasetVersion
from projects.queries.rows import Row, RowsPage

THUMBNAIL_SIDE = 192
MAX_GALLERY_LABELS, MAX_IMAGES_PER_LABEL = 12, 4


class GalleryImage(TypedDict):
    """An image to show: its row, file name and label."""

    row: int
    text: str
    target: str


def image_column(version: DatasetVersion) -> str | None:
    names = (column["name"] for column in version.columns if column["type"] == "image")
    return next(names, None)


def load_gallery(version: DatasetVersion, label: str | None, limit: int = 24) -> list[GalleryImage]:
    """At most `limit` images, a few of each of the first labels (MAX_IMAGES_PER_LABEL,
    MAX_GALLERY_LABELS)."""
    # Every column but the image itself: file names, labels, sizes.
    names = [column["name"] for column in version.columns if column["type"] != "image"]
    with storage.open_file(version.parquet_key) as file:
        table = pq.ParquetFile(file).read(columns=names)
    labels = table[label].to_pylist() if label in names else [""] * len(table)
    rows_of: dict[str, list[int]] = {}
    for row, value in enumerate(labels):
        if value not in (None, ""):
            rows_of.setdefault(str(value), []).append(row)
    if not rows_of:
        rows_of = {"": list(range(min(limit, len(table))))}
    groups = list(rows_of.values())[:MAX_GALLERY_LABELS]
    per_label = max(1, min(MAX_IMAGES_PER_LABEL, limit // len(groups)))
    chosen = [row for rows in groups for row in rows[:per_label]][:limit]
    files = table["file"].to_pylist() if "file" in names else [""] * len(table)
    return [
        {"row": row, "text": str(files[row] or ""), "target": str(labels[row] or "")}
        for row in chosen
    ]


def build_gallery(version: DatasetVersion, page: RowsPage) -> list[GalleryImage]:
    """The pictures of one page of rows."""
    target = (version.profile.get("suggested") or {}).get("target_column") or ""
    places = {name: place for place, name in enumerate(page.columns)}

    def text(row: Row, name: str) -> str:
        value = row.cells[places[name]] if name in places else None
        return "" if value is None else str(value)

    return [
        {"row": row.number, "text": text(row, "file"), "target": text(row, target)}
        for row in page.rows
    ]


def load_thumbnail(version: DatasetVersion, row: int) -> bytes | None:
    """A JPEG of one row's image; None when there is no such row or its image cannot be read."""
    content = _load_image_bytes(version, row)
    if content is None:
        return None
    try:
        return encode_thumbnail(content, THUMBNAIL_SIDE)
    except InvalidImage:
        return None


def encode_thumbnail(content: bytes, side: int) -> bytes:
    """A JPEG no longer than `side` either way. Raises InvalidImage."""
    image = decode_image(content, wanted_side=side)
    image.thumbnail((side, side), Image.Resampling.BILINEAR)
    sink = io.BytesIO()
    image.save(sink, "JPEG", quality=85)
    return sink.getvalue()


def _load_image_bytes(version: DatasetVersion, row: int) -> bytes | None:
    """The stored bytes of one row's image; None where the version has no images or no such row."""
    column = image_column(version)
    if column is None or not version.parquet_key:
        return None
    with storage.open_file(version.parquet_key) as file:
        return read_image_bytes(file, column, row)
