"""What the pages of a job say: its words, numbers and legal verbs, read once per page."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from django.conf import settings
from django.db.models import Max, OuterRef, Subquery
from django.utils.timezone import now

from accounts.models import ApiToken, User
from accounts.permissions import has_permission
from billing.metering.cost_summary import CostSummary
from billing.models import Rate
from engine.spec import SPEC_CLASSES, SplitSpec, hyperparameters_class
from training.estimates.estimate import format_cost_range
from training.jobs import actions, limits
from training.jobs.failures import FAILURE_REASONS
from training.jobs.remedies import remedy_for
from training.models import (
    Attempt,
    Checkpoint,
    Evaluation,
    FailureCode,
    JobEvent,
    MetricPoint,
    Status,
    TrainingJob,
)
from training.queries.job_costs import cost_of, with_charged_amounts
from training.queries.job_list import format_task
from training.queries.metric_series import latest_values
from training.queries.models import headline_test_result, latest_validation_result
from training.queries.option_words import option_words
from training.queries.report.verdict import judge_model, quality_bars
from training.scheduling.claims import latest_checkpoint
from training.scheduling.wait_reason import wait_reason
from web.browser.trash import TRASH_DAYS
from web.language.sentences import AsWritten
from web.templatetags.times import duration
from web.templatetags.ui import money

if TYPE_CHECKING:  # Types only: the web process computes no metrics.
    from engine.evaluation.schema import Report

MAX_EVENTS_SHOWN, MAX_NEWEST_EVENTS, MAX_RELATED_JOBS_SHOWN = 200, 5, 5
MOVING = (Status.QUEUED, Status.RUNNING)
PHASES = [
    ("queued", "Queued"),
    ("loading", "Loading"),
    ("preparing", "Preparing"),
    ("training", "Training"),
    ("exporting", "Exporting"),
    ("evaluating", "Evaluating"),
    ("ready", "Ready"),
]


@dataclass(frozen=True)
class AllowedActions:
    """What this viewer may do to the job now: only those buttons are shown."""

    pause: bool
    resume: bool
    cancel: bool
    retry: bool = False
    restart: bool = False  # From one of its checkpoints that are kept.
    trash: bool = False  # Rename it, move it to the trash and back.


def allowed_actions(job: TrainingJob, viewer: User | ApiToken) -> AllowedActions:
    if not has_permission(viewer, job.team, "write"):
        return AllowedActions(False, False, False)
    return AllowedActions(
        pause=job.status in (Status.QUEUED, Status.RUNNING),
        resume=job.status == Status.PAUSED,
        cancel=not job.is_finished,
        retry=job.status in actions.RETRYABLE,
        restart=job.status in actions.RESTARTABLE,
        trash=True,
    )


def status_context(job: TrainingJob, viewer: User) -> dict[str, object]:
    """Everything in the part of the page that changes while the job moves."""
    cost, values = cost_of(job), latest_values(job)
    report, tested = _test_results(job)
    highest_estimate = job.estimate.get("seconds_high")
    return {
        "job": job,
        "team": job.team,
        "verbs": allowed_actions(job, viewer),
        "phase_line": format_phase(job),
        "time_left": format_time_left(job),
        "values": values,
        "measured": headline_test_result(tested) or latest_validation_result(values, job.task),
        "cost": cost,
        "money_words": format_charge(cost),
        "reason": FAILURE_REASONS[FailureCode(job.failure_code)] if job.failure_code else None,
        "remedy": remedy_for(job),
        "going_on": _resumable_checkpoint(job),
        "retention_days": settings.CHECKPOINT_RETENTION_DAYS,
        "relatives": related_jobs(job),
        "last_word": _status_message(job),
        "newest_events": _newest_events(job),
        "label_count": len(job.data_facts.get("labels", [])),
        "task_words": format_task(job.task),
        "progress_percent": int(job.progress * 100),
        "phases": phase_rail(job),
        "verdict": judge_model(report) if report else None,
        "bars": quality_bars(report) if report else [],
        "is_over_estimate": (
            highest_estimate is not None and cost.device_seconds > highest_estimate
        ),
        "cost_estimate": format_cost_range(
            job.estimate.get("cost_low_micro"), job.estimate.get("cost_high_micro")
        ),
        "resume_step": _resume_step(job),
        "trash_days": TRASH_DAYS,
    }


def related_jobs(job: TrainingJob) -> list[tuple[str, TrainingJob]]:
    """Jobs that this one repeats or was started from, and those that repeat it or were started from
    it, each with the words for how they are related."""
    related = [("Retry of", job.retry_of)] if job.retry_of else []
    if job.start_from:
        related.append((f"Restarted from step {job.start_from.step:,} of", job.start_from.job))
    # Two queries in one, each with its index: an OR over both would read every job.
    restarted = TrainingJob.objects.filter(start_from__in=job.checkpoints.values("pk"))
    later_ones = job.retries.order_by().values("pk").union(restarted.order_by().values("pk"))
    again_jobs = TrainingJob.objects.filter(pk__in=later_ones)
    for later in again_jobs.order_by("-created_at")[:MAX_RELATED_JOBS_SHOWN]:
        related.append(("Retried as" if later.retry_of_id else "Restarted as", later))
    return related


def _resumable_checkpoint(job: TrainingJob) -> Checkpoint | None:
    """The checkpoint that a failed or cancelled job is best restarted from."""
    is_hopeless = job.failure_code and not FAILURE_REASONS[FailureCode(job.failure_code)].can_resume
    if job.status not in actions.RETRYABLE or is_hopeless:
        return None
    return job.checkpoints.kept().order_by("-step", "-pk").first()


def log_context(job: TrainingJob) -> dict[str, object]:
    """The end of the log, live while the job runs."""
    return {"job": job, "team": job.team, "log_tail": job.log_tail}


def format_phase(job: TrainingJob) -> str:
    """One line on where the job stands, such as "Training · epoch 3 of 5 · step 912 / 1,425"."""
    if job.status == Status.QUEUED:
        return f"Queued · {wait_reason(job)}"
    if job.status != Status.RUNNING:
        step = f" at step {job.step:,} of {job.total_steps:,}" if job.total_steps else ""
        return f"{Status(job.status).label}{step if job.status != Status.SUCCEEDED else ''}"
    parts = [(job.phase or "starting").capitalize()]
    if job.phase == "training" and job.epochs:
        parts.append(f"epoch {max(1, int(job.epoch))} of {job.epochs}")
    if job.phase == "training" and job.total_steps:
        parts.append(f"step {job.step:,} / {job.total_steps:,}")
    return " · ".join(parts)


def format_time_left(job: TrainingJob) -> str:
    """A cautious remaining time; "estimating…" until the engine knows one."""
    if job.status != Status.RUNNING:
        return ""
    seconds = job.eta_seconds
    if seconds is None:
        return "estimating…"
    if seconds < 50:
        return "less than a minute left"
    if seconds < 5400:
        return f"about {max(1, round(seconds / 60))} min left"
    return f"about {seconds / 3600:.1f} h left"


def format_charge(cost: CostSummary) -> str:
    """What the team pays for this job, in one sentence."""
    spent = f"for {duration(cost.device_seconds)} of compute"
    if not cost.refunded_micro:
        return (
            f"Charged {money(cost.amount_micro)} {spent}." if cost.amount_micro else "Not charged."
        )
    if not cost.net_micro:
        return f"Nothing to pay: {money(cost.amount_micro)} {spent} was given back."
    return f"Charged {money(cost.net_micro)} {spent}; {money(cost.refunded_micro)} was given back."


@dataclass(frozen=True)
class RunFacts:
    """Values that the runs of a job chose for settings that were left automatic."""

    worker: str | None
    peak_learning_rate: float | None


def load_run_facts(jobs: Iterable[TrainingJob]) -> dict[UUID, RunFacts]:
    """The facts of all these jobs by their ids, in one query."""
    newest_attempt = Attempt.objects.filter(job=OuterRef("pk")).order_by("-number")
    rates = MetricPoint.objects.filter(job=OuterRef("pk"), name="learning_rate").values("job")
    rows = (
        TrainingJob.objects.filter(pk__in=[job.pk for job in jobs])
        .order_by()
        .values_list(
            "pk",
            Subquery(newest_attempt.values("worker")[:1]),
            Subquery(rates.annotate(peak=Max("value")).values("peak")),
        )
    )
    return {pk: RunFacts(worker, peak) for pk, worker, peak in rows}


def configuration_rows(job: TrainingJob, run: RunFacts) -> list[tuple[str, str]]:
    """Title and value of this run's parameters, those that people look for most first."""
    facts = job.data_facts
    rows = [facts.get(f"{part}_rows") for part in ("train", "validation", "test")]
    listed = [
        ("Base model", job.base_model_name),
        ("Device", " · ".join(filter(None, [str(job.compute_class), run.worker]))),
    ]
    for role in SPEC_CLASSES[job.task].roles:
        if columns := role.columns_in(job.recipe):
            listed.append((role.title, AsWritten(", ".join(columns))))
    if split := job.recipe.get("split"):
        listed.append(("Split", SplitSpec.model_validate(split).sentence))
    listed.append(
        ("Time limit", f"{limits.format_duration(limits.effective_time_limit(job))} of run time")
    )
    if job.priority:
        listed.append(("Priority", f"{job.priority:+}"))
    if job.source_model:
        listed.append(("Made from", AsWritten(job.source_model.name)))
        listed.append(("Form", job.recipe["export"]["format"]))
    if search := job.recipe.get("search"):
        seconds = search.get("seconds")
        budget = f" within {limits.format_duration(round(seconds))}" if seconds else ""
        listed.append(("Search", f"up to {search['trials']} trials{budget}"))
    if None not in rows:
        listed.append(
            ("Rows to train / validate / test", " / ".join(f"{count:,}" for count in rows))
        )
    return listed + hyperparameter_rows(job, run)


