"""Seconds and bytes of a job on a table, from speeds measured on two cores of a 2024 server
processor.

From whole jobs at defaults on an otherwise idle machine: German credit 12 s (1,000 rows, 61 numbers
a row once encoded), white wines 14 s (4,898 rows, 11), adult census 34 s (6,000 rows, 104).
"""

from math import log2

from engine import catalog
from engine.estimate.cross_validation import seconds_to_cross_validate
from engine.estimate.types import ColumnStats, ComputeDevice, DatasetStats, Workload
from engine.spec import TabularHyperparameters, TabularSpec

START_SECONDS = 6.5  # Imports, loading, export.
NETWORK_ROWS_PER_SECOND = 40_000.0
TREE_CELLS_PER_SECOND = 3e7  # Rows times numbers of a row times trees.
TREE_SECONDS = 0.0028  # However small the table.
BOOSTED_TREE_FITS = 5 * 150  # A search and four models, of the rounds usually chosen.
EXTRA_TREES = 100
REFIT_SHARE = 0.5  # Of the time of a fit, without the choice of settings.
SECONDS_PER_CELL_SORTED = 1e-8  # Of a random tree: rows times their log2 times columns looked at.
PROCESS_BYTES = 900 * 2**20
BYTES_PER_CELL = 60  # The column as Python objects, the encoded matrix, and the trees' bins.
MAX_CATEGORIES = 50  # As engine.tasks.tabular.features has it; rarer ones share a number.
DEFAULT_COLUMN_WIDTH = 3  # Numbers that a column becomes, where the profile does not tell.


def estimate_workload(spec: TabularSpec, stats: DatasetStats, device: ComputeDevice) -> Workload:
    """Raises UnknownBaseModel. The device matters little: only the network would use it."""
    entry = catalog.get_base_model(spec.base_model)
    names = spec.feature_columns or [name for name in stats.columns if name != spec.target_column]
    width = max(1, sum(_encoded_width(stats.columns.get(name, {})) for name in names))
    is_label = spec.task == "tabular-classification"
    labels = stats.count_labels(spec.target_column) if is_label else 1
    fitting = seconds_to_fit(
        spec.hyperparameters, int(0.9 * stats.rows), width, labels, entry.speed
    )
    again = seconds_to_fit_again(fitting, int(0.75 * stats.rows), width)
    crossing = seconds_to_cross_validate(stats.rows, spec, again)
    return Workload(
        seconds=START_SECONDS + seconds_to_test(stats.rows, width) + fitting + crossing,
        memory_bytes=int(PROCESS_BYTES + stats.rows * width * BYTES_PER_CELL),
        advice="Choose fewer columns or draw a sample of the rows.",
    )


def _encoded_width(column: ColumnStats) -> int:
    """How many numbers a value becomes: one for each category of a text, one for anything else."""
    if "unique" not in column:
        return DEFAULT_COLUMN_WIDTH
    return min(MAX_CATEGORIES, column["unique"] or 0) if column.get("mean_length") else 1


def seconds_to_test(rows: int, width: int) -> float:
    """Contenders, intervals, robustness and importance; `rows` of the whole table."""
    return 0.6 + 1.1e-5 * rows * width


def seconds_to_fit_again(fitting: float, rows: int, width: int) -> float:
    """The members kept and the contenders, on other rows, after `fitting` chose their settings."""
    return REFIT_SHARE * fitting + seconds_to_test(rows, width)


def seconds_to_fit(
    hyperparameters: TabularHyperparameters, rows: int, width: int, labels: int, speed: float
) -> float:
    """All members of the method; `labels` is 1 for a regression."""
    network = hyperparameters.planned_epochs(rows) * rows * speed / NETWORK_ROWS_PER_SECOND
    trees = BOOSTED_TREE_FITS * (rows * width / TREE_CELLS_PER_SECOND + TREE_SECONDS)
    trees *= 1 if labels <= 2 else labels
    fits = 5 if rows <= 20_000 else 2  # Each leaf size tried, and once more with all rows.
    columns_tried = width if labels == 1 else width**0.5
    random_trees = fits * EXTRA_TREES * rows * log2(rows + 2) * columns_tried
    random_trees *= SECONDS_PER_CELL_SORTED
    linear = rows * width * max(1, labels) * 1e-7
    each = {"network": network, "trees": trees, "random_trees": random_trees, "linear": linear}
    return each.get(hyperparameters.method, sum(each.values()))
