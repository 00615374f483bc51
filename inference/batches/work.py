"""Answers batches: a worker claims one, asks the models process for a while, and lets it go.

Every answer is a row at once, so that another worker goes on where this one stopped. A line whose
answer was lost between the models process and its row is asked once more, and metered once. Once
money or rights have ended, no further line can be answered: the rest is refused unasked.
"""

import logging
import tempfile
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import timedelta
from itertools import islice
from pathlib import Path

import httpx
import orjson
from django.db import transaction
from django.utils.timezone import now

from accounts.models import User
from accounts.permissions import has_permission
from inference.batches.lines import STOPPED_AT, RequestLine, check_requests, read_requests
from inference.files.storing import store_made
from inference.gateway import internal_token
from inference.gateway.models_client import open_client
from inference.models import ApiFile, Batch, BatchAnswer, BatchStatus, Purpose
from inference.models.batch import OPEN_STATUSES
from projects import storage
from web.enqueue import enqueue
from web.row_queue import claim_rows, retry_at, update_claimed

SLICE_SECONDS = 20.0  # A worker has other tasks too.
CLAIM = timedelta(minutes=5)
TIMEOUT_SECONDS = 120.0
LONGEST_SLICE = timedelta(seconds=SLICE_SECONDS + TIMEOUT_SECONDS + 30)
PARALLEL_REQUESTS = 4
RETRY_DELAYS = (5, 15, 60)
RETRIED_STATUSES = (429, 502, 503, 504)
# Of the budget or the token: what one line is refused for, all that follow would be.
FINAL_STATUSES = (401, 402)
FINAL_CODES = ("missing_scope", "team_frozen")
ROWS_AT_ONCE = 500
RIGHTS_ENDED = "Whoever began this may not spend the team's money any more."

logger = logging.getLogger(__name__)


class ModelsAway(Exception):
    """The models process does not answer, or has too much to do."""


def work_on_next() -> None:
    """Claim the batch that has waited longest, of a team that has none under way, and take it
    further; send the next message if it or another one has work left."""
    # A claim reaches further into the future than any delay between tries.
    busy = Batch.objects.open().filter(next_at__gt=now() + CLAIM - LONGEST_SLICE)
    due = Batch.objects.due().exclude(team__in=busy.values("team"))
    claimed = claim_rows(due, limit=1, next_at=now() + CLAIM)
    if not claimed:
        return
    (batch,) = claimed
    try:
        is_finished = _advance(batch)
    except ModelsAway as problem:
        logger.warning("Batch %s waits: %s", batch.pk, problem)
        update_claimed(batch, next_at=retry_at(batch.attempts, RETRY_DELAYS))
        return
    if not is_finished:
        update_claimed(batch, next_at=now())
    enqueue("inference.tasks.work_on_batches")


def _advance(batch: Batch) -> bool:
    """One slice of work; whether the batch has ended."""
    if batch.input_file.deleted_at is not None and batch.status != BatchStatus.CANCELLING:
        message = "The input file was deleted before all of its requests were answered."
        problem = {"code": "file_deleted", "line": None, "message": message, "param": None}
        Batch.objects.filter(pk=batch.pk).update(
            status=BatchStatus.FAILED, failed_at=now(), problems=[problem]
        )
        return True
    if batch.status == BatchStatus.VALIDATING and not _validate(batch):
        return True
    if batch.status == BatchStatus.IN_PROGRESS:
        if batch.expires_at <= now():
            _finish(batch, BatchStatus.EXPIRED)
            return True
        if not _answer_lines(batch):
            return False
        batch.refresh_from_db(fields=["status"])
    is_cancelled = batch.status == BatchStatus.CANCELLING
    _finish(batch, BatchStatus.CANCELLED if is_cancelled else BatchStatus.COMPLETED)
    return True


