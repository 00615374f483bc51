"""What the pages of a job say: its words, numbers and legal verbs, read once per page."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils.timezone import now

from accounts.access import can
from accounts.models import ApiToken, User
from billing.models import Rate
from billing.summary import Summary
from engine.spec import SPECS, hyperparameters_of
from training import again, limits, schedule
from training.costs import cost_of, with_amounts
from training.failures import REASONS
from training.job_listing import percent_of, task_words
from training.model_reading import result_of_test, validation_of
from training.models import (
    Checkpoint,
    Evaluation,
    FailureCode,
    JobEvent,
    Status,
    TrainingJob,
)
from training.series import latest_values
from web.templatetags.ui import duration, money

SHOWN_EVENTS, SHOWN_RELATIVES = 200, 5


@dataclass(frozen=True)
class Verbs:
    """What this viewer may do to the job now: a button is shown only where it is legal."""

    pause: bool
    resume: bool
    cancel: bool
    retry: bool = False
    restart: bool = False  # From one of its checkpoints that are kept.


def verbs_for(job: TrainingJob, viewer: User | ApiToken) -> Verbs:
    if not can(viewer, job.team, "write"):
        return Verbs(False, False, False)
    return Verbs(
        pause=job.status in (Status.QUEUED, Status.RUNNING),
        resume=job.status == Status.PAUSED,
        cancel=not job.is_finished,
        retry=job.status in again.RETRYABLE,
        restart=job.status in again.RESTARTABLE,
    )


def status_of(job: TrainingJob, viewer: User) -> dict[str, Any]:
    """Everything in the part of the page that changes while the job moves."""
    cost, values = cost_of(job), latest_values(job)
    headline, tested = _tested(job)
    return {
        "job": job,
        "team": job.team,
        "verbs": verbs_for(job, viewer),
        "phase_line": phase_line(job),
        "time_left": time_left(job),
        "values": values,
        "measured": result_of_test(tested) or validation_of(values, job.task),
        "cost": cost,
        "money_words": money_words(cost),
        "reason": REASONS[FailureCode(job.failure_code)] if job.failure_code else None,
        "going_on": _going_on(job),
        "retention_days": settings.CHECKPOINT_RETENTION_DAYS,
        "relatives": relatives_of(job),
        "last_word": _last_word(job),
        "headline": headline,
        "label_count": len(job.data_facts.get("labels", [])),
        "task_words": task_words(job.task),
        "progress_percent": percent_of(job),
        "resume_step": _resume_step(job),
    }


def relatives_of(job: TrainingJob) -> list[tuple[str, TrainingJob]]:
    """Jobs that this one repeats or goes on from, and those that do so with it."""
    found = [("Retry of", job.retry_of)] if job.retry_of else []
    if job.start_from:
        found.append((f"Restarted from step {job.start_from.step:,} of", job.start_from.job))
    # Two queries in one, each with its index: an OR over both would read every job.
    restarted = TrainingJob.objects.filter(start_from__in=job.checkpoints.values("pk"))
    later_ones = job.retries.order_by().values("pk").union(restarted.order_by().values("pk"))
    again_jobs = TrainingJob.objects.filter(pk__in=later_ones)
    for later in again_jobs.order_by("-created_at")[:SHOWN_RELATIVES]:
        found.append(("Retried as" if later.retry_of_id else "Restarted as", later))
    return found


def _going_on(job: TrainingJob) -> Checkpoint | None:
    """The checkpoint that a failed or cancelled job is best restarted from."""
    is_hopeless = job.failure_code and not REASONS[FailureCode(job.failure_code)].can_go_on
    if job.status not in again.RETRYABLE or is_hopeless:
        return None
    return job.checkpoints.kept().order_by("-step", "-pk").first()


def log_of(job: TrainingJob) -> dict[str, Any]:
    """The end of the log, live while the job runs."""
    return {"job": job, "team": job.team, "log_tail": job.log_tail}


def phase_line(job: TrainingJob) -> str:
    """One line on where the job stands, such as "Training · epoch 3 of 5 · step 912 / 1,425"."""
    if job.status == Status.QUEUED:
        return f"Queued · {schedule.waiting(job)}"
    if job.status != Status.RUNNING:
        step = f" at step {job.step:,} of {job.total_steps:,}" if job.total_steps else ""
        return f"{Status(job.status).label}{step if job.status != Status.SUCCEEDED else ''}"
    parts = [(job.phase or "starting").capitalize()]
    if job.phase == "training" and job.epochs:
        parts.append(f"epoch {max(1, int(job.epoch))} of {job.epochs}")
    if job.phase == "training" and job.total_steps:
        parts.append(f"step {job.step:,} / {job.total_steps:,}")
    return " · ".join(parts)


def time_left(job: TrainingJob) -> str:
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


def money_words(cost: Summary) -> str:
    """What the team pays for this job, in one sentence."""
    spent = f"for {duration(cost.device_seconds)} of compute"
    if not cost.refunded_micro:
        return (
            f"Charged {money(cost.amount_micro)} {spent}." if cost.amount_micro else "Not charged."
        )
    if not cost.net_micro:
        return f"Nothing to pay: {money(cost.amount_micro)} {spent} was given back."
    return f"Charged {money(cost.net_micro)} {spent}; {money(cost.refunded_micro)} was given back."


def configuration(job: TrainingJob) -> list[tuple[str, str]]:
    """The exact parameters of this run, most asked for first."""
    facts = job.data_facts
    rows = [facts.get(f"{part}_rows") for part in ("train", "validation", "test")]
    worker = job.attempts.order_by("-number").values_list("worker", flat=True).first()
    listed = [
        ("Base model", job.base_model),
        ("Device", " · ".join(filter(None, [str(job.compute_class), worker]))),
    ]
    for role in SPECS[job.task].roles:
        if named := role.named(job.recipe):
            listed.append((role.title, ", ".join(named)))
    listed.append(("Time limit", f"{limits.words(limits.limit_seconds(job))} of run time"))
    if job.priority:
        listed.append(("Priority", f"{job.priority:+}"))
    if job.source_model:
        listed.append(("Made from", job.source_model.name))
        listed.append(("Form", job.recipe["export"]["format"]))
    if search := job.recipe.get("search"):
        listed.append(("Search", _search_words(search)))
    if None not in rows:
        listed.append(("Rows", " / ".join(f"{count:,}" for count in rows)))
    return listed + dials_of(job)


def _search_words(search: dict[str, Any]) -> str:
    budget = f" within {limits.words(round(search['seconds']))}" if "seconds" in search else ""
    return f"up to {search['trials']} trials{budget}"


def dials_of(job: TrainingJob) -> list[tuple[str, str]]:
    """Every hyperparameter by its title; 0 and auto read "automatic" where they mean that."""
    chosen = job.recipe.get("hyperparameters", {})
    listed = []
    for name, field in hyperparameters_of(job.task).model_fields.items():
        value = chosen.get(name, field.default)
        extra = field.json_schema_extra
        is_automatic = isinstance(extra, dict) and extra.get("automatic") == value
        listed.append((field.title or name, "automatic" if is_automatic else f"{value}"))
    return listed


def history_of(job: TrainingJob, viewer: User) -> dict[str, Any]:
    """Events, checkpoints, attempts and money: what has happened so far."""
    events = list(job.events.order_by("-id")[:SHOWN_EVENTS])
    return {
        "job": job,
        "team": job.team,
        "verbs": verbs_for(job, viewer),
        "retention_days": settings.CHECKPOINT_RETENTION_DAYS,
        "events": events[::-1],
        "more_events": len(events) == SHOWN_EVENTS,
        "trials": trials_of(job),
        "checkpoints": job.checkpoints.kept(),
        "deleted_checkpoints": job.checkpoints.exclude(deleted_at=None).count(),
        "attempts": with_amounts(job.attempts.all()),
        "cost": cost_of(job),
        "rate_micro": _hourly_rate_micro(job),
    }


def trials_of(job: TrainingJob) -> list[dict[str, Any]]:
    """The trials of its search, their settings by title."""
    fields = hyperparameters_of(job.task).model_fields
    return [
        {
            "facts": trial,
            "settings": [(fields[name].title, value) for name, value in trial.parameters.items()],
            "score_words": trial.score_name.replace("_", " "),
        }
        for trial in job.trials.all()
    ]


def _last_word(job: TrainingJob) -> str:
    """Why the job is paused or cancelled, as the event said."""
    events = JobEvent.objects.filter(job=job, kind="status").order_by("-id")
    return events.values_list("message", flat=True).first() or ""


def _resume_step(job: TrainingJob) -> int | None:
    """The step of the checkpoint that a paused job goes on from."""
    if job.status != Status.PAUSED:
        return None
    checkpoint = schedule.latest_checkpoint(job)
    return checkpoint.step if checkpoint else None


def _tested(job: TrainingJob) -> tuple[str, dict[str, float]]:
    """The report's sentence and the metrics on test rows, once there is a model."""
    if job.model_id is None:
        return "", {}
    found = Evaluation.objects.filter(model=job.model_id).values_list("report", "model__metrics")
    report, metrics = found.last() or ({}, {})
    return str(report.get("headline", "")), metrics


def _hourly_rate_micro(job: TrainingJob) -> int | None:
    """Micro-USD for an hour of the job's machine."""
    rate = Rate.objects.filter(sku=job.compute_class_id, valid__contains=now()).first()
    if rate is None:
        return None
    return rate.nano_per_unit * 3600 * job.compute_class.devices // 1000
