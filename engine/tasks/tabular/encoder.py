"""Encodes rows of a table as numbers, in training and in serving alike. Needs only numpy.

A number becomes its distance from the median in units of spread, a category one column for each
known value and one for all others, a date four numbers. A missing value becomes the median, and
where training data had gaps a further column marks it.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.artifact import Feature
from engine.data.cell_text import is_missing_marker, parse_number_text
from engine.errors import BadTrainingData

Matrix = npt.NDArray[np.float32]
CLIP_VALUE = 8.0  # In spreads, so that an outlier does not dominate.
DATE_PARTS = 4
SECONDS_PER_DAY = 86_400.0
TRUE_WORDS, FALSE_WORDS = {"true", "t", "yes", "y", "1"}, {"false", "f", "no", "n", "0"}


class TableEncoder:
    """Turns columns or request rows into the matrix (rows, width) that the models read."""

    def __init__(self, features: Sequence[Feature]) -> None:
        self.features = list(features)
        self._category_indices = [
            {name: index for index, name in enumerate(feature.categories)} for feature in features
        ]
        self.widths = [encoded_width(feature) for feature in features]
        self.width = sum(self.widths)

    def encode(self, columns: Mapping[str, Sequence[Any]]) -> Matrix:
        """Whole columns by name. Raises BadTrainingData naming a value that cannot be read."""
        parts = [
            self._encode_column(position, columns[feature.name])
            for position, feature in enumerate(self.features)
        ]
        return np.concatenate(parts, axis=1, dtype=np.float32)

    def encode_rows(self, rows: Sequence[Mapping[str, Any]]) -> Matrix:
        """Request rows, read as an upload is: a feature left out or blank is a missing value, and
        other columns are ignored. Raises BadTrainingData for a row that names no feature."""
        known = {feature.name for feature in self.features}
        for row in rows:
            if row and not known & row.keys():
                raise BadTrainingData(
                    "unknown_feature",
                    f"The model has no feature {min(row)!r}. It reads: {', '.join(sorted(known))}.",
                )
        return self.encode({name: [row.get(name) for row in rows] for name in known})

    def _encode_column(self, position: int, values: Sequence[Any]) -> Matrix:
        feature = self.features[position]
        if feature.kind == "category":
            return self._one_hot(position, values)
        if feature.kind == "date":
            return _impute_missing(feature, _date_parts(feature, values))
        numbers = [parse_number(feature, value) for value in values]
        column = np.asarray(numbers, dtype=np.float64).reshape(-1, 1)
        return _impute_missing(feature, (column - feature.middle) / feature.scale)

    def _one_hot(self, position: int, values: Sequence[Any]) -> Matrix:
        index_of = self._category_indices[position]
        result = np.zeros((len(values), len(index_of) + 1), dtype=np.float32)
        for row, value in enumerate(values):
            result[row, index_of.get(parse_category(value), len(index_of))] = 1.0
        return result


def encoded_width(feature: Feature) -> int:
    """How many columns this feature has once encoded."""
    if feature.kind == "category":
        return len(feature.categories) + 1
    return (DATE_PARTS if feature.kind == "date" else 1) + feature.has_gaps


def is_missing(value: Any) -> bool:
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, float) and math.isnan(value))


def parse_category(value: Any) -> str:
    """The text that identifies a category. Missing values are a category too, the empty text."""
    if is_missing(value):
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def parse_number(feature: Feature, value: Any) -> float:
    """The value as a number, NaN when missing. Raises BadTrainingData for anything else."""
    if is_missing(value):
        return math.nan
    if isinstance(value, str):
        lowered = value.strip().casefold()
        if feature.kind == "boolean" and lowered in TRUE_WORDS | FALSE_WORDS:
            return float(lowered in TRUE_WORDS)
        if is_missing_marker(value):
            return math.nan
    try:
        if isinstance(value, str):
            number = parse_number_text(value, feature.number_format)
        else:
            number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise BadTrainingData(
            "not_a_number", f"{feature.name!r} must be a number, not {str(value)[:40]!r}."
        ) from None
    return number if math.isfinite(number) else math.nan


def parse_datetime(feature: Feature, value: Any) -> datetime | None:
    """The value as a moment (UTC where it names no zone). Raises BadTrainingData."""
    if is_missing(value) or (isinstance(value, str) and is_missing_marker(value)):
        return None
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            raise BadTrainingData(
                "not_a_date",
                f"{feature.name!r} must be a date such as 2026-01-31, not {value[:40]!r}.",
            ) from None
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    raise BadTrainingData("not_a_date", f"{feature.name!r} must be a date, not {value!r}.")


def to_days(moment: datetime | None) -> float:
    return math.nan if moment is None else moment.timestamp() / SECONDS_PER_DAY


def _date_parts(feature: Feature, values: Iterable[Any]) -> npt.NDArray[np.float64]:
    """The time, and its position in the year, the week and the day."""
    rows = []
    for moment in (parse_datetime(feature, value) for value in values):
        if moment is None:
            rows.append([math.nan] * DATE_PARTS)
            continue
        days = (to_days(moment) - feature.middle) / feature.scale
        hour = moment.hour + moment.minute / 60
        rows.append([days, moment.month / 6 - 1, moment.weekday() / 3 - 1, hour / 12 - 1])
    return np.asarray(rows, dtype=np.float64).reshape(-1, DATE_PARTS)


def _impute_missing(feature: Feature, values: npt.NDArray[np.float64]) -> Matrix:
    missing = np.isnan(values)
    filled = np.clip(np.where(missing, 0.0, values), -CLIP_VALUE, CLIP_VALUE)
    if feature.has_gaps:
        filled = np.concatenate([filled, missing[:, :1]], axis=1)
    return filled.astype(np.float32)
