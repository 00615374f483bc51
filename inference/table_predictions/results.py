"""A table with the answers of its rows beside them, as CSV."""

import csv
import heapq
import json
import tempfile
from collections.abc import Iterator
from itertools import chain, repeat
from typing import IO, TypedDict, cast

import pyarrow.parquet as pq
from django.utils.text import get_valid_filename

from inference.models import ApiFile, TablePrediction
from inference.table_predictions.running import ROWS_PER_REQUEST, as_text, find_text_column
from projects import storage
from projects.queries.export import BATCH_ROWS, EXPORT_FORMATS, TextLines, csv_cell
from web.spreadsheet_cells import escape_formula
from web.streams.detached import DetachedResponse
from web.streams.downloads import file_download


class ItemError(TypedDict):
    message: str


class LabelScore(TypedDict):
    label: str
    score: float


class AnswerItem(TypedDict, total=False):
    """The answer to one row of /v1/classify, or its error."""

    label: str
    labels: list[str]
    scores: list[LabelScore]
    value: float
    error: ItemError


ADDED = ("prediction", "score", "error")
NO_TEXT: AnswerItem = {"error": {"message": "This row has no text."}}
NOT_ANSWERED: AnswerItem = {"error": {"message": "This row was not asked."}}


def download_answers(row: TablePrediction) -> DetachedResponse:
    """Every row of the table with its prediction, the prediction's score, and what was wrong."""
    file = cast("IO[bytes]", tempfile.TemporaryFile())  # noqa: SIM115
    _write_table(row, file)
    file.seek(0)
    name = get_valid_filename(
        f"{row.dataset_version.dataset.name[:80]}-{row.deployment.name[:60]}.csv"
    )
    return file_download(file, name, content_type=EXPORT_FORMATS["csv"])


def _write_table(row: TablePrediction, sink: IO[bytes]) -> None:
    version = row.dataset_version
    names = [column["name"] for column in version.columns if column["type"] != "image"]
    writer = csv.writer(TextLines(sink))
    sink.write(b"\xef\xbb\xbf")  # Spreadsheets take it for UTF-8 then.
    # A table that has a column of one of the added names keeps its own.
    added = [name if name not in names else f"model {name}" for name in ADDED]
    writer.writerow([escape_formula(name) for name in [*names, *added]])
    items, text = _iterate_items(row), find_text_column(row.deployment)
    with storage.local_file(version.parquet_key) as path:
        for part in pq.ParquetFile(path).iter_batches(BATCH_ROWS, columns=names):
            for values, item in zip(part.to_pylist(), items, strict=False):
                if text in values and not as_text(values[text]):
                    item = NO_TEXT
                cells = [csv_cell(values[name]) for name in names]
                writer.writerow([*cells, *map(csv_cell, _answer_cells(item))])


def _answer_cells(item: AnswerItem) -> tuple[object, object, str]:
    """The prediction, its score (none of a number), and the sentence of an error."""
    if "error" in item:
        return None, None, item["error"]["message"]
    if "value" in item:
        return item["value"], None, ""
    scores = {one["label"]: one["score"] for one in item["scores"]}
    if "labels" in item:
        chosen = item["labels"]
        return ", ".join(chosen), min((scores[label] for label in chosen), default=None), ""
    return item["label"], scores[item["label"]], ""


def _iterate_items(row: TablePrediction) -> Iterator[AnswerItem]:
    """The answer of each row in order, without end: what was not asked says so."""
    batch = row.batch
    files = [batch.output_file, batch.error_file] if batch else []
    number = 0
    for first, items in heapq.merge(*map(_iterate_lines, files), key=lambda line: line[0]):
        yield from repeat(NOT_ANSWERED, first - number)
        yield from items
        number = first + len(items)
    yield from chain(repeat(NOT_ANSWERED))


def _iterate_lines(file: ApiFile | None) -> Iterator[tuple[int, list[AnswerItem]]]:
    """Each request's first row, and an item for each of its rows."""
    if file is None:
        return
    with storage.open_file(file.storage_key) as source:
        for line in source:
            content = json.loads(line)
            body = content["response"]["body"]
            items = body.get("data") or [{"error": body["error"]}] * ROWS_PER_REQUEST
            yield int(content["custom_id"]), items
