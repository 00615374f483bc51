"""Imports uploaded files as typed tables. The version's row says what is to be done; a Celery
message only wakes a worker to look."""

import datetime
import json
import logging
import shutil
import signal
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import cast

from django.conf import settings
from django.db import transaction
from django.urls import reverse

from accounts.notifications.publish import publish
from projects import storage
from projects.errors import ImportInterrupted, StaleImportState
from projects.importing.import_claim import ImportClaim, pending_imports
from projects.importing.import_order import ImportAnswer, ImportOrder, failed
from projects.models import DatasetVersion, ImportStatus
from web import child_process
from web.db_retry import DISCONNECT_ERRORS, retry_on_disconnect
from web.enqueue import enqueue
from web.sse import notify

IMPORT_TASK = "projects.tasks.import_next"
CLAIM_RENEWAL_SECONDS = 5.0
TIMEOUT_SECONDS = 3600.0
MAX_MESSAGES = 8  # Of one round of beat: each import that ends sends one for the next.
MEMORY_LIMIT_BYTES = 4 * 1024**3  # Address space, DuckDB's and Arrow's reservations included.
MAX_LOG_BYTES = 4_000
MAX_ISSUES = 200
MAX_REREADS = 2  # Of a file whose reading was ended from outside.
REREAD_PAUSE = datetime.timedelta(seconds=15)  # Memory that somebody else took may be free then.
ABANDONED_SECONDS = 24 * 3600.0  # Longer than any import works in its folder.
OUTSIDE_SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
MEMORY_WORDS = ("MemoryError", "OutOfMemory", "Out of Memory", "bad_alloc", "allocate")
INTERNAL_FAILURE = failed("internal", "Something went wrong on our side. Try the import again.")
INTERRUPTED_FAILURE = failed(
    "interrupted",
    f"Reading this file was ended from outside {MAX_REREADS + 1} times, as happens when the"
    " machine's memory runs out or the server is stopped. No fault of the file was found. Try the"
    " import again later, or split a large file.",
)
CRASH_FAILURE = failed(
    "crashed",
    "The program that reads files crashed on this one, perhaps for want of memory. Split the file,"
    " or save it in another format.",
)

logger = logging.getLogger(__name__)


def import_channel(version: DatasetVersion) -> str:
    """The channel that live pages of this version subscribe to."""
    return f"dataset:{version.pk}"


def import_next() -> bool:
    """Import the next pending version, if any, and send a message for the one after it.

    Each message makes one import, so that a worker that is told to stop does so after one.
    """
    claim = ImportClaim.take_next()
    if claim is None:
        return False
    try:
        return _import_claimed(claim)
    finally:
        if pending_imports().exists():
            enqueue(IMPORT_TASK)


def resume() -> None:
    """Send a message for each waiting import, as many as could start at once."""
    for _ in pending_imports().values_list("pk")[:MAX_MESSAGES]:
        enqueue(IMPORT_TASK)


def import_version(version_id: uuid.UUID | str) -> bool:
    """Import one version if it is pending; False when another worker has it or it has ended."""
    claim = ImportClaim.take(version_id)
    return claim is not None and _import_claimed(claim)


def _import_claimed(claim: ImportClaim) -> bool:
    version = retry_on_disconnect(lambda: DatasetVersion.objects.get(pk=claim.version_id))
    try:
        answer = _read_unless_interrupted(version, claim)
    except StaleImportState:
        answer = None
    except DISCONNECT_ERRORS:
        raise  # When the database is back, the claim has expired and the file is read again.
    except Exception:
        # Catches everything: the customer gets a sentence, the log gets the traceback.
        logger.exception("Import of version %s failed", version.pk)
        answer = INTERNAL_FAILURE
    is_published = answer is not None and retry_on_disconnect(
        lambda: _save_answer(version, claim, answer)
    )
    _delete_unpublished_files(version, claim)
    return is_published


def _read_unless_interrupted(version: DatasetVersion, claim: ImportClaim) -> ImportAnswer | None:
    """The answer; None where the file is to be read again, which happens MAX_REREADS times."""
    if version.interruptions > MAX_REREADS:
        return INTERRUPTED_FAILURE  # Each attempt ended with its worker.
    try:
        return _read_upload(version, claim)
    except ImportInterrupted:
        if version.interruptions == MAX_REREADS:
            return INTERRUPTED_FAILURE
        claim.give_back(REREAD_PAUSE)
        return None


def _read_upload(version: DatasetVersion, claim: ImportClaim) -> ImportAnswer:
    """Fetch the file, have the child process read it, and put its table into storage.

    Each attempt has its own folder: a half-written file of an earlier one would be taken for whole.
    """
    scratch = Path(settings.VAR_DIR) / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    _delete_abandoned_folders(scratch)
    with tempfile.TemporaryDirectory(prefix="import-", dir=scratch) as name:
        folder = Path(name)
        upload = folder / "upload"
        _run_renewing(claim, storage.fetch_file, version.upload_key, upload)
        order: ImportOrder = {
            "upload": str(upload),
            "filename": version.filename,
            "overrides": version.overrides,
        }
        (folder / "order.json").write_text(json.dumps(order))
        answer = _load_answer(folder, _run_child_process(claim, folder / "order.json"))
        if answer["table"] is not None:
            claim.renew()  # Nothing is stored under a claim that is lost.
            for file in ("data.parquet", "rejects.csv"):
                _run_renewing(claim, storage.put_file, f"{claim.folder}/{file}", folder / file)
    return answer


