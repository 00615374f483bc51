"""Feedback of callers on answers, and the rows that their corrections make for a next training."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from django.db.models import Count, Q

from accounts.models import Team, User
from inference.errors import NoCorrections
from inference.models import Deployment, Feedback, RequestLog
from inference.requests.rows import NewRow, asked_row, columns_of, masked_row, training_row
from projects.importing.editing import edit_version
from projects.models import DatasetVersion
from projects.reading.results import Edit, ReadingOptions

MAX_CORRECTIONS, MAX_CORRECTIONS_READ = 1_000, 2_000  # Added, and looked at, at once.


def record_feedback(
    team: Team,
    *,
    request_id: str,
    score: int | None = None,
    correction: str = "",
    person: User | None = None,
) -> Feedback:
    """Store the team's feedback on one of its requests; a later one replaces it.

    The request need not be in the log, which is a sample of recent requests. `person`: who judged
    the answer on a page, where it was no caller.
    """
    feedback, _ = Feedback.objects.update_or_create(
        team=team,
        request_id=request_id,
        defaults={"score": score, "correction": correction, "person": person},
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
    columns = columns_of(deployment.model.manifest)
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
        row = training_row(request_input, answer, columns)
        if row is not None:
            row = masked_row(row, options.get("mask", []))
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
        row = asked_row(one)
        if row is not None:
            yield row, corrections[one.request_id]


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
