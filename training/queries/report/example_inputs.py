"""A text that a model was tested on, to try it with."""

from training.models import TrainedModel
from training.queries.evaluation_report import report_of

MAX_LENGTH = 300
NO_EXAMPLE = "A text of yours"  # For a model without a report: imported, or very old.
GROUPS = ("random", "best", "worst", "confused")


def example_text(model: TrainedModel) -> str:
    """A test row's text, cut to a readable length; of a language model, a test row's prompt."""
    report = report_of(model)
    samples = report.get("samples") or []
    if samples:
        return samples[0]["prompt"][:MAX_LENGTH]
    examples: dict[str, list[dict[str, object]]] = report.get("examples") or {}  # type: ignore[assignment]
    for group in GROUPS:
        for row in examples.get(group) or []:
            if text := str(row.get("text") or "").strip():
                return text[:MAX_LENGTH]
    return NO_EXAMPLE
