"""Makes a table of an archive of images: one row each, the image's bytes in a column.

Bytes stay as they came unless an image is very large or of a format that browsers do not show.
Row groups are small, so that a page which shows ten images reads ten images.
"""

import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from engine.tasks.image.data.decoding import InvalidImage, decode_image, open_image
from projects.reading.columns.column import Column, ColumnQuestion
from projects.reading.images.image_archive import ImageArchiveIndex, ImageEntry, index_archive
from projects.reading.images.zip_archive import UnreadableEntry, ZipArchive
from projects.reading.limits import MAX_STORED_BYTES, MAX_STORED_SIDE
from projects.reading.results import (
    Dialect,
    Issues,
    RejectedRow,
    RejectedRowsWriter,
    UnreadableFile,
)

STORED_FORMATS = ("JPEG", "PNG", "WEBP")
ROW_GROUP_BYTES, ROW_GROUP_SIZE = 4 * 1024**2, 256
JPEG_QUALITY = 92
IMAGE_COLUMN = "image"


class Row(TypedDict):
    """A row of data.parquet; the keys are its columns."""

    image: bytes
    label: str
    split: str | None
    file: str
    width: int
    height: int


def read_image_archive(
    upload: Path, folder: Path, issues: Issues, labels_by: str = ""
) -> tuple[int, int, list[Column], Dialect, list[ColumnQuestion]]:
    """Write data.parquet and rejects.csv; returns rows, rejected rows, columns, the dialect and
    open questions.

    Raises UnreadableFile when nothing in the archive is an image with a label.
    """
    rejects = RejectedRowsWriter(folder / "rejects.csv")
    try:
        with ZipArchive(upload) as archive:
            index = index_archive(archive, labels_by)
            rows = _write_table(archive, index, folder / "data.parquet", issues, rejects)
    finally:
        rejects.close()
    if skipped := index.skipped_count:
        sentence = (
            "1 file without a label or of the system was left out."
            if skipped == 1
            else f"{skipped:,} files without a label or of the system were left out."
        )
        issues.add("left_out", sentence)
    for note in index.notes:
        issues.add("labels", note)
    columns = [Column(name, kind, name, name) for name, kind, _ in _column_schema(index)]
    return (
        rows,
        rejects.count,
        columns,
        {"format": "zip of pictures", "labels": index.label_source},
        index.questions,
    )


def _column_schema(index: ImageArchiveIndex) -> list[tuple[str, str, pa.DataType]]:
    split = [("split", "text", pa.string())] if index.has_splits else []
    return [
        (IMAGE_COLUMN, "image", pa.binary()),
        ("label", "text", pa.string()),
        *split,
        ("file", "text", pa.string()),
        ("width", "integer", pa.int64()),
        ("height", "integer", pa.int64()),
    ]


def _write_table(
    archive: ZipArchive,
    index: ImageArchiveIndex,
    path: Path,
    issues: Issues,
    rejects: RejectedRowsWriter,
) -> int:
    for reject in index.rejects:
        _record_reject(reject, issues, rejects)
    schema = pa.schema([(name, kind) for name, _, kind in _column_schema(index)])
    count = 0
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
        for group in _row_groups(_iter_rows(archive, index, issues, rejects)):
            writer.write_table(pa.Table.from_pylist(group, schema=schema))
            count += len(group)
    if not count:
        first = next(issue for issue in issues.entries if issue["code"] == "rejected_row")
        raise UnreadableFile("no_rows", f"No picture could be read. The first: {first['sentence']}")
    return count


def _row_groups(rows: Iterator[Row]) -> Iterator[list[Row]]:
    group: list[Row] = []
    size = 0
    for row in rows:
        group.append(row)
        size += len(row["image"])
        if size >= ROW_GROUP_BYTES or len(group) == ROW_GROUP_SIZE:
            yield group
            group, size = [], 0
    if group:
        yield group


def _iter_rows(
    archive: ZipArchive, index: ImageArchiveIndex, issues: Issues, rejects: RejectedRowsWriter
) -> Iterator[Row]:
    changed: Counter[str] = Counter()
    for entry in index.images:
        try:
            yield _build_row(entry, *_normalize_image(archive.read(entry.entry), changed))
        except (UnreadableEntry, InvalidImage) as problem:
            reason = f"{entry.name[-120:]} cannot be read: {problem}."
            reject = RejectedRow(
                entry.entry.number, IMAGE_COLUMN, reason, [entry.name, entry.label]
            )
            _record_reject(reject, issues, rejects)
    for change, count in changed.items():
        issues.add("changed_picture", _describe_change(change, count), column=IMAGE_COLUMN)


def _describe_change(change: str, count: int) -> str:
    if change == "moving":
        return (
            f"{'1 picture moves' if count == 1 else f'{count:,} pictures move'}:"
            " only the first frame is kept."
        )
    if change == "large":
        return (
            f"1 picture is very large: it is kept at {MAX_STORED_SIDE:,} pixels at most."
            if count == 1
            else f"{count:,} pictures are very large: they are kept at {MAX_STORED_SIDE:,} pixels"
            " at most."
        )
    return (
        "1 picture is of a format that browsers do not show: it is kept as PNG."
        if count == 1
        else f"{count:,} pictures are of a format that browsers do not show: they are kept as PNG."
    )


def _build_row(entry: ImageEntry, content: bytes, size: tuple[int, int]) -> Row:
    return {
        "image": content,
        "label": _storable_text(entry.label),
        "split": entry.split,
        "file": _storable_text(entry.name),
        "width": size[0],
        "height": size[1],
    }


def _storable_text(text: str) -> str:
    """Without what no database or page can hold."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def _normalize_image(content: bytes, changed: Counter[str]) -> tuple[bytes, tuple[int, int]]:
    """The bytes to keep and the upright size. Raises InvalidImage; every pixel is decoded."""
    head = open_image(content)
    kind, frames = head.format, getattr(head, "n_frames", 1)
    image = decode_image(content)
    if frames > 1:
        changed["moving"] += 1
    elif max(image.size) > MAX_STORED_SIDE or len(content) > MAX_STORED_BYTES:
        changed["large"] += 1
    elif kind not in STORED_FORMATS:
        changed["format"] += 1
    else:
        return content, image.size
    image.thumbnail((MAX_STORED_SIDE, MAX_STORED_SIDE), Image.Resampling.LANCZOS)
    sink = io.BytesIO()
    if kind in ("JPEG", "WEBP") or image.width * image.height > 1_000_000:
        image.save(sink, "JPEG", quality=JPEG_QUALITY)
    else:
        image.save(sink, "PNG")
    return sink.getvalue(), image.size


def _record_reject(reject: RejectedRow, issues: Issues, rejects: RejectedRowsWriter) -> None:
    rejects.write(reject)
    issues.add("rejected_row", reject.reason, reject.line, reject.column)
