"""Seconds and bytes of a job on a table, from speeds measured on two server cores."""

from engine import catalog
from engine.estimate.facts import ComputeDevice, DataFacts, Workload
from engine.spec import TabularSpec
from engine.tabular.costs import START_SECONDS, seconds_to_fit, seconds_to_test

PROCESS_BYTES = 900 * 2**20
BYTES_PER_CELL = 60  # The column as Python objects, the encoded matrix, and the trees' bins.
TYPICAL_WIDTH = 3  # Encoded numbers for one column, categories and plain numbers together.


def workload(spec: TabularSpec, facts: DataFacts, device: ComputeDevice) -> Workload:
    """Raises UnknownBaseModel. The device matters little: only the network would use it."""
    entry = catalog.find(spec.base_model)
    columns = len(spec.feature_columns) or max(1, len(facts.columns) - 1)
    width = TYPICAL_WIDTH * columns
    is_label = spec.task == "tabular-classification"
    labels = int(facts.total([spec.target_column], "unique")) or 2 if is_label else 1
    seconds = START_SECONDS + seconds_to_test(facts.rows)
    seconds += seconds_to_fit(
        spec.hyperparameters, int(0.9 * facts.rows), width, labels, entry.speed
    )
    return Workload(
        seconds=seconds,
        memory_bytes=int(PROCESS_BYTES + facts.rows * width * BYTES_PER_CELL),
        advice="Choose fewer columns or draw a sample of the rows.",
    )
