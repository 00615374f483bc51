"""How sure a finished classifier is of a table's rows that have no label yet, least sure first.

For people who label the rows (Settles, "Active Learning Literature Survey", 2009, section 3.1). At
most MAX_ROWS rows, spread over the table, within MAX_SECONDS: what is left out has no place in the
order.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypedDict

import pyarrow.parquet as pq

from engine import serving
from engine.artifact import Inputs, read_manifest
from engine.data.text_examples import join_text_columns, read_as_strings, read_columns
from engine.errors import BadTrainingData

MAX_ROWS = 2_000
MAX_SECONDS = 120.0
ROWS_AT_ONCE = 64
MARGIN_DIGITS = 4


@dataclass(frozen=True)
class RankedRow:
    """`margin` is how much likelier the likeliest label is than the next one."""

    row: int
    label: str
    margin: float


class Ranking(TypedDict):
    rows: list[list[int | str | float]]  # Each as row, likeliest label and margin.


def rank_unlabelled(
    artifact: Path, data: Path, column: str, seconds: float = MAX_SECONDS
) -> Ranking:
    """The rows whose `column` is empty, all of them where there is no such column. Raises
    BadTrainingData where the table lacks what the model reads."""
    manifest = read_manifest(artifact)
    if manifest.target.kind != "label" or manifest.inputs.kind not in ("text", "features"):
        raise BadTrainingData("cannot_rank", "This model does not give one label to rows of text.")
    model = serving.load_model(artifact, manifest=manifest)
    ends_at = time.monotonic() + seconds
    ranked: list[RankedRow] = []
    rows = _iter_rows(data, column, manifest.inputs)
    while group := list(islice(rows, ROWS_AT_ONCE)):
        answers = model.answer([content for _, content in group])
        for (row, _), answer in zip(group, answers, strict=True):
            margin = _margin(list(answer["probabilities"].values()))
            ranked.append(RankedRow(row, answer["label"], margin))
        if time.monotonic() > ends_at:
            break
    ranked.sort(key=lambda one: (one.margin, one.row))
    return {"rows": [[one.row, one.label, round(one.margin, MARGIN_DIGITS)] for one in ranked]}


def _margin(probabilities: Sequence[float]) -> float:
    *_, second, first = sorted([0.0, *probabilities])
    return first - second


def _iter_rows(data: Path, column: str, inputs: Inputs) -> Iterator[tuple[int, Any]]:
    """Number and content of the rows to rank, those without text left out. The last ones are spread
    over the table like the first, so that stopping early leaves no part of it out."""
    chosen = _choose_rows(data, column)
    table = read_columns(data, inputs.columns).take(sorted(chosen))
    if inputs.kind == "text":
        contents: list[Any] = join_text_columns(table, inputs.columns)
    else:
        contents = [{name: _plain(cell) for name, cell in row.items()} for row in table.to_pylist()]
    by_row = dict(zip(sorted(chosen), contents, strict=True))
    return ((row, by_row[row]) for row in chosen if by_row[row])


def _choose_rows(data: Path, column: str) -> list[int]:
    """Rows without a label, at even distances: every 16th of them first, then those between."""
    file = pq.ParquetFile(data)
    rows = list(range(file.metadata.num_rows))
    if column in file.schema_arrow.names:
        labels = read_as_strings(file.read(columns=[column]), column)
        rows = [row for row, label in enumerate(labels) if label is None]
    step = max(1, -(-len(rows) // MAX_ROWS))
    spread = rows[::step]
    return [row for start in range(16) for row in spread[start::16]]


def _plain(cell: object) -> object:
    """A cell as requests bring it: dates are texts."""
    return cell if isinstance(cell, str | int | float | bool | None) else str(cell)
