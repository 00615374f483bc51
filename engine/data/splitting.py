"""Splits rows into train, validation and test, by a seed, with no text or row in two parts."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from engine.data.near_duplicates import group_texts, merge_groups
from engine.errors import BadTrainingData
from engine.spec import SplitSpec

# More held-out rows than this cost time and barely narrow the interval (±0.6 points at 90%).
MAX_HELD_OUT_ROWS = 10_000
SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "eval": "validation",
    "test": "test",
    "testing": "test",
}
Indices = npt.NDArray[np.int64]
Values = Sequence[str | None]


@dataclass(frozen=True)
class Split:
    """The sorted row positions of each part; no row is in two parts.

    `groups`, `strata` and `moments`, each of shape (rows,), are what further splits of the same
    kind need: the number of the group that stays together, the stratum, and for a split by time
    the moment in seconds or in the column's own numbers."""

    train: Indices
    validation: Indices
    test: Indices
    warnings: list[str]
    groups: Indices = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    strata: Indices = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    moments: npt.NDArray[np.float64] | None = None  # NaN where unknown.


def split_rows(
    keys: Sequence[str],
    labels: Sequence[int],
    spec: SplitSpec,
    column: Values | None = None,
    *,
    are_texts: bool = False,
) -> Split:
    """The split that the spec describes. `column` holds the split column's value of each row.

    Rows with equal keys stay together, under the label of the first of them; keys that are texts
    also where they differ little (see near_duplicates). Raises BadTrainingData for a column that
    does not say what the method needs.
    """
    groups, warnings = _rows_that_stay_together(keys, are_texts)
    if spec.method == "column" and column is not None:
        split = _split_by_column(groups, labels, spec, column)
    elif spec.method == "time" and column is not None:
        split = _split_by_time(groups, spec, column)
    else:
        if spec.method == "group" and column is not None:
            groups = _join_by_value(groups, column)
            _require_several_groups(groups, spec)
        strata = [0] * len(labels) if spec.method == "random" else labels
        validation, test = _draw_held_out(groups, strata, spec, rows=len(keys))
        split = _make_split(len(keys), validation, test, [])
    group_of = np.zeros(len(keys), dtype=np.int64)
    for number, rows in enumerate(groups):
        group_of[rows] = number
    return replace(
        split,
        warnings=[*warnings, *split.warnings],
        groups=group_of,
        strata=np.asarray(labels, dtype=np.int64),
    )


def find_untrained_label(split: Split, labels: Indices, label_names: Sequence[str]) -> str | None:
    """The first label that has no training rows."""
    untrained = set(labels.tolist()) - set(labels[split.train].tolist())
    return label_names[min(untrained)] if untrained else None


def _rows_that_stay_together(
    keys: Sequence[str], are_texts: bool
) -> tuple[list[list[int]], list[str]]:
    """Groups of rows with equal keys, or with nearly equal texts, and warnings."""
    if are_texts:
        text_groups = group_texts(keys)
        return text_groups.groups, text_groups.warnings
    rows_by_key: dict[str, list[int]] = defaultdict(list)
    for row, key in enumerate(keys):
        rows_by_key[" ".join(key.casefold().split())].append(row)
    return list(rows_by_key.values()), []


def _join_by_value(groups: list[list[int]], column: Values) -> list[list[int]]:
    """The groups, where groups that share a value of the column are joined. Rows without a value
    join no group."""
    first_with: dict[str, int] = {}
    pairs = [
        (first_with.setdefault(value, place), place)
        for place, group in enumerate(groups)
        for value in {column[row] for row in group}
        if value is not None
    ]
    merged = merge_groups(len(groups), pairs)
    return sorted(sorted(row for place in places for row in groups[place]) for places in merged)


def _require_several_groups(groups: list[list[int]], spec: SplitSpec) -> None:
    if len(groups) < 3:
        raise BadTrainingData(
            "too_few_groups",
            f"Column {spec.column!r} makes too few groups of rows ({len(groups)}), counting rows"
            " with equal texts as one; a split by group needs three or more. Choose another column,"
            " or split another way.",
        )


def _draw_held_out(
    groups: list[list[int]], labels: Sequence[int], spec: SplitSpec, *, rows: int
) -> tuple[list[int], list[int]]:
    """Row numbers for validation and test, a share of each label.

    Fractions of rows are carried over to the next label, so that the totals are right even when
    every label is small. Each label keeps at least one group to train on.
    """
    shares = _shares(spec, rows)
    by_label: dict[int, list[list[int]]] = defaultdict(list)
    for group in groups:
        by_label[labels[group[0]]].append(group)
    generator = np.random.default_rng(spec.seed)
    owed = [0.0, 0.0]
    held_out: tuple[list[int], list[int]] = ([], [])
    for label in generator.permutation(sorted(by_label)):
        own = by_label[int(label)]
        waiting = [own[position] for position in generator.permutation(len(own))]
        size = sum(map(len, own))
        for part, share in enumerate(shares):
            owed[part] += share * size
            while len(waiting) > 1 and owed[part] >= len(waiting[-1]) / 2:
                group = waiting.pop()
                held_out[part].extend(group)
                owed[part] -= len(group)
            owed[part] = min(owed[part], 1.0)
    test, validation = held_out
    return validation, test


def _shares(spec: SplitSpec, rows: int) -> list[float]:
    """The shares of test and validation, in this order."""
    most = MAX_HELD_OUT_ROWS / rows
    return [min(spec.test_fraction, most), min(spec.validation_fraction, most)]


