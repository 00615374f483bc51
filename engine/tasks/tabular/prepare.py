"""From a spec to an encoded table, a split and scaled targets: all before the first step."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from engine.data.splitting import Split
from engine.evaluation import ModelPredictions
from engine.events import Reporter
from engine.loop.device import Device, prepare_device
from engine.metrics import make_multiclass_predictions
from engine.metrics.shapes import make_regression_predictions
from engine.progress import ProgressTracker
from engine.spec import TabularSpec
from engine.tasks.shared import PreparedJob, Rows
from engine.tasks.tabular.encoder import Matrix, TableEncoder
from engine.tasks.tabular.ensemble_members import EncodedRows
from engine.tasks.tabular.features import infer_features
from engine.tasks.tabular.network import TabularNetwork
from engine.tasks.tabular.reader import TabularDataset, read_table, split_table


@dataclass
class PreparedTable(PreparedJob[TabularSpec]):
    """A table, encoded for the models."""

    table: TabularDataset
    texts: list[str]
    encoder: TableEncoder
    matrix: Matrix
    mean: float  # Of the training rows' numbers; 0 for labels.
    deviation: float

    @property
    def is_label(self) -> bool:
        return self.table.labels is not None

    @property
    def outputs(self) -> int:
        return len(self.table.label_names) if self.is_label else 1

    def rows(self, chosen: Rows) -> EncodedRows:
        """Encoded rows with label indices or scaled numbers, and weights where asked for."""
        if self.table.labels is None:
            assert self.table.numbers is not None
            scaled = (self.table.numbers[chosen] - self.mean) / self.deviation
            return EncodedRows(self.matrix[chosen], scaled, None)
        labels = self.table.labels[chosen]
        weights = self._label_weights(self.table.labels)
        return EncodedRows(
            self.matrix[chosen], labels, None if weights is None else weights[labels]
        )

    def _label_weights(self, labels: Rows) -> npt.NDArray[np.float64] | None:
        """One weight for each label; the training rows together weigh what they did."""
        if self.spec.hyperparameters.class_weights == "none":
            return None
        counts = np.bincount(labels[self.split.train], minlength=self.outputs)
        return np.asarray(counts.sum() / (self.outputs * np.maximum(counts, 1)))

    def build_predictions(self, chosen: Rows, outputs: npt.NDArray[np.float64]) -> ModelPredictions:
        """Answers on these rows, from probabilities or from numbers in the target's own unit."""
        if self.table.labels is not None:
            return make_multiclass_predictions(self.table.labels[chosen], outputs)
        assert self.table.numbers is not None
        return make_regression_predictions(self.table.numbers[chosen], outputs)

    def create_network(self) -> TabularNetwork:
        """Random weights from the seed, on the device."""
        torch.manual_seed(self.spec.hyperparameters.seed)
        network = TabularNetwork(
            self.encoder.width,
            self.outputs,
            dropout=self.spec.hyperparameters.dropout,
            **self.base_model.source.config,
        )
        return network.to(self.device.name)


def prepare(spec: TabularSpec, progress: ProgressTracker, report: Reporter) -> PreparedTable:
    """Read, split and encode the table."""
    progress.start_phase("loading")
    device = prepare_device(spec)
    table = read_table(spec)
    progress.start_phase("preparing")
    prepared = encode_table(spec, table, split_table(table, spec), device)
    prepared.report_dataset(report, table.label_names, table.labels)
    return prepared


def encode_table(
    spec: TabularSpec, table: TabularDataset, split: Split, device: Device
) -> PreparedTable:
    """The table as its training rows say that it is read."""
    features, left_out = infer_features(table.columns, table.names, split.train.tolist())
    encoder = TableEncoder(features)
    mean, deviation = 0.0, 1.0
    if table.numbers is not None:
        numbers = table.numbers[split.train]
        mean, deviation = float(numbers.mean()), float(numbers.std()) or 1.0
    return PreparedTable(
        spec=spec,
        split=split,
        device=device,
        warnings=[*table.warnings, *left_out, *split.warnings],
        table=table,
        texts=table.texts,
        encoder=encoder,
        matrix=encoder.encode({one.name: table.columns[one.name].to_pylist() for one in features}),
        mean=mean,
        deviation=deviation,
    )
