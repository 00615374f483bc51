"""Feedback of callers on answers, and the rows that their corrections make for a next training."""

from collections.abc import Mapping
from typing import cast

from accounts.models import Team, User
from inference.errors import NoCorrections
from inference.models import Deployment, Feedback, RequestLog
from projects.importing.editing import edit_version
from projects.models import DatasetVersion
from projects.reading.personal_data import mask
from projects.reading.results import Edit, ReadingOptions

MAX_CORRECTIONS = 1_000  # Added at once.
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
    the dataset that the model learnt from; those that it has by now are left out."""
    columns, target = _columns(deployment.model.manifest)
    if not columns or not target:
        return []
    given = dict(
        Feedback.objects.filter(team_id=deployment.team_id)
        .exclude(correction="")
        .values_list("request_id", "correction")
    )
    if not given:
        return []
    asked = RequestLog.objects.filter(
        deployment=deployment, rows=1, status=200, request_id__in=list(given)
    ).order_by("at")
    newest = deployment.model.dataset_version.dataset.latest
    options = cast(ReadingOptions, newest.overrides if newest else {})
    rows: list[NewRow] = []
    for one in asked.only("request_id", "inputs"):
        text = str(one.inputs[0]) if one.inputs else ""
        text = mask(text) if columns[0] in options.get("mask", []) else text
        row: NewRow = {columns[0]: text, target: given[one.request_id]}
        if text.strip() and row not in rows and row not in _added_rows(options):
            rows.append(row)
    return rows[:MAX_CORRECTIONS]


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
