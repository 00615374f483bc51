"""Which columns of a table can be learnt from, and what they are: numbers, categories, dates."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from engine.artifact import Feature
from engine.errors import BadTrainingData
from engine.tabular.encoding import category_of, days_of, is_missing, moment_of, number_of

MOST_CATEGORIES = 50
RAREST_CATEGORY = 3  # Rows; a value seen less often tells nothing that would hold again.
IDENTIFYING = 0.5  # Texts of which more than this share differ name rows instead of kinds.
FEW = 20


def describe(
    table: pa.Table, names: Sequence[str], train_rows: Sequence[int]
) -> tuple[list[Feature], list[str]]:
    """The usable features among these columns, and a warning for each that is left out.

    Only training rows are looked at, so that nothing of the test leaks into medians or
    vocabularies. Raises BadTrainingData when no column is of use.
    """
    features, warnings = [], []
    for name in names:
        column = table.column(name).take(pa.array(train_rows, pa.int64()))
        feature, problem = _describe(name, column.type, column.to_pylist())
        if feature is not None:
            features.append(feature)
        else:
            warnings.append(f"{name!r} is left out: {problem}.")
    if not features:
        raise BadTrainingData(
            "no_features", "No column can be learnt from. " + " ".join(warnings)[:600]
        )
    return features, warnings


def _describe(name: str, kind: pa.DataType, values: list[Any]) -> tuple[Feature | None, str]:
    present = [value for value in values if not is_missing(value)]
    if len(set(map(category_of, present))) < 2 and len(present) in (0, len(values)):
        return None, "it says the same in every row"
    has_gaps = len(present) < len(values)
    if pa.types.is_boolean(kind):
        return _number(Feature(name=name, kind="boolean", has_gaps=has_gaps), present), ""
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        if _counts_rows(name, kind, present):
            return None, "it numbers the rows"
        return _number(Feature(name=name, kind="number", has_gaps=has_gaps), present), ""
    if pa.types.is_temporal(kind) and not pa.types.is_time(kind):
        return _date(Feature(name=name, kind="date", has_gaps=has_gaps), present), ""
    return _category(name, values)


def _counts_rows(name: str, kind: pa.DataType, present: list[Any]) -> bool:
    """A whole number of its own in every row, under a name that says so."""
    words = name.casefold().replace("-", "_").split("_")
    named = words[0] in {"id", "index", "unnamed", "row"} or words[-1] in {"id", "index"}
    return named and pa.types.is_integer(kind) and len(set(present)) == len(present) > FEW


def _number(feature: Feature, present: list[Any]) -> Feature:
    numbers = np.asarray([number_of(feature, value) for value in present], dtype=np.float64)
    return _scaled(feature, numbers[np.isfinite(numbers)])


def _date(feature: Feature, present: list[Any]) -> Feature:
    days = [days_of(moment_of(feature, value)) for value in present]
    return _scaled(feature, np.asarray(days, dtype=np.float64))


def _scaled(feature: Feature, numbers: Any) -> Feature:
    """Median and spread. The spread is the quartiles' where they differ: outliers do not
    stretch it; 1.349 makes it the standard deviation of a bell curve."""
    if not len(numbers):
        return feature.model_copy(update={"has_gaps": True})
    first, middle, third = np.quantile(numbers, (0.25, 0.5, 0.75))
    deviation = float(np.std(numbers))
    scale = (third - first) / 1.349 or deviation or 1.0
    return feature.model_copy(
        update={
            "low": float(numbers.min()),
            "high": float(numbers.max()),
            "middle": float(middle),
            "scale": float(max(scale, deviation / 3, math.ulp(1.0))),
        }
    )


def _category(name: str, values: list[Any]) -> tuple[Feature | None, str]:
    counts = Counter(category_of(value) for value in values)
    if len(counts) > max(FEW, IDENTIFYING * len(values)):
        words = sum(len(value.split()) for value in counts) / len(counts)
        kind = "free text, which a text task can learn from" if words > 3 else "it names the rows"
        return None, f"nearly every row has a value of its own ({kind})"
    rarest = RAREST_CATEGORY if len(values) > 10 * RAREST_CATEGORY else 1
    kept = [value for value, count in counts.most_common(MOST_CATEGORIES) if count >= rarest]
    if not kept:
        return None, f"no value appears in {rarest} rows"
    return Feature(name=name, kind="category", categories=sorted(kept)), ""
