"""Divides rows into train, validation and test: seeded, stratified, no text on two sides."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.errors import BadTrainingData
from engine.spec import SplitSpec

# More held-out rows than this cost time and barely narrow the interval (±0.6 points at 90%).
MOST_HELD_OUT = 10_000
NAMES = {
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


@dataclass(frozen=True)
class Split:
    """Sorted row positions of each part, disjoint."""

    train: Indices
    validation: Indices
    test: Indices
    warnings: list[str]


def split(
    texts: Sequence[str],
    labels: Sequence[int],
    spec: SplitSpec,
    given: Sequence[str | None] | None = None,
) -> Split:
    """The division asked for. `given` holds the split column's value of each row.

    Texts equal but for case and blanks move together, under the label of the first of them.
    Each label keeps at least one text to train on.
    """
    groups = _groups_of_equal_text(texts)
    if given is not None:
        return _split_as_given(groups, labels, spec, given)
    validation, test = _draw(groups, labels, spec, rows=len(texts))
    return _parts(len(texts), validation, test, [])


def _groups_of_equal_text(texts: Sequence[str]) -> list[list[int]]:
    groups: dict[str, list[int]] = defaultdict(list)
    for row, text in enumerate(texts):
        groups[text_key(text)].append(row)
    return list(groups.values())


def text_key(text: str) -> str:
    """Equal for texts that are the same but for case and blanks."""
    return " ".join(text.casefold().split())


def _draw(
    groups: list[list[int]], labels: Sequence[int], spec: SplitSpec, *, rows: int
) -> tuple[list[int], list[int]]:
    """Row numbers for validation and test, each label giving its share.

    Fractions of rows left over are carried to the next label, so that the totals come out right
    even when every label is small.
    """
    shares = [
        min(fraction, MOST_HELD_OUT / rows)
        for fraction in (spec.test_fraction, spec.validation_fraction)
    ]
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


def _split_as_given(
    groups: list[list[int]], labels: Sequence[int], spec: SplitSpec, given: Sequence[str | None]
) -> Split:
    parts: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
    for row, value in enumerate(given):
        name = NAMES.get((value or "").casefold())
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
    return _parts(None, parts["validation"], parts["test"], warnings, train=parts["train"])


def _drop_leaks(parts: dict[str, list[int]], groups: list[list[int]]) -> list[str]:
    """Take texts out of a part when a later part (train < validation < test) also has them."""
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
    return [f"{dropped:,} rows also appear in a later split: left out of the earlier one."]


def _draw_missing(
    parts: dict[str, list[int]],
    missing: list[str],
    groups: list[list[int]],
    labels: Sequence[int],
    spec: SplitSpec,
) -> None:
    training = set(parts["train"])
    own = [group for group in groups if group[0] in training]
    validation, test = _draw(own, labels, spec, rows=max(1, len(training)))
    for name, drawn in (("validation", validation), ("test", test)):
        if name in missing:
            parts[name] = drawn
            training -= set(drawn)
    parts["train"] = sorted(training)


def _parts(
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
