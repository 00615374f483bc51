"""Shows pictures of a dataset version: a few of each label, and single ones as thumbnails."""

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from engine.images.decoding import NotAPicture, decode
from engine.images.stored import content_at
from projects import storage
from projects.models import DatasetVersion

THUMBNAIL_SIDE = 192
SHOWN_LABELS, SHOWN_PER_LABEL = 12, 4


def picture_column(version: DatasetVersion) -> str | None:
    return next((one["name"] for one in version.columns if one["type"] == "image"), None)


def gallery(version: DatasetVersion, label: str | None, limit: int = 24) -> list[dict[str, Any]]:
    """Pictures of as many labels as fit: {"row", "text", "target", "split"}."""
    table = _about_pictures(version)
    names = table.column_names
    labels = table[label].to_pylist() if label in names else [""] * len(table)
    rows_of: dict[str, list[int]] = {}
    for row, value in enumerate(labels):
        if value not in (None, ""):
            rows_of.setdefault(str(value), []).append(row)
    if not rows_of:
        rows_of = {"": list(range(min(limit, len(table))))}
    kinds = list(rows_of.values())[:SHOWN_LABELS]
    each = max(1, min(SHOWN_PER_LABEL, limit // len(kinds)))
    chosen = [row for rows in kinds for row in rows[:each]][:limit]
    files = table["file"].to_pylist() if "file" in names else [""] * len(table)
    return [
        {"row": row, "text": str(files[row] or ""), "target": str(labels[row] or "")}
        for row in chosen
    ]


def _about_pictures(version: DatasetVersion) -> pa.Table:
    """Every column but the pictures' own: file names, labels, sizes."""
    wanted = [one["name"] for one in version.columns if one["type"] != "image"]
    with storage.open_file(version.parquet_key) as file:
        return pq.ParquetFile(file).read(columns=wanted)


def thumbnail(version: DatasetVersion, row: int) -> bytes | None:
    """A JPEG of one row's picture; None when there is no such row or nothing to be seen."""
    content = _content(version, row)
    if content is None:
        return None
    try:
        return shrunk(content, THUMBNAIL_SIDE)
    except NotAPicture:
        return None


def shrunk(content: bytes, side: int) -> bytes:
    """A JPEG no longer than `side` either way. Raises NotAPicture."""
    picture = decode(content, wanted_side=side)
    picture.thumbnail((side, side), Image.Resampling.BILINEAR)
    sink = io.BytesIO()
    picture.save(sink, "JPEG", quality=85)
    return sink.getvalue()


def _content(version: DatasetVersion, row: int) -> bytes | None:
    """The bytes as stored."""
    column = picture_column(version)
    if column is None or not version.parquet_key:
        return None
    with storage.open_file(version.parquet_key) as file:
        return content_at(file, column, row)
