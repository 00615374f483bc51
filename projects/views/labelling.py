"""Labelling a column by keys: a row at a time, saved as a new version.

Which rows come next is answered in training.views.labelling, which knows the trained models."""

import json
from typing import TypedDict
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from projects.errors import BadEdit, DatasetNotReady
from projects.importing.editing import edit_version
from projects.models import DatasetVersion, ImportStatus
from projects.queries.rows import count_by_value
from projects.queries.thumbnails import image_column
from projects.reading.edits import MAX_ROWS_IN_AN_EDIT
from projects.reading.results import Edit
from projects.views.datasets import changeable_version
from web.requests import AuthenticatedRequest

MAX_OFFERED_LABELS = 30
NEW_COLUMN = "label"


class LabellingOrder(TypedDict):
    """What the page sends: the column, the columns of text, labels by row, rows passed over."""

    column: str
    texts: list[str]
    labels: dict[int, str]
    skipped: frozenset[int]


@login_required
@require_GET
def label_page(request: AuthenticatedRequest, dataset_id: UUID) -> HttpResponse:
    version = changeable_version(request, dataset_id)
    if version.status != ImportStatus.READY:
        raise DatasetNotReady
    names = [one["name"] for one in version.columns if one["type"] != "image"]
    suggested = version.profile.get("suggested") or {}
    column = request.GET.get("column") or suggested.get("target_column") or NEW_COLUMN
    shows_pictures = image_column(version) is not None
    texts = [name for name in suggested.get("text_columns") or names if name != column]
    if shows_pictures and "file" in names:
        texts = ["file"]  # The caption.
    known = count_by_value(version, column, MAX_OFFERED_LABELS) if column in names else []
    context = {
        "team": version.dataset.project.team,
        "project": version.dataset.project,
        "dataset": version.dataset,
        "version": version,
        "column": column,
        "texts": texts[:3],
        "shows_pictures": shows_pictures,
        "names": names,
        "facts": {
            "dataset": str(version.dataset_id),
            "version": version.number,
            "column": column,
            "texts": texts[:3],
            "labels": [value for value, _ in known if value and value.strip()],
        },
    }
    return render(request, "projects/label.html", context)


@login_required
@require_POST
def label_save(request: AuthenticatedRequest, dataset_id: UUID) -> HttpResponse:
    """A new version with these labels; says where it is."""
    version = changeable_version(request, dataset_id)
    sent = read_order(request)
    if not sent["labels"]:
        raise BadEdit("No row has been labelled yet.")
    edit_version(version, _edits(version, sent), request.user)
    return JsonResponse({"url": reverse("projects:dataset", args=[dataset_id])})


def _edits(version: DatasetVersion, sent: LabellingOrder) -> list[Edit]:
    column = sent["column"]
    edits: list[Edit] = []
    if column not in {one["name"] for one in version.columns}:
        edits.append({"op": "add_column", "column": column})
    for label in sorted(set(sent["labels"].values())):
        rows = [row for row, value in sent["labels"].items() if value == label]
        edits.append({"op": "set_cells", "column": column, "rows": rows, "value": label})
    return edits


def read_order(request: AuthenticatedRequest) -> LabellingOrder:
    """Raises BadEdit for anything but what the page sends."""
    if request.content_type != "application/json":  # Of a form the body has been read already.
        raise BadEdit("Send the labels as JSON.")
    try:
        sent = json.loads(request.body)
        labels = {int(row): str(value).strip() for row, value in sent["labels"].items()}
        order = LabellingOrder(
            column=str(sent["column"]),
            texts=[str(name) for name in sent["texts"]][:10],
            labels={row: value for row, value in labels.items() if value},
            skipped=frozenset(int(row) for row in sent.get("skipped", [])),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise BadEdit("This is not what the page sends. Reload it.") from None
    if len(order["labels"]) > MAX_ROWS_IN_AN_EDIT or not order["column"].strip():
        raise BadEdit(f"At most {MAX_ROWS_IN_AN_EDIT:,} labels are saved at once, of one column.")
    return order
