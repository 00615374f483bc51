"""Takes files in: streamed to storage and hashed on the way, then handed to the importer."""

import hashlib
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from django.conf import settings
from django.db import transaction

from accounts import audit
from accounts.models import ApiToken, User
from projects import storage, tasks
from projects.errors import BadUpload, UploadTooLarge
from projects.models import Dataset, DatasetVersion, ImportStatus, Project

OVERRIDES = (
    "encoding",
    "delimiter",
    "quote",
    "escape",
    "header_rows",
    "skip_lines",
    "short_rows",
    "sheet",
    "mask",
)


@dataclass(frozen=True)
class Upload:
    """What came of an upload. `is_repeat`: these very bytes are already the newest version."""

    version: DatasetVersion
    is_repeat: bool = False


@dataclass(frozen=True)
class _Received:
    path: Path
    size: int
    sha256: str


def receive(
    *,
    project: Project,
    filename: str,
    chunks: Iterable[bytes],
    by: User | ApiToken | None,
    name: str = "",
    dataset: Dataset | None = None,
) -> Upload:
    """Store an upload as a new dataset, or as the next version of `dataset`, and start its import.

    Raises UploadTooLarge or BadUpload; then nothing is kept.
    """
    shown = _shown_name(filename)
    with tempfile.TemporaryDirectory(prefix="upload-") as folder:
        received = _write_down(chunks, Path(folder) / "upload")
        if not received.size:
            raise BadUpload("This file is empty: it has no bytes.", param="file")
        repeated = _newest_with(dataset, received.sha256)
        if repeated:
            return Upload(repeated, is_repeat=True)
        version = _stored(received, shown, by)
    with transaction.atomic():
        version.dataset = dataset or Dataset.objects.create(
            project=project, name=(name.strip() or shown)[:255], created_by=_person(by)
        )
        _add(version, by, "dataset.uploaded")
    return Upload(version)


def import_again(
    version: DatasetVersion, overrides: dict[str, Any], by: User | ApiToken
) -> DatasetVersion:
    """The same bytes read another way, as a new version: versions never change."""
    again = DatasetVersion(
        dataset=version.dataset,
        filename=version.filename,
        upload_key=version.upload_key,
        upload_bytes=version.upload_bytes,
        upload_sha256=version.upload_sha256,
        overrides={key: value for key, value in overrides.items() if key in OVERRIDES},
        created_by=_person(by),
    )
    with transaction.atomic():
        _add(again, by, "dataset.imported-again")
    return again


def _add(version: DatasetVersion, by: User | ApiToken | None, action: str) -> None:
    """Number the version and nudge its import. The dataset row's lock keeps numbers unique."""
    dataset = Dataset.objects.select_for_update().get(pk=version.dataset_id)
    version.number = dataset.next_number()
    version.save()
    project = dataset.project
    target = f"{dataset.name} v{version.number}"
    audit.record(project.team, by, action, target, version=str(version.pk))
    # Robust: with the broker down the upload still stands, and beat nudges again.
    transaction.on_commit(partial(tasks.import_version.delay, str(version.pk)), robust=True)


def _write_down(chunks: Iterable[bytes], path: Path) -> _Received:
    digest, size = hashlib.sha256(), 0
    with open(path, "wb") as sink:
        for chunk in chunks:
            size += len(chunk)
            if size > settings.MAX_UPLOAD_BYTES:
                raise UploadTooLarge(param="file")
            digest.update(chunk)
            sink.write(chunk)
    return _Received(path, size, digest.hexdigest())


def _stored(received: _Received, shown: str, by: User | ApiToken | None) -> DatasetVersion:
    """A version, not saved yet, whose bytes are in storage already."""
    version = DatasetVersion(
        filename=shown,
        upload_bytes=received.size,
        upload_sha256=received.sha256,
        created_by=_person(by),
    )
    version.upload_key = f"uploads/{version.pk}"
    storage.put_file(version.upload_key, received.path)
    return version


def _newest_with(dataset: Dataset | None, sha256: str) -> DatasetVersion | None:
    newest = dataset.latest if dataset else None
    if newest is None or newest.status == ImportStatus.FAILED or newest.overrides:
        return None
    return newest if newest.upload_sha256 == sha256 else None


def _shown_name(filename: str) -> str:
    """The name as the customer gave it, without a path or what a page or database cannot show."""
    last = PurePosixPath(filename.replace("\\", "/")).name
    shown = "".join(letter for letter in last if letter.isprintable()).strip()
    return shown.encode("utf-8", "replace").decode()[:255] or "upload"


def _person(by: User | ApiToken | None) -> User | None:
    return by.created_by if isinstance(by, ApiToken) else by
