"""Fills a database as large as `benchmarks.scale` measures it, with INSERT … SELECT alone.

Everything hangs on small numbers: job n has run n, model n and so on, and an id is a digest of its
number, so that one table's rows name another's without looking them up. One team, number 1, owns a
tenth of all.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from django.contrib.auth.hashers import make_password
from django.db import connection, models, transaction

from accounts.models import ApiToken, Membership, Team, User
from billing.models import Budget, LedgerEntry, MeteredRun, Rate, UsageEvent, UsageSegment
from inference.models import Deployment, RequestLog
from projects.models import Dataset, DatasetVersion, Project
from training.models import (
    Attempt,
    Checkpoint,
    ComputeClass,
    Evaluation,
    JobEvent,
    MetricPoint,
    TrainedModel,
    TrainingJob,
    Worker,
)

DAYS = 90  # All of it happened in so many days.
LONGEST_JOB_STEPS = 50_000
CROWDED = "crowded"  # A compute class that as many jobs wait for as there are others in all.
METRICS = ("train_loss", "validation_loss", "validation_accuracy", "learning_rate", "gradient_norm")


@dataclass(frozen=True)
class Size:
    teams: int = 1_000
    jobs: int = 10_000
    points: int = 5_000_000
    segments: int = 1_000_000
    events: int = 200_000  # Answered inference requests, by the second.

    @property
    def of_the_largest(self) -> int:
        """Jobs of team 1."""
        return self.jobs // 10


def fill(size: Size) -> None:
    """Everything in one transaction: the marker of a filled database is its last table."""
    with transaction.atomic(), connection.cursor() as cursor:
        # Foreign keys hold by construction; checking each of millions takes minutes.
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("SET LOCAL maintenance_work_mem = '512MB'")
        cursor.execute(
            "CREATE OR REPLACE FUNCTION scale_id(kind text, n bigint) RETURNS uuid IMMUTABLE "
            "LANGUAGE sql RETURN md5(kind || n)::uuid"
        )
        _people(size)
        _data(size)
        _jobs(size)
        _crowd(size)
        _runs(size)
        _what_jobs_left(size)
        _served(size)
        # Its triggers slept as well; this is how it was filled when they were made.
        cursor.execute(import_module("billing.migrations.0013_daily_sums_kept").FILL)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def is_filled() -> bool:
    return RequestLog.objects.exists()


def _people(size: Size) -> None:
    every_team = f"generate_series(1, {size.teams}) n"
    _insert(
        Team, every_team, id="scale_id('team', n)", name="'Team ' || n", slug="'team-' || n",
        created_at=f"now() - interval '{DAYS} days'",
    )  # fmt: skip
    _insert(
        User, every_team, email="'owner' || n || '@scale.example'", first_name="'Owner ' || n",
        password=f"'{make_password(None)}'",
    )  # fmt: skip
    _insert(
        Membership,
        f"{every_team} JOIN accounts_user u ON u.email = 'owner' || n || '@scale.example'",
        team_id="scale_id('team', n)", user_id="u.id", role="'owner'",
    )  # fmt: skip
    _insert(
        ApiToken,
        f"generate_series(1, {2 * size.teams}) n"
        " JOIN accounts_user u ON u.email = 'owner' || (n + 1) / 2 || '@scale.example'",
        id="scale_id('token', n)", team_id="scale_id('team', (n + 1) / 2)", created_by_id="u.id",
        name="'token ' || n", prefix="'lathe_' || n", digest="md5('digest' || n)",
        scopes="ARRAY['read']",
        created_at=f"now() - random() * interval '{DAYS} days'",
    )  # fmt: skip
    _insert(
        Budget, every_team, team_id="scale_id('team', n)",
        plan_id="CASE WHEN n = 1 THEN 'scale' ELSE 'team' END",
        period_start="date_trunc('month', now(), 'UTC')", cap_micro="NULL",
    )  # fmt: skip


def _data(size: Size) -> None:
    """Two projects and two datasets a team."""
    every = f"generate_series(1, {2 * size.teams}) n"
    _insert(
        Project, every, id="scale_id('project', n)", team_id="scale_id('team', (n + 1) / 2)",
        name="'Project ' || n", created_at=f"now() - interval '{DAYS} days'",
    )  # fmt: skip
    _insert(
        Dataset, every, id="scale_id('dataset', n)", project_id="scale_id('project', n)",
        name="'tickets ' || n || '.csv'", created_at=f"now() - interval '{DAYS} days'",
    )  # fmt: skip
    _insert(
        DatasetVersion, every, id="scale_id('version', n)", dataset_id="scale_id('dataset', n)",
        number="1", status="'ready'", filename="'tickets.csv'", upload_key="'uploads/' || n",
        upload_bytes="1000000", upload_sha256="repeat('0', 64)", parquet_key="'data/' || n",
        rows="3000", rejected_rows="3", finished_at="now()",
        columns="""'[{"name": "text", "type": "text"},
            {"name": "label", "type": "text"}]'::jsonb""",
        profile="""'{"rows": 3000, "columns": [
            {"name": "text", "type": "text", "missing": 0, "unique": 2950, "mean_length": 60},
            {"name": "label", "type": "text", "missing": 0, "unique": 8, "mean_length": 8}],
            "suggested": {"task": "text-classification", "text_columns": ["text"],
                          "target_column": "label"}}'::jsonb""",
    )  # fmt: skip


