"""Feedback of callers on answers, and the rows that their corrections make for a next training."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from django.db.models import Count, Q

from accounts.models import Team, User
from inference.errors import NoCorrections
from inference.models import Deployment, Feedback, RequestLog
from projects.importing.editing import edit_version
from projects.models import DatasetVersion
from projects.reading.personal_data import mask, mask_json
from projects.reading.results import Edit, ReadingOptions

MAX_CORRECTIONS, MAX_CORRECTIONS_READ = 1_000, 2_000  # Added, and looked at, at once.
CUT_CHARACTERS = 500  # Texts of the log that are so long were cut off there.
NewRow = dict[str, str | None]


@dataclass(frozen=True)
class _Columns:
    """What a model reads and answers, as columns of its dataset."""

    kind: str  # text, features or chat.
    inputs: list[str]
    target: str  # Of a chat model with one column of messages an empty text.


def record_feedback(
    team: Team, *, request_id: str, score: int | None = None, correction: str = ""
) -> Feedback:
    """Store the team's feedback on one of its requests; a later one replaces it.

    The request need not be in the log, which is a sample of recent requests.
    """
    feedback, _ = Feedback.objects.update_or_create(
        team=team, request_id=request_id, defaults={"score": score, "correction": correction}
    )
    return feedback


@dataclass(frozen=True)
class FeedbackSummary:
    """What callers said of sampled answers: a score of 1 or -1, or a correction."""

    right: int
    wrong: int
    corrected: int

    @property
    def share_right(self) -> float | None:
        """Of the scored answers; None without any."""
        return self.right / (self.right + self.wrong) if self.right + self.wrong else None


def summarise_feedback(deployment: Deployment) -> FeedbackSummary:
    """Of the answers since the deployed model was put there that are in the log still."""
    answers = RequestLog.objects.filter(deployment=deployment, at__gte=deployment.changed_at)
    given = Feedback.objects.filter(
        team_id=deployment.team_id, request_id__in=answers.values("request_id")
    )
    counts = given.aggregate(
        right=Count("pk", filter=Q(score=1)),
        wrong=Count("pk", filter=Q(score=-1)),
        corrected=Count("pk", filter=~Q(correction="")),
    )
    return FeedbackSummary(**counts)


def corrected_rows(deployment: Deployment) -> list[NewRow]:
    """What was asked one row at a time, with the answers that callers say were right, as rows of
    the dataset that the model learnt from, oldest first; those that it has by now are left out. Of
    the team's corrections the newest MAX_CORRECTIONS_READ are looked at."""
    columns = _columns(deployment.model.manifest)
    if columns is None:
        return []
    newest = deployment.model.dataset_version.dataset.latest
    options = cast(ReadingOptions, newest.overrides if newest else {})
    present = {one["name"] for one in newest.columns} if newest else set()
    if not {*columns.inputs, columns.target} - {""} <= present:
        return []  # The columns were renamed or dropped since.
    known = {
        _key(row)
        for edit in options.get("edits", [])
        if edit["op"] == "add_rows"
        for row in edit["cells"]
    }
    rows: dict[tuple[object, ...], NewRow] = {}
    for request_input, answer in _corrected_requests(deployment):
        row = _row_of(request_input, answer, columns)
        if row is not None:
            row = _masked(row, options.get("mask", []))
            rows.setdefault(_key(row), row)
    return [row for key, row in rows.items() if key not in known][:MAX_CORRECTIONS]


def _corrected_requests(deployment: Deployment) -> Iterator[tuple[object, str]]:
    """The row that was asked in a request of one, and what a caller says is right, oldest first."""
    feedback_rows = Feedback.objects.filter(team_id=deployment.team_id).exclude(correction="")
    newest = feedback_rows.order_by("-pk").values_list("request_id", "correction")
    corrections = dict(newest[:MAX_CORRECTIONS_READ])
    requests = RequestLog.objects.filter(
        deployment=deployment, rows=1, status=200, request_id__in=list(corrections)
    ).order_by("at")
    for one in requests.only("request_id", "inputs", "asked") if corrections else ():
        row = one.asked if one.asked is not None else _row_of_log(one.inputs)
        if row is not None:
            yield row, corrections[one.request_id]


def _row_of_log(inputs: list[object]) -> object:
    """Of entries that keep no row of their own: the text as logged, unless it was cut off."""
    text = inputs[0] if inputs else None
    if not isinstance(text, str):
        return text
    if len(text) >= CUT_CHARACTERS:
        return None
    try:
        cells = json.loads(text) if text.startswith("{") else text
    except ValueError:
        return text
    return cells if isinstance(cells, dict) else text


def _row_of(request_input: object, answer: str, columns: _Columns) -> NewRow | None:
    """The new row; None for what is no row of this model, as a chat cut at its start."""
    if columns.kind == "chat":
        return _chat_row(request_input, answer, columns)
    if isinstance(request_input, str) and columns.kind == "text" and len(columns.inputs) == 1:
        request_input = {columns.inputs[0]: request_input}
    if not isinstance(request_input, dict):
        return None
    row = {name: _cell(request_input.get(name)) for name in columns.inputs}
    is_filled = any(cell and cell.strip() for cell in row.values())
    return {**row, columns.target: answer} if is_filled else None


def _chat_row(request_input: object, answer: str, columns: _Columns) -> NewRow | None:
    if not columns.target:
        if not isinstance(request_input, list):
            return None
        chat = [*request_input, {"role": "assistant", "content": answer}]
        return {columns.inputs[0]: json.dumps(chat, ensure_ascii=False)}
    if (
        isinstance(request_input, list)
        and len(request_input) == 1
        and request_input[0].get("role") == "user"
    ):
        request_input = request_input[0].get("content")
    # A system's message or earlier turns have no column of a prompt to be in.
    if not isinstance(request_input, str) or len(columns.inputs) != 1 or not request_input.strip():
        return None
    return {columns.inputs[0]: request_input, columns.target: answer}


def _cell(value: object) -> str | None:
    """A value of a request as a cell of the table."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _masked(row: NewRow, names: list[str]) -> NewRow:
    return {
        name: cell if cell is None or name not in names else _mask_cell(cell)
        for name, cell in row.items()
    }


def _mask_cell(cell: str) -> str:
    return mask_json(cell) if cell.startswith("[{") else mask(cell)


def _key(row: NewRow) -> tuple[object, ...]:
    return tuple(sorted(row.items()))


def learn_corrections(deployment: Deployment, by: User) -> DatasetVersion:
    """A new version of the dataset with the corrected rows behind all others.

    Raises NoCorrections without any, BadEdit where they do not fit, and DatasetNotReady.
    """
    rows = corrected_rows(deployment)
    newest = deployment.model.dataset_version.dataset.latest
    if not rows or newest is None:
        raise NoCorrections
    edit: Edit = {"op": "add_rows", "cells": rows}
    return edit_version(newest, [edit], by)


def _columns(manifest: Mapping[str, object]) -> _Columns | None:
    """None for models whose requests are no rows as they stand: of pictures, and of labels in
    columns of their own."""
    inputs = cast(Mapping[str, object], manifest.get("inputs") or {})
    target = cast(Mapping[str, object], manifest.get("target") or {})
    columns = cast("list[str]", inputs.get("columns") or [])
    kind, column = str(inputs.get("kind")), str(target.get("column") or "")
    is_chat = kind == "chat" and (bool(column) or len(columns) == 1)
    if not columns or not (is_chat or (kind in ("text", "features") and column)):
        return None
    return _Columns(kind, columns, column)
