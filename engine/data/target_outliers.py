"""Finds numbers in a target that only an error explains, such as one a thousand times too large. A
squared loss would spend the whole model on them.

Robust distances from the median in units of the interquartile range; of positive numbers also in
logarithms, so that honest long tails (incomes, prices, counts) are no outliers.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from engine.data.splitting import Split
from engine.metrics.shapes import Bools, Floats

LINEAR_REACH = 30.0  # Interquartile ranges from the median.
LOG_REACH = 5.0  # The same of logarithms: 6.7 deviations of a lognormal distribution.
MIN_LOG_SPREAD = 0.2
MAX_SHARE = 0.03  # More are no errors but a part of the distribution.
MIN_ROWS = 20
MAX_NAMED = 3
TAIL_RATIO = 1.5


def find_target_outliers(values: Floats) -> Bools:
    """Which values are outliers; none where more than MAX_SHARE would be."""
    none = np.zeros(len(values), dtype=bool)
    if len(values) < MIN_ROWS:
        return none
    far = _distance(values) > LINEAR_REACH
    if (values > 0).mean() > 1 - MAX_SHARE:
        logs = np.log(np.maximum(values, np.abs(values[values != 0]).min()))
        far &= _distance(logs, MIN_LOG_SPREAD) > LOG_REACH
    return far if 0 < far.mean() <= MAX_SHARE else none


def is_long_tailed(values: Floats) -> bool:
    """Whether positive values lie more evenly in their logarithms, as prices and counts do: the
    larger half of a range reaches TAIL_RATIO times further than the smaller one."""
    if len(values) < MIN_ROWS or values.min() <= 0:
        return False
    low, middle, high = np.percentile(values, [5, 50, 95])
    return bool(high - middle > TAIL_RATIO * (middle - low))


def _distance(values: Floats, least_spread: float = 0.0) -> Floats:
    low, middle, high = np.percentile(values, [25, 50, 75])
    spread = max(high - low, least_spread)
    if not spread:
        return np.zeros(len(values))
    distance: Floats = np.abs(values - middle) / spread
    return distance


def leave_out_outliers(
    split: Split, values: Floats, source_rows: Sequence[int], column: str
) -> tuple[Split, list[str]]:
    """The split without training and validation rows whose target is an outlier, and a warning that
    names them. The test rows stay: they are what the model will meet."""
    known = np.concatenate([split.train, split.validation])
    outliers = known[find_target_outliers(values[known])]
    if not len(outliers):
        return split, []
    train, validation = (np.setdiff1d(rows, outliers) for rows in (split.train, split.validation))
    low, high = np.percentile(values[train], [5, 95])
    named = ", ".join(
        f"row {source_rows[row] + 1:,}: {values[row]:,.6g}" for row in outliers[:MAX_NAMED]
    )
    count = f"{len(outliers):,} rows have" if len(outliers) > 1 else "1 row has"
    warning = (
        f"{count} a {column!r} so far from all others that only an error explains it"
        f" ({named}{' …' if len(outliers) > MAX_NAMED else ''}; nine of ten are between"
        f" {low:,.6g} and {high:,.6g}). Nothing was learnt from them: check them in the data."
    )
    return replace(split, train=train, validation=validation), [warning]


def describe_test_outliers(true: npt.NDArray[np.float64], predicted: Floats) -> str:
    """What the error would be without outliers among the test rows; empty where there are none."""
    outliers = find_target_outliers(true)
    if not outliers.any():
        return ""
    kept, errors = true[~outliers], (true - predicted)[~outliers]
    rmse, spread = float(np.sqrt((errors**2).mean())), float(kept.var())
    r2 = f" and R² {1 - (errors**2).mean() / spread:.3f}" if spread else ""
    rows = f"{outliers.sum():,} test rows hold" if outliers.sum() > 1 else "1 test row holds"
    return (
        f"{rows} a value so far from all others that it is probably an error, and decides every"
        f" figure here. Without it the root mean squared error is {rmse:,.4g}{r2}."
    )
