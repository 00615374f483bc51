"""What tables take, in seconds on two cores of a 2024 server processor. Free of torch.

From whole jobs at defaults on an otherwise idle machine: German credit 12 s (1,000 rows, 61 numbers
a row once encoded), white wines 14 s (4,898 rows, 11), adult census 34 s (6,000 rows, 104).
"""

from math import log2

from engine.spec import TabularHyperparameters

START_SECONDS = 6.5  # Imports, loading, export.
NETWORK_ROWS_PER_SECOND = 40_000.0
TREE_CELLS_PER_SECOND = 3e7  # Rows times numbers of a row times trees.
TREE_SECONDS = 0.0028  # However small the table.
TREES = 5 * 150  # A search and four models, of the rounds usually chosen.
RANDOM_TREES = 100
SECONDS_PER_CELL_SORTED = 1e-8  # Of a random tree: rows times their log2 times columns looked at.


def seconds_to_test(rows: int, width: int) -> float:
    """Contenders, intervals, robustness and importance; `rows` of the whole table."""
    return 0.6 + 1.1e-5 * rows * width


def seconds_to_fit(
    hyperparameters: TabularHyperparameters, rows: int, width: int, labels: int, speed: float
) -> float:
    """All members of the method; `labels` is 1 for a regression."""
    network = hyperparameters.planned_epochs(rows) * rows * speed / NETWORK_ROWS_PER_SECOND
    trees = TREES * (rows * width / TREE_CELLS_PER_SECOND + TREE_SECONDS)
    trees *= 1 if labels <= 2 else labels
    fits = 5 if rows <= 20_000 else 2  # Each leaf size tried, and once more with all rows.
    looked_at = width if labels == 1 else width**0.5
    random_trees = fits * RANDOM_TREES * rows * log2(rows + 2) * looked_at
    random_trees *= SECONDS_PER_CELL_SORTED
    linear = rows * width * max(1, labels) * 1e-7
    each = {"network": network, "trees": trees, "random_trees": random_trees, "linear": linear}
    return each.get(hyperparameters.method, sum(each.values()))
