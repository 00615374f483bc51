"""Pages of one dataset: upload, the imported table with its profile, another reading of it."""

from typing import cast
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import AnonymousUser
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.text import get_valid_filename
from django.views.decorators.http import require_GET, require_POST

from accounts.models import User
from accounts.permissions import has_permission, require_permission
from projects import storage
from projects.errors import BadUpload, DatasetNotReady, DatasetPurged, EditsWouldBeLost
from projects.forms.datasets import DialectForm, UploadForm
from projects.forms.rows import RowEditForm, RowsForm
from projects.importing import resumable_uploads
from projects.importing.another_reading import choose_readings, read_another_way
from projects.importing.editing import apply_fix, mask_columns
from projects.importing.imports import import_channel
from projects.importing.uploads import receive_upload
from projects.models import Dataset, DatasetVersion, ImportStatus, Project, ResumableUpload
from projects.profiling.profile import Suggestion, suggested_targets
from projects.queries.changes import list_versions
from projects.queries.preview import load_training_rows
from projects.queries.questions import list_questions
from projects.queries.row_table import build_row_table
from projects.queries.rows import load_rows
from projects.queries.thumbnails import build_gallery, image_column, load_thumbnail
from web.browser.parts import uses_of
from web.browser.refusals import refusals_on, status_of
from web.browser.trash import TRASH_DAYS
from web.idempotency.fingerprint import NOT_ASKED
from web.requests import AuthenticatedRequest
from web.streams.detached import DetachedResponse
from web.streams.downloads import file_download
from web.streams.event_stream import event_stream_response
from web.validation.values import parse_digits

DATASET_TABS = [
    ("rows", "Rows"),
    ("columns", "Columns"),
    ("quality", "Quality"),
    ("labels", "Labels"),
    ("import", "Import"),
    ("versions", "Versions & fine-tunes"),
]


@login_required
def dataset_upload(request: AuthenticatedRequest, project_id: UUID) -> HttpResponse:
    project = get_object_or_404(Project.objects.visible_to(request.user), pk=project_id)
    require_permission(request.user, project.team, "write")
    target = _requested_dataset(request, project)
    sent = (request.POST, request.FILES) if request.method == "POST" else ()
    form = UploadForm(*sent, is_version=bool(target))
    if form.is_valid():
        with refusals_on(form):
            arrived = _arrived_upload(request, project, form.cleaned_data["resumable"])
            file = form.cleaned_data["file"]
            result = receive_upload(
                project=project,
                filename=arrived.filename if arrived else file.name,
                chunks=resumable_uploads.read_chunks(arrived) if arrived else file.chunks(),
                by=request.user,
                name=form.cleaned_data.get("name", ""),
                dataset=target,
            )
            if arrived:
                resumable_uploads.discard(arrived)
            if result.is_duplicate:
                number = result.version.number
                messages.info(request, f"These are the same bytes as version {number}.")
            return redirect("projects:dataset", result.version.dataset_id)
    context = {"team": project.team, "project": project, "dataset": target, "form": form}
    status = status_of(form, invalid=200)
    return render(request, "projects/upload.html", context, status=status)


def _arrived_upload(
    request: AuthenticatedRequest, project: Project, upload_id: UUID | None
) -> ResumableUpload | None:
    """This person's upload that came in parts, if the form names one. Raises BadUpload."""
    if upload_id is None:
        return None
    mine = ResumableUpload.objects.filter(project=project, created_by=request.user)
    upload = mine.filter(pk=upload_id).first()
    if upload is None:
        raise BadUpload("This upload is over or has expired. Choose the file again.", param="file")
    return upload


@login_required
@require_GET
def dataset_detail(request: AuthenticatedRequest, dataset_id: UUID) -> HttpResponse:
    return render(request, "projects/dataset.html", _dataset_context(request, dataset_id))


@login_required
@require_GET
def dataset_status(request: AuthenticatedRequest, dataset_id: UUID) -> HttpResponse:
    return render(request, "projects/_dataset_body.html", _dataset_context(request, dataset_id))


def dataset_events(request: HttpRequest, dataset_id: UUID) -> HttpResponseBase:
    """Server-sent events of the newest version's import; strangers and guests get 404."""
    newest = _latest_visible_version(request.user, dataset_id)
    return event_stream_response(request, request.user, import_channel(newest))


