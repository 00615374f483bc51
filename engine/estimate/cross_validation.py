"""How often a job fits its model again for the figures of few test rows, and how long that takes.

It follows from the job alone, not from the clock, so that the same job gives the same figures.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

from engine.spec import JobSpec

MIN_TEST_ROWS = 400  # Fewer say little: of 30 rows, 95% intervals are 30 points wide.
ENOUGH_ROWS = 800  # More would take longer and say little more.
MAX_SECONDS = 30.0  # Of all fits, on the reference machine.
MAX_SECONDS_TO_REPEAT = 10.0
MAX_FOLDS, MAX_REPEATS = 10, 3


def count_folds(test_rows: int, fold_rows: Sequence[int], seconds: float) -> int:
    """Of folds with so many rows, how many are tested beside the test rows; a fit takes so long."""
    if not 0 < test_rows < MIN_TEST_ROWS or not fold_rows:
        return 0
    tested = [test_rows + rows for rows in accumulate(fold_rows)]
    wanted = bisect_left(tested, ENOUGH_ROWS) + 1
    return min(wanted, len(fold_rows), int(MAX_SECONDS // max(seconds, 1e-6)))


def is_worth_repeating(tested_rows: int, fits: int, seconds: float) -> bool:
    """Whether all rows are tested once more, which makes so many fits in all."""
    return tested_rows < ENOUGH_ROWS and fits * seconds <= MAX_SECONDS_TO_REPEAT


def seconds_to_cross_validate(rows: int, spec: JobSpec, seconds: float) -> float:
    """Of data with so many usable rows; `seconds` are those of one fit."""
    if spec.export is not None or spec.part_column is not None:
        return 0.0
    test_fraction = spec.effective_split.test_fraction
    test_rows = round(rows * test_fraction)
    folds = min(MAX_FOLDS, round(1 / test_fraction)) - 1
    fits = count_folds(test_rows, [test_rows] * folds, seconds)
    repeats = 1
    while fits and repeats < MAX_REPEATS and fits >= folds:
        more = fits + folds + 1
        if not is_worth_repeating(repeats * rows, more, seconds):
            break
        fits, repeats = more, repeats + 1
    return fits * seconds
