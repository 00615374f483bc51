"""Answers for every row of a table: a batch whose requests hold a dataset version's rows."""

import json
import logging
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from django.db import Error, transaction
from django.utils.timezone import now

from accounts import audit
from accounts.models import User
from accounts.permissions import require_permission
from inference.batches import lifecycle
from inference.errors import AlreadyRetired, CannotPredictTable
from inference.files.storing import store_made
from inference.models import ApiFile, Batch, Deployment, Purpose, TablePrediction
from projects import storage
from projects.errors import DatasetPurged
from projects.models import DatasetVersion, ImportStatus
from projects.queries.rows import to_cell
from web.enqueue import enqueue_on_commit
from web.rate_limits.actions import require_rate
from web.row_queue import claim_rows, update_claimed

ENDPOINT = "/v1/classify"
ROWS_PER_REQUEST = 64
MAX_ROWS = 500_000
AT_ONCE = 5
CLAIM = timedelta(minutes=10)
IMPORT_WAIT = timedelta(seconds=3)
KEPT = timedelta(days=30)  # The requests and their answers: nobody deletes them by hand.
NOT_PREPARED = "This table could not be read: the operator's log says why. Try it again."

logger = logging.getLogger(__name__)


def read_columns(deployment: Deployment) -> list[str]:
    """The columns that the endpoint's model reads; none where it reads no table's rows."""
    inputs = (deployment.model.manifest or {}).get("inputs") or {}
    if inputs.get("kind") == "features":
        return [feature["name"] for feature in inputs.get("features") or []]
    return list(inputs.get("columns") or []) if inputs.get("kind") == "text" else []


def require_table_reader(deployment: Deployment, by: User) -> None:
    """What is known before there is a table.

    Raises NotAllowed, AlreadyRetired, CannotPredictTable or a refusal of the rate.
    """
    require_permission(by, deployment.team, "write")
    if deployment.retired_at is not None:
        raise AlreadyRetired
    if not read_columns(deployment):
        raise CannotPredictTable("This model reads no rows of tables.")
    require_rate("analyses", deployment.team_id)


@transaction.atomic
def begin(deployment: Deployment, version: DatasetVersion, by: User) -> TablePrediction:
    """Queue the table, whose import may still be under way. Raises CannotPredictTable."""
    if version.status == ImportStatus.READY:
        _check_table(deployment, version)
    row = TablePrediction.objects.create(
        team=deployment.team, deployment=deployment, dataset_version=version, created_by=by
    )
    name = version.dataset.name
    audit.record(deployment.team, by, "dataset.asked", name, deployment=str(deployment.pk))
    enqueue_on_commit(lifecycle.TASK)
    return row


def prepare_due() -> None:
    """Turn tables whose import has ended into batches."""
    for _ in range(AT_ONCE):  # One by one: a claim must not end while another one is prepared.
        due = TablePrediction.objects.filter(next_at__lte=now()).order_by("next_at")
        due = due.select_related("deployment__model", "dataset_version__dataset", "created_by")
        rows = claim_rows(due, limit=1, next_at=now() + CLAIM)
        if not rows:
            return
        _prepare_or_give_up(rows[0])


def _prepare_or_give_up(row: TablePrediction) -> None:
    try:
        _prepare(row)
    except CannotPredictTable as refusal:
        update_claimed(row, problem=refusal.sentence[:500], next_at=None)
    except Error:
        raise  # The database is away: the row is due again.
    except Exception:  # Whatever is wrong with one table, other tables and batches go on.
        logger.exception("The table %s could not be prepared", row.pk)
        update_claimed(row, problem=NOT_PREPARED, next_at=None)


def _prepare(row: TablePrediction) -> None:
    version = row.dataset_version
    if version.status == ImportStatus.IMPORTING:
        update_claimed(row, next_at=now() + IMPORT_WAIT)
        return
    if version.status == ImportStatus.FAILED:
        raise CannotPredictTable(version.failure_sentence)
    if version.dataset.purged_at is not None:
        raise CannotPredictTable(DatasetPurged.sentence)
    _check_table(row.deployment, version)
    file = _write_requests(row)
    with transaction.atomic():
        batch = Batch.objects.create(
            team_id=row.team_id,
            created_by=row.created_by,
            endpoint=ENDPOINT,
            completion_window="24h",
            input_file=file,
            expires_at=now() + lifecycle.WINDOW,
        )
        is_ours = update_claimed(row, batch=batch, next_at=None)
        transaction.set_rollback(not is_ours)
    if not is_ours:  # Another worker took this one's time for death.
        storage.delete(file.storage_key)
        file.delete()


def _check_table(deployment: Deployment, version: DatasetVersion) -> None:
    """Raises CannotPredictTable for a table that lacks a column or is too long."""
    there = [column["name"] for column in version.columns]
    missing = [name for name in read_columns(deployment) if name not in there]
    if missing:
        raise CannotPredictTable(
            f"The model reads columns that this table lacks: {_listed(missing)}. "
            f"It has {_listed(there)}."
        )
    if not version.rows or version.rows > MAX_ROWS:
        raise CannotPredictTable(
            f"This table has {version.rows or 0:,} rows; from 1 to {MAX_ROWS:,} are answered at "
            "once."
        )


def _listed(names: list[str]) -> str:
    shown = ", ".join(f"“{name[:60]}”" for name in names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown


def _write_requests(row: TablePrediction) -> ApiFile:
    """The batch's file: each line asks for some rows, and its id is the first one's number."""
    name = f"table_{row.pk.hex}.jsonl"
    with tempfile.TemporaryDirectory(prefix="table-") as folder:
        path = Path(folder) / name
        with path.open("w") as sink:
            for first, inputs in _iterate_inputs(row):
                body = {"model": row.deployment.name, "input": inputs}
                sink.write(json.dumps({"custom_id": str(first), "body": body}) + "\n")
        return store_made(
            row.deployment.team,
            row.created_by,
            purpose=Purpose.BATCH,
            filename=name,
            path=path,
            expires_at=now() + KEPT,
        )


def _iterate_inputs(row: TablePrediction) -> Iterator[tuple[int, list[Any]]]:
    """Numbers from 0 of first rows, and the inputs of up to ROWS_PER_REQUEST rows from there."""
    columns, text = read_columns(row.deployment), find_text_column(row.deployment)
    first = 0
    with storage.local_file(row.dataset_version.parquet_key) as path:
        for part in pq.ParquetFile(path).iter_batches(ROWS_PER_REQUEST, columns=columns):
            cells = [
                {name: to_cell(value) for name, value in values.items()}
                for values in part.to_pylist()
            ]
            yield first, [as_text(one[text]) or None for one in cells] if text else cells
            first += len(cells)


def find_text_column(deployment: Deployment) -> str | None:
    """The column of a model that reads one text; None where rows are objects of columns."""
    columns = read_columns(deployment)
    return columns[0] if len(columns) == 1 and deployment.model.task.startswith("text") else None


def as_text(value: object) -> str:
    """A cell as a text, blank where there is none: such a row is refused and costs nothing."""
    return "" if value is None else str(value).strip()