def _each_job(size: Size) -> str:
    """Job n with its team, project, status and moment; as many wait or run as a busy day has."""
    return f"""(
        SELECT n, CASE WHEN n <= {size.of_the_largest} THEN 1
                       ELSE 2 + n % {size.teams - 1} END AS team,
        CASE WHEN n % 33 = 1 THEN 'queued' WHEN n % 97 = 2 THEN 'running'
             WHEN n % 50 = 3 THEN 'failed' WHEN n % 50 = 4 THEN 'cancelled'
             WHEN n % 100 = 5 THEN 'paused' ELSE 'succeeded' END AS status,
        CASE WHEN n % 33 = 1 OR n % 97 = 2 THEN now() - (n % 50) * interval '1 minute'
             ELSE now() - interval '1 day'
                  - (n * 7919 % {size.jobs}) / {size.jobs}.0 * interval '{DAYS} days'
        END AS moment
        FROM generate_series(1, {size.jobs}) n) job"""


def _jobs(size: Size) -> None:
    succeeded = f"{_each_job(size)} WHERE status = 'succeeded'"
    _insert(
        TrainedModel, succeeded, id="scale_id('model', n)", team_id="scale_id('team', team)",
        project_id="scale_id('project', 2 * team)", name="'tickets ' || n",
        dataset_version_id="scale_id('version', 2 * team)", task="'text-classification'",
        base_model="'all-MiniLM-L6-v2'", artifact_key="'artifacts/' || n", artifact_bytes="9000",
        labels="ARRAY['billing', 'returns', 'delivery']", created_at="moment",
        metrics="jsonb_build_object('accuracy', 0.7 + n % 100 / 400.0)",
    )  # fmt: skip
    _insert(
        Evaluation, succeeded, model_id="scale_id('model', n)",
        report="""'{"headline": "Accuracy 0.91", "verdict": "better", "rows": 300}'::jsonb""",
    )  # fmt: skip
    _insert(
        TrainingJob, _each_job(size), id="scale_id('job', n)", team_id="scale_id('team', team)",
        project_id="scale_id('project', 2 * team)", compute_class_id="'cpu'",
        dataset_version_id="scale_id('version', 2 * team)", name="'tickets ' || n",
        task="'text-classification'", base_model="'all-MiniLM-L6-v2'", status="status",
        launched_by_id="(SELECT min(id) FROM accounts_user) + team - 1",
        recipe="""'{"task": "text-classification", "text_columns": ["text"], "target_column":
            "label", "base_model": "all-MiniLM-L6-v2", "hyperparameters": {}}'::jsonb""",
        created_at="moment", queued_at="moment",
        started_at="CASE WHEN status <> 'queued' THEN moment END",
        finished_at="CASE WHEN status IN ('succeeded', 'failed', 'cancelled') "
        "THEN moment + interval '10 minutes' END",
        failure_code="CASE WHEN status = 'failed' THEN 'bad_data' END",
        failure_sentence="CASE WHEN status = 'failed' THEN 'Every row has one label.' ELSE '' END",
        progress="CASE WHEN status = 'succeeded' THEN 1 WHEN status = 'queued' THEN 0 ELSE 0.4 END",
        pause_code="CASE WHEN status = 'paused' THEN 'user' END",
        model_id="CASE WHEN status = 'succeeded' THEN scale_id('model', n) END",
    )  # fmt: skip


