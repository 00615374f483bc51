"""Questions about finished models: asked by people, answered by workers.

The row is the queue. A worker that dies leaves its question to the next one, once.
"""

import base64
import json
import logging
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import NotRequired

from django.conf import settings
from django.db.models import Exists, OuterRef, Q
from django.utils.timezone import now
from typing_extensions import TypedDict

from accounts.models import ApiToken, User
from accounts.permissions import person_behind
from engine.errors import EXIT_CUSTOMER_FAULT, EXIT_OK
from projects import storage
from projects.models import DatasetVersion
from training.artifacts.storage import scratch_folder
from training.errors import DataPurged, TooManyAnalyses
from training.models import Analysis, TrainedModel
from web import child_process
from web.browser.trash import require_present
from web.child_process import Finished
from web.db_retry import retry_on_disconnect
from web.enqueue import enqueue_on_commit
from web.rate_limits.actions import require_rate
from web.row_queue import claim_rows, update_claimed

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 300
VISIBILITY_TIMEOUT = timedelta(seconds=TIMEOUT_SECONDS + 60)
MEMORY_BYTES = 16 * 2**30  # Of address space, of which torch reserves more than it uses.
MAX_TRIES = 2
MAX_OPEN_PER_TEAM = 20  # Analyses are free, so one team must not crowd others out.
MAX_LISTED = 20
IMAGE_KEY = "picture"  # In a question: a small JPEG in base64.
INTERNAL_ERROR_MESSAGE = "This could not be worked out: something broke on our side."
TIMEOUT_MESSAGE = "This took longer than five minutes and was given up. Try a shorter input."

VERSION_KEY = "version"  # In a question about other rows than those that the model learnt.

Question = dict[str, object]  # Of engine.analysis.on_demand.AnalysisRequest, without files.


class Outcome(TypedDict):
    """What ends an analysis: exactly one of the two."""

    result: NotRequired[dict[str, object]]
    failure: NotRequired[str]


def request_analysis(
    model: TrainedModel, viewer: User | ApiToken, kind: str, question: Question
) -> Analysis:
    """Queue a question; one that was answered before is answered from its row."""
    known = Analysis.objects.filter(model=model, kind=kind, question=question, failure="").first()
    if known is not None:
        return known
    require_present(model.project, model)
    if VERSION_KEY not in question and model.dataset_version.dataset.purged_at is not None:
        raise DataPurged
    require_rate("analyses", model.team_id)
    if Analysis.objects.open().filter(team=model.team_id).count() >= MAX_OPEN_PER_TEAM:
        raise TooManyAnalyses
    analysis = Analysis.objects.create(
        team_id=model.team_id,
        model=model,
        kind=kind,
        question=question,
        asked_by=person_behind(viewer),
    )
    enqueue_on_commit("training.tasks.analyse")
    return analysis


def list_analyses(model: TrainedModel, kind: str) -> list[Analysis]:
    return list(Analysis.objects.filter(model=model, kind=kind)[:MAX_LISTED])


def run_pending_analyses() -> None:
    """Answer open questions until none is left that no worker holds."""
    while analysis := _claim_next():
        _run_analysis(analysis)


def _claim_next() -> Analysis | None:
    """The oldest question of a team that runs none, so that no team holds every worker."""
    lease_begins = now() - VISIBILITY_TIMEOUT
    unclaimed = Q(started_at=None) | Q(started_at__lt=lease_begins)
    running = Analysis.objects.open().filter(team=OuterRef("team"), started_at__gte=lease_begins)
    pending = Analysis.objects.open().filter(unclaimed, ~Exists(running)).order_by("created_at")
    rows = pending.select_related("model__dataset_version")
    return next(iter(claim_rows(rows, limit=1, attempts="tries", started_at=now())), None)


def _run_analysis(analysis: Analysis) -> None:
    outcome: Outcome = {"failure": INTERNAL_ERROR_MESSAGE}
    if analysis.tries <= MAX_TRIES:
        try:
            with tempfile.TemporaryDirectory(dir=scratch_folder()) as folder:
                outcome = _run_engine(analysis, Path(folder))
        except Exception:
            logger.exception("Analysis %s broke", analysis.pk)
    # Nothing is written when another worker has claimed the question since.
    retry_on_disconnect(
        lambda: update_claimed(analysis, attempts="tries", finished_at=now(), **outcome)
    )


def _run_engine(analysis: Analysis, folder: Path) -> Outcome:
    """Answer in a child process: it reads a customer's files, and no worker should hold torch."""
    model, artifact = analysis.model, folder / "artifact"
    storage.fetch_folder(model.artifact_key, artifact)
    question = dict(analysis.question)
    version = _find_version(analysis, question.pop(VERSION_KEY, None))
    if version is None:
        return {"failure": DataPurged.sentence}
    request = {"kind": analysis.kind, "artifact": str(artifact), **question}
    if IMAGE_KEY in request:
        (folder / "picture.jpg").write_bytes(base64.b64decode(request[IMAGE_KEY]))
        request[IMAGE_KEY] = str(folder / "picture.jpg")
    storage.fetch_file(version.parquet_key, folder / "data.parquet")
    request["data"] = str(folder / "data.parquet")
    (folder / "request.json").write_text(json.dumps(request))
    finished = child_process.run(
        [sys.executable, "-m", "engine", "analyse", str(folder / "request.json")],
        cwd=settings.BASE_DIR,
        seconds=TIMEOUT_SECONDS,
        memory_bytes=MEMORY_BYTES,
        restarts=1,
    )
    return _parse_engine_output(finished)


def _find_version(analysis: Analysis, version_id: str | None) -> DatasetVersion | None:
    """The rows that a question is about: the model's own, or a version of the same team."""
    if version_id is None:
        return analysis.model.dataset_version
    versions = DatasetVersion.objects.ready().filter(
        dataset__project__team=analysis.team_id, dataset__purged_at=None
    )
    return versions.filter(pk=version_id).first()


def _parse_engine_output(finished: Finished) -> Outcome:
    if finished.returncode is None:
        return {"failure": TIMEOUT_MESSAGE}
    lines = [line for line in finished.stdout.splitlines() if line.startswith("{")]
    if finished.returncode == EXIT_OK and lines:
        return {"result": json.loads(lines[-1])}
    if finished.returncode == EXIT_CUSTOMER_FAULT and lines:
        return {"failure": str(json.loads(lines[-1]).get("sentence", INTERNAL_ERROR_MESSAGE))}
    logger.error("engine analyse exited %s: %s", finished.returncode, finished.stderr[-2000:])
    return {"failure": INTERNAL_ERROR_MESSAGE}
