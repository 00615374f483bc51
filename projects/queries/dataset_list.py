"""Datasets as lists show them: the newest version of each, with a summary of its content."""

from dataclasses import dataclass, field
from typing import Any

from django.db.models import F, Func, JSONField, Prefetch, QuerySet, Value

from projects.models import Dataset, DatasetVersion, ImportStatus
from projects.profiling.profile import ColumnProfile
from projects.queries.cells import display_cell
from projects.queries.column_bars import Bar, column_bars, draw_bars, title_of_bar

MAX_BARS, MAX_LABELS, MAX_LETTERS = 12, 3, 90
# Of the profile, long for a wide table, only the parts shown are read.
NOT_LOADED = ("profile", "columns", "issues", "overrides", "dialect")
TARGET_PATH = (
    "$.columns[*] ? (@.name == $.suggested.target_column"
    " || @.name == $.suggested.target_columns[0])"
)
TEXT_PATH = "$.columns[*] ? (@.name == $.suggested.text_columns[0])"


@dataclass(frozen=True)
class DatasetGlance:
    """What a list shows of a version: how its target is distributed, and a text or pictures."""

    bars: list[Bar] = field(default_factory=list)
    span: str = ""  # From the least number to the greatest, where the bars are of numbers.
    labels: list[str] = field(default_factory=list)
    more_labels: int = 0
    sample: str = ""
    pictures: list[int] = field(default_factory=list)  # Rows whose pictures are shown.


def list_with_glances(
    datasets: QuerySet[Dataset],
) -> list[tuple[Dataset, DatasetVersion | None, DatasetGlance]]:
    """Each dataset with its newest version, in two queries for any number of both."""
    versions = DatasetVersion.objects.order_by("dataset_id", "-number").distinct("dataset_id")
    versions = versions.defer(*NOT_LOADED).annotate(
        suggested=F("profile__suggested"),
        class_balance=F("profile__class_balance"),
        target=_first_in_profile(TARGET_PATH),
        text=_first_in_profile(TEXT_PATH),
    )
    newest = Prefetch("versions", versions, to_attr="newest")
    listed: list[tuple[Dataset, DatasetVersion | None, DatasetGlance]] = []
    for dataset in datasets.prefetch_related(newest):
        version = next(iter(getattr(dataset, "newest")), None)  # noqa: B009
        is_ready = version is not None and version.status == ImportStatus.READY
        listed.append((dataset, version, _glance_at(version) if is_ready else DatasetGlance()))
    return listed


def _first_in_profile(path: str) -> Func:
    """An expression for the first part of the profile at this jsonpath."""
    path_of_type = Func(Value(path), template="(%(expressions)s)::jsonpath")
    return Func(
        F("profile"), path_of_type, function="jsonb_path_query_first", output_field=JSONField()
    )


def _glance_at(version: Any) -> DatasetGlance:
    """The summary of a version that has the annotations of `list_with_glances`."""
    suggested: Any = version.suggested or {}
    target: Any = version.target or {}
    if "image_column" in suggested and version.rows:
        spread = {0, version.rows // 2, version.rows - 1}
        pictures, sample = sorted(spread), ""
    else:
        pictures, sample = [], _sample_of(version.text) if version.text else ""
    balance = version.class_balance or []
    if target.get("histogram") and not suggested.get("task", "").endswith("classification"):
        bars, span = column_bars(target, version.rows or 0)
        return DatasetGlance(bars, span, sample=sample, pictures=pictures)
    if not balance:
        return DatasetGlance(sample=sample, pictures=pictures)
    largest = balance[:MAX_BARS]
    bars = draw_bars(
        [entry["count"] for entry in largest],
        [title_of_bar(entry["label"], entry["count"]) for entry in largest],
    )
    labels = [entry["label"] for entry in balance[:MAX_LABELS]]
    return DatasetGlance(
        bars,
        labels=labels,
        more_labels=len(balance) - len(labels),
        sample=sample,
        pictures=pictures,
    )


def _sample_of(column: ColumnProfile) -> str:
    """The first MAX_LETTERS of one of its cells; of a chat those of its first turn."""
    cell = display_cell(next(iter(column.get("examples") or []), None))
    text = cell.turns[0].text if cell.turns else cell.text or ""
    if text.startswith(("[{", '{"')):  # A chat that the profile cut: half of its marks say nothing.
        return ""
    line = " ".join(text.split())
    return line if len(line) <= MAX_LETTERS else f"{line[:MAX_LETTERS]}…"