@login_required
@require_POST
def dataset_reimport(request: AuthenticatedRequest, dataset_id: UUID) -> HttpResponse:
    version = changeable_version(request, dataset_id)
    form = DialectForm(request.POST)
    if not form.is_valid():
        context = _dataset_context(request, dataset_id) | {"form": form}
        return render(request, "projects/dataset.html", context, status=400)
    discards_edits = "discard_edits" in request.POST
    try:
        read_another_way(
            version, form.options_for(version), request.user, discards_edits=discards_edits
        )
    except EditsWouldBeLost as refusal:
        return _confirm_loss(request, version, refusal)
    return redirect("projects:dataset", dataset_id)


@login_required
@require_POST
def dataset_mask(request: AuthenticatedRequest, dataset_id: UUID) -> HttpResponse:
    """A new version in which personal data in the named columns is replaced by its kind."""
    version = changeable_version(request, dataset_id)
    names = {column["name"] for column in version.columns}
    chosen = [name for name in request.POST.getlist("column") if name in names]
    if not chosen:
        messages.info(request, "Choose at least one column to mask.")
        return redirect("projects:dataset", dataset_id)
    mask_columns(version, chosen, request.user)
    return redirect("projects:dataset", dataset_id)


@login_required
@require_POST
def dataset_reading(request: AuthenticatedRequest, dataset_id: UUID) -> HttpResponse:
    """A new version in which one column is read as the person chose."""
    version = changeable_version(request, dataset_id)
    column, reading = request.POST.get("column", ""), request.POST.get("reading", "")
    discards_edits = "discard_edits" in request.POST
    try:
        choose_readings(version, {column: reading}, request.user, discards_edits=discards_edits)
    except EditsWouldBeLost as refusal:
        return _confirm_loss(request, version, refusal)
    return redirect("projects:dataset", dataset_id)


def _confirm_loss(
    request: AuthenticatedRequest, version: DatasetVersion, refusal: EditsWouldBeLost
) -> HttpResponse:
    """The page that asks whether edits may be lost, with what was sent, to send it again."""
    context = {
        "team": version.dataset.project.team,
        "version": version,
        "refusal": refusal,
        "sent": [pair for pair in request.POST.items() if pair[0] not in NOT_ASKED],
    }
    return render(request, "projects/discard_edits.html", context, status=refusal.status)


@login_required
@require_POST
def dataset_fix(request: AuthenticatedRequest, dataset_id: UUID) -> HttpResponse:
    """A new version with the edits that a finding of the profile offers, by its place there."""
    version = changeable_version(request, dataset_id)
    place = parse_digits(request.POST.get("warning", ""), 8)
    is_other = bool(request.POST.get("other"))
    if place is None or not apply_fix(version, place, request.user, is_other=is_other):
        messages.info(request, "This finding has no fix. Reload the page.")
    return redirect("projects:dataset", dataset_id)


@login_required
@require_GET
def dataset_rejects(request: AuthenticatedRequest, dataset_id: UUID) -> HttpResponseBase:
    version = requested_version(request, dataset_id)
    return rejects_response(version)


@login_required
@require_GET
def dataset_thumbnail(request: AuthenticatedRequest, dataset_id: UUID, row: int) -> HttpResponse:
    """A thumbnail of one row's image. Versions never change, so browsers may keep it."""
    content = load_thumbnail(requested_version(request, dataset_id), row)
    if content is None:
        raise Http404
    answer = HttpResponse(content, content_type="image/jpeg")
    answer["Cache-Control"] = "private, max-age=604800, immutable"
    answer["Content-Disposition"] = f'inline; filename="picture-{row}.jpg"'
    return answer


def rejects_response(version: DatasetVersion) -> DetachedResponse:
    """The refused rows as a CSV download. Raises Http404 when there is none."""
    if not version.rejects_key or not storage.exists(version.rejects_key):
        raise Http404
    name = get_valid_filename(f"{version.dataset.name[:80]}-v{version.number}-rejects.csv")
    return file_download(
        storage.open_file(version.rejects_key), name, content_type="text/csv; charset=utf-8"
    )


