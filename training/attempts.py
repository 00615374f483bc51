"""How an attempt ends, and what that means for its job and its bill.

Locks are always taken in the order job, budget, run, attempt; any other order can deadlock.
"""

from django.db import transaction
from django.utils.timezone import now

from billing import metering
from billing.models import RunEnd
from training.errors import AttemptEnded, JobMovedOn
from training.models import Attempt, Evaluation, FailureCode, Status, TrainedModel, TrainingJob

LOST_ATTEMPTS_BEFORE_FAILING = 3
LOST = "worker lost"
OUT_OF_MEMORY = "out of memory"


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
def fail(attempt: Attempt, code: str, sentence: str, *, is_our_fault: bool) -> None:
    """End job and attempt with a reason. Time spent on our own faults is given back."""
    job = _own(attempt)
    job.fail(code, sentence)
    close(attempt, code, RunEnd.FAILED)
    if is_our_fault:
        metering.refund_source(job.source, f"Refund: {code}")


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
        metering.refund_source(job.source, "Refund: out of memory")
    else:
        metering.refund_run(attempt.run_id, "Refund: out of memory")


@transaction.atomic
def hand_back(attempt: Attempt, sentence: str) -> None:
    """The worker must leave: the job goes back to the queue and resumes from its checkpoint."""
    job = _own(attempt)
    job.requeue(sentence)
    close(attempt, "handed back", RunEnd.STOPPED)
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
            "were not charged. Launch it again, or choose other compute.",
        )
    else:
        job.requeue(f"{what_happened} The job resumes from its last checkpoint.")
    close(attempt, LOST, RunEnd.FAILED)
    if gives_up:
        metering.refund_source(job.source, "Refund: workers lost")
    else:
        metering.refund_lost_work(attempt.run_id, "Refund: work lost with its worker")


@transaction.atomic
def pause_at_cap(attempt: Attempt, sentence: str) -> None:
    """The lease was not renewed because the money is spent."""
    job = _own(attempt)
    job.pause(sentence)
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
