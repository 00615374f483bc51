"""Makes a new dataset of logged requests, to label them and to fine-tune again."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from django.db.models import QuerySet
from django.utils.timezone import now

from accounts.models import ApiToken, User
from accounts.permissions import require_permission
from inference.errors import NotRows, NoWholeRows
from inference.models import Deployment, RequestLog
from inference.requests.listing import feedback_on
from inference.requests.retention import MAX_ROWS_PER_DEPLOYMENT
from inference.requests.rows import (
    LoggedRow,
    ModelColumns,
    columns_of,
    conversation,
    input_cells,
    masked_row,
    whole_rows,
)
from projects.importing.uploads import receive_upload
from projects.models import DatasetVersion
from projects.reading.results import ReadingOptions

PREDICTED_SUFFIX = "_predicted"
# predicted: what the model answered. corrected: beside it, as the target, what feedback says is
# right; empty where it says nothing.
Answers = Literal["predicted", "corrected"]


@dataclass(frozen=True)
class DatasetOfRequests:
    version: DatasetVersion
    rows: int
    left_out: int  # Rows of the chosen requests that the log does not have whole.


def make_dataset(
    deployment: Deployment,
    requests: QuerySet[RequestLog],
    viewer: User | ApiToken,
    *,
    answers: Answers = "predicted",
    name: str = "",
) -> DatasetOfRequests:
    """A dataset of the endpoint's project with the rows of the newest MAX_ROWS_PER_DEPLOYMENT of
    these requests, oldest first. Columns that the model's dataset masks are masked.

    Raises NotRows for a model whose requests are no rows, NoWholeRows where the log has none whole,
    and what an upload raises.
    """
    require_permission(viewer, deployment.team, "write")
    columns = columns_of(deployment.model.manifest)
    if columns is None:
        raise NotRows
    entries = list(requests.order_by("-at", "-request_id")[:MAX_ROWS_PER_DEPLOYMENT])[::-1]
    logged = [row for entry in entries for row in whole_rows(entry, columns)]
    right = _right_answers(entries) if answers == "corrected" else None
    rows = list(_table(logged, columns, right, _masked_columns(deployment)))
    if not rows:
        raise NoWholeRows
    # In CSV a number that was asked as a text is a number again; JSON keeps texts as they are.
    is_table = columns.kind == "features" or columns.is_number
    uploaded = receive_upload(
        project=deployment.project,
        filename=f"{deployment.name}-requests.{'csv' if is_table else 'jsonl'}",
        chunks=[_as_csv(rows) if is_table else _as_json_lines(rows)],
        by=viewer,
        name=name.strip() or f"Requests of {deployment.name}, {now():%Y-%m-%d %H:%M}",
    )
    asked = sum(entry.rows for entry in entries)
    return DatasetOfRequests(uploaded.version, len(rows), asked - len(rows))


def _as_csv(rows: Sequence[Mapping[str, object]]) -> bytes:
    sink = io.StringIO(newline="")
    writer = csv.DictWriter(sink, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return sink.getvalue().encode(errors="replace")


def _as_json_lines(rows: Iterable[Mapping[str, object]]) -> bytes:
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return "".join(lines).encode(errors="replace")


def _right_answers(entries: Iterable[RequestLog]) -> dict[str, str]:
    """By request: the correction, or the answer where feedback calls it right. Feedback on a
    request of several rows does not say which of them it is about."""
    right = {}
    for entry in entries:
        feedback = feedback_on(entry)
        if feedback is not None and entry.rows == 1 and entry.answers:
            is_right = feedback["score"] == 1
            right[entry.request_id] = feedback["correction"] or (
                entry.answers[0] if is_right else ""
            )
    return right


def _table(
    logged: Iterable[LoggedRow],
    columns: ModelColumns,
    right: Mapping[str, str] | None,
    masked: list[str],
) -> Iterator[dict[str, object]]:
    predicted = f"{columns.target}{PREDICTED_SUFFIX}"
    while predicted in columns.inputs:
        predicted += PREDICTED_SUFFIX
    names = [*masked, predicted] if columns.target in masked else masked
    for row in logged:
        cells = input_cells(row.asked, columns)
        if cells is None:
            continue
        answer = right.get(row.request_id, "") if right is not None else ""
        if not columns.target:
            yield _conversation(row, answer or row.answer, columns.inputs[0], masked)
            continue
        target = {columns.target: answer or None} if right is not None else {}
        yield {**masked_row({**cells, **target, predicted: row.answer}, names)}


def _conversation(row: LoggedRow, answer: str, column: str, masked: list[str]) -> dict[str, object]:
    """A chat ends with its answer: it has no column of its own."""
    cell = masked_row({column: conversation(row.asked, answer)}, masked)[column]
    return {column: json.loads(cell or "[]")}


def _masked_columns(deployment: Deployment) -> list[str]:
    """Those of the version that the model learnt from, and of its dataset's newest."""
    learnt = deployment.model.dataset_version
    versions = [learnt, learnt.dataset.latest or learnt]
    return [
        name
        for version in versions
        for name in cast(ReadingOptions, version.overrides).get("mask", [])
    ]
