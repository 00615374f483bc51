"""A team's overview: the next step, spending and traffic, jobs, endpoints, and things that wait
for a person."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db import connection
from django.db.models import Case, Count, Exists, IntegerField, Q, Sum, Value, When, Window
from django.urls import reverse
from django.utils.timezone import now

from accounts.models import Team
from billing.budgets.budget import get_budget
from billing.models import Budget, UsageDay
from inference.models import Deployment, RequestLog
from inference.queries.needs import Need, registered_needs
from inference.queries.traffic import HOURS, load_traffic, sparkline
from projects.models import DatasetVersion, ImportStatus
from training.models import Evaluation, Status, TrainingJob
from training.queries.job_detail import format_time_left
from training.queries.job_list import JobRow, job_rows, with_related
from training.queries.metric_series import newest_values
from training.queries.models import VALIDATION_METRICS, latest_validation_result
from training.queries.report.verdict import ModelVerdict, judge_model

DAYS = 14  # Of the spending sparkline.
MAX_NOW, MAX_RESULTS, MAX_ENDPOINTS = 5, 5, 6
RECENT = timedelta(days=7)
NEWEST_JOBS = 30
NEAR_CAP = 0.8
READ_REPORT_KEY = "read_report"  # Session key: a report has been opened.
UNFINISHED = (Status.RUNNING, Status.QUEUED, Status.PAUSED)


@dataclass(frozen=True)
class Step:
    """One of the five steps to a first answer."""

    title: str
    about: str
    url: str
    is_done: bool


@dataclass(frozen=True)
class ResultRow:
    job: TrainingJob
    result: str
    verdict: ModelVerdict | None


@dataclass(frozen=True)
class EndpointCard:
    endpoint: Deployment
    requests: int
    line: str  # SVG points of its requests by hour.


@dataclass(frozen=True)
class Overview:
    steps: list[Step]
    is_new: bool  # Not all steps are done.
    budget: Budget
    spending: str  # This and the other lines are SVG points of `sparkline`.
    requests: int  # Of the last HOURS.
    traffic: str
    p95_ms: float | None  # None without requests in the last HOURS.
    latency: str
    running: int
    queued: int
    launches: str
    now: list[tuple[JobRow, str, tuple[str, str] | None]]  # Row, time left, metric and value.
    results: list[ResultRow]
    needs: list[Need]
    endpoints: list[EndpointCard]


def load_overview(team: Team, *, has_read_report: bool) -> Overview:
    jobs = _newest_jobs(team)
    counts = jobs[0].__dict__ if jobs else {}  # Of all jobs, not of these alone.
    unfinished = [job for job in jobs if job.status in UNFINISHED]
    succeeded = [job for job in jobs if job.status == Status.SUCCEEDED]
    current, finished = unfinished[:MAX_NOW], succeeded[:MAX_RESULTS]
    rows = {row.job: row for row in job_rows([*current, *finished], with_sparklines=False)}
    measured = _measured(current)
    endpoints, was_called = _serving_endpoints(team)
    traffic, budget = load_traffic(team), get_budget(team)
    p95_ms, slowness = _p95_ms(team) if sum(traffic.by_hour) else (None, [0] * HOURS)
    newest = DatasetVersion.objects.filter(
        dataset__project__team=team, dataset__archived_at=None
    ).select_related("dataset")
    versions = list(newest.order_by("-created_at").defer("profile", "issues", "columns")[:20])
    steps = _steps(
        team,
        versions,
        jobs,
        endpoints,
        has_read_report=has_read_report,
        was_called=was_called or sum(traffic.by_hour) > 0,  # The last calls may be in no day yet.
    )
    return Overview(
        steps=steps,
        is_new=not all(step.is_done for step in steps),
        budget=budget,
        spending=sparkline(_daily_spending(team)),
        requests=sum(traffic.by_hour),
        traffic=sparkline(traffic.by_hour),
        p95_ms=p95_ms,
        latency=sparkline(slowness),
        running=counts.get("running", 0),
        queued=counts.get("queued", 0),
        launches=sparkline(_daily_launches(jobs)),
        now=[(rows[job], format_time_left(job), measured.get(job)) for job in current],
        results=_results([rows[job] for job in finished]),
        needs=_needs(team, jobs, versions, budget),
        endpoints=[
            EndpointCard(endpoint, sum(hours), sparkline(hours))
            for endpoint in sorted(endpoints, key=lambda endpoint: endpoint.name)[:MAX_ENDPOINTS]
            for hours in [traffic.by_source[endpoint.source]]
        ],
    )


def _serving_endpoints(team: Team) -> tuple[list[Deployment], bool]:
    """The team's endpoints, and whether the team ever asked one, in one query."""
    calls = UsageDay.objects.filter(team=team, requests__gt=0)
    serving = Deployment.objects.serving().filter(team=team).select_related("model")
    endpoints = list(serving.annotate(was_called=Exists(calls)))
    return endpoints, any(each.was_called for each in endpoints)  # type: ignore[attr-defined]


def _measured(jobs: Sequence[TrainingJob]) -> dict[TrainingJob, tuple[str, str]]:
    """Name and value of the main metric on validation rows, by job; jobs without one are absent."""
    values = newest_values(jobs, [f"validation_{name}" for name in VALIDATION_METRICS])
    return {
        job: latest_validation_result(values[job.pk], job.task) for job in jobs if job.pk in values
    }


