"""A text or a row that a model was tested on, to try it with."""

from typing import TYPE_CHECKING

from training.models import TrainedModel
from training.queries.evaluation_report import cells_in, report_of

if TYPE_CHECKING:
    from engine.evaluation.schema import Report

MAX_LENGTH = 300
NO_EXAMPLE = "A text of yours"  # For an imported model, which has no report.
GROUPS = ("random", "best", "worst", "confused")


def example_text(model: TrainedModel) -> str:
    """A test row's text, cut to a readable length; of a language model, a test row's prompt."""
    report = report_of(model)
    samples = report.get("samples") or []
    text = samples[0]["prompt"] if samples else _example_of(report)
    return text[:MAX_LENGTH] or NO_EXAMPLE


def example_cells(model: TrainedModel) -> dict[str, str]:
    """The cells of a test row of a table, by column; empty where the report shows none."""
    return dict(cells_in(_example_of(report_of(model))))


def _example_of(report: "Report") -> str:
    examples: dict[str, list[dict[str, object]]] = report.get("examples") or {}  # type: ignore[assignment]
    texts = (str(row.get("text") or "") for group in GROUPS for row in examples.get(group) or [])
    return next((text.strip() for text in texts if text.strip()), "")