def hyperparameter_rows(job: TrainingJob, run: RunFacts) -> list[tuple[str, str]]:
    """Title and value of every hyperparameter, the method first; of an automatic one the value that
    the run chose. One for which a finished run chose no value is left out: it was not used."""
    chosen = job.recipe.get("hyperparameters", {})
    resolved = _resolved_values(job, run)
    listed = []
    for name, field in hyperparameters_class(job.task).model_fields.items():
        value = chosen.get(name, field.default)
        extra = field.json_schema_extra
        is_automatic = isinstance(extra, dict) and extra.get("automatic") == value
        words = (
            {True: "yes", False: "no"}[value] if isinstance(value, bool) else option_words(value)
        )
        if is_automatic and name in resolved:
            resolved_words = option_words(resolved[name])
            words = f"{resolved_words} (automatic)"
        elif is_automatic and job.status == Status.SUCCEEDED:
            continue
        elif is_automatic:
            words = "Automatic"
        listed.append((field.title or name, words))
    return sorted(listed, key=lambda row: row[0] != "Method")


def _resolved_values(job: TrainingJob, run: RunFacts) -> dict[str, object]:
    """The values that the run has chosen so far for automatic hyperparameters, by name."""
    resolved: dict[str, object] = {"epochs": job.epochs} if job.epochs else {}
    if run.peak_learning_rate:
        resolved["learning_rate"] = f"{run.peak_learning_rate:.3g}"
    training = (job.model.manifest.get("training") or {}) if job.model else {}
    for name in ("method", "precision"):
        if training.get(name):
            resolved[name] = training[name]
    return resolved


