"""Uploads that arrive in parts. Each part is put into storage, so that any process can go on."""

import tempfile
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

from django.conf import settings
from django.db.models import Sum
from django.utils.timezone import now

from accounts.models import User
from accounts.storage_quota import require_room
from projects import storage
from projects.errors import (
    BadUpload,
    TooManyUploads,
    UploadOutOfStep,
    UploadTooLarge,
)
from projects.models import Project
from projects.models.resumable_upload import LIFETIME, ResumableUpload

MAX_PART_BYTES = 64 * 1024**2
MAX_PENDING_PER_PERSON = 10
CHUNK_BYTES = 1024 * 1024


def begin(project: Project, by: User, filename: str, size: int) -> ResumableUpload:
    """Begin an upload of `size` bytes. Raises UploadTooLarge, StorageFull, TooManyUploads, or
    BadUpload for an empty file."""
    if size > settings.MAX_UPLOAD_BYTES:
        raise UploadTooLarge
    if not size:
        raise BadUpload("This file is empty: it has no bytes.", param="file")
    pending = ResumableUpload.objects.filter(created_by=by)
    if pending.count() >= MAX_PENDING_PER_PERSON:
        raise TooManyUploads
    announced = pending.filter(project__team=project.team).aggregate(sum=Sum("size"))["sum"] or 0
    require_room(project.team, size + announced)
    return ResumableUpload.objects.create(
        project=project, created_by=by, filename=filename[:255] or "upload", size=size
    )


def add_part(upload: ResumableUpload, offset: int, chunks: Iterable[bytes]) -> int:
    """Store the bytes that follow `offset`; returns how many bytes have arrived now.

    Raises UploadOutOfStep unless exactly `offset` bytes have arrived, and BadUpload for more bytes
    than were announced or than one part may hold.
    """
    if offset != upload.received:
        raise UploadOutOfStep
    key, size = f"{upload.folder}/{uuid.uuid4()}", 0
    with tempfile.NamedTemporaryFile(prefix="upload-part-") as sink:
        for chunk in chunks:
            size += len(chunk)
            if size > min(MAX_PART_BYTES, upload.size - offset):
                raise BadUpload("This part is longer than what is missing of the file.")
            sink.write(chunk)
        sink.flush()
        if not size:
            return offset
        storage.put_file(key, Path(sink.name))
    # Of two requests that send the same part, only one updates the row.
    is_first = ResumableUpload.objects.filter(pk=upload.pk, received=offset).update(
        received=offset + size, parts=[*upload.parts, key], touched_at=now()
    )
    if not is_first:
        storage.delete(key)
        raise UploadOutOfStep
    return offset + size


def read_chunks(upload: ResumableUpload) -> Iterator[bytes]:
    """The bytes of the whole file. Raises BadUpload while parts are missing."""
    if not upload.is_complete:
        raise BadUpload("This file has not arrived whole yet.", param="file")
    for key in upload.parts:
        with storage.open_file(key) as part:
            while chunk := part.read(CHUNK_BYTES):
                yield chunk


def discard(upload: ResumableUpload) -> None:
    """Delete an upload and its parts."""
    storage.delete(upload.folder)
    ResumableUpload.objects.filter(pk=upload.pk).delete()


def delete_abandoned() -> None:
    """Delete uploads that got no part within LIFETIME, 100 at a time."""
    for upload in ResumableUpload.objects.filter(touched_at__lt=now() - LIFETIME)[:100]:
        discard(upload)
