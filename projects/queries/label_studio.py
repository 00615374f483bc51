"""Rows as tasks of Label Studio (https://labelstud.io/guide/tasks): the data, and the label as a
choice. Its exports are read by the ordinary upload."""

import json
from typing import IO, cast

import pyarrow.parquet as pq

from engine.data.multilabel_parsing import parse_label_cells
from projects import storage
from projects.models import DatasetVersion
from projects.profiling.profile import Suggestion, suggested_targets
from projects.queries.rows import to_cell

BATCH_ROWS = 10_000
Task = dict[str, object]


def write_tasks(version: DatasetVersion, sink: IO[bytes]) -> None:
    """Writes a JSON list of a task for each row, without pictures: a task would need their URL."""
    suggested = cast(Suggestion, version.profile.get("suggested") or {})
    targets = suggested_targets(suggested)
    label = targets[0] if len(targets) == 1 else ""
    texts = suggested.get("text_columns") or []
    names = [column["name"] for column in version.columns if column["type"] != "image"]
    sink.write(b"[")
    number = 0
    with storage.local_file(version.parquet_key) as path:
        for batch in pq.ParquetFile(path).iter_batches(BATCH_ROWS, columns=names):
            for row in batch.to_pylist():
                cells: Task = {name: to_cell(row[name]) for name in names}
                task = _task(number + 1, cells, label, texts[0] if texts else "")
                lead = ",\n" if number else "\n"
                text = lead + json.dumps(task, ensure_ascii=False)
                sink.write(text.encode("utf-8", "replace"))
                number += 1
    sink.write(b"\n]\n")


def _task(number: int, cells: Task, label: str, text: str) -> Task:
    value = cells.pop(label, None)
    annotations: list[Task] = []
    if label and value not in (None, ""):
        choice: Task = {
            "from_name": label,
            "to_name": text or next(iter(cells), "text"),
            "type": "choices",
            "value": {"choices": _choices(value)},
        }
        annotations = [{"result": [choice]}]
    return {"id": number, "data": cells, "annotations": annotations}


def _choices(value: object) -> list[str]:
    """The labels of a cell: several where it is a JSON list, else the cell itself."""
    if isinstance(value, bool):
        return ["true" if value else "false"]
    if isinstance(value, str) and value.startswith("["):
        parsed = parse_label_cells([value], "auto", "")
        if parsed is not None:
            return list(parsed.labels[0])
    return [str(value)]
