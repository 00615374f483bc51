"""Datasets as lists show them: the newest version of each, with a glance at what is in it."""

from dataclasses import dataclass, field
from typing import Any

from django.db.models import F, Func, JSONField, Prefetch, QuerySet, Value

from projects.models import Dataset, DatasetVersion, ImportStatus
from projects.profiling.profile import ColumnProfile
from projects.queries.cells import display_cell
from projects.queries.column_bars import Bar, column_bars, draw_bars, title_of_bar

MAX_BARS, MAX_LABELS, MAX_LETTERS = 12, 3, 90
# Of a profile only what is shown: that of a wide table is long.
UNSEEN = ("profile", "columns", "issues", "overrides", "dialect")
TARGET_PATH = (
    "$.columns[*] ? (@.name == $.suggested.target_column"
    " || @.name == $.suggested.target_columns[0])"
)
TEXT_PATH = "$.columns[*] ? (@.name == $.suggested.text_columns[0])"


@dataclass(frozen=True)
class DatasetGlance:
    """What a list shows of a version: how its labels or numbers are spread, and a row of it."""

    bars: list[Bar] = field(default_factory=list)
    span: str = ""  # From the least number to the greatest, where the bars are of numbers.
    labels: list[str] = field(default_factory=list)
    more_labels: int = 0
    sample: str = ""
    pictures: list[int] = field(default_factory=list)  # Rows whose pictures are shown.


def list_with_glances(
    datasets: QuerySet[Dataset],
) -> list[tuple[Dataset, DatasetVersion | None, DatasetGlance]]:
    """Each with its newest version, in two queries however many datasets and versions there are."""
    versions = DatasetVersion.objects.order_by("dataset_id", "-number").distinct("dataset_id")
    versions = versions.defer(*UNSEEN).annotate(
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
    """The first part of a profile at this jsonpath."""
    path_of_type = Func(Value(path), template="(%(expressions)s)::jsonpath")
    return Func(
        F("profile"), path_of_type, function="jsonb_path_query_first", output_field=JSONField()
    )


def _glance_at(version: Any) -> DatasetGlance:
    """Of a version with what `list_with_glances` adds to it."""
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
    shown = balance[:MAX_BARS]
    bars = draw_bars(
        [one["count"] for one in shown], [title_of_bar(one["label"], one["count"]) for one in shown]
    )
    labels = [one["label"] for one in balance[:MAX_LABELS]]
    return DatasetGlance(
        bars,
        labels=labels,
        more_labels=len(balance) - len(labels),
        sample=sample,
        pictures=pictures,
    )


def _sample_of(column: ColumnProfile) -> str:
    """The beginning of one of its cells; of a chat what is said first."""
    cell = display_cell(next(iter(column.get("examples") or []), None))
    said = cell.turns[0].text if cell.turns else cell.text or ""
    if said.startswith(("[{", '{"')):  # A chat that the profile cut: half of its marks say nothing.
        return ""
    line = " ".join(said.split())
    return line if len(line) <= MAX_LETTERS else f"{line[:MAX_LETTERS]}…"
