"""How an attempt ends, and what that means for its job and its bill.

Locks are always taken in the order job, budget, run, attempt; any other order can deadlock.
"""

from django.db import transaction
from django.utils.timezone import now

from billing import metering
from billing.models import RunEnd
from training import limits
from training.errors import AttemptEnded, JobMovedOn
from training.failures import REASONS
from training.limits import HANDED_BACK, LOST, OUT_OF_MEMORY
from training.models import (
    Attempt,
    Evaluation,
    FailureCode,
    PauseCode,
    Status,
    TrainedModel,
    TrainingJob,
)

LOST_ATTEMPTS_BEFORE_FAILING = 3


@transaction.atomic
def finish(attempt: Attempt, model: TrainedModel, evaluation: Evaluation) -> None:
    """The attempt brought the job to its end. Raises AttemptEnded when somebody else decided."""
    job = _own(attempt)
    model.save(force_insert=True)
    evaluation.save(force_insert=True)
    try:
        job.succeed(model)
    except JobMovedOn as moved_on:
        raise AttemptEnded from moved_on
    close(attempt, "finished", RunEnd.FINISHED)


@transaction.atomic
def fail(attempt: Attempt, code: FailureCode, sentence: str) -> None:
    """End job and attempt with a reason; who pays stands in the list of reasons."""
    job = _own(attempt)
    job.fail(code, sentence)
    close(attempt, code, RunEnd.FAILED)
    refund_unless_charged(job, code)


@transaction.atomic
def run_out_of_time(attempt: Attempt) -> None:
    """The job used all the time it may; its checkpoints stay, to go on from."""
    job = _own(attempt)
    allowed = limits.words(limits.limit_seconds(job))
    saved = job.checkpoints.kept().order_by("-step").first()
    kept = f" The checkpoint at step {saved.step:,} is kept." if saved else ""
    job.fail(
        FailureCode.TIME_LIMIT,
        f"The training reached its time limit of {allowed} of run time.{kept}",
    )
    close(attempt, FailureCode.TIME_LIMIT, RunEnd.FAILED)


def refund_unless_charged(job: TrainingJob, code: FailureCode) -> None:
    """Give everything back for a failure that the customer does not pay for."""
    if not REASONS[code].is_charged:
        metering.refund_source(job.source, f"Refund: {REASONS[code].title.lower()}")


@transaction.atomic
def retry_smaller(attempt: Attempt) -> None:
    """Memory ran out: queue the job once more with half the batch, unbilled; then give up."""
    job = _own(attempt)
    if attempt.halved_batches:
        job.fail(
            FailureCode.OUT_OF_MEMORY,
            "Memory ran out, also with half the batch. You were not charged. Lower “tokens per "
            "batch” or the longest text, or choose a smaller base model or a larger machine.",
        )
    else:
        job.requeue("Memory ran out. Trying once more with half the batch; this was not charged.")
    close(attempt, OUT_OF_MEMORY, RunEnd.FAILED)
    if attempt.halved_batches:
        refund_unless_charged(job, FailureCode.OUT_OF_MEMORY)
    else:
        metering.refund_run(attempt.run_id, "Refund: out of memory")


@transaction.atomic
def hand_back(attempt: Attempt, sentence: str) -> None:
    """The worker must leave: the job goes back to the queue and resumes from its checkpoint."""
    job = _own(attempt)
    job.requeue(sentence)
    close(attempt, HANDED_BACK, RunEnd.STOPPED)
    metering.refund_lost_work(attempt.run_id, "Refund: work after the last checkpoint")


@transaction.atomic
def lose(attempt: Attempt, what_happened: str) -> None:
    """The attempt died without a word: refund what is lost, then resume or give up."""
    job = _own(attempt)
    lost_before = job.attempts.filter(end_reason=LOST).count()
    gives_up = lost_before + 1 >= LOST_ATTEMPTS_BEFORE_FAILING
    if gives_up:
        job.fail(
            FailureCode.WORKER_LOST,
            f"{what_happened} This happened {lost_before + 1} times, so the job was stopped. You "
            "were not charged.",
        )
    else:
        job.requeue(f"{what_happened} The job resumes from its last checkpoint.")
    close(attempt, LOST, RunEnd.FAILED)
    if gives_up:
        refund_unless_charged(job, FailureCode.WORKER_LOST)
    else:
        metering.refund_lost_work(attempt.run_id, "Refund: work lost with its worker")


@transaction.atomic
def pause_at_cap(attempt: Attempt, sentence: str) -> None:
    """The lease was not renewed because the money is spent."""
    job = _own(attempt)
    job.pause(sentence, code=PauseCode.SPEND_CAP)
    close(attempt, "spend cap", RunEnd.CAP)


def close(attempt: Attempt, reason: str, run_end: RunEnd) -> None:
    """End the attempt and its meter. The job's row must be locked already."""
    metering.end(attempt.run_id, run_end)
    Attempt.objects.filter(pk=attempt.pk, ended_at=None).update(ended_at=now(), end_reason=reason)


def _own(attempt: Attempt) -> TrainingJob:
    """The job, locked, while this attempt is still the one that carries it."""
    job = TrainingJob.objects.select_for_update(of=("self",)).get(pk=attempt.job_id)
    is_live = Attempt.objects.filter(pk=attempt.pk, ended_at=None).exists()
    if not is_live or job.status != Status.RUNNING:
        raise AttemptEnded
    return job
