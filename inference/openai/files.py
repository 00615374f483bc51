"""/v1/files and /v1/uploads."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.permissions import token_of
from inference.errors import NoSuchObject
from inference.files import storing, uploads
from inference.models import ApiFile, FileUpload, Purpose
from inference.openai.wire import (
    JsonObject,
    OpenAiView,
    find_object,
    list_page,
    named_project,
    parse_body,
    parse_id,
    unix_time,
    wire_id,
)
from projects import storage
from projects.models import ImportStatus
from web.api import BadParameter
from web.streams.detached import DetachedResponse
from web.streams.downloads import file_download
from web.validation.parsers import JSONParser, MultiPartParser

FILE, UPLOAD, PART = "file-", "upload_", "part_"
MAX_FILES = 10_000
ACCEPTED = (Purpose.FINE_TUNE, Purpose.BATCH)
FILE_STATUSES = {
    ImportStatus.IMPORTING: "uploaded",
    ImportStatus.READY: "processed",
    ImportStatus.FAILED: "error",
}


class ExpiresAfter(BaseModel):
    anchor: Literal["created_at"]
    seconds: Annotated[int, Field(ge=3600, le=2_592_000)]


class FileFields(BaseModel):
    """What a form for one file says of its lifetime."""

    expires_after: ExpiresAfter


class UploadBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    filename: Annotated[str, Field(min_length=1, max_length=255)]
    purpose: str
    bytes: Annotated[int, Field(ge=1)]
    mime_type: Annotated[str, Field(max_length=100)]
    expires_after: ExpiresAfter | None = None


class CompletionBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    part_ids: Annotated[list[str], Field(min_length=1, max_length=10_000)]
    md5: str | None = None


def file_object(file: ApiFile) -> JsonObject:
    """A file on the wire. A training file is `processed` once it is imported as a dataset."""
    version = file.dataset_version
    content: JsonObject = {
        "id": wire_id(FILE, file.pk),
        "object": "file",
        "bytes": file.bytes,
        "created_at": unix_time(file.created_at),
        "filename": file.filename,
        "purpose": file.purpose,
        "status": FILE_STATUSES[ImportStatus(version.status)] if version else "processed",
    }
    if file.expires_at is not None:
        content["expires_at"] = unix_time(file.expires_at)
    if version is not None and version.failure_sentence:
        content["status_details"] = version.failure_sentence
    return content


def find_file(request: Request, file_id: str, param: str = "id") -> ApiFile:
    files = ApiFile.objects.visible_to(request.auth).current().select_related("dataset_version")
    return find_object(files, FILE, file_id, "File", param)


class FilesView(OpenAiView):
    parser_classes = [MultiPartParser]

    def get(self, request: Request) -> Response:
        files = ApiFile.objects.visible_to(request.auth).current()
        if (purpose := request.query_params.get("purpose")) is not None:
            files = files.filter(purpose=purpose)
        page = list_page(
            request,
            files.select_related("dataset_version"),
            FILE,
            file_object,
            default_limit=MAX_FILES,
            max_limit=MAX_FILES,
        )
        return Response(page)

    def post(self, request: Request) -> Response:
        token, sent, fields = token_of(request), request.FILES.get("file"), request.POST
        purpose = _accepted_purpose(fields.get("purpose"))
        if sent is None:
            raise BadParameter("file is required: send it as multipart/form-data.", param="file")
        expiry = None
        if "expires_after[seconds]" in fields:
            names = ("anchor", "seconds")
            sent_expiry = {name: fields.get(f"expires_after[{name}]") for name in names}
            parsed = parse_body(FileFields, {"expires_after": sent_expiry})
            expiry = parsed.expires_after.seconds
        file = storing.store_upload(
            project=named_project(request) or storing.default_project(token.team, token),
            by=token,
            filename=sent.name or "",
            purpose=purpose,
            chunks=sent.chunks(),
            lifetime_seconds=expiry,
        )
        return Response(file_object(file))


def _accepted_purpose(purpose: object) -> Purpose:
    if purpose not in [one.value for one in ACCEPTED]:
        offered = " or ".join(ACCEPTED)
        reason = f"{str(purpose)[:40]!r} is not served here" if purpose else "it is required"
        raise BadParameter(f"purpose: {reason}. Use {offered}.", param="purpose")
    return Purpose(str(purpose))


class FileView(OpenAiView):
    def get(self, request: Request, file_id: str) -> Response:
        return Response(file_object(find_file(request, file_id)))

    def delete(self, request: Request, file_id: str) -> Response:
        storing.delete_file(find_file(request, file_id), token_of(request))
        return Response({"id": file_id, "object": "file", "deleted": True})


class FileContentView(OpenAiView):
    def get(self, request: Request, file_id: str) -> DetachedResponse:
        """The bytes as they came."""
        file = find_file(request, file_id)
        try:
            opened = storage.open_file(file.storage_key)
        except FileNotFoundError as error:  # Such as a purge that is under way.
            raise NoSuchObject(f"The content of {file_id[:100]!r} is gone.", param="id") from error
        return file_download(opened, file.filename, content_type="application/octet-stream")


def upload_object(upload: FileUpload) -> JsonObject:
    return {
        "id": wire_id(UPLOAD, upload.pk),
        "object": "upload",
        "bytes": upload.bytes,
        "created_at": unix_time(upload.created_at),
        "expires_at": unix_time(upload.expires_at),
        "filename": upload.filename,
        "purpose": upload.purpose,
        "status": upload.status,
        "file": file_object(upload.file) if upload.file else None,
    }


def _find_upload(request: Request, upload_id: str) -> FileUpload:
    visible = FileUpload.objects.visible_to(request.auth)
    return find_object(visible, UPLOAD, upload_id, "Upload", "upload_id")


class UploadsView(OpenAiView):
    def post(self, request: Request) -> Response:
        token, body = token_of(request), parse_body(UploadBody, request.data)
        upload = uploads.begin(
            named_project(request) or storing.default_project(token.team, token),
            token,
            purpose=_accepted_purpose(body.purpose),
            filename=body.filename,
            size=body.bytes,
            mime_type=body.mime_type,
            lifetime_seconds=body.expires_after.seconds if body.expires_after else None,
        )
        return Response(upload_object(upload))


class UploadPartsView(OpenAiView):
    parser_classes = [MultiPartParser]

    def post(self, request: Request, upload_id: str) -> Response:
        upload, sent = _find_upload(request, upload_id), request.FILES.get("data")
        if sent is None:
            raise BadParameter("data is required: send it as multipart/form-data.", param="data")
        part = uploads.add_part(upload, token_of(request), sent.chunks())
        return Response(
            {
                "id": wire_id(PART, part.pk),
                "object": "upload.part",
                "created_at": unix_time(part.created_at),
                "upload_id": upload_id,
            }
        )


class UploadCompleteView(OpenAiView):
    parser_classes = [JSONParser]

    def post(self, request: Request, upload_id: str) -> Response:
        upload, body = _find_upload(request, upload_id), parse_body(CompletionBody, request.data)
        keys = [parse_id(PART, part_id) for part_id in body.part_ids]
        known = [key for key in keys if key is not None]
        if len(known) < len(keys):
            raise NoSuchObject("part_ids must name parts of this upload.", param="part_ids")
        token = token_of(request)
        project = named_project(request) or storing.default_project(token.team, token)
        return Response(upload_object(uploads.complete(upload, project, token, known, body.md5)))


class UploadCancelView(OpenAiView):
    def post(self, request: Request, upload_id: str) -> Response:
        upload = _find_upload(request, upload_id)
        return Response(upload_object(uploads.cancel(upload, token_of(request))))
