"""Seconds and bytes of a job on a table, from speeds measured on two server cores."""

from typing import Any

from engine import catalog
from engine.estimate.facts import ComputeDevice, DataFacts, Workload
from engine.spec import TabularSpec
from engine.tabular.costs import START_SECONDS, seconds_to_fit, seconds_to_test

PROCESS_BYTES = 900 * 2**20
BYTES_PER_CELL = 60  # The column as Python objects, the encoded matrix, and the trees' bins.
MOST_CATEGORIES = 50  # As engine.tabular.features has it; rarer ones share a number.
UNKNOWN_WIDTH = 3  # Numbers that a column becomes, where the profile does not tell.


def workload(spec: TabularSpec, facts: DataFacts, device: ComputeDevice) -> Workload:
    """Raises UnknownBaseModel. The device matters little: only the network would use it."""
    entry = catalog.find(spec.base_model)
    width = _width(spec, facts)
    is_label = spec.task == "tabular-classification"
    labels = int(facts.total([spec.target_column], "unique")) or 2 if is_label else 1
    seconds = START_SECONDS + seconds_to_test(facts.rows, width)
    seconds += seconds_to_fit(
        spec.hyperparameters, int(0.9 * facts.rows), width, labels, entry.speed
    )
    return Workload(
        seconds=seconds,
        memory_bytes=int(PROCESS_BYTES + facts.rows * width * BYTES_PER_CELL),
        advice="Choose fewer columns or draw a sample of the rows.",
    )


def _width(spec: TabularSpec, facts: DataFacts) -> int:
    """How many numbers a row becomes: one for each category of a text, one for anything else."""
    names = spec.feature_columns or [name for name in facts.columns if name != spec.target_column]
    each = (facts.columns.get(name) or {} for name in names)
    return max(1, sum(_numbers(column) for column in each))


def _numbers(column: dict[str, Any]) -> int:
    if "unique" not in column:
        return UNKNOWN_WIDTH
    return min(MOST_CATEGORIES, column["unique"]) if column.get("mean_length") else 1