def _crowd(size: Size) -> None:
    """A class of machines of its own with a queue as long as all of the above."""
    _insert(
        ComputeClass, "generate_series(1, 1)", code=f"'{CROWDED}'", name="'Crowded'",
        device="'cpu'", memory_bytes="8000000000",
    )  # fmt: skip
    _insert(
        Rate, "generate_series(1, 1)", sku=f"'{CROWDED}'", nano_per_unit="20000",
        valid="tstzrange(now() - interval '1 year', NULL)",
    )  # fmt: skip
    _insert(
        TrainingJob, f"generate_series(1, {size.jobs}) n", id="scale_id('waiting', n)",
        team_id=f"scale_id('team', 1 + n % {size.teams})", compute_class_id=f"'{CROWDED}'",
        project_id=f"scale_id('project', 2 * (1 + n % {size.teams}))", name="'tickets ' || n",
        dataset_version_id=f"scale_id('version', 2 * (1 + n % {size.teams}))",
        task="'text-classification'", base_model="'all-MiniLM-L6-v2'", status="'queued'",
        launched_by_id=f"(SELECT min(id) FROM accounts_user) + n % {size.teams}",
        recipe="""'{"task": "text-classification", "text_columns": ["text"], "target_column":
            "label", "base_model": "all-MiniLM-L6-v2", "hyperparameters": {}}'::jsonb""",
        created_at="now() - n * interval '3 seconds'", queued_at="now() - n * interval '3 seconds'",
        priority="n % 7 / 6",
    )  # fmt: skip


def _runs(size: Size) -> None:
    """One run and attempt a job that has begun, all alike in length; running ones are live."""
    begun = f"{_each_job(size)} WHERE status <> 'queued'"
    per_job = size.segments // size.jobs
    ended = f"CASE WHEN status <> 'running' THEN moment + interval '{5 * per_job} seconds' END"
    _insert(
        MeteredRun, f"{begun}", id="scale_id('run', n)", team_id="scale_id('team', team)",
        source="'training-job:' || scale_id('job', n)", fence="1", started_at="moment",
        rate_id="(SELECT id FROM billing_rate WHERE sku = 'cpu')", ended_at=ended,
        lease_until="moment + interval '2 hours'", billed_ms=f"{5000 * per_job}",
        alive_ms=f"{5000 * per_job}", funded_ms=f"{5000 * per_job}",
        end_reason="CASE WHEN status <> 'running' THEN 'finished' ELSE '' END",
    )  # fmt: skip
    _insert(
        Attempt, begun, job_id="scale_id('job', n)", number="1", worker="'trainer-' || n % 8",
        run_id="scale_id('run', n)", started_at="moment", ended_at=ended,
        end_reason="CASE WHEN status <> 'running' THEN 'finished' ELSE '' END",
    )  # fmt: skip
    _insert(
        Worker, "generate_series(0, 7) n", name="'trainer-' || n", compute_class_id="'cpu'",
        seen_at="now()",
    )  # fmt: skip
    with _bare(UsageSegment):
        _insert(
            UsageSegment, f"{_each_job(size)}, generate_series(1, {per_job}) part",
            run_id="scale_id('run', n)", team_id="scale_id('team', team)",
            source="'training-job:' || scale_id('job', n)",
            span="int8range((part - 1) * 5000, part * 5000)", device_ms="5000", amount_micro="100",
            recorded_at="moment + part * interval '5 seconds'", where="status <> 'queued'",
        )  # fmt: skip
    with _bare(LedgerEntry):
        _insert(
            LedgerEntry, "billing_usagesegment segment", team_id="team_id", kind="'compute'",
            amount_micro="amount_micro", source="'segment:' || id", about="source",
            occurred_at="recorded_at", run_id="run_id", sku="'cpu'",
        )  # fmt: skip
    _insert(
        LedgerEntry, f"{_each_job(size)} WHERE status = 'failed' AND n % 2 = 1",
        team_id="scale_id('team', team)", kind="'refund'", amount_micro="-2000",
        source="'refund:run:' || scale_id('run', n)",
        about="'training-job:' || scale_id('job', n)", note="'Refund: work lost with its worker'",
        run_id="scale_id('run', n)", sku="'cpu'",
        occurred_at="moment + interval '1 hour'",
    )  # fmt: skip


def _what_jobs_left(size: Size) -> None:
    _insert(
        JobEvent, f"{_each_job(size)}, generate_series(1, 10) part", job_id="scale_id('job', n)",
        message="'Something happened, number ' || part", at="moment + part * interval '1 minute'",
        kind="CASE WHEN part % 3 = 1 THEN 'status' ELSE 'message' END",
    )  # fmt: skip
    _insert(
        Checkpoint, f"{_each_job(size)}, generate_series(1, 3) part", where="status <> 'queued'",
        job_id="scale_id('job', n)", attempt_number="1", step="part * 100",
        storage_key="'checkpoints/' || n || '/' || part", created_at="moment",
        deleted_at="CASE WHEN status = 'succeeded' THEN now() END",
    )  # fmt: skip
    names = f"unnest(ARRAY{list(METRICS)}) name"
    of_the_longest = LONGEST_JOB_STEPS * 2
    steps = (size.points - of_the_longest) // (size.jobs * len(METRICS))
    curve = "exp(-step / 300.0) + random() / 10"
    with _bare(MetricPoint):
        _insert(
            MetricPoint, f"{_each_job(size)}, generate_series(1, {steps}) step, {names}",
            job_id="scale_id('job', n)", attempt_number="1", name="name", step="step", value=curve,
            at="moment + step * interval '2 seconds'", where=f"n <> {longest_job(size)}",
        )  # fmt: skip
        _insert(
            MetricPoint, f"generate_series(1, {LONGEST_JOB_STEPS}) step,"
            " unnest(ARRAY['train_loss', 'validation_loss']) name",
            job_id=f"scale_id('job', {longest_job(size)})", attempt_number="1", name="name",
            step="step", value=curve,
        )  # fmt: skip


