"""Pages of one dataset: upload, the imported table with its profile, another reading of it."""

from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.text import get_valid_filename
from django.views.decorators.http import require_GET, require_POST

from accounts.access import can, require
from accounts.models import User
from projects import pictures, preview, storage
from projects.errors import DatasetNotReady
from projects.forms import DialectForm, UploadForm
from projects.importing import channel_of
from projects.models import Dataset, DatasetVersion, ImportStatus, Project
from projects.uploading import Upload, import_again, receive
from web import live


@login_required
def upload(request: HttpRequest, project_id: UUID) -> HttpResponse:
    project = get_object_or_404(Project.objects.visible_to(request.user), pk=project_id)
    require(_user(request), project.team, "write")
    target = _dataset_asked_for(request, project)
    sent = (request.POST, request.FILES) if request.method == "POST" else ()
    form = UploadForm(*sent, is_version=bool(target))
    if form.is_valid():
        came = _receive(request, form, project, target)
        if came.is_repeat:
            messages.info(request, f"These are the same bytes as version {came.version.number}.")
        return redirect("projects:dataset", came.version.dataset_id)
    context = {"team": project.team, "project": project, "dataset": target, "form": form}
    return render(request, "projects/upload.html", context)


@login_required
@require_GET
def dataset(request: HttpRequest, dataset_id: UUID) -> HttpResponse:
    return render(request, "projects/dataset.html", _dataset_context(request, dataset_id))


@login_required
@require_GET
def dataset_status(request: HttpRequest, dataset_id: UUID) -> HttpResponse:
    return render(request, "projects/_dataset_body.html", _dataset_context(request, dataset_id))


async def dataset_live(request: HttpRequest, dataset_id: UUID) -> HttpResponseBase:
    """Server-sent events of the newest version's import; strangers and guests get 404."""
    user = await request.auser()
    newest = await sync_to_async(_newest_visible)(user, dataset_id)
    return live.stream(channel_of(newest))


@login_required
@require_POST
def reimport(request: HttpRequest, dataset_id: UUID) -> HttpResponse:
    version = _version_for_change(request, dataset_id)
    form = DialectForm(request.POST)
    if not form.is_valid():
        context = _dataset_context(request, dataset_id) | {"form": form}
        return render(request, "projects/dataset.html", context, status=400)
    masked = {key: value for key, value in version.overrides.items() if key == "mask"}
    import_again(version, form.overrides() | masked, _user(request))
    return redirect("projects:dataset", dataset_id)


@login_required
@require_POST
def mask(request: HttpRequest, dataset_id: UUID) -> HttpResponse:
    """A new version in which personal data in the named columns is replaced by its kind."""
    version = _version_for_change(request, dataset_id)
    names = {column["name"] for column in version.columns}
    chosen = [name for name in request.POST.getlist("column") if name in names]
    if not chosen:
        messages.info(request, "Choose at least one column to mask.")
        return redirect("projects:dataset", dataset_id)
    already = version.overrides.get("mask", [])
    overrides = version.overrides | {"mask": sorted({*already, *chosen})}
    import_again(version, overrides, _user(request))
    return redirect("projects:dataset", dataset_id)


@login_required
@require_GET
def rejects(request: HttpRequest, dataset_id: UUID) -> HttpResponseBase:
    version = _version_shown(request, dataset_id)
    return rejects_file(version)


@login_required
@require_GET
def picture(request: HttpRequest, dataset_id: UUID, row: int) -> HttpResponse:
    """A thumbnail of one row's picture. Versions never change, so browsers may keep it."""
    content = pictures.thumbnail(_version_shown(request, dataset_id), row)
    if content is None:
        raise Http404
    answer = HttpResponse(content, content_type="image/jpeg")
    answer["Cache-Control"] = "private, max-age=604800, immutable"
    answer["Content-Disposition"] = f'inline; filename="picture-{row}.jpg"'
    return answer


def rejects_file(version: DatasetVersion) -> FileResponse:
    """The refused rows as a CSV download. Raises Http404 when there is none."""
    if not version.rejects_key or not storage.exists(version.rejects_key):
        raise Http404
    name = get_valid_filename(f"{version.dataset.name[:80]}-v{version.number}-rejects.csv")
    return FileResponse(
        storage.open_file(version.rejects_key),
        as_attachment=True,
        filename=name,
        content_type="text/csv; charset=utf-8",
    )


def _receive(
    request: HttpRequest, form: UploadForm, project: Project, target: Dataset | None
) -> Upload:
    file = form.cleaned_data["file"]
    return receive(
        project=project,
        filename=file.name,
        chunks=file.chunks(),
        by=_user(request),
        name=form.cleaned_data.get("name", ""),
        dataset=target,
    )


def _dataset_asked_for(request: HttpRequest, project: Project) -> Dataset | None:
    """The dataset that this upload becomes the next version of, if the page says so."""
    asked = request.GET.get("dataset")
    if not asked:
        return None
    try:
        return get_object_or_404(Dataset, project=project, pk=UUID(asked))
    except ValueError as error:
        raise Http404 from error


def _dataset_context(request: HttpRequest, dataset_id: UUID) -> dict[str, Any]:
    version = _version_shown(request, dataset_id)
    found = version.dataset
    suggested = version.profile.get("suggested", {})
    is_ready = version.status == ImportStatus.READY
    return {
        "team": found.project.team,
        "project": found.project,
        "dataset": found,
        "version": version,
        "versions": found.versions.all(),
        "is_newest": version.number == found.versions.first().number,  # type: ignore[union-attr]
        "may_write": can(_user(request), found.project.team, "write"),
        "form": DialectForm(initial=DialectForm.spelled(version.overrides)),
        "profile": version.profile,
        "suggested": suggested,
        "sample": preview.sample(version) if is_ready else [],
        "gallery": _gallery(version, suggested) if is_ready else [],
        "training_rows": _training_rows(version, suggested) if is_ready else [],
        "masked_columns": version.overrides.get("mask", []),
        "personal_columns": sorted(
            {found["column"] for found in version.profile.get("personal_data", [])}
        ),
    }


def _gallery(version: DatasetVersion, suggested: dict[str, Any]) -> list[dict[str, Any]]:
    if pictures.picture_column(version) is None:
        return []
    return pictures.gallery(version, suggested.get("target_column"))


def _training_rows(version: DatasetVersion, suggested: dict[str, Any]) -> list[dict[str, Any]]:
    return preview.rows(version, suggested.get("text_columns", []), suggested.get("target_column"))


def _version_shown(request: HttpRequest, dataset_id: UUID) -> DatasetVersion:
    """The version in the address, else the newest."""
    versions = DatasetVersion.objects.visible_to(request.user).filter(dataset=dataset_id)
    asked = request.GET.get("version", "")
    if asked.isdecimal() and len(asked) < 9:
        versions = versions.filter(number=int(asked))
    newest = versions.select_related("dataset__project__team").order_by("-number").first()
    if newest is None:
        raise Http404
    return newest


def _version_for_change(request: HttpRequest, dataset_id: UUID) -> DatasetVersion:
    version = _version_shown(request, dataset_id)
    require(_user(request), version.dataset.project.team, "write")
    if version.status == ImportStatus.IMPORTING:
        raise DatasetNotReady("This version is still importing. Wait until it is done.")
    return version


def _newest_visible(user: Any, dataset_id: UUID) -> DatasetVersion:
    versions = DatasetVersion.objects.visible_to(user).filter(dataset=dataset_id)
    newest = versions.order_by("-number").first()
    if newest is None:
        raise Http404
    return newest


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user
