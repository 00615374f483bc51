"""How an attempt ends, and what that means for its job and its bill.

Locks are always taken in the order job, budget, run, attempt; any other order can deadlock.
"""

from django.db import transaction
from django.utils.timezone import now

from billing.metering import runs
from billing.models import RunEndReason
from training.errors import AttemptEnded, StaleJobState
from training.estimates import announced_cost
from training.jobs import limits
from training.jobs.failures import FAILURE_REASONS
from training.models import (
    Attempt,
    Evaluation,
    FailureCode,
    PauseCode,
    Status,
    TrainedModel,
    TrainingJob,
)
from training.queries.models import headline_results
from web.templatetags.ui import money

MAX_LOST_ATTEMPTS = 3
EndReason = Attempt.EndReason


@transaction.atomic
def finish(attempt: Attempt, model: TrainedModel, evaluation: Evaluation) -> None:
    """The attempt brought the job to its end. Raises AttemptEnded when somebody else decided."""
    job = _lock_job(attempt)
    model.save(force_insert=True)
    evaluation.save(force_insert=True)
    try:
        result_words = next(iter(headline_results(model)), "")
        job.succeed(model, f"Finished: {result_words}" if result_words else "Finished")
    except StaleJobState as moved_on:
        raise AttemptEnded from moved_on
    close(attempt, EndReason.FINISHED, RunEndReason.FINISHED)


@transaction.atomic
def fail(attempt: Attempt, code: FailureCode, sentence: str) -> None:
    """End job and attempt with a reason; who pays stands in the list of reasons."""
    job = _lock_job(attempt)
    job.fail(code, sentence)
    close(attempt, code, RunEndReason.FAILED)
    refund_unless_charged(job, code)


@transaction.atomic
def fail_at_time_limit(attempt: Attempt) -> None:
    """The job used all the time it may; its checkpoints stay, to go on from."""
    job = _lock_job(attempt)
    allowed_duration = limits.format_duration(limits.effective_time_limit(job))
    saved = job.checkpoints.kept().order_by("-step").first()
    kept = f" The checkpoint at step {saved.step:,} is kept." if saved else ""
    job.fail(
        FailureCode.TIME_LIMIT,
        f"The training reached its time limit of {allowed_duration} of run time.{kept}",
    )
    close(attempt, FailureCode.TIME_LIMIT, RunEndReason.FAILED)


def refund_unless_charged(job: TrainingJob, code: FailureCode) -> None:
    """Give everything back for a failure that the customer does not pay for."""
    if not FAILURE_REASONS[code].is_charged:
        runs.refund_source(job.source, f"Refund: {FAILURE_REASONS[code].title.lower()}")


@transaction.atomic
def retry_with_smaller_batch(attempt: Attempt) -> None:
    """Memory ran out: queue the job once more with half the batch, unbilled; then give up."""
    job = _lock_job(attempt)
    if attempt.halved_batches:
        job.fail(
            FailureCode.OUT_OF_MEMORY,
            "Memory ran out, also with half the batch. You were not charged.",
        )
    else:
        job.requeue("Memory ran out. Trying once more with half the batch; this was not charged.")
    close(attempt, EndReason.OUT_OF_MEMORY, RunEndReason.FAILED)
    if attempt.halved_batches:
        refund_unless_charged(job, FailureCode.OUT_OF_MEMORY)
    else:
        runs.refund_run(attempt.run_id, "Refund: out of memory")


@transaction.atomic
def release(attempt: Attempt, sentence: str) -> None:
    """The worker must leave: the job goes back to the queue and resumes from its checkpoint."""
    job = _lock_job(attempt)
    job.requeue(sentence)
    close(attempt, EndReason.RELEASED, RunEndReason.STOPPED)
    runs.refund_lost_work(attempt.run_id, "Refund: work after the last checkpoint")


@transaction.atomic
def fail_lost(attempt: Attempt, what_happened: str) -> None:
    """The attempt died without a word: refund what is lost, then resume or give up."""
    job = _lock_job(attempt)
    lost_before = job.attempts.filter(end_reason=EndReason.LOST).count()
    gives_up = lost_before + 1 >= MAX_LOST_ATTEMPTS
    if gives_up:
        job.fail(
            FailureCode.WORKER_LOST,
            f"{what_happened} This happened {lost_before + 1} times, so the job was stopped. You "
            "were not charged."
            if lost_before
            else f"{what_happened} So the job was stopped. You were not charged.",
        )
    else:
        job.requeue(f"{what_happened} The job resumes from its last checkpoint.")
    close(attempt, EndReason.LOST, RunEndReason.FAILED)
    if gives_up:
        refund_unless_charged(job, FailureCode.WORKER_LOST)
    else:
        runs.refund_lost_work(attempt.run_id, "Refund: work lost with its worker")


@transaction.atomic
def pause_at_spend_cap(attempt: Attempt, sentence: str) -> None:
    """The lease was not renewed because the money is spent."""
    job = _lock_job(attempt)
    job.pause(sentence, code=PauseCode.SPEND_CAP)
    close(attempt, EndReason.SPEND_CAP, RunEndReason.CAP)


@transaction.atomic
def pause_at_announced_cost(attempt: Attempt) -> None:
    """The job needs a good deal more than was announced: it asks first."""
    job = _lock_job(attempt)
    announced, needed = announced_cost.announced_micro(job) or 0, announced_cost.ask_for_more(job)
    job.pause(
        f"Paused: the {money(announced)} that were announced do not suffice. It would cost up to "
        f"{money(needed)} in all. Resume it to agree, or cancel it; nothing more is billed until "
        "then.",
        code=PauseCode.COST,
    )
    close(attempt, EndReason.ANNOUNCED_COST, RunEndReason.STOPPED)


def close(attempt: Attempt, reason: Attempt.EndReason | FailureCode, run_end: RunEndReason) -> None:
    """End the attempt and its meter. The job's row must be locked already."""
    runs.end_run(attempt.run_id, run_end)
    Attempt.objects.filter(pk=attempt.pk, ended_at=None).update(ended_at=now(), end_reason=reason)


def _lock_job(attempt: Attempt) -> TrainingJob:
    """The job, locked, while this attempt is still the one that carries it."""
    job = TrainingJob.objects.select_for_update(of=("self",)).get(pk=attempt.job_id)
    is_live = Attempt.objects.filter(pk=attempt.pk, ended_at=None).exists()
    if not is_live or job.status != Status.RUNNING:
        raise AttemptEnded
    return job
