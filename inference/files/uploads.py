"""Files that arrive in parts: begun, filled, then completed or cancelled."""

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils.timezone import now

from accounts.models import ApiToken, User
from accounts.permissions import require_permission
from accounts.storage_quota import StorageFull, require_room
from inference.errors import UploadNotPending
from inference.files.storing import read_chunks, store_upload
from inference.models import FileUpload, FileUploadPart, Purpose
from projects import storage
from projects.errors import BadUpload, UploadTooLarge
from projects.models import Project

LIFETIME = timedelta(hours=1)
MAX_PART_BYTES = 64 * 1024**2


def begin(
    project: Project, by: User | ApiToken, *, purpose: Purpose, filename: str, size: int,
    mime_type: str, lifetime_seconds: int | None,
) -> FileUpload:  # fmt: skip
    """Raises UploadTooLarge, or NotAllowed."""
    require_permission(by, project.team, "write")
    if size > settings.MAX_UPLOAD_BYTES:
        raise UploadTooLarge(param="bytes")
    return FileUpload.objects.create(
        team=project.team,
        purpose=purpose,
        filename=filename,
        bytes=size,
        mime_type=mime_type,
        expires_at=now() + LIFETIME,
        file_lifetime_seconds=lifetime_seconds,
    )


def add_part(upload: FileUpload, by: User | ApiToken, chunks: Iterator[bytes]) -> FileUploadPart:
    """Keep some of the bytes. Raises UploadNotPending, BadUpload, StorageFull or NotAllowed."""
    require_permission(by, upload.team, "write")
    _require_pending(upload)
    part = FileUploadPart(upload=upload, bytes=0)
    part.storage_key = f"api-uploads/{upload.pk}/{part.pk}"
    with tempfile.NamedTemporaryFile(prefix="upload-part-") as sink:
        for chunk in chunks:
            part.bytes += len(chunk)
            if part.bytes > MAX_PART_BYTES:
                raise BadUpload(
                    f"A part holds at most {MAX_PART_BYTES // 1024**2} MiB.", param="data"
                )
            sink.write(chunk)
        sink.flush()
        if not part.bytes:
            raise BadUpload("This part is empty: it has no bytes.", param="data")
        storage.put_file(part.storage_key, Path(sink.name))
    try:
        with transaction.atomic():
            require_room(upload.team, part.bytes)
            part.save(force_insert=True)
    except StorageFull:
        storage.delete(part.storage_key)
        raise
    return part


def complete(
    upload: FileUpload, project: Project, by: User | ApiToken, part_ids: Sequence[UUID],
    md5: str | None,
) -> FileUpload:  # fmt: skip
    """Make one file of the parts, in the order of their ids.

    Raises UploadNotPending, or BadUpload when bytes or checksum are not as announced.
    """
    with transaction.atomic():
        upload = FileUpload.objects.select_for_update(of=("self",)).get(pk=upload.pk)
        _require_pending(upload)
        parts = {part.pk: part for part in upload.parts.all()}
        unknown = [part_id for part_id in part_ids if part_id not in parts]
        if unknown or len(set(part_ids)) != len(part_ids):
            raise BadUpload("part_ids must name parts of this upload, once each.", param="part_ids")
        ordered = [parts[part_id] for part_id in part_ids]
        size = sum(part.bytes for part in ordered)
        if size != upload.bytes:
            raise BadUpload(
                f"The parts hold {size:,} bytes; this upload was to hold {upload.bytes:,}.",
                param="part_ids",
            )
        if md5 is not None and _md5_of(ordered) != md5.lower():
            raise BadUpload("The parts do not have this checksum.", param="md5")
        upload.file = store_upload(
            project=project,
            by=by,
            filename=upload.filename,
            purpose=Purpose(upload.purpose),
            chunks=_chunks_of(ordered),
            lifetime_seconds=upload.file_lifetime_seconds,
        )
        upload.save(update_fields=["file"])
    _delete_parts(upload)
    return upload


def cancel(upload: FileUpload, by: User | ApiToken) -> FileUpload:
    """Raises UploadNotPending, or NotAllowed."""
    require_permission(by, upload.team, "write")
    _require_pending(upload)
    pending = FileUpload.objects.filter(pk=upload.pk, file=None, cancelled_at=None)
    if not pending.update(cancelled_at=now()):
        raise UploadNotPending
    _delete_parts(upload)
    upload.refresh_from_db()
    return upload


def delete_abandoned() -> None:
    """Free what uploads hold that were never completed."""
    for upload in FileUpload.objects.filter(expires_at__lte=now(), parts__isnull=False).distinct():
        _delete_parts(upload)


def _require_pending(upload: FileUpload) -> None:
    if upload.status != "pending":
        raise UploadNotPending(f"This upload is {upload.status}. Begin another one.")


def _chunks_of(parts: Sequence[FileUploadPart]) -> Iterator[bytes]:
    for part in parts:
        with storage.open_file(part.storage_key) as source:
            yield from read_chunks(source)


def _md5_of(parts: Sequence[FileUploadPart]) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    for chunk in _chunks_of(parts):
        digest.update(chunk)
    return digest.hexdigest()


def _delete_parts(upload: FileUpload) -> None:
    storage.delete(f"api-uploads/{upload.pk}")
    upload.parts.all().delete()
