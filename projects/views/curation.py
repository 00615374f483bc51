"""Curation of a version in the browser: change rows, compare versions, take them elsewhere."""

from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from projects.errors import BadEdit, BadRowQuery, DatasetNotReady, TooManyRows
from projects.forms.rows import RowEditForm, RowsForm
from projects.importing.editing import edit_version
from projects.models import DatasetVersion, ImportStatus
from projects.queries.comparison import compare_versions, find_versions_to_compare
from projects.queries.export import EXPORT_FORMATS, export_table
from projects.queries.rows import matching_numbers
from projects.reading.edits import MAX_ROWS_IN_AN_EDIT
from projects.reading.results import Edit
from projects.views.datasets import changeable_version, requested_version
from web.requests import AuthenticatedRequest
from web.validation.values import parse_digits


@login_required
@require_POST
def dataset_edit(request: AuthenticatedRequest, dataset_id: UUID) -> HttpResponse:
    """A new version in which the chosen rows are set or deleted."""
    version = changeable_version(request, dataset_id)
    form = RowEditForm(version, request.POST)
    if not form.is_valid():
        problem = next(iter(form.errors.values()))[0]
        raise BadEdit(str(problem))
    if form.cleaned_data["scope"] == "matching":
        edit = _edit_of_matching(version, form, request.POST.get("query", ""))
    else:
        numbers = (parse_digits(text, 11) for text in request.POST.getlist("row"))
        rows = [number - 1 for number in numbers if number is not None]
        edit = form.to_edit(rows) if rows else None
    if edit is None:
        messages.info(request, "Choose at least one row first.")
        return redirect("projects:dataset", dataset_id)
    edit_version(version, [edit], request.user)
    return redirect("projects:dataset", dataset_id)


@login_required
@require_GET
def dataset_compare(request: AuthenticatedRequest, dataset_id: UUID) -> HttpResponse:
    """What changed between two versions: ?from=1&to=2, and ?key= a column that names rows."""
    older, newer = find_versions_to_compare(
        request.user, dataset_id, request.GET.get("from", ""), request.GET.get("to", "")
    )
    key, page = request.GET.get("key", ""), parse_digits(request.GET.get("page", "1"))
    if page is None:
        raise BadRowQuery("There is no such page.", param="page")
    comparison = compare_versions(older, newer, key=key, page=page)
    context = {
        "team": newer.dataset.project.team,
        "project": newer.dataset.project,
        "dataset": newer.dataset,
        "older": older,
        "newer": newer,
        "comparison": comparison,
        "key": key,
        "same_query": urlencode({"from": older.number, "to": newer.number, "key": key}),
        "versions": newer.dataset.versions.ready(),
        "names": [column["name"] for column in newer.columns],
    }
    return render(request, "projects/compare.html", context)


@login_required
@require_GET
def dataset_export(
    request: AuthenticatedRequest, dataset_id: UUID, file_format: str
) -> HttpResponseBase:
    """The whole version as a file."""
    version = requested_version(request, dataset_id)
    if file_format not in EXPORT_FORMATS:
        raise Http404
    if version.status != ImportStatus.READY:
        raise DatasetNotReady
    return export_table(version, file_format)


def _edit_of_matching(version: DatasetVersion, form: RowEditForm, sent: str) -> Edit | None:
    """The edit of all rows that this query of the page matches; None where none does. Few rows are
    kept by number, more by the search and filters themselves."""
    rows_form = RowsForm(version, QueryDict(sent))
    if not rows_form.is_valid():
        raise BadEdit("The filter makes no sense any more. Reload the page.")
    query = rows_form.to_query()
    is_everything = not query.search.strip() and not query.filters
    try:
        rows = matching_numbers(version, query, MAX_ROWS_IN_AN_EDIT)
    except TooManyRows:
        if is_everything:
            raise
        return form.to_edit_of_matching(query)
    return form.to_edit(rows) if rows else None
