"""Receives uploads: hashes and stores the file, creates a version, and enqueues its import."""

import hashlib
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from django.conf import settings
from django.db import transaction
from django.db.models import Max

from accounts import audit
from accounts.models import ApiToken, User
from accounts.permissions import person_behind
from accounts.storage_quota import StorageFull, require_room
from projects import storage
from projects.errors import BadUpload, UploadTooLarge
from projects.importing.imports import IMPORT_TASK
from projects.models import Dataset, DatasetVersion, ImportStatus, Project
from projects.reading.results import ReadingOptions
from web.browser.trash import InTrash, require_present
from web.enqueue import enqueue_on_commit
from web.rate_limits.actions import require_rate

READING_OPTIONS = ReadingOptions.__optional_keys__


@dataclass(frozen=True)
class UploadResult:
    """The version of an upload. `is_duplicate`: the newest version already has these bytes."""

    version: DatasetVersion
    is_duplicate: bool = False


@dataclass(frozen=True)
class _HashedFile:
    path: Path
    size: int
    sha256: str


def receive_upload(
    *,
    project: Project,
    filename: str,
    chunks: Iterable[bytes],
    by: User | ApiToken | None,
    name: str = "",
    dataset: Dataset | None = None,
) -> UploadResult:
    """Store an upload as a new dataset, or as the next version of `dataset`, and start its import.

    Raises UploadTooLarge, BadUpload, StorageFull or InTrash; then nothing is kept.
    """
    require_rate("uploads", project.team_id)
    with tempfile.TemporaryDirectory(prefix="upload-") as folder:
        received = _write_and_hash(chunks, Path(folder) / "upload")
        if not received.size:
            raise BadUpload("This file is empty: it has no bytes.", param="file")
        repeated = _find_identical_version(dataset, received.sha256)
        if repeated:
            return UploadResult(repeated, is_duplicate=True)
        version = _store_version(received, _display_name(filename), by)
    try:
        with transaction.atomic():
            require_room(project.team, received.size)
            version.dataset = dataset or Dataset.objects.create(
                project=project,
                name=(name.strip() or version.filename)[:255],
                created_by=person_behind(by) if by else None,
            )
            _save_and_enqueue(version, by, "dataset.uploaded")
    except (StorageFull, InTrash):
        storage.delete(version.upload_key)
        raise
    return UploadResult(version)


def reimport(
    version: DatasetVersion, overrides: ReadingOptions, by: User | ApiToken
) -> DatasetVersion:
    """A new version of the same file, read with other options. Versions never change."""
    require_rate("uploads", version.dataset.project.team_id)
    options = {key: value for key, value in overrides.items() if key in READING_OPTIONS}
    successor = DatasetVersion(
        dataset=version.dataset,
        filename=version.filename,
        upload_key=version.upload_key,
        upload_bytes=version.upload_bytes,
        upload_sha256=version.upload_sha256,
        overrides=options,
        created_by=person_behind(by),
    )
    with transaction.atomic():
        require_room(version.dataset.project.team, 0)
        _save_and_enqueue(successor, by, "dataset.imported-again")
    return successor


def _save_and_enqueue(version: DatasetVersion, by: User | ApiToken | None, action: str) -> None:
    """Give the version the next number, save it and enqueue its import. The lock on the dataset's
    row keeps numbers unique."""
    dataset = Dataset.objects.select_for_update().get(pk=version.dataset_id)
    require_present(dataset.project, dataset)
    version.number = (dataset.versions.aggregate(last=Max("number"))["last"] or 0) + 1
    version.save()
    project = dataset.project
    target = f"{dataset.name} v{version.number}"
    audit.record(project.team, by, action, target, version=str(version.pk))
    enqueue_on_commit(IMPORT_TASK)


def _write_and_hash(chunks: Iterable[bytes], path: Path) -> _HashedFile:
    digest, size = hashlib.sha256(), 0
    with open(path, "wb") as sink:
        for chunk in chunks:
            size += len(chunk)
            if size > settings.MAX_UPLOAD_BYTES:
                raise UploadTooLarge(param="file")
            digest.update(chunk)
            sink.write(chunk)
    return _HashedFile(path, size, digest.hexdigest())


def _store_version(
    received: _HashedFile, filename: str, by: User | ApiToken | None
) -> DatasetVersion:
    """Put the file into storage; returns its version, which is not saved yet."""
    version = DatasetVersion(
        filename=filename,
        upload_bytes=received.size,
        upload_sha256=received.sha256,
        created_by=person_behind(by) if by else None,
    )
    version.upload_key = f"uploads/{version.pk}"
    storage.put_file(version.upload_key, received.path)
    return version


def _find_identical_version(dataset: Dataset | None, sha256: str) -> DatasetVersion | None:
    newest = dataset.latest if dataset else None
    if newest is None or newest.status == ImportStatus.FAILED or newest.overrides:
        return None
    return newest if newest.upload_sha256 == sha256 else None


def _display_name(filename: str) -> str:
    """The customer's name for the file, without a path and unprintable characters."""
    last = PurePosixPath(filename.replace("\\", "/")).name
    printable = "".join(letter for letter in last if letter.isprintable()).strip()
    return printable.encode("utf-8", "replace").decode()[:255] or "upload"
