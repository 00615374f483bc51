"""Whole versions as files: CSV without formulas, JSON lines, tasks of Label Studio, or Parquet."""

import csv
import json
import tempfile
from dataclasses import dataclass
from typing import IO, cast

import pyarrow.parquet as pq
from django.utils.text import get_valid_filename

from projects import storage
from projects.models import DatasetVersion
from projects.queries.label_studio import write_tasks
from projects.queries.rows import to_cell
from web.spreadsheet_cells import escape_formula
from web.streams.detached import DetachedResponse
from web.streams.downloads import file_download

EXPORT_FORMATS = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/jsonl",
    "parquet": "application/vnd.apache.parquet",
    "label-studio": "application/json",
}
FILE_ENDINGS = {"label-studio": "label-studio.json"}
BATCH_ROWS = 10_000


def export_table(version: DatasetVersion, file_format: str) -> DetachedResponse:
    """A download of all rows in one of EXPORT_FORMATS; only Parquet includes pictures."""
    ending = FILE_ENDINGS.get(file_format, file_format)
    name = get_valid_filename(f"{version.dataset.name[:80]}-v{version.number}.{ending}")
    file: IO[bytes]
    if file_format == "parquet":
        file = storage.open_file(version.parquet_key)
    else:
        file = cast("IO[bytes]", tempfile.TemporaryFile())  # noqa: SIM115
        if file_format == "label-studio":
            write_tasks(version, file)
        else:
            _write_rows(version, file, file_format)
        file.seek(0)
    return file_download(file, name, content_type=EXPORT_FORMATS[file_format])


def _write_rows(version: DatasetVersion, sink: IO[bytes], file_format: str) -> None:
    kinds = {column["name"]: column["type"] for column in version.columns}
    names = [name for name, kind in kinds.items() if kind != "image"]
    lines = TextLines(sink)
    writer = csv.writer(lines)
    if file_format == "csv":
        sink.write(b"\xef\xbb\xbf")  # Spreadsheets take it for UTF-8 then.
        writer.writerow([escape_formula(name) for name in names])
    with storage.local_file(version.parquet_key) as path:
        for batch in pq.ParquetFile(path).iter_batches(BATCH_ROWS, columns=names):
            for row in batch.to_pylist():
                if file_format == "csv":
                    writer.writerow([csv_cell(row[name]) for name in names])
                else:
                    values = {name: _json_cell(row[name], kinds[name]) for name in names}
                    lines.write(json.dumps(values, ensure_ascii=False) + "\n")


@dataclass(eq=False)
class TextLines:
    """A text file for csv.writer, on top of a binary one."""

    _sink: IO[bytes]

    def write(self, text: str) -> None:
        self._sink.write(text.encode("utf-8", "replace"))


def csv_cell(value: object) -> object:
    """Text that a spreadsheet would run as a formula gets an apostrophe; numbers never do."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return escape_formula(value) if isinstance(value, str) else to_cell(value)


def _json_cell(value: object, kind: str) -> object:
    if kind != "json" or not isinstance(value, str):
        return to_cell(value)
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value
