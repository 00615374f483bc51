"""Asks and answers questions about finished models. Workers answer; the web process only asks.

The row is the queue. An answer that a dead worker owes is started again by beat's next nudge.
"""

import base64
import json
import logging
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils.timezone import now

from accounts.models import ApiToken, User
from projects import storage
from training.errors import TooManyQuestions
from training.models import Analysis, TrainedModel
from training.tasks import analyse
from web.patience import patiently

logger = logging.getLogger(__name__)

LONGEST_SECONDS = 300
LOST_AFTER = timedelta(seconds=LONGEST_SECONDS + 60)
MOST_TRIES = 2
MOST_OPEN = 20  # Of one team; they cost nothing, so they must not crowd others out.
MOST_LISTED = 20
PICTURE = "picture"  # In a question: a small JPEG in base64.
BROKEN = "This could not be worked out: something broke on our side."
TOO_SLOW = "This took longer than five minutes and was given up. Try a shorter input."
CUSTOMER_FAULT = 3


def ask(
    model: TrainedModel, viewer: User | ApiToken, kind: str, question: dict[str, Any]
) -> Analysis:
    """Queue a question; the same one asked again is answered from the stored row."""
    known = Analysis.objects.filter(model=model, kind=kind, question=question, failure="").first()
    if known is not None:
        return known
    if Analysis.objects.open().filter(team=model.team_id).count() >= MOST_OPEN:
        raise TooManyQuestions
    person = viewer.created_by if isinstance(viewer, ApiToken) else viewer
    made = Analysis.objects.create(
        team_id=model.team_id, model=model, kind=kind, question=question, asked_by=person
    )
    transaction.on_commit(lambda: analyse.apply_async(expires=60, retry=False), robust=True)
    return made


def of_model(model: TrainedModel, kind: str) -> list[Analysis]:
    return list(Analysis.objects.filter(model=model, kind=kind)[:MOST_LISTED])


def answer_all() -> None:
    """Answer open questions until none is left that nobody works on."""
    while (found := _claim()) is not None:
        _answer(found)


@transaction.atomic
def _claim() -> Analysis | None:
    lost = Q(started_at=None) | Q(started_at__lt=now() - LOST_AFTER)
    found = (
        Analysis.objects.open()
        .filter(lost)
        .order_by("created_at")
        .select_for_update(skip_locked=True, of=("self",))
        .select_related("model__dataset_version")
        .first()
    )
    if found is not None:
        found.started_at = now()
        found.tries += 1
        found.save(update_fields=["started_at", "tries"])
    return found


def _answer(analysis: Analysis) -> None:
    if analysis.tries > MOST_TRIES:
        _finish(analysis, failure=BROKEN)
        return
    try:
        with tempfile.TemporaryDirectory(dir=_scratch()) as folder:
            _finish(analysis, **_ask_engine(analysis, Path(folder)))
    except subprocess.TimeoutExpired:
        _finish(analysis, failure=TOO_SLOW)
    except Exception:
        logger.exception("Analysis %s broke", analysis.pk)
        _finish(analysis, failure=BROKEN)


def _finish(analysis: Analysis, *, result: dict[str, Any] | None = None, failure: str = "") -> None:
    """Only the try that claimed it last may answer."""
    ours = Analysis.objects.open().filter(pk=analysis.pk, tries=analysis.tries)
    patiently(lambda: ours.update(result=result, failure=failure, finished_at=now()))


def _ask_engine(analysis: Analysis, folder: Path) -> dict[str, Any]:
    """The engine as a child process, so that no worker holds torch."""
    model, artifact = analysis.model, folder / "artifact"
    storage.fetch_folder(model.artifact_key, artifact)
    request = {"kind": analysis.kind, "artifact": str(artifact), **analysis.question}
    if PICTURE in request:
        (folder / "picture.jpg").write_bytes(base64.b64decode(request[PICTURE]))
        request[PICTURE] = str(folder / "picture.jpg")
    storage.fetch_file(model.dataset_version.parquet_key, folder / "data.parquet")
    request["data"] = str(folder / "data.parquet")
    path = folder / "request.json"
    path.write_text(json.dumps(request))
    done = subprocess.run(
        [sys.executable, "-m", "engine", "analyse", str(path)],
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        timeout=LONGEST_SECONDS,
        check=False,
    )
    return _outcome(done)


def _outcome(done: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode == 0 and lines:
        return {"result": json.loads(lines[-1])}
    if done.returncode == CUSTOMER_FAULT and lines:
        return {"failure": str(json.loads(lines[-1]).get("sentence", BROKEN))}
    logger.error("engine analyse exited %s: %s", done.returncode, done.stderr[-2000:])
    return {"failure": BROKEN}


def _scratch() -> Path:
    folder = Path(settings.VAR_DIR) / "scratch"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