def longest_job(size: Size) -> int:
    """A finished job of the largest team, with far more steps than any other."""
    return 10


def _served(size: Size) -> None:
    """Deployments of the largest team's newest models, one of each other team's; their use."""
    last = size.of_the_largest + size.teams
    served = f"{_each_job(size)} WHERE status = 'succeeded' AND (n <= 50 OR n > {last - 1000})"
    _insert(
        Deployment, f"{served} AND n <= {last}", id="scale_id('deployment', n)",
        team_id="scale_id('team', team)", project_id="scale_id('project', 2 * team)",
        model_id="scale_id('model', n)", name="'queue-' || n", created_at="moment",
        changed_at="moment",
    )  # fmt: skip
    asked = (
        f"generate_series(1, {size.events}) n JOIN (SELECT id, team_id, row_number() OVER"
        " (ORDER BY team_id <> scale_id('team', 1), id) AS place FROM inference_deployment)"
        " deployment ON place = 1 + n % 100"
    )
    _insert(
        UsageEvent, asked, team_id="team_id", kind="'inference-tokens'",
        source="'deployment:' || deployment.id", event_key="'second-' || n",
        token_prefix="'lathe_' || n % 7", units="500", requests="10", amount_micro="10",
        occurred_at=f"now() - n / {size.events}.0 * interval '{DAYS} days'",
    )  # fmt: skip
    _insert(
        LedgerEntry, "billing_usageevent event", team_id="team_id", kind="'inference'",
        amount_micro="amount_micro", source="'event:' || id", about="source", sku="kind",
        token_prefix="token_prefix",
        occurred_at="occurred_at",
    )  # fmt: skip
    _insert(
        RequestLog, asked, deployment_id="deployment.id", request_id="'req-' || n",
        token_prefix="'lathe_' || n % 7", rows="1", tokens="50", latency_ms="8 + n % 30",
        status="200", at=f"now() - n / {size.events}.0 * interval '7 days'",
        inputs="""'["where is my parcel"]'::jsonb""", answers="""'["delivery"]'::jsonb""",
    )  # fmt: skip


def _insert(model: type[models.Model], source: str, /, *, where: str = "", **given: str) -> None:
    """INSERT … SELECT … FROM source; columns that are not given take the model's default."""
    columns: list[str] = []
    expressions: list[str] = []
    defaults: list[Any] = []
    for field in model._meta.concrete_fields:
        if field.column in given:
            expressions.append(given.pop(field.column).replace("%", "%%"))
        elif field.null or isinstance(field, models.AutoField):
            continue
        else:
            expressions.append("%s")
            defaults.append(field.get_db_prep_save(field.get_default(), connection))
        columns.append(f'"{field.column}"')
    assert not given, f"{model.__name__} has no column {', '.join(given)}"
    source = (f"{source} WHERE {where}" if where else source).replace("%", "%%")
    with connection.cursor() as cursor:
        cursor.execute(
            f'INSERT INTO "{model._meta.db_table}" ({", ".join(columns)})'
            f" SELECT {', '.join(expressions)} FROM {source}",
            defaults,
        )


@contextmanager
def _bare(model: type[models.Model]) -> Iterator[None]:
    """Fill a table without its constraints and indexes: built afterwards, they cost less."""
    table = model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE conrelid = %s::regclass AND contype IN ('x', 'u')",
            [table],
        )
        constraints = cursor.fetchall()
        for name, _ in constraints:
            cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        cursor.execute(
            "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index"
            " WHERE indrelid = %s::regclass AND NOT indisprimary",
            [table],
        )
        indexes = cursor.fetchall()
        for name, _ in indexes:
            cursor.execute(f"DROP INDEX {name}")
        yield
        for _, definition in indexes:
            cursor.execute(definition)
        for name, definition in constraints:
            cursor.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
