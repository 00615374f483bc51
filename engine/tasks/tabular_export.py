"""A finished table model as one network: it learns what all the members answer together."""

import os
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from engine.artifact import Manifest, verify
from engine.batching import Batch
from engine.cards import Side, card_of
from engine.checkpoints import fingerprint
from engine.device import Device
from engine.errors import BadTrainingData
from engine.events import Reporter
from engine.progress import JobClock
from engine.serving.tabular import TabularModel
from engine.spec import ExportSpec, TabularSpec
from engine.stopping import StopSignal
from engine.tabular.encoding import Matrix
from engine.tasks import Evaluated, Task
from engine.tasks.one_form import with_card
from engine.tasks.tabular import Tabular
from engine.tasks.tabular_fitting import TabularLearner, Trained
from engine.tasks.tabular_preparation import Prepared, prepare
from engine.training import learn


class TabularExport(Tabular):
    """The rows, split and metrics of a table task; the answers come from a finished model."""

    def prepare(self, spec: TabularSpec, clock: JobClock, report: Reporter) -> Prepared:
        prepared = prepare(spec, clock, report)
        source = verify(_export_of(prepared).source)
        same_features = source.inputs.features == prepared.encoder.features
        if not same_features or source.labels != prepared.table.label_names:
            raise BadTrainingData(
                "other_columns", "The data no longer has the columns that the model was taught."
            )
        return prepared

    def fit(
        self, prepared: Prepared, clock: JobClock, report: Reporter, stop: StopSignal
    ) -> Trained:
        if prepared.device.name == "cpu":
            prepared.device = Device("cpu", "fp32")  # So small a network gains nothing from less.
        spec, export = prepared.spec, _export_of(prepared)
        pupil = Pupil(prepared, TabularModel(export.source, os.cpu_count() or 1))
        state = learn(
            pupil,
            spec,
            epochs=spec.hyperparameters.planned_epochs(len(prepared.split.train)),
            identity=fingerprint(
                spec.hyperparameters.model_dump(),
                spec.split.model_dump(),
                export.model_dump(exclude={"source"}),
                len(prepared.matrix),
            ),
            device=prepared.device,
            clock=clock,
            report=report,
            stop=stop,
        )
        network = pupil.network.to("cpu").eval()
        return Trained({"network": network}, {}, {"network": 1.0}, state, state.seconds)

    def export(self, prepared: Prepared, trained: Trained, folder: Path) -> Manifest:
        manifest = super().export(prepared, trained, folder)
        manifest.training["method"] = "distilled"
        return manifest

    def evaluate(
        self, prepared: Prepared, trained: Trained, folder: Path, manifest: Manifest
    ) -> Evaluated:
        evaluated = super().evaluate(prepared, trained, folder, manifest)
        return with_card(evaluated, partial(_card, prepared, folder, manifest))


TASK: Task[Prepared, Trained] = TabularExport()


class Pupil(TabularLearner):
    """Learns the answers and, in equal parts, what the finished model says to the same rows."""

    def __init__(self, prepared: Prepared, teacher: TabularModel) -> None:
        super().__init__(prepared)
        answers = teacher.outputs(self._train.matrix)
        self._taught = torch.from_numpy(answers).float().to(self._matrix.device)

    def loss(self, rows: Batch) -> Tensor:
        chosen = torch.from_numpy(rows).to(self._matrix.device)
        outputs, taught = self.network(self._matrix[chosen]).float(), self._taught[chosen]
        own = super().loss(rows)
        if not self._prepared.is_label:
            return (own + functional.mse_loss(outputs, taught)) / 2
        distance = functional.kl_div(
            functional.log_softmax(outputs, dim=-1),
            functional.log_softmax(taught, dim=-1),
            reduction="batchmean",
            log_target=True,
        )
        return (own + distance) / 2


def _export_of(prepared: Prepared) -> ExportSpec:
    assert prepared.spec.export is not None
    return prepared.spec.export


def _card(prepared: Prepared, folder: Path, manifest: Manifest) -> dict[str, Any]:
    export = _export_of(prepared)
    source = _side(prepared, export.source, verify(export.source), "original")
    return card_of(export, source, _side(prepared, folder, manifest, export.format))


def _side(prepared: Prepared, folder: Path, manifest: Manifest, name: str) -> Side:
    test = prepared.split.test
    matrix: Matrix = prepared.matrix[test]
    model = TabularModel(folder, 1, manifest)
    return Side(
        name=name,
        file_bytes=(folder / manifest.serving.file).stat().st_size,
        parameters=None,
        given=prepared.given(test, model.predict(matrix)),
        raw=model.outputs(matrix),
        ask=lambda place: model.outputs(matrix[place : place + 1]),
    )