def _split_by_time(groups: list[list[int]], spec: SplitSpec, column: Values) -> Split:
    """The newest rows are the test. Rows of one moment stay together, and a text that repeats in a
    later part is dropped from the earlier one."""
    moments = _read_moments(spec, column)
    dated_rows = [row for row, moment in enumerate(moments) if moment is not None]
    moment_of = np.asarray([moments[row] for row in dated_rows], dtype=np.float64)
    order = np.argsort(moment_of, kind="stable")
    test_share, validation_share = _shares(spec, max(1, len(dated_rows)))
    ends = [
        len(dated_rows) * (1 - test_share - validation_share),
        len(dated_rows) * (1 - test_share),
    ]
    # Each border is moved to the first row of its moment.
    ordered = moment_of[order]
    borders = [
        int(np.searchsorted(ordered, ordered[min(round(end), len(dated_rows) - 1)])) for end in ends
    ]
    rows = [dated_rows[place] for place in order]
    parts = {
        "train": rows[: borders[0]] + [row for row, moment in enumerate(moments) if moment is None],
        "validation": rows[borders[0] : borders[1]],
        "test": rows[borders[1] :],
    }
    missing = len(moments) - len(dated_rows)
    warnings = _drop_leaks(parts, groups)
    if missing:
        warnings.insert(
            0,
            f"{'1 row has no' if missing == 1 else f'{missing:,} rows have no'} {spec.column}:"
            " trained on.",
        )
    if not parts["train"]:
        raise BadTrainingData(
            "no_training_rows",
            f"A split by {spec.column!r} leaves no earlier rows to train on: too many rows are of"
            " one moment. Split another way.",
        )
    split = _make_split(None, parts["validation"], parts["test"], warnings, train=parts["train"])
    return replace(split, moments=np.array(moments, dtype=np.float64))


def _read_moments(spec: SplitSpec, column: Values) -> list[float | None]:
    """Each row's moment: an ISO date in seconds, or the column's number; None without a value.

    Raises BadTrainingData at the first cell that is neither, and for a column without any.
    """
    moments: list[float | None] = []
    for row, value in enumerate(column):
        try:
            moments.append(None if value is None else _moment(value))
        except ValueError:
            raise BadTrainingData(
                "bad_time_column",
                f"Column {spec.column!r} says {str(value)[:40]!r} in row {row + 1}; a split by time"
                " needs dates such as 2024-05-31, or numbers, in every row. Read the column as"
                " dates on the dataset's page.",
            ) from None
    if all(moment is None for moment in moments):
        raise BadTrainingData("bad_time_column", f"Column {spec.column!r} holds no dates.")
    return moments


def _moment(value: str) -> float:
    """The number, or the seconds of the ISO date or time. Raises ValueError for any other text."""
    try:
        number = float(value)
    except ValueError:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if not np.isfinite(number):
        raise ValueError(value)
    return number


def _split_by_column(
    groups: list[list[int]], labels: Sequence[int], spec: SplitSpec, column: Values
) -> Split:
    parts: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
    for row, value in enumerate(column):
        name = SPLIT_NAMES.get((value or "").casefold())
        if name is None:
            raise BadTrainingData(
                "bad_split_column",
                f"Column {spec.column!r} says {value!r} in row {row + 1}; it must say train,"
                " validation or test in every row.",
            )
        parts[name].append(row)
    warnings = _drop_leaks(parts, groups)
    missing = [name for name in ("validation", "test") if not parts[name]]
    if missing:
        warnings.append(
            f"Column {spec.column!r} names no {' and no '.join(missing)} rows:"
            " they were drawn from the training rows."
        )
        _draw_missing(parts, missing, groups, labels, spec)
    if not parts["train"]:
        raise BadTrainingData(
            "no_training_rows", f"Column {spec.column!r} leaves no rows to train on."
        )
    return _make_split(None, parts["validation"], parts["test"], warnings, train=parts["train"])


def _drop_leaks(parts: dict[str, list[int]], groups: list[list[int]]) -> list[str]:
    """Take rows out of a part when a later part (train < validation < test) also has them."""
    part_of = {row: name for name, rows in parts.items() for row in rows}
    dropped = 0
    for group in groups:
        latest = max((part_of[row] for row in group), key=list(parts).index)
        for row in group:
            if part_of[row] != latest:
                part_of.pop(row)
                dropped += 1
    for name, rows in parts.items():
        rows[:] = [row for row in rows if part_of.get(row) == name]
    if not dropped:
        return []
    return [
        f"{'1 row also appears' if dropped == 1 else f'{dropped:,} rows also appear'} in a later"
        " split, the same or nearly so: left out of the earlier one."
    ]


def _draw_missing(
    parts: dict[str, list[int]],
    missing: list[str],
    groups: list[list[int]],
    labels: Sequence[int],
    spec: SplitSpec,
) -> None:
    training = set(parts["train"])
    own = [group for group in groups if group[0] in training]
    validation, test = _draw_held_out(own, labels, spec, rows=max(1, len(training)))
    for name, drawn in (("validation", validation), ("test", test)):
        if name in missing:
            parts[name] = drawn
            training -= set(drawn)
    parts["train"] = sorted(training)


def _make_split(
    rows: int | None,
    validation: list[int],
    test: list[int],
    warnings: list[str],
    train: list[int] | None = None,
) -> Split:
    if train is None:
        held_out = np.zeros(rows or 0, dtype=bool)
        held_out[validation] = held_out[test] = True
        train_rows: Indices = np.flatnonzero(~held_out)
    else:
        train_rows = np.sort(np.asarray(train, dtype=np.int64))
    return Split(
        train=train_rows,
        validation=np.sort(np.asarray(validation, dtype=np.int64)),
        test=np.sort(np.asarray(test, dtype=np.int64)),
        warnings=warnings,
    )