def _validate(batch: Batch) -> bool:
    """Check every line; a file with problems ends the batch before anything is asked."""
    with storage.open_file(batch.input_file.storage_key) as source:
        total, problems = check_requests(source, batch.endpoint)
    facts: dict[str, object] = {"total": total, "problems": problems}
    if problems:
        facts |= {"status": BatchStatus.FAILED, "failed_at": now()}
    else:
        facts |= {"status": BatchStatus.IN_PROGRESS, "in_progress_at": now()}
    Batch.objects.filter(pk=batch.pk, status=BatchStatus.VALIDATING).update(**facts)
    batch.refresh_from_db()
    return not problems


def _answer_lines(batch: Batch) -> bool:
    """Ask for lines that have no answer yet, for one slice of time; whether all have one now.

    Raises ModelsAway.
    """
    done = set(batch.answers.values_list("line", flat=True))
    deadline = time.monotonic() + SLICE_SECONDS
    with (
        storage.open_file(batch.input_file.storage_key) as source,
        open_client(TIMEOUT_SECONDS) as client,
        ThreadPoolExecutor(PARALLEL_REQUESTS) as pool,
    ):
        waiting = (line for line in read_requests(source) if line.line not in done)
        return _ask_in_parallel(batch, waiting, client, pool, deadline)


def _ask_in_parallel(
    batch: Batch,
    lines: Iterator[RequestLine],
    client: httpx.Client,
    pool: ThreadPoolExecutor,
    deadline: float,
) -> bool:
    """Every answer that comes is kept, whatever becomes of its neighbours: it has been metered.

    Raises what went wrong with a line once nothing is under way any more.
    """
    running: set[Future[BatchAnswer]] = set()
    is_exhausted, problem, refusal = False, None, None
    while True:
        is_over = refusal or time.monotonic() > deadline or _is_cancelling(batch)
        is_stopped = problem or is_over
        while not is_stopped and not is_exhausted and len(running) < PARALLEL_REQUESTS:
            line = next(lines, None)
            is_exhausted = line is None
            if line is not None:
                running.add(pool.submit(_ask, client, batch, line))
        if not running:
            if problem is not None:
                raise problem
            if refusal is not None:
                _refuse_rest(batch, lines, refusal)
                return True
            return is_exhausted or _is_cancelling(batch)
        finished, running = wait(running, return_when=FIRST_COMPLETED)
        answers = [future.result() for future in finished if future.exception() is None]
        BatchAnswer.objects.bulk_create(answers, ignore_conflicts=True)
        refusal = refusal or next((one for one in answers if _is_final(one)), None)
        problem = problem or next(filter(None, (future.exception() for future in finished)), None)


def _is_final(answer: BatchAnswer) -> bool:
    """Whether the lines that follow would be refused for the same reason."""
    if not answer.is_error:
        return False
    response = orjson.loads(answer.content)["response"]
    code = (response["body"].get("error") or {}).get("code")
    return response["status_code"] in FINAL_STATUSES or code in FINAL_CODES


def _refuse_rest(batch: Batch, lines: Iterator[RequestLine], refusal: BatchAnswer) -> None:
    """Give every further line the refusal that one of them met, and say so on the batch."""
    response = orjson.loads(refusal.content)["response"]
    error = response["body"]["error"]
    while chunk := list(islice(lines, ROWS_AT_ONCE)):
        BatchAnswer.objects.bulk_create(
            (_answer(batch, line, response, is_error=True) for line in chunk),
            ignore_conflicts=True,
        )
    problem = {
        "code": error["code"],
        "line": refusal.line,
        "message": STOPPED_AT.format(line=refusal.line) + error["message"],
        "param": error["param"],
    }
    Batch.objects.filter(pk=batch.pk).update(problems=[problem])


def _is_cancelling(batch: Batch) -> bool:
    """Somebody has cancelled it, or whoever began it may not spend any more."""
    if not _may_spend(batch):
        problem = {"code": "rights_ended", "line": None, "message": RIGHTS_ENDED, "param": None}
        Batch.objects.filter(pk=batch.pk, status=BatchStatus.IN_PROGRESS).update(
            status=BatchStatus.CANCELLING, cancelling_at=now(), problems=[problem]
        )
    return Batch.objects.filter(pk=batch.pk, status=BatchStatus.CANCELLING).exists()


