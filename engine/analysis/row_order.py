"""Whether neighbouring rows of a file are alike, and what a model is worth on whole blocks of rows.

Rows in the order of time, place or group leak through a test of rows drawn at random: each has a
neighbour among the training rows. The test of Wald & Wolfowitz 1943 (serial correlation of the
target in the order of the file) makes it suspect; trees tested on blocks show what it is worth.
"""

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

MIN_ROWS, MAX_ROWS = 100, 20_000
SUSPECT_CORRELATION, SUSPECT_DEVIATIONS = 0.15, 4.0
BLOCKS = 5
MIN_DROP = 0.03  # Of the score, from rows drawn at random to blocks: less may be chance.
Matrix = npt.NDArray[np.float32]


def describe_row_order(matrix: Matrix, targets: npt.NDArray[np.generic], *, is_label: bool) -> str:
    """A warning with both figures, or nothing. `matrix` and `targets` are of all rows, in the order
    of the file; labels are indices."""
    if not MIN_ROWS <= len(targets) <= MAX_ROWS:
        return ""
    correlation = serial_correlation(targets, is_label=is_label)
    if correlation < max(SUSPECT_CORRELATION, SUSPECT_DEVIATIONS / np.sqrt(len(targets))):
        return ""
    order = np.arange(len(targets))
    blocks = _score(matrix, targets, np.array_split(order, BLOCKS), is_label)
    shuffled = np.random.default_rng(0).permutation(order)
    drawn = _score(matrix, targets, np.array_split(shuffled, BLOCKS), is_label)
    start = f"Rows next to each other have alike targets (correlation {correlation:.2f})"
    name = "accuracy" if is_label else "R²"
    if drawn - blocks < MIN_DROP:
        return ""
    return (
        f"{start}: the file seems to be in the order of time, place or group. Boosted trees reach"
        f" {name} {blocks:.3f} on whole blocks of unseen rows, and {drawn:.3f} on rows"
        " drawn at random, as in the test here. If the rows to come are later or other ones, expect"
        " the lower figure, and test on them with a split column."
    )


def serial_correlation(targets: npt.NDArray[np.generic], *, is_label: bool) -> float:
    """Of each target and the next, by ranks; of labels, by how much more often neighbours agree
    than chance would have it, 0 to 1."""
    if is_label:
        agreement = float((targets[1:] == targets[:-1]).mean())
        shares = np.unique(targets, return_counts=True)[1] / len(targets)
        chance = float((shares**2).sum())
        return (agreement - chance) / (1 - chance) if chance < 1 else 0.0
    ranks = np.unique(targets, return_inverse=True)[1].astype(float)
    if np.ptp(ranks[1:]) == 0 or np.ptp(ranks[:-1]) == 0:
        return 0.0
    return float(np.corrcoef(ranks[1:], ranks[:-1])[0, 1])


def _score(
    matrix: Matrix,
    targets: npt.NDArray[np.generic],
    parts: list[npt.NDArray[np.int64]],
    is_label: bool,
) -> float:
    """Accuracy, or R² that no outlier decides: of targets between their 1st and 99th hundredth."""
    kind = HistGradientBoostingClassifier if is_label else HistGradientBoostingRegressor
    answers = np.zeros(len(targets), dtype=targets.dtype if is_label else float)
    for held_out in parts:
        train = np.setdiff1d(np.arange(len(targets)), held_out)
        if is_label and len(np.unique(targets[train])) < 2:
            answers[held_out] = targets[train][0]
            continue
        with threadpool_limits(1, user_api="openmp"):
            model = kind(max_iter=60, random_state=0).fit(matrix[train], targets[train])
        answers[held_out] = model.predict(matrix[held_out])
    if is_label:
        return float((answers == targets).mean())
    true = targets.astype(float)
    low, high = np.percentile(true, [1, 99])
    is_within = (true >= low) & (true <= high)
    spread = float(((true[is_within] - true[is_within].mean()) ** 2).sum())
    error = float(((true[is_within] - answers[is_within]) ** 2).sum())
    return 1 - error / spread if spread else 0.0
