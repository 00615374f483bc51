"""Finds numbers in a target that are so far from the others that they must be errors, such as one a
thousand times too large. With a squared loss, a model would learn little else.

Distances are from the median in interquartile ranges. Positive numbers must also be far in their
logarithms, so that long tails (incomes, prices, counts) are not outliers.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from engine.data.splitting import Split
from engine.metrics.shapes import Bools, Floats

LINEAR_REACH = 30.0  # Interquartile ranges from the median.
LOG_REACH = 5.0  # The same for logarithms: 6.7 standard deviations of a lognormal distribution.
MIN_LOG_SPREAD = 0.2
MAX_SHARE = 0.03  # More of them are not errors but a part of the distribution.
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
    """Whether values are positive and skewed to the right, as prices and counts are: from the
    median to the 95th percentile is over TAIL_RATIO times as far as to the 5th."""
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
    names them. Test rows stay, as new data will have outliers, too."""
    used_rows = np.concatenate([split.train, split.validation])
    outliers = used_rows[find_target_outliers(values[used_rows])]
    if not len(outliers):
        return split, []
    train, validation = (np.setdiff1d(rows, outliers) for rows in (split.train, split.validation))
    low, high = np.percentile(values[train], [5, 95])
    listed = ", ".join(
        f"row {source_rows[row] + 1:,}: {values[row]:,.6g}" for row in outliers[:MAX_NAMED]
    )
    count = f"{len(outliers):,} rows have" if len(outliers) > 1 else "1 row has"
    warning = (
        f"{count} a {column!r} so far from all others that only an error explains it"
        f" ({listed}{' …' if len(outliers) > MAX_NAMED else ''}; nine of ten are between"
        f" {low:,.6g} and {high:,.6g}). Nothing was learnt from them: check them in the data."
    )
    return replace(split, train=train, validation=validation), [warning]


def describe_test_outliers(true: npt.NDArray[np.float64], predicted: Floats) -> str:
    """A sentence on the error without outliers among the test rows; "" where there are none."""
    outliers = find_target_outliers(true)
    if not outliers.any():
        return ""
    usual, errors = true[~outliers], (true - predicted)[~outliers]
    rmse, spread = float(np.sqrt((errors**2).mean())), float(usual.var())
    r2 = f" and R² {1 - (errors**2).mean() / spread:.3f}" if spread else ""
    rows = f"{outliers.sum():,} test rows hold" if outliers.sum() > 1 else "1 test row holds"
    return (
        f"{rows} a value so far from all others that it is probably an error, and decides every"
        f" figure here. Without it the root mean squared error is {rmse:,.4g}{r2}."
    )
