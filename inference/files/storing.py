"""Keeps the files of the OpenAI-compatible API: training files as datasets, others as they are."""

import tempfile
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils.timezone import now

from accounts import audit
from accounts.models import ApiToken, Team, User
from accounts.permissions import person_behind, require_permission
from accounts.storage_quota import StorageFull, require_room
from inference.files.training_lines import check_training_lines
from inference.models import ApiFile, FileUploadPart, Purpose
from projects import storage
from projects.errors import BadUpload, UploadTooLarge
from projects.importing.uploads import receive_upload
from projects.lifecycle import FIRST_PROJECT_NAME, create_project
from projects.models import Dataset, Project

CHUNK_BYTES = 1024 * 1024


def store_upload(
    *,
    project: Project,
    by: User | ApiToken,
    filename: str,
    purpose: Purpose,
    chunks: Iterable[bytes],
    lifetime_seconds: int | None = None,
) -> ApiFile:
    """Keep what a client sends. A training file's import begins at once.

    Raises BadUpload naming the line at fault, UploadTooLarge, StorageFull or NotAllowed.
    """
    require_permission(by, project.team, "write")
    name = _base_name(filename, purpose)
    with tempfile.TemporaryDirectory(prefix="api-file-") as folder:
        path = Path(folder) / "file"
        size = _write_limited(chunks, path)
        file = ApiFile(
            team=project.team,
            created_by=person_behind(by),
            purpose=purpose,
            filename=name,
            bytes=size,
            expires_at=now() + timedelta(seconds=lifetime_seconds) if lifetime_seconds else None,
        )
        if purpose == Purpose.FINE_TUNE:
            _store_training_file(file, path, project, by)
        else:
            file.storage_key = f"files/{file.pk}"
            storage.put_file(file.storage_key, path)
    try:
        with transaction.atomic():
            if file.dataset_version is None:  # Else receive_upload has counted the bytes.
                require_room(file.team, file.bytes)
            file.save(force_insert=True)
            audit.record(file.team, by, "file.uploaded", name, file=str(file.pk))
    except StorageFull:
        storage.delete(file.storage_key)
        raise
    return file


def _base_name(filename: str, purpose: Purpose) -> str:
    """Without folders. Raises BadUpload for another kind of file."""
    name = PurePosixPath(filename.replace("\\", "/")).name[:255] or "upload.jsonl"
    if not name.lower().endswith(".jsonl"):
        raise BadUpload(
            f"A file for {purpose.value} must be JSON lines, and its name must end in .jsonl.",
            param="file",
        )
    return name


def stored(team: Team) -> list[tuple[QuerySet[Any, Any], str]]:
    """What a team keeps in files of its own and in parts of unfinished uploads. The bytes of a
    training file are its dataset version's."""
    files = ApiFile.objects.filter(team=team, deleted_at=None, dataset_version=None)
    parts = FileUploadPart.objects.filter(upload__team=team)
    return [(files, "bytes"), (parts, "bytes")]


def _write_limited(chunks: Iterable[bytes], path: Path) -> int:
    size = 0
    with path.open("wb") as sink:
        for chunk in chunks:
            size += len(chunk)
            if size > settings.MAX_UPLOAD_BYTES:
                raise UploadTooLarge(param="file")
            sink.write(chunk)
    if not size:
        raise BadUpload("This file is empty: it has no bytes.", param="file")
    return size


def _store_training_file(file: ApiFile, path: Path, project: Project, by: User | ApiToken) -> None:
    with path.open("rb") as source:
        file.line_problems = check_training_lines(source).problems
        source.seek(0)
        version = receive_upload(
            project=project, filename=file.filename, chunks=read_chunks(source), by=by
        ).version
    file.pk, file.dataset_version = version.pk, version
    file.storage_key = version.upload_key


def store_made(
    team: Team,
    created_by: User | None,
    *,
    purpose: Purpose,
    filename: str,
    path: Path,
    expires_at: datetime | None = None,
) -> ApiFile:
    """Keep a file that a job or batch made."""
    file = ApiFile(
        team=team,
        created_by=created_by,
        purpose=purpose,
        filename=filename,
        bytes=path.stat().st_size,
        expires_at=expires_at,
    )
    file.storage_key = f"files/{file.pk}"
    storage.put_file(file.storage_key, path)
    file.save(force_insert=True)
    return file


def delete_file(file: ApiFile, by: User | ApiToken) -> None:
    """Take a file away. A training file's dataset is archived: finished models still name it."""
    require_permission(by, file.team, "write")
    with transaction.atomic():
        deleted = ApiFile.objects.filter(pk=file.pk, deleted_at=None).update(deleted_at=now())
        if not deleted:
            return
        audit.record(file.team, by, "file.deleted", file.filename, file=str(file.pk))
        if file.dataset_version is not None:
            dataset = Dataset.objects.filter(pk=file.dataset_version.dataset_id, archived_at=None)
            dataset.update(archived_at=now())
            return
    storage.delete(file.storage_key)


def delete_expired() -> None:
    """Free the storage of files that have expired, training files excepted."""
    expired = ApiFile.objects.filter(expires_at__lte=now(), deleted_at=None, dataset_version=None)
    for file in expired.iterator():
        storage.delete(file.storage_key)
        ApiFile.objects.filter(pk=file.pk).update(deleted_at=now())


def default_project(team: Team, by: User | ApiToken) -> Project:
    """Where files go when the client names no project: the team's oldest."""
    oldest = Project.objects.active().filter(team=team).order_by("created_at").first()
    return oldest or create_project(team, FIRST_PROJECT_NAME, by)


def read_chunks(source: BinaryIO) -> Iterator[bytes]:
    while chunk := source.read(CHUNK_BYTES):
        yield chunk
