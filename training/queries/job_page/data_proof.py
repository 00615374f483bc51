"""What a job's training read, as its engine counted it, its report says and its dataset's version
holds. Nothing is computed anew: what was not recorded is not shown."""

from dataclasses import dataclass, field
from typing import Any, cast

from engine.spec import SPEC_CLASSES
from projects.reading.results import ReadingOptions
from training.models import Evaluation, TrainingJob

PARTS = {"train": "Training rows", "validation": "Validation rows", "test": "Test rows"}
MAX_LABELS = 50


@dataclass(frozen=True)
class LabelCount:
    """Rows of one label in each of PARTS, in their order."""

    label: str
    rows: list[int]


@dataclass(frozen=True)
class DataProof:
    parts: list[tuple[str, int]]  # Title and rows of each of PARTS.
    columns: list[tuple[str, list[str]]]  # What they are used as, and their names.
    left_out: int | None  # Rows of the version that are in no part; None: not known.
    split: str  # How the rows were divided, as a sentence; "" before the report.
    masked: list[str]  # Columns whose personal data was replaced before.
    warnings: list[str]
    labels: int
    label_rows: list[LabelCount] = field(default_factory=list)  # The most frequent first.
    cut_rows: int | None = None  # Whose ends did not fit max_tokens.
    mean_tokens: float | None = None
    max_tokens: int | None = None

    @property
    def rows(self) -> int:
        return sum(count for _, count in self.parts)

    @property
    def further_labels(self) -> int:
        return max(0, self.labels - len(self.label_rows))


def data_proof(job: TrainingJob) -> DataProof | None:
    """None until the engine has read the data."""
    facts = job.data_facts
    if "train_rows" not in facts:
        return None
    version = job.dataset_version
    options = cast(ReadingOptions, version.overrides)
    parts = [(title, int(facts[f"{part}_rows"])) for part, title in PARTS.items()]
    unused = (version.rows or 0) - sum(count for _, count in parts)
    reported = _reported_data(job)
    inputs = (job.model.manifest.get("inputs") or {}) if job.model else {}
    return DataProof(
        parts=parts,
        columns=[
            (role.title, names)
            for role in SPEC_CLASSES[job.task].roles
            if (names := list(role.columns_in(job.recipe)))
        ],
        left_out=unused if unused >= 0 else None,
        split=reported.get("split", ""),
        masked=options.get("mask", []),
        warnings=facts.get("warnings") or [],
        labels=len(facts.get("labels") or []),
        label_rows=_label_counts(facts)[:MAX_LABELS],
        cut_rows=reported.get("cut_rows"),
        mean_tokens=reported.get("mean_tokens"),
        max_tokens=inputs.get("max_length"),
    )


def _reported_data(job: TrainingJob) -> dict[str, Any]:
    """The `data` section of the report; {} before there is one."""
    if job.model_id is None:
        return {}
    reports = Evaluation.objects.filter(model=job.model_id).order_by("-pk")
    return reports.values_list("report__data", flat=True).first() or {}


def _label_counts(facts: dict[str, Any]) -> list[LabelCount]:
    """[] of jobs whose engine did not count them."""
    counted = facts.get("label_rows") or {}
    if not all(part in counted for part in PARTS):
        return []
    columns = zip(*(counted[part] for part in PARTS), strict=True)
    counts = [
        LabelCount(label, list(rows)) for label, rows in zip(facts["labels"], columns, strict=True)
    ]
    return sorted(counts, key=lambda count: (-sum(count.rows), count.label))
