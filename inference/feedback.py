"""Feedback of callers on answers, and the rows that their corrections make for a next training."""

from collections.abc import Iterator, Mapping
from typing import cast

from accounts.models import Team, User
from inference.errors import NoCorrections
from inference.models import Deployment, Feedback, RequestLog
from projects.importing.editing import edit_version
from projects.models import DatasetVersion
from projects.reading.personal_data import mask
from projects.reading.results import Edit, ReadingOptions

MAX_CORRECTIONS, MAX_CORRECTIONS_READ = 1_000, 2_000  # Added, and looked at, at once.
NewRow = dict[str, str | None]


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


def corrected_rows(deployment: Deployment) -> list[NewRow]:
    """Texts that were asked one at a time, with the labels that callers say were right, as rows of
    the dataset that the model learnt from, oldest first; those that it has by now are left out. Of
    the team's corrections the newest MAX_CORRECTIONS_READ are looked at."""
    columns, target = _columns(deployment.model.manifest)
    if not columns or not target:
        return []
    newest = deployment.model.dataset_version.dataset.latest
    options = cast(ReadingOptions, newest.overrides if newest else {})
    is_masked = columns[0] in options.get("mask", [])
    known = {(row.get(columns[0]), row.get(target)) for row in _added_rows(options)}
    rows: dict[tuple[str, str], NewRow] = {}
    for asked, label in _corrected_texts(deployment, columns[0]):
        text = mask(asked) if is_masked else asked
        if text.strip() and (text, label) not in known:
            rows[text, label] = {columns[0]: text, target: label}
    return list(rows.values())[:MAX_CORRECTIONS]


def _corrected_texts(deployment: Deployment, column: str) -> Iterator[tuple[str, str]]:
    """What was asked in a request of one row, and what a caller says was right, oldest first."""
    given = Feedback.objects.filter(team_id=deployment.team_id).exclude(correction="")
    newest = given.order_by("-pk").values_list("request_id", "correction")
    corrections = dict(newest[:MAX_CORRECTIONS_READ])
    asked = RequestLog.objects.filter(
        deployment=deployment, rows=1, status=200, request_id__in=list(corrections)
    ).order_by("at")
    for one in asked.only("request_id", "inputs") if corrections else ():
        text = one.inputs[0] if one.inputs else None
        text = text.get(column) if isinstance(text, dict) else text  # A row may be given by names.
        if isinstance(text, str):
            yield text, corrections[one.request_id]


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


def _columns(manifest: Mapping[str, object]) -> tuple[list[str], str]:
    """The one column of text that the model reads, and the one that it answers; empty for others,
    whose requests are not rows as they stand."""
    inputs = cast(Mapping[str, object], manifest.get("inputs") or {})
    target = cast(Mapping[str, object], manifest.get("target") or {})
    columns = cast("list[str]", inputs.get("columns") or [])
    if inputs.get("kind") != "text" or len(columns) != 1:
        return [], ""
    return columns, str(target.get("column") or "")


def _added_rows(options: ReadingOptions) -> list[NewRow]:
    edits = options.get("edits", [])
    return [row for edit in edits if edit["op"] == "add_rows" for row in edit["cells"]]
