"""The profile of a table, as it is stored on its version, shown on its page and returned by the
API.

The keys are part of the API and must not be renamed. All values are JSON.
"""

from typing import NotRequired, TypedDict

from projects.reading.columns.column import ColumnQuestion
from projects.reading.personal_data import PersonalDataFinding
from projects.reading.results import Edit


class ValueCount(TypedDict):
    value: str
    count: int


class Lengths(TypedDict):
    """Characters of the cells of a text column; None where every cell is missing."""

    min: int | None
    mean: float | None
    p95: float | None
    max: int | None


class ColumnProfile(TypedDict):
    """The profile of one column; the optional keys depend on its type."""

    name: str
    type: str
    missing: int
    unique: int
    unique_is_estimate: NotRequired[bool]  # Of tables too long to count: about 2% off.
    examples: list[str]
    top_values: list[ValueCount]
    # Of numbers.
    min: NotRequired[float | None]
    max: NotRequired[float | None]
    mean: NotRequired[float | None]
    median: NotRequired[float | None]
    histogram: NotRequired[list[int]]  # Rows in equal steps from min to max.
    # Of text and JSON.
    lengths: NotRequired[Lengths]
    mean_length: NotRequired[float | None]
    mean_words: NotRequired[float | None]
    cell_labels: NotRequired[int]  # Different labels, where each cell is a list of labels.
    language: NotRequired[str]  # ISO 639-1, of columns that are free text.
    looks_like: NotRequired[str]  # url, e-mail, uuid, date, chat or nothing.
    # Of images.
    smallest_side: NotRequired[int]
    median_width: NotRequired[int]
    median_height: NotRequired[int]
    largest_side: NotRequired[int]
    small: NotRequired[int]


class ImageSizes(TypedDict, total=False):
    """Sides in pixels; `small` counts images with a side below MIN_SIDE_PIXELS."""

    smallest_side: int
    median_width: int
    median_height: int
    largest_side: int
    small: int


class ImageStatistics(ImageSizes):
    """A column of images as a whole; `leaked` counts images that are in more than one split."""

    bytes: int
    largest_bytes: int
    leaked: int


class Suggestion(TypedDict):
    """The likeliest use of a table. `target_column` is None where there is none, such as for chats,
    which hold their own answers."""

    task: str
    text_columns: list[str]
    target_column: str | None
    why: str
    target_columns: NotRequired[list[str]]  # Labels in columns of their own; no target_column.
    rejected_column: NotRequired[str]  # Of preferences: the answer worse than the target, or chat.
    system_column: NotRequired[str]  # Of prompts and completions, or of chats.
    history_column: NotRequired[str]  # Of prompts and completions.
    image_column: NotRequired[str]
    split_column: NotRequired[str | None]


def build_suggestion(task: str, texts: list[str], target: str | None, why: str) -> Suggestion:
    return {"task": task, "text_columns": texts, "target_column": target, "why": why}


def suggested_targets(suggested: Suggestion) -> list[str]:
    """The suggested target columns: none, one, or several where each is a label."""
    target = suggested.get("target_column")
    return [target] if target else suggested.get("target_columns", [])


class StoredInspection(TypedDict):
    """An engine.tasks.inspection.Inspection of a job with the suggested columns, and the key of
    the job's spec."""

    key: str
    result: dict[str, object]


class ClassShare(TypedDict):
    label: str
    count: int
    share_of_largest: float


class ConflictingLabels(TypedDict):
    """The same text or image under several labels; of an image, `text` is its file name."""

    text: str
    labels: list[str]
    count: int


class DoubtfulLabel(TypedDict):
    """A row, by its number from 0, for which a model of the other rows predicts another label."""

    row: int
    text: str
    label: str
    likely: str
    confidence: float


class Fix(TypedDict):
    """Edits that fix a finding, in a new version."""

    title: str
    edits: list[Edit]


class ProfileWarning(TypedDict):
    sentence: str
    advice: str
    code: NotRequired[str]
    column: NotRequired[str]  # Of findings about the way in which one column is read.
    fix: NotRequired[Fix]
    other_fix: NotRequired[Fix]  # An alternative.


class TableProfile(TypedDict):
    rows: int
    columns: list[ColumnProfile]
    duplicates: int | None  # None where the table is too large to compare its rows.
    suggested: Suggestion
    proposals: NotRequired[list[Suggestion]]  # The suggestion and what else may be meant, in order.
    class_balance: list[ClassShare]
    label_noise_candidates: list[ConflictingLabels]
    doubtful_labels: NotRequired[list[DoubtfulLabel]]
    personal_data: list[PersonalDataFinding]
    warnings: list[ProfileWarning]
    pictures: NotRequired[ImageStatistics]
    inspection: NotRequired[StoredInspection]  # Of the suggested columns; not of huge tables.
    questions: NotRequired[list[ColumnQuestion]]  # Columns that can be read in two ways.
