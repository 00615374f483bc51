"""Rows of a table as numbers: the same code when training and when serving. Only numpy.

A number becomes its distance from the median in units of spread, a category one column for each
known value and one for all others, a date four numbers. A missing value is the median, and a
further column says so where training data had gaps.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.artifact import Feature
from engine.errors import BadTrainingData

Matrix = npt.NDArray[np.float32]
FURTHEST = 8.0  # In spreads: an outlier must not drown everything else.
DATE_PARTS = 4
SECONDS_PER_DAY = 86_400.0
TRUE, FALSE = {"true", "t", "yes", "y", "1"}, {"false", "f", "no", "n", "0"}


class TableEncoder:
    """Turns columns or request rows into the matrix (rows, width) that the models read."""

    def __init__(self, features: Sequence[Feature]) -> None:
        self.features = list(features)
        self._places = [
            {name: place for place, name in enumerate(feature.categories)} for feature in features
        ]
        self.widths = [width_of(feature) for feature in features]
        self.width = sum(self.widths)

    def encode(self, columns: Mapping[str, Sequence[Any]]) -> Matrix:
        """Whole columns by name. Raises BadTrainingData naming a value that cannot be read."""
        parts = [
            self._column(position, columns[feature.name])
            for position, feature in enumerate(self.features)
        ]
        return np.concatenate(parts, axis=1, dtype=np.float32)

    def encode_rows(self, rows: Sequence[Mapping[str, Any]]) -> Matrix:
        """Request rows. A feature left out is a missing value; a name nobody knows is refused."""
        known = {feature.name for feature in self.features}
        for row in rows:
            unknown = sorted(set(row) - known)
            if unknown:
                raise BadTrainingData(
                    "unknown_feature",
                    f"The model has no feature {unknown[0]!r}. It reads:"
                    f" {', '.join(sorted(known))}.",
                )
        return self.encode({name: [row.get(name) for row in rows] for name in known})

    def _column(self, position: int, values: Sequence[Any]) -> Matrix:
        feature = self.features[position]
        if feature.kind == "category":
            return self._one_hot(position, values)
        if feature.kind == "date":
            return _with_gaps(feature, _date_parts(feature, values))
        numbers = [number_of(feature, value) for value in values]
        column = np.asarray(numbers, dtype=np.float64).reshape(-1, 1)
        return _with_gaps(feature, (column - feature.middle) / feature.scale)

    def _one_hot(self, position: int, values: Sequence[Any]) -> Matrix:
        places = self._places[position]
        result = np.zeros((len(values), len(places) + 1), dtype=np.float32)
        for row, value in enumerate(values):
            result[row, places.get(category_of(value), len(places))] = 1.0
        return result


def width_of(feature: Feature) -> int:
    """How many numbers one value of this feature becomes."""
    if feature.kind == "category":
        return len(feature.categories) + 1
    return (DATE_PARTS if feature.kind == "date" else 1) + feature.has_gaps


def is_missing(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def category_of(value: Any) -> str:
    """The text a category is known by. Missing is a category of its own, the empty text."""
    if is_missing(value):
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def number_of(feature: Feature, value: Any) -> float:
    """The value as a number, NaN when missing. Raises BadTrainingData for anything else."""
    if is_missing(value):
        return math.nan
    if isinstance(value, str):
        lowered = value.strip().casefold()
        if feature.kind == "boolean" and lowered in TRUE | FALSE:
            return float(lowered in TRUE)
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise BadTrainingData(
            "not_a_number", f"{feature.name!r} must be a number, not {str(value)[:40]!r}."
        ) from None
    return number if math.isfinite(number) else math.nan


def moment_of(feature: Feature, value: Any) -> datetime | None:
    """The value as a moment (UTC where it names no zone). Raises BadTrainingData."""
    if is_missing(value):
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


def days_of(moment: datetime | None) -> float:
    return math.nan if moment is None else moment.timestamp() / SECONDS_PER_DAY


def _date_parts(feature: Feature, values: Iterable[Any]) -> npt.NDArray[np.float64]:
    """When it was, and where in the year, the week and the day."""
    rows = []
    for moment in (moment_of(feature, value) for value in values):
        if moment is None:
            rows.append([math.nan] * DATE_PARTS)
            continue
        days = (days_of(moment) - feature.middle) / feature.scale
        hour = moment.hour + moment.minute / 60
        rows.append([days, moment.month / 6 - 1, moment.weekday() / 3 - 1, hour / 12 - 1])
    return np.asarray(rows, dtype=np.float64).reshape(-1, DATE_PARTS)


def _with_gaps(feature: Feature, values: npt.NDArray[np.float64]) -> Matrix:
    missing = np.isnan(values)
    filled = np.clip(np.where(missing, 0.0, values), -FURTHEST, FURTHEST)
    if feature.has_gaps:
        filled = np.concatenate([filled, missing[:, :1]], axis=1)
    return filled.astype(np.float32)
