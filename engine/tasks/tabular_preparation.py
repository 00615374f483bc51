"""From a spec to an encoded table, a split and scaled targets: all before the first step."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from engine import catalog
from engine.device import Device, prepare_device
from engine.errors import BadTrainingData
from engine.evaluation import Given
from engine.events import Data, Reporter
from engine.metrics import answers
from engine.metrics.shapes import numbers
from engine.progress import JobClock
from engine.spec import TabularSpec
from engine.splitting import Split, split
from engine.tabular.encoding import Matrix, TableEncoder
from engine.tabular.features import describe
from engine.tabular.members import Rows
from engine.tabular.network import TabularNetwork
from engine.tabular.reading import Table, read_table


@dataclass
class Prepared:
    """Everything known before the first step. Row numbers count usable rows."""

    spec: TabularSpec
    table: Table
    texts: list[str]
    split: Split
    encoder: TableEncoder
    matrix: Matrix
    mean: float  # Of the training rows' numbers; 0 for labels.
    deviation: float
    device: Device
    warnings: list[str]

    @property
    def is_label(self) -> bool:
        return self.table.labels is not None

    @property
    def outputs(self) -> int:
        return len(self.table.label_names) if self.is_label else 1

    def rows(self, chosen: npt.NDArray[np.int64]) -> Rows:
        """Encoded rows with label places or scaled numbers, and weights where asked for."""
        if self.table.labels is None:
            assert self.table.numbers is not None
            scaled = (self.table.numbers[chosen] - self.mean) / self.deviation
            return Rows(self.matrix[chosen], scaled, None)
        labels = self.table.labels[chosen]
        weights = self._label_weights()
        return Rows(self.matrix[chosen], labels, None if weights is None else weights[labels])

    def given(self, chosen: npt.NDArray[np.int64], outputs: npt.NDArray[np.float64]) -> Given:
        """Answers on these rows, from probabilities or from numbers in the target's own unit."""
        if self.table.labels is not None:
            return answers(self.table.labels[chosen], outputs)
        assert self.table.numbers is not None
        return numbers(self.table.numbers[chosen], outputs)

    def _label_weights(self) -> npt.NDArray[np.float64] | None:
        """One weight for each label; all rows together weigh what they did."""
        if self.spec.hyperparameters.class_weights == "none" or self.table.labels is None:
            return None
        counts = np.bincount(self.table.labels[self.split.train], minlength=self.outputs)
        weights: npt.NDArray[np.float64] = counts.sum() / (self.outputs * np.maximum(counts, 1))
        return weights

    def new_network(self) -> TabularNetwork:
        """Random weights from the seed, on the device."""
        hyperparameters = self.spec.hyperparameters
        torch.manual_seed(hyperparameters.seed)
        config = catalog.find(self.spec.base_model).source.config
        network = TabularNetwork(
            self.encoder.width, self.outputs, dropout=hyperparameters.dropout, **config
        )
        return network.to(self.device.name)


def prepare(spec: TabularSpec, clock: JobClock, report: Reporter) -> Prepared:
    clock.enter("loading")
    device = prepare_device(spec)
    table = read_table(spec)
    clock.enter("preparing")
    texts = table.texts
    # Equal rows stay together: on both sides of a split they would be answers known by heart.
    divided = split(texts, table.strata.tolist(), spec.split, table.split_values)
    features, left_out = describe(table.columns, table.names, divided.train.tolist())
    _refuse_useless(divided, table)
    encoder = TableEncoder(features)
    matrix = encoder.encode({f.name: table.columns[f.name].to_pylist() for f in features})
    mean, deviation = 0.0, 1.0
    if table.numbers is not None:
        known = table.numbers[divided.train]
        mean, deviation = float(known.mean()), float(known.std()) or 1.0
    warnings = [*table.warnings, *left_out, *divided.warnings]
    report(
        Data(
            train_rows=len(divided.train),
            validation_rows=len(divided.validation),
            test_rows=len(divided.test),
            labels=table.label_names,
            warnings=warnings,
        )
    )
    return Prepared(spec, table, texts, divided, encoder, matrix, mean, deviation, device, warnings)


def _refuse_useless(divided: Split, table: Table) -> None:
    if not len(divided.test):
        raise BadTrainingData(
            "too_few_rows",
            "No rows could be set aside for the test: too few different rows. Add rows.",
        )
    if table.labels is None:
        return
    untaught = set(table.labels.tolist()) - set(table.labels[divided.train].tolist())
    if untaught:
        name = table.label_names[min(untaught)]
        raise BadTrainingData(
            "untaught_label",
            f"The label {name!r} has no training rows: all of its rows are set aside for"
            " validation or test. Change the split column, or add rows of it.",
        )