def _newest_jobs(team: Team) -> list[TrainingJob]:
    """At most NEWEST_JOBS: those that run, those that wait, then the others, each newest first.

    Each also has `running` and `queued`: how many of the team's jobs are.
    """
    order = Case(
        When(status=Status.RUNNING, then=Value(0)),
        When(status__in=UNFINISHED, then=Value(1)),
        default=Value(2),
        output_field=IntegerField(),
    )
    jobs = with_related(TrainingJob.objects.not_in_trash().filter(team=team)).annotate(
        running=Window(Count("pk", filter=Q(status=Status.RUNNING))),
        queued=Window(Count("pk", filter=Q(status=Status.QUEUED))),
    )
    return list(jobs.order_by(order, "-created_at")[:NEWEST_JOBS])


def _steps(
    team: Team,
    versions: Sequence[DatasetVersion],
    jobs: Sequence[TrainingJob],
    endpoints: Sequence[Deployment],
    *,
    has_read_report: bool,
    was_called: bool,
) -> list[Step]:
    datasets, models = (
        reverse("projects:datasets", args=[team.slug]),
        reverse("training:models", args=[team.slug]),
    )
    dataset = reverse("projects:dataset", args=[versions[0].dataset_id]) if versions else datasets
    model_id = next((job.model_id for job in jobs if job.model_id), None)
    model = reverse("training:model", args=[model_id]) if model_id else models
    endpoint = (
        reverse("inference:deployment", args=[endpoints[0].pk])
        if endpoints
        else reverse("inference:deployments", args=[team.slug])
    )
    return [
        Step("Add data", "A table, chats or pictures.", datasets, bool(versions)),
        Step("Fine-tune", "Time and cost stand beside the button.", dataset, bool(jobs)),
        Step("Read the report", "Is it worth using?", model, has_read_report or bool(endpoints)),
        Step("Deploy", "Give it a name.", model, bool(endpoints)),
        Step("Call it", "Paste a line with a token.", endpoint, was_called),
    ]


def _daily_spending(team: Team) -> list[int]:
    first = now().date() - timedelta(days=DAYS - 1)
    days = UsageDay.objects.filter(team=team, day__gte=first).values_list("day")
    by_day = dict(days.annotate(amount=Sum("amount_micro")))
    return [by_day.get(first + timedelta(days=place), 0) for place in range(DAYS)]


def _daily_launches(jobs: Sequence[TrainingJob]) -> list[int]:
    """Of the newest jobs, how many were launched on each of the last days."""
    first = now().date() - timedelta(days=DAYS - 1)
    by_day = Counter(job.created_at.date() for job in jobs)
    return [by_day[first + timedelta(days=place)] for place in range(DAYS)]


def _p95_ms(team: Team) -> tuple[float | None, list[int]]:
    """The 95th percentile of the latency of the sampled requests of the last HOURS, and of each
    hour, oldest first, 0 without requests."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT floor(extract(epoch FROM now() - log.at) / 3600)::int AS hours_ago,"
            " percentile_cont(0.95) WITHIN GROUP (ORDER BY log.latency_ms)"
            f" FROM {RequestLog._meta.db_table} log"
            f" JOIN {Deployment._meta.db_table} deployment ON deployment.id = log.deployment_id"
            " WHERE deployment.team_id = %s AND log.at >= %s AND log.status = 200"
            " GROUP BY GROUPING SETS ((), (hours_ago))",
            [team.pk, now() - timedelta(hours=HOURS)],
        )
        p95_by_hours_ago: dict[int | None, float | None] = dict(cursor.fetchall())
    by_hour = [round(p95_by_hours_ago.get(ago) or 0) for ago in range(HOURS - 1, -1, -1)]
    return p95_by_hours_ago.get(None), by_hour


def _results(listed: Sequence[JobRow]) -> list[ResultRow]:
    """Each job with its verdict. Of the reports, which are long, only the parts that decide it are
    read."""
    parts = ("kind", "headline_metric", "verdict", "metrics", "baselines", "test_rows")
    rows = Evaluation.objects.filter(model__in=[row.job.model_id for row in listed]).order_by("pk")
    reports = {
        model: dict(zip(parts, values, strict=True))
        for model, *values in rows.values_list("model_id", *(f"report__{part}" for part in parts))
    }
    verdicts = {
        model: judge_model({key: value for key, value in report.items() if value is not None})  # type: ignore[arg-type]
        for model, report in reports.items()
    }
    return [ResultRow(row.job, row.result, verdicts.get(row.job.model_id)) for row in listed]


def _needs(
    team: Team, jobs: Sequence[TrainingJob], versions: Sequence[DatasetVersion], budget: Budget
) -> list[Need]:
    usage = reverse("billing:usage", args=[team.slug])
    needs = []
    if budget.held_at:
        needs.append(Need("Spending is on hold: nothing new starts.", usage, "bad"))
    elif budget.cap_micro and budget.spent_micro >= NEAR_CAP * budget.cap_micro:
        share = round(100 * budget.spent_micro / budget.cap_micro)
        needs.append(Need(f"{share}% of this month's spend cap is used.", usage, "wait"))
    since = now() - RECENT
    for job in jobs:
        url = reverse("training:job", args=[job.pk])
        if job.status == Status.PAUSED:
            needs.append(Need(f"“{job.name}” is paused.", url, "wait"))
        elif job.status == Status.FAILED and job.created_at > since:
            needs.append(Need(f"“{job.name}” failed. {job.failure_sentence}", url, "bad"))
    for version in versions:
        url = reverse("projects:dataset", args=[version.dataset_id])
        if version.status == ImportStatus.FAILED and version.created_at > since:
            needs.append(
                Need(f"“{version.dataset}” was not read. {version.failure_sentence}", url, "bad")
            )
    # Registered needs come first: waiting customers are more urgent than failed jobs.
    return [*registered_needs(team), *needs]