def _delete_abandoned_folders(scratch: Path) -> None:
    """Delete the folders that killed workers left on this machine's disk."""
    for folder in scratch.glob("import-*"):
        with suppress(FileNotFoundError):
            if folder.stat().st_mtime < time.time() - ABANDONED_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)


def _run_renewing(
    claim: ImportClaim, transfer: Callable[[str, Path], None], key: str, path: Path
) -> None:
    """Run a transfer in a thread and renew the claim meanwhile, however long it takes."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(transfer, key, path)
        while wait([future], CLAIM_RENEWAL_SECONDS).not_done:
            claim.renew()
        future.result()


def _run_child_process(claim: ImportClaim, order: Path) -> child_process.Finished:
    """Run the child process without secrets, and with bounded memory, time and output, as it reads
    an untrusted file. It is never started twice in a folder: a half-written file there would be
    taken for whole.
    """
    return child_process.run(
        [sys.executable, "-m", "projects.importing.import_process", str(order)],
        cwd=settings.BASE_DIR,
        seconds=TIMEOUT_SECONDS,
        memory_bytes=MEMORY_LIMIT_BYTES,
        output_bytes=MAX_LOG_BYTES,
        # HF_TOKEN is for training only. OpenBLAS threads spin beside small matrices and take
        # processors from other work.
        extra_environment={"HF_TOKEN": "", "OPENBLAS_NUM_THREADS": "1"},
        every=claim.renew,
        every_seconds=CLAIM_RENEWAL_SECONDS,
    )


def _load_answer(folder: Path, finished: child_process.Finished) -> ImportAnswer:
    """The child's answer, or a failure by how it ended. Raises ImportInterrupted where a signal
    from outside ended it."""
    if finished.returncode is None:
        return failed("time_limit", "Reading this file took over an hour. Split it into parts.")
    if finished.returncode == 0:
        return cast(ImportAnswer, json.loads((folder / "answer.json").read_text()))
    log = finished.stderr
    logger.error("The import process ended with status %s: %s", finished.returncode, log)
    if finished.returncode == -signal.SIGXCPU:
        return failed("time_limit", "Reading this file takes more work than we do. Split it.")
    if -finished.returncode in OUTSIDE_SIGNALS:
        raise ImportInterrupted
    if any(word in log for word in MEMORY_WORDS):
        return failed(
            "out_of_memory", "Reading this file needs more memory than an import may use. Split it."
        )
    return CRASH_FAILURE if finished.returncode < 0 else INTERNAL_FAILURE


def _save_answer(version: DatasetVersion, claim: ImportClaim, answer: ImportAnswer) -> bool:
    """End the import with this answer; False when the claim was lost and another worker ends it."""
    try:
        with transaction.atomic():
            if failure := answer["failure"]:
                version.fail(claim.until, failure["code"], failure["sentence"])
            elif table := answer["table"]:
                version.succeed(
                    claim.until,
                    **{**table, "issues": table["issues"][:MAX_ISSUES]},
                    parquet_key=f"{claim.folder}/data.parquet",
                    rejects_key=f"{claim.folder}/rejects.csv",
                )
            notify(import_channel(version))
            _publish_outcome(version)
    except StaleImportState:
        # After a lost connection, the first attempt to save may have been committed.
        return version.parquet_key.startswith(f"{claim.folder}/")
    return True


def _delete_unpublished_files(version: DatasetVersion, claim: ImportClaim) -> None:
    """Delete the files of this attempt unless they were published, and, once the import has ended,
    those of other attempts."""
    parent = f"datasets/{version.pk}"
    has_ended = version.status != ImportStatus.IMPORTING
    for name in storage.list_folders(parent):
        folder = f"{parent}/{name}"
        is_deletable = has_ended or folder == claim.folder
        if is_deletable and not version.parquet_key.startswith(f"{folder}/"):
            storage.delete(folder)


def _publish_outcome(version: DatasetVersion) -> None:
    dataset = version.dataset
    name = f"{dataset.name} v{version.number}"
    is_ready = version.status == ImportStatus.READY
    rejected = f", {version.rejected_rows:,} rejected" if version.rejected_rows else ""
    publish(
        dataset.project.team,
        "dataset.ready" if is_ready else "dataset.failed",
        f"{name} is ready: {'1 row' if version.rows == 1 else f'{version.rows:,} rows'}{rejected}."
        if is_ready
        else f"{name} could not be imported. {version.failure_sentence}",
        url=reverse("projects:dataset", args=[dataset.pk]),
        key=f"dataset-version:{version.pk}:{version.status}",
        data={"id": str(dataset.pk), "version_id": str(version.pk), "status": version.status},
        about=version.created_by,
    )