def history_context(job: TrainingJob, viewer: User) -> dict[str, object]:
    """Events, checkpoints, attempts and money: what has happened so far."""
    events = list(job.events.order_by("-id")[:MAX_EVENTS_SHOWN])
    return {
        "job": job,
        "team": job.team,
        "verbs": allowed_actions(job, viewer),
        "retention_days": settings.CHECKPOINT_RETENTION_DAYS,
        "events": events[::-1],
        "more_events": len(events) == MAX_EVENTS_SHOWN,
        "trials": trial_rows(job),
        "checkpoints": job.checkpoints.kept(),
        "deleted_checkpoints": job.checkpoints.exclude(deleted_at=None).count(),
        "attempts": with_charged_amounts(job.attempts.all()),
        "cost": cost_of(job),
        "rate_micro": _hourly_rate_micro(job),
    }


def trial_rows(job: TrainingJob) -> list[dict[str, object]]:
    """The trials of its search, their settings by title."""
    fields = hyperparameters_class(job.task).model_fields
    return [
        {
            "facts": trial,
            "settings": [(fields[name].title, value) for name, value in trial.parameters.items()],
            "score_words": trial.score_name.replace("_", " "),
        }
        for trial in job.trials.all()
    ]


def _status_message(job: TrainingJob) -> str:
    """The message of the latest change of status, such as why the job is paused; "" while it is
    queued or running."""
    if job.status in MOVING:
        return ""
    events = JobEvent.objects.filter(job=job, kind="status").order_by("-id")
    return events.values_list("message", flat=True).first() or ""


def _newest_events(job: TrainingJob) -> list[JobEvent]:
    """The latest events of a job that is queued or running; none of others, whose page shows why
    they stopped, or their result."""
    if job.status not in MOVING:
        return []
    return list(job.events.order_by("-id")[:MAX_NEWEST_EVENTS])


def _resume_step(job: TrainingJob) -> int | None:
    """The step of the checkpoint that a paused job will resume from."""
    if job.status != Status.PAUSED:
        return None
    checkpoint = latest_checkpoint(job)
    return checkpoint.step if checkpoint else None


def _test_results(job: TrainingJob) -> "tuple[Report | None, dict[str, float]]":
    """The report and the metrics on test rows, once there is a model."""
    if job.model_id is None:
        return None, {}
    evaluations = Evaluation.objects.filter(model=job.model_id).values_list(
        "report", "model__metrics"
    )
    return evaluations.last() or (None, {})


def phase_rail(job: TrainingJob) -> list[tuple[str, str]]:
    """The phases in order, each with its state: "done", "now" or "" for still to come."""
    if job.status == Status.SUCCEEDED:
        return [(words, "done") for _, words in PHASES]
    reached = 0
    if job.status == Status.RUNNING or job.phase:
        keys = [key for key, _ in PHASES]
        reached = keys.index(job.phase) if job.phase in keys else 1
    return [
        (words, "done" if place < reached else "now" if place == reached else "")
        for place, (_, words) in enumerate(PHASES)
    ]


def _hourly_rate_micro(job: TrainingJob) -> int | None:
    """Micro-USD for an hour of the job's machine."""
    rate = Rate.objects.filter(sku=job.compute_class_id, valid__contains=now()).first()
    if rate is None:
        return None
    return rate.nano_per_unit * 3600 * job.compute_class.devices // 1000
