"""Resumable uploads: tus 1.0.0 with its extensions creation, termination and expiration
(https://tus.io/protocols/resumable-upload). A finished upload is named in the upload form, which
makes a dataset version of it."""

import base64
import binascii
from collections.abc import Callable
from functools import partial, wraps
from uuid import UUID

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.http import http_date

from accounts.permissions import require_permission
from projects.importing import resumable_uploads
from projects.models import Project
from projects.models.resumable_upload import LIFETIME, ResumableUpload
from web.errors import UserError
from web.requests import AuthenticatedRequest
from web.validation.values import parse_digits

VERSION, EXTENSIONS = "1.0.0", "creation,termination,expiration"
PART_TYPE = "application/offset+octet-stream"
CHUNK_BYTES = 1024 * 1024
View = Callable[..., HttpResponse]


def _tus(*methods: str) -> Callable[[View], View]:
    """Answers OPTIONS, refuses other methods, and says refusals as JSON."""

    def decorate(view: View) -> View:
        @wraps(view)
        def answer(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
            if request.method == "OPTIONS":
                response = HttpResponse(status=204)
                response["Tus-Version"], response["Tus-Extension"] = VERSION, EXTENSIONS
                response["Tus-Max-Size"] = str(settings.MAX_UPLOAD_BYTES)
            elif request.method not in methods:
                response = HttpResponse(status=405)
                response["Allow"] = ", ".join(["OPTIONS", *methods])
            else:
                try:
                    response = view(request, *args, **kwargs)
                except UserError as problem:
                    response = _refusal(problem.status, problem.sentence, problem.code)
            response["Tus-Resumable"] = VERSION
            response["Cache-Control"] = "no-store"
            return response

        return answer

    return decorate


@login_required
@_tus("POST")
def begin(request: AuthenticatedRequest, project_id: UUID) -> HttpResponse:
    """A new upload of so many bytes; its address is in Location."""
    project = get_object_or_404(Project.objects.visible_to(request.user), pk=project_id)
    require_permission(request.user, project.team, "write")
    if (refusal := _refuse_other_version(request)) is not None:
        return refusal
    size = parse_digits(request.headers.get("Upload-Length", ""), 15)
    if size is None:
        return _refusal(400, "Upload-Length must say how many bytes the file has.")
    upload = resumable_uploads.begin(project, request.user, _filename(request), size)
    response = _with_offset(upload, HttpResponse(status=201))
    response["Location"] = reverse("projects:resumable-upload", args=[project.pk, upload.pk])
    return response


@login_required
@_tus("HEAD", "PATCH", "DELETE")
def upload(request: AuthenticatedRequest, project_id: UUID, upload_id: UUID) -> HttpResponse:
    """HEAD says how much is here, PATCH brings more, DELETE gives up."""
    mine = ResumableUpload.objects.visible_to(request.user).filter(created_by=request.user)
    row = get_object_or_404(mine, pk=upload_id, project=project_id)
    if (refusal := _refuse_other_version(request)) is not None:
        return refusal
    if request.method == "HEAD":
        response = _with_offset(row, HttpResponse())
        response["Upload-Length"] = str(row.size)
        return response
    require_permission(request.user, row.project.team, "write")
    if request.method == "DELETE":
        resumable_uploads.discard(row)
        return HttpResponse(status=204)
    if request.content_type != PART_TYPE:
        return _refusal(415, f"A part is sent as {PART_TYPE}.")
    offset = parse_digits(request.headers.get("Upload-Offset", ""), 15)
    if offset is None:
        return _refusal(400, "Upload-Offset must say how many bytes came before.")
    parts = iter(partial(request.read, CHUNK_BYTES), b"")
    row.received = resumable_uploads.add_part(row, offset, parts)
    return _with_offset(row, HttpResponse(status=204))


def _with_offset(row: ResumableUpload, response: HttpResponse) -> HttpResponse:
    response["Upload-Offset"] = str(row.received)
    response["Upload-Expires"] = http_date((row.touched_at + LIFETIME).timestamp())
    return response


def _refuse_other_version(request: HttpRequest) -> HttpResponse | None:
    """The answer to a client of another version of the protocol; None where it speaks ours."""
    if request.headers.get("Tus-Resumable") == VERSION:
        return None
    response = _refusal(412, "This server speaks tus 1.0.0.")
    response["Tus-Version"] = VERSION
    return response


def _refusal(status: int, sentence: str, code: str = "bad_upload") -> HttpResponse:
    return JsonResponse({"error": {"code": code, "message": sentence}}, status=status)


def _filename(request: HttpRequest) -> str:
    """Out of Upload-Metadata: pairs of a key and a base64 value, with commas between them."""
    for pair in request.headers.get("Upload-Metadata", "").split(","):
        key, _, value = pair.strip().partition(" ")
        if key == "filename":
            try:
                decoded = base64.b64decode(value, validate=True).decode("utf-8", "replace")
            except binascii.Error:
                return "upload"
            return decoded.replace("\0", "")
    return "upload"