def _may_spend(batch: Batch) -> bool:
    """Asked of a person; an API token's rights are asked by the models process with each line."""
    if batch.token_id is not None or batch.created_by_id is None:
        return True
    person = User.objects.filter(pk=batch.created_by_id, is_active=True).first()
    return person is not None and has_permission(person, batch.team, "write")


def _ask(client: httpx.Client, batch: Batch, line: RequestLine) -> BatchAnswer:
    """The models process's answer to one line. Touches no database: it runs in a thread.

    Raises ModelsAway.
    """
    token = internal_token.issue_token(
        batch.team_id,
        batch.created_by_id or 0,
        batch.token_id,
        usage_key=f"batch:{batch.pk}:{line.line}",
    )
    try:
        response = client.post(
            batch.endpoint, json=line.body, headers={internal_token.HEADER: token}
        )
    except httpx.HTTPError as error:
        raise ModelsAway(str(error)) from error
    if response.status_code in RETRIED_STATUSES:
        raise ModelsAway(f"status {response.status_code}")
    facts = {
        "status_code": response.status_code,
        "request_id": response.headers.get("x-request-id", ""),
        "body": response.json(),
    }
    return _answer(batch, line, facts, is_error=response.status_code >= 400)


def _answer(
    batch: Batch, line: RequestLine, response: dict[str, object], *, is_error: bool
) -> BatchAnswer:
    """A line of the output or error file, in OpenAI's shape."""
    content = {
        "id": f"batch_req_{uuid.uuid4().hex}",
        "custom_id": line.custom_id,
        "response": response,
        "error": None,
    }
    return BatchAnswer(
        batch=batch,
        line=line.line,
        is_error=is_error,
        content=orjson.dumps(content).decode().replace("\\u0000", ""),
    )


def _finish(batch: Batch, status: BatchStatus) -> None:
    """Write the files and end the batch."""
    Batch.objects.filter(pk=batch.pk).update(finalizing_at=now())
    output = _write_file(batch, is_error=False)
    errors = _write_file(batch, is_error=True)
    moment = {
        BatchStatus.COMPLETED: "completed_at",
        BatchStatus.CANCELLED: "cancelled_at",
        BatchStatus.EXPIRED: "expired_at",
    }[status]
    completed, failed = count_answers(batch)
    with transaction.atomic():
        Batch.objects.filter(pk=batch.pk).update(
            status=status,
            output_file=output,
            error_file=errors,
            completed=completed,
            failed=failed,
            **{moment: now()},
        )
        batch.answers.all().delete()


def count_answers(batch: Batch) -> tuple[int, int]:
    """How many lines were answered, and how many refused, up to now."""
    if batch.status not in OPEN_STATUSES:
        return batch.completed, batch.failed
    kinds = list(batch.answers.values_list("is_error", flat=True))
    return kinds.count(False), kinds.count(True)


def _write_file(batch: Batch, *, is_error: bool) -> ApiFile | None:
    """The lines of one kind, in the order of the input; None where there are none."""
    answers = batch.answers.filter(is_error=is_error).order_by("line")
    if not answers.exists():
        return None
    name = f"batch_{batch.pk.hex}_{'error' if is_error else 'output'}.jsonl"
    with tempfile.TemporaryDirectory(prefix="batch-") as folder:
        path = Path(folder) / name
        with path.open("w") as sink:
            for content in answers.values_list("content", flat=True).iterator():
                sink.write(content + "\n")
        return store_made(
            batch.team,
            batch.created_by,
            purpose=Purpose.BATCH_OUTPUT,
            filename=name,
            path=path,
            expires_at=batch.input_file.expires_at,
        )