def _requested_dataset(request: AuthenticatedRequest, project: Project) -> Dataset | None:
    """The dataset that this upload becomes the next version of, if the page says so."""
    dataset_id = request.GET.get("dataset")
    if not dataset_id:
        return None
    try:
        return get_object_or_404(Dataset, project=project, pk=UUID(dataset_id))
    except ValueError as error:
        raise Http404 from error


def _dataset_context(request: AuthenticatedRequest, dataset_id: UUID) -> dict[str, object]:
    version = requested_version(request, dataset_id)
    dataset = version.dataset
    suggested = cast(Suggestion, version.profile.get("suggested", {}))
    is_ready = version.status == ImportStatus.READY
    requested_tab = request.GET.get("tab", "")
    tab = requested_tab if requested_tab in dict(DATASET_TABS) else "rows"
    return {
        "team": dataset.project.team,
        "project": dataset.project,
        "dataset": dataset,
        "version": version,
        "again": _job_to_repeat(request),
        "version_query": f"version={version.number}&" if "version" in request.GET else "",
        "versions": list_versions([*dataset.versions.all()]),
        "is_newest": version.number == dataset.versions.first().number,  # type: ignore[union-attr]
        "may_write": has_permission(request.user, dataset.project.team, "write"),
        "trash_days": TRASH_DAYS,
        "form": DialectForm(initial=DialectForm.to_initial(version.overrides)),
        "profile": version.profile,
        "suggested": suggested,
        "targets": suggested_targets(suggested),
        "tabs": DATASET_TABS,
        "tab": tab,
        "tab_counts": {"quality": len(version.profile.get("warnings", [])) + len(version.issues)},
        **(_rows_context(request, version) if is_ready and tab == "rows" else {}),
        "uses": uses_of("dataset", dataset),
        "questions": list_questions(version),
        "training_rows": load_training_rows(
            version, suggested.get("text_columns", []), suggested_targets(suggested)
        )
        if is_ready and tab == "quality"
        else [],
        "masked_columns": version.overrides.get("mask", []),
        "personal_columns": sorted(
            {finding["column"] for finding in version.profile.get("personal_data", [])}
        ),
    }


def _job_to_repeat(request: AuthenticatedRequest) -> UUID | None:
    """The fine-tune whose settings the next one shall start with, if the address names one."""
    try:
        return UUID(request.GET.get("again", ""))
    except ValueError:
        return None


def _rows_context(request: AuthenticatedRequest, version: DatasetVersion) -> dict[str, object]:
    """The rows asked for; a question that makes no sense is refused beside its form."""
    if not version.columns:
        return {}
    form = RowsForm(version, request.GET)
    context: dict[str, object] = {"rows_form": form, "edit_form": RowEditForm(version)}
    if form.is_valid():
        with refusals_on(form):
            query = form.to_query()
            page = load_rows(version, query)
            context["table"] = build_row_table(version, page, query, request.GET)
            if image_column(version):
                context["pictures"] = build_gallery(version, page)
    return context


def requested_version(request: AuthenticatedRequest, dataset_id: UUID) -> DatasetVersion:
    """The version in the address, else the newest."""
    versions = DatasetVersion.objects.visible_to(request.user).filter(dataset=dataset_id)
    number = request.GET.get("version", "")
    if number.isdecimal() and len(number) < 9:
        versions = versions.filter(number=int(number))
    newest = versions.select_related("dataset__project__team").order_by("-number").first()
    if newest is None:
        if Dataset.objects.purged_of(request.user).filter(pk=dataset_id).exists():
            raise DatasetPurged
        raise Http404
    return newest


def changeable_version(request: AuthenticatedRequest, dataset_id: UUID) -> DatasetVersion:
    """The same for somebody who may change it. Raises DatasetNotReady while it is importing."""
    version = requested_version(request, dataset_id)
    require_permission(request.user, version.dataset.project.team, "write")
    if version.status == ImportStatus.IMPORTING:
        raise DatasetNotReady("This version is still importing. Wait until it is done.")
    return version


def _latest_visible_version(user: User | AnonymousUser, dataset_id: UUID) -> DatasetVersion:
    versions = DatasetVersion.objects.visible_to(user).filter(dataset=dataset_id)
    newest = versions.order_by("-number").first()
    if newest is None:
        raise Http404
    return newest
