"""Makes a table of an archive of pictures: one row each, the picture's bytes in a column.

Bytes stay as they came unless a picture is very large or of a kind that browsers do not show.
Row groups are small, so that a page which shows ten pictures reads ten pictures.
"""

import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from engine.images.decoding import NotAPicture, decode, open_picture
from projects.reading.archives import Archive, Refused
from projects.reading.column_types import Column
from projects.reading.layout import Layout, Placed, lay_out
from projects.reading.limits import KEPT_BYTES, KEPT_SIDE
from projects.reading.outcome import Issues, Reject, RejectFile, Unreadable

KEPT_FORMATS = ("JPEG", "PNG", "WEBP")
GROUP_BYTES, GROUP_ROWS = 4 * 1024**2, 256
JPEG_QUALITY = 92
IMAGE_COLUMN = "image"

Row = dict[str, Any]


def read_archive(
    upload: Path, folder: Path, issues: Issues
) -> tuple[int, int, list[Column], dict[str, Any]]:
    """Write data.parquet and rejects.csv; returns rows, rejected rows, columns and the dialect.

    Raises Unreadable when nothing in the archive is a picture with a label.
    """
    rejects = RejectFile(folder / "rejects.csv")
    try:
        with Archive(upload) as archive:
            layout = lay_out(archive)
            rows = _write(archive, layout, folder / "data.parquet", issues, rejects)
    finally:
        rejects.close()
    if layout.left_out:
        sentence = f"{layout.left_out:,} files without a label or of the system were left out."
        issues.add("left_out", sentence)
    columns = [Column(name, kind, name, name) for name, kind, _ in _columns(layout)]
    return rows, rejects.count, columns, {"format": "zip of pictures", "labels": layout.how}


def _columns(layout: Layout) -> list[tuple[str, str, pa.DataType]]:
    split = [("split", "text", pa.string())] if layout.has_splits else []
    return [
        (IMAGE_COLUMN, "image", pa.binary()),
        ("label", "text", pa.string()),
        *split,
        ("file", "text", pa.string()),
        ("width", "integer", pa.int64()),
        ("height", "integer", pa.int64()),
    ]


def _write(
    archive: Archive, layout: Layout, path: Path, issues: Issues, rejects: RejectFile
) -> int:
    for reject in layout.rejects:
        _refuse(reject, issues, rejects)
    schema = pa.schema([(name, kind) for name, _, kind in _columns(layout)])
    count = 0
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
        for group in _groups(_read_all(archive, layout, issues, rejects)):
            writer.write_table(pa.Table.from_pylist(group, schema=schema))
            count += len(group)
    if not count:
        first = next(one for one in issues.found if one["code"] == "rejected_row")
        raise Unreadable("no_rows", f"No picture could be read. The first: {first['sentence']}")
    return count


def _groups(rows: Iterator[Row]) -> Iterator[list[Row]]:
    group: list[Row] = []
    size = 0
    for row in rows:
        group.append(row)
        size += len(row[IMAGE_COLUMN])
        if size >= GROUP_BYTES or len(group) == GROUP_ROWS:
            yield group
            group, size = [], 0
    if group:
        yield group


def _read_all(
    archive: Archive, layout: Layout, issues: Issues, rejects: RejectFile
) -> Iterator[Row]:
    changed: Counter[str] = Counter()
    for placed in layout.placed:
        try:
            yield _row(placed, *_stored(archive.read(placed.entry), changed))
        except (Refused, NotAPicture) as problem:
            reason = f"{placed.name[-120:]} cannot be read: {problem}."
            reject = Reject(placed.entry.number, IMAGE_COLUMN, reason, [placed.name, placed.label])
            _refuse(reject, issues, rejects)
    for what, count in changed.items():
        issues.add("changed_picture", f"{count:,} pictures {what}.", column=IMAGE_COLUMN)


def _row(placed: Placed, content: bytes, size: tuple[int, int]) -> Row:
    return {
        IMAGE_COLUMN: content,
        "label": _clean(placed.label),
        "split": placed.split,
        "file": _clean(placed.name),
        "width": size[0],
        "height": size[1],
    }


def _clean(text: str) -> str:
    """Without what no database or page can hold."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def _stored(content: bytes, changed: Counter[str]) -> tuple[bytes, tuple[int, int]]:
    """The bytes to keep and the upright size. Raises NotAPicture; every pixel is looked at."""
    head = open_picture(content)
    kind, frames = head.format, getattr(head, "n_frames", 1)
    picture = decode(content)
    if frames > 1:
        changed["move: only the first frame is kept"] += 1
    elif max(picture.size) > KEPT_SIDE or len(content) > KEPT_BYTES:
        changed[f"are very large: they are kept at {KEPT_SIDE:,} pixels at most"] += 1
    elif kind not in KEPT_FORMATS:
        changed["are of a format that browsers do not show: they are kept as PNG"] += 1
    else:
        return content, picture.size
    picture.thumbnail((KEPT_SIDE, KEPT_SIDE), Image.Resampling.LANCZOS)
    sink = io.BytesIO()
    if kind in ("JPEG", "WEBP") or picture.width * picture.height > 1_000_000:
        picture.save(sink, "JPEG", quality=JPEG_QUALITY)
    else:
        picture.save(sink, "PNG")
    return sink.getvalue(), picture.size


def _refuse(reject: Reject, issues: Issues, rejects: RejectFile) -> None:
    rejects.write(reject)
    issues.add("rejected_row", reject.reason, reject.line, reject.column)
