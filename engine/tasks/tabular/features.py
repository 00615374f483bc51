"""Infers which columns of a table are usable features, and of which kind."""

import json
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from engine.artifact import Feature
from engine.data.cell_text import NUMBER_FORMATS_KEY
from engine.errors import BadTrainingData
from engine.tasks.tabular.encoder import (
    is_missing,
    parse_category,
    parse_datetime,
    parse_number,
    to_days,
)

MAX_CATEGORIES = 50
MIN_CATEGORY_ROWS = 3  # A rarer value generalises to nothing.
MAX_UNIQUE_SHARE = 0.5  # With more different texts a column names rows instead of kinds.
MIN_UNIQUE_VALUES = 20


def infer_features(
    table: pa.Table, names: Sequence[str], train_rows: Sequence[int]
) -> tuple[list[Feature], list[str]]:
    """The usable features among these columns, and a warning for each that is left out.

    Only training rows are read, so that nothing of the test rows leaks into medians or
    vocabularies. Raises BadTrainingData when no column is usable.
    """
    features, warnings = [], []
    formats = json.loads((table.schema.metadata or {}).get(NUMBER_FORMATS_KEY.encode(), b"{}"))
    for name in names:
        column = table.column(name).take(pa.array(train_rows, pa.int64()))
        feature, problem = _infer_feature(name, column.type, column.to_pylist())
        if feature is not None:
            written = formats.get(name, "") if feature.kind == "number" else ""
            features.append(feature.model_copy(update={"number_format": written}))
        else:
            warnings.append(f"{name!r} is left out: {problem}.")
    if not features:
        raise BadTrainingData(
            "no_features", "No column can be learnt from. " + " ".join(warnings)[:600]
        )
    return features, warnings


def _infer_feature(name: str, kind: pa.DataType, values: list[Any]) -> tuple[Feature | None, str]:
    present = [value for value in values if not is_missing(value)]
    if len(set(map(parse_category, present))) < 2 and len(present) in (0, len(values)):
        return None, "it says the same in every row"
    has_gaps = len(present) < len(values)
    if pa.types.is_boolean(kind):
        return _number_feature(Feature(name=name, kind="boolean", has_gaps=has_gaps), present), ""
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        if _is_row_id(name, kind, present):
            return None, "it numbers the rows"
        return _number_feature(Feature(name=name, kind="number", has_gaps=has_gaps), present), ""
    if pa.types.is_temporal(kind) and not pa.types.is_time(kind):
        feature = Feature(name=name, kind="date", has_gaps=has_gaps)
        days = [to_days(parse_datetime(feature, value)) for value in present]
        return _with_scale(feature, np.asarray(days, dtype=np.float64)), ""
    return _category_feature(name, values)


def _is_row_id(name: str, kind: pa.DataType, present: list[Any]) -> bool:
    """A different integer in every row, under a name such as `id` or `row_index`."""
    words = name.casefold().replace("-", "_").split("_")
    has_id_name = words[0] in {"id", "index", "unnamed", "row"} or words[-1] in {"id", "index"}
    return (
        has_id_name
        and pa.types.is_integer(kind)
        and len(set(present)) == len(present) > MIN_UNIQUE_VALUES
    )


def _number_feature(feature: Feature, present: list[Any]) -> Feature:
    numbers = np.asarray([parse_number(feature, value) for value in present], dtype=np.float64)
    return _with_scale(feature, numbers[np.isfinite(numbers)])


def _with_scale(feature: Feature, numbers: Any) -> Feature:
    """With median and spread. The spread is the quartiles' where they differ, which outliers do
    not stretch; divided by 1.349 it is the standard deviation of a normal distribution."""
    if not len(numbers):
        return feature.model_copy(update={"has_gaps": True})
    first, median, third = np.quantile(numbers, (0.25, 0.5, 0.75))
    deviation = float(np.std(numbers))
    scale = (third - first) / 1.349 or deviation or 1.0
    return feature.model_copy(
        update={
            "low": float(numbers.min()),
            "high": float(numbers.max()),
            "middle": float(median),
            "scale": float(max(scale, deviation / 3, math.ulp(1.0))),
        }
    )


def _category_feature(name: str, values: list[Any]) -> tuple[Feature | None, str]:
    counts = Counter(parse_category(value) for value in values)
    if len(counts) > max(MIN_UNIQUE_VALUES, MAX_UNIQUE_SHARE * len(values)):
        words = sum(len(value.split()) for value in counts) / len(counts)
        kind = "free text, which a text task can learn from" if words > 3 else "it names the rows"
        return None, f"nearly every row has a value of its own ({kind})"
    rarest = MIN_CATEGORY_ROWS if len(values) > 10 * MIN_CATEGORY_ROWS else 1
    categories = [value for value, count in counts.most_common(MAX_CATEGORIES) if count >= rarest]
    if not categories:
        return None, f"no value appears in {'1 row' if rarest == 1 else f'{rarest} rows'}"
    return Feature(name=name, kind="category", categories=sorted(categories)), ""
