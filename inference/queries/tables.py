"""The tables whose rows an endpoint has answered or is answering, for its page."""

from dataclasses import dataclass

from django.db.models import Count, Q

from inference.batches.lines import STOPPED_AT
from inference.models import ApiFile, Batch, BatchStatus, Deployment, TablePrediction
from inference.models.batch import OPEN_STATUSES
from inference.table_predictions.running import ROWS_PER_REQUEST

SHOWN = 5
STATES = {  # Of a batch that has ended, as people read it.
    BatchStatus.COMPLETED: "ready",
    BatchStatus.CANCELLED: "cancelled",
    BatchStatus.EXPIRED: "expired",
    BatchStatus.FAILED: "failed",
}


@dataclass(frozen=True)
class TableProgress:
    """One table: its state as a word, how many of its rows are done, and what is wrong."""

    row: TablePrediction
    state: str  # "importing", "running" or one of STATES.
    rows: int
    asked: int  # Rows that have an answer or an error.
    problem: str

    @property
    def is_open(self) -> bool:
        return self.state in ("importing", "running")

    @property
    def has_answers(self) -> bool:
        return is_complete(self.row) and bool(_made_files(self.row))


def is_complete(row: TablePrediction) -> bool:
    """Whether it has ended and every file that it made is still there: people may delete them."""
    has_ended = row.batch is not None and row.batch.status not in OPEN_STATUSES
    return has_ended and all(file.deleted_at is None for file in _made_files(row))


def _made_files(row: TablePrediction) -> list[ApiFile]:
    """Its files of answers and of errors; none where the batch ended before its first answer."""
    batch = row.batch
    return [file for file in (batch.output_file, batch.error_file) if file] if batch else []


def list_tables(deployment: Deployment) -> list[TableProgress]:
    """The endpoint's last SHOWN tables, newest first."""
    # Answers are counted while a batch runs; they are deleted when it ends and stores its counts.
    answers = Count("batch__answers", filter=Q(batch__status__in=OPEN_STATUSES))
    rows = (
        TablePrediction.objects.filter(deployment=deployment)
        .select_related("batch__output_file", "batch__error_file", "dataset_version__dataset")
        .annotate(answers=answers)
        .order_by("-created_at")
    )
    return [_progress(row, row.answers) for row in rows[:SHOWN]]


def tables_context(deployment: Deployment) -> dict[str, object]:
    """The tables, and whether any is open, so that the page loads them again."""
    tables = list_tables(deployment)
    return {"tables": tables, "tables_open": any(table.is_open for table in tables)}


def _progress(row: TablePrediction, answers: int) -> TableProgress:
    rows, batch = row.dataset_version.rows or 0, row.batch
    if batch is None:
        state = "failed" if row.next_at is None else "importing"
        return TableProgress(row, state, rows, 0, row.problem)
    is_open = batch.status in OPEN_STATUSES
    requests = answers if is_open else batch.completed + batch.failed
    return TableProgress(
        row,
        "running" if is_open else STATES[BatchStatus(batch.status)],
        rows,
        min(rows, requests * ROWS_PER_REQUEST),
        _problem_of(batch),
    )


def _problem_of(batch: Batch) -> str:
    """The batch's first problem, with its line as rows of the table: a line asks for several."""
    if not batch.problems:
        return ""
    line, message = batch.problems[0]["line"], str(batch.problems[0]["message"])
    if line is None:
        return message
    reason = message.removeprefix(STOPPED_AT.format(line=line))
    return f"Rows from {(line - 1) * ROWS_PER_REQUEST + 1:,} on were refused: {reason}"
