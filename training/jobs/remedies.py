"""What to change in a failed job's settings, so that launching it again does not fail so again."""

from dataclasses import dataclass, field, replace

from django.db.models import Max

from engine.spec import LoopHyperparameters, hyperparameters_class
from engine.spec.text import MIN_BATCH_TOKENS, TextHyperparameters
from training.jobs.launch import LaunchRequest
from training.jobs.limits import effective_time_limit, format_duration
from training.jobs.recipes import HyperparameterValues
from training.models import FailureCode, TrainingJob

BATCH_DIVISOR = 4  # Half of it was tried before the job gave up.
RATE_DIVISOR = 5
TIME_FACTOR = 2


@dataclass(frozen=True)
class Change:
    """One setting, as the launch page tells it."""

    title: str
    before: str
    after: str


@dataclass(frozen=True)
class Remedy:
    """Settings to launch with instead of the failed ones; people look at them before they do."""

    words: str  # Of the button.
    changes: list[Change]
    hyperparameters: HyperparameterValues = field(default_factory=dict)
    time_limit_seconds: int | None = None

    def apply_to(self, request: LaunchRequest) -> LaunchRequest:
        return replace(
            request,
            hyperparameters=request.hyperparameters | self.hyperparameters,
            time_limit_seconds=self.time_limit_seconds or request.time_limit_seconds,
        )


def remedy_for(job: TrainingJob) -> Remedy | None:
    """None where no setting is to blame, or where it cannot be changed any further."""
    if job.source_model_id is not None:  # Another form of a model takes no such settings.
        return None
    own = hyperparameters_class(job.task).model_validate(job.recipe.get("hyperparameters") or {})
    if job.failure_code == FailureCode.OUT_OF_MEMORY:
        return _less_memory(job, own)
    if job.failure_code == FailureCode.DIVERGED:
        return _lower_rates(job, own)
    if job.failure_code == FailureCode.TIME_LIMIT:
        return _more_time(job)
    return None


def _less_memory(job: TrainingJob, own: LoopHyperparameters) -> Remedy | None:
    after: HyperparameterValues = {}
    before: HyperparameterValues = {}
    for name, least in (("batch_tokens", MIN_BATCH_TOKENS), ("batch_rows", 1)):
        if planned := _planned_batch(job, own, name):
            before[name], after[name] = planned, max(least, planned // BATCH_DIVISOR)
    if "batch_rows" not in after or job.task.startswith("image"):  # Tables keep no activations.
        before["gradient_checkpointing"] = own.gradient_checkpointing
        after["gradient_checkpointing"] = True
    return _build(job, "Launch with smaller batches", before, after)


def _planned_batch(job: TrainingJob, own: LoopHyperparameters, name: str) -> int:
    """What the batch was, also where it was left open; 0 where the task has no such setting."""
    if name == "batch_tokens" and isinstance(own, TextHyperparameters):
        return own.planned_batch_tokens(job.data_facts.get("train_rows") or 0)
    size: int = getattr(own, name, 0)
    return size


def _lower_rates(job: TrainingJob, own: LoopHyperparameters) -> Remedy | None:
    peak = job.metrics.filter(name="learning_rate").aggregate(peak=Max("value"))["peak"]
    rates = {"learning_rate": own.learning_rate or peak or 0.0}
    rates["head_learning_rate"] = getattr(own, "head_learning_rate", 0.0)
    before: HyperparameterValues = {name: f"{rate:.2g}" for name, rate in rates.items() if rate}
    after: HyperparameterValues = {
        name: float(f"{rate / RATE_DIVISOR:.2g}") for name, rate in rates.items() if rate
    }
    return _build(job, "Launch with lower learning rates", before, after)


def _more_time(job: TrainingJob) -> Remedy | None:
    limit = effective_time_limit(job)
    longer = min(limit * TIME_FACTOR, job.compute_class.time_limit_seconds)
    if longer <= limit:
        return None
    change = Change("Time limit", format_duration(limit), format_duration(longer))
    return Remedy("Launch with more time", [change], time_limit_seconds=longer)


def _build(
    job: TrainingJob, words: str, before: HyperparameterValues, after: HyperparameterValues
) -> Remedy | None:
    fields = hyperparameters_class(job.task).model_fields
    changes = [
        Change(fields[name].title or name, _format(before[name]), _format(value))
        for name, value in after.items()
        if value != before[name]
    ]
    return Remedy(words, changes, hyperparameters=after) if changes else None


def _format(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)
