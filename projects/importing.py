"""Turns an uploaded file into a typed table. The row is the truth; a message is only a nudge."""

import contextlib
import datetime
import json
import logging
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import close_old_connections, transaction
from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils.timezone import now

from accounts.notices import tell
from projects import storage
from projects.errors import ImportMovedOn
from projects.models import DatasetVersion, ImportStatus
from web.live import notify
from web.patience import DATABASE_AWAY, patiently

CLAIM_SECONDS = 60  # A worker that says nothing for this long is taken for dead.
RENEW_SECONDS = 5.0
LONGEST_SECONDS = 3600.0
MOST_ISSUES = 200

logger = logging.getLogger(__name__)


def channel_of(version: DatasetVersion) -> str:
    """Where live pages of this version listen."""
    return f"dataset:{version.pk}"


def waiting() -> QuerySet[DatasetVersion]:
    """Imports that nobody is working on."""
    return DatasetVersion.objects.filter(status=ImportStatus.IMPORTING).filter(
        Q(claimed_until=None) | Q(claimed_until__lt=now())
    )


def import_version(version_id: uuid.UUID | str) -> bool:
    """Import one version if it still waits; False when another worker has it or it is done."""
    claimed = waiting().filter(pk=version_id).update(claimed_until=_soon())
    if not claimed:
        return False
    version = patiently(lambda: DatasetVersion.objects.get(pk=version_id))
    try:
        answer = _read(version)
    except ImportMovedOn:
        return False
    except DATABASE_AWAY:
        raise  # Once it is back the claim has run out, and the file is read again.
    except Exception:
        # The one place that catches everything: the customer gets a sentence, we get the trace.
        logger.exception("Import of version %s failed", version.pk)
        answer = _failure("internal", "Something went wrong on our side. Try the import again.")
    with contextlib.suppress(ImportMovedOn):
        patiently(lambda: _finish(version, answer))
    return True


def _read(version: DatasetVersion) -> dict[str, Any]:
    """What the child process made of the file; its table is in storage when this returns."""
    with tempfile.TemporaryDirectory(prefix="import-", dir=_scratch()) as name:
        folder = Path(name)
        storage.fetch_file(version.upload_key, folder / "upload")
        order = {
            "upload": str(folder / "upload"),
            "filename": version.filename,
            "overrides": version.overrides,
        }
        (folder / "order.json").write_text(json.dumps(order))
        ended = _supervise(version, folder / "order.json")
        answer = _answer_in(folder, ended)
        if "failure" not in answer:
            storage.put_file(f"datasets/{version.pk}/data.parquet", folder / "data.parquet")
            storage.put_file(f"datasets/{version.pk}/rejects.csv", folder / "rejects.csv")
    return answer


def _supervise(version: DatasetVersion, order: Path) -> int | None:
    """Wait for the child, renewing the claim; its exit status, None when it took too long."""
    deadline = time.monotonic() + LONGEST_SECONDS
    with open(order.parent / "log", "wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "projects.import_process", str(order)],
            cwd=settings.BASE_DIR,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            while time.monotonic() < deadline:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    return child.wait(RENEW_SECONDS)
                _renew(version)
            return None
        finally:
            child.kill()
            child.wait()


def _renew(version: DatasetVersion) -> None:
    if not transaction.get_connection().in_atomic_block:
        close_old_connections()
    still_ours = DatasetVersion.objects.filter(pk=version.pk, status=ImportStatus.IMPORTING)
    if not patiently(lambda: still_ours.update(claimed_until=_soon())):
        raise ImportMovedOn


def _answer_in(folder: Path, ended: int | None) -> dict[str, Any]:
    if ended is None:
        return _failure("time_limit", "Reading this file took over an hour. Split it into parts.")
    if ended == 0:
        answer: dict[str, Any] = json.loads((folder / "answer.json").read_text())
        return answer
    log = (folder / "log").read_text(errors="replace")[-4000:]
    logger.error("The import process ended with status %s: %s", ended, log)
    if ended < 0 or "MemoryError" in log or "OutOfMemory" in log or "Out of Memory" in log:
        return _failure(
            "out_of_memory", "Reading this file needs more memory than an import may use. Split it."
        )
    return _failure("internal", "Something went wrong on our side. Try the import again.")


def _finish(version: DatasetVersion, answer: dict[str, Any]) -> None:
    with transaction.atomic():
        if failure := answer.get("failure"):
            version.fail(failure["code"], failure["sentence"])
        else:
            answer["issues"] = answer["issues"][:MOST_ISSUES]
            version.succeed(
                **answer,
                parquet_key=f"datasets/{version.pk}/data.parquet",
                rejects_key=f"datasets/{version.pk}/rejects.csv",
            )
        notify(channel_of(version))
        _tell_team(version)


def _tell_team(version: DatasetVersion) -> None:
    dataset = version.dataset
    name = f"{dataset.name} v{version.number}"
    is_ready = version.status == ImportStatus.READY
    rejected = f", {version.rejected_rows:,} rejected" if version.rejected_rows else ""
    tell(
        dataset.project.team,
        "dataset.ready" if is_ready else "dataset.failed",
        f"{name} is ready: {version.rows:,} rows{rejected}."
        if is_ready
        else f"{name} could not be imported. {version.failure_sentence}",
        url=reverse("projects:dataset", args=[dataset.pk]),
        key=f"dataset-version:{version.pk}:{version.status}",
        data={"id": str(dataset.pk), "version_id": str(version.pk), "status": version.status},
        about=version.created_by,
    )


def _failure(code: str, sentence: str) -> dict[str, Any]:
    return {"failure": {"code": code, "sentence": sentence}}


def _soon() -> datetime.datetime:
    return now() + datetime.timedelta(seconds=CLAIM_SECONDS)


def _scratch() -> Path:
    folder = Path(settings.VAR_DIR) / "scratch"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
