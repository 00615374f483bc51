"""A finished table model distilled into one network, which learns the answers of all members."""

import os
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from engine.artifact import Manifest, verify
from engine.data.batching import Batch
from engine.errors import BadTrainingData
from engine.events import Reporter
from engine.export.variant_comparison import ModelVariant
from engine.loop.checkpoints import fingerprint
from engine.loop.device import Device
from engine.loop.training_loop import run_training_loop
from engine.progress import ProgressTracker
from engine.serving.tabular import TabularModel
from engine.spec import TabularSpec
from engine.stop_signal import StopSignal
from engine.tasks import EvaluationResult, Task
from engine.tasks.shared import compare_with_original
from engine.tasks.tabular.fit import FittedTable, MemberSettings, TabularLearner
from engine.tasks.tabular.prepare import PreparedTable, prepare
from engine.tasks.tabular.task import TabularTask


class TabularExport(TabularTask):
    """The rows, split and metrics of a table task; the answers come from a finished model."""

    def prepare(
        self, spec: TabularSpec, progress: ProgressTracker, report: Reporter
    ) -> PreparedTable:
        prepared = prepare(spec, progress, report)
        source = verify(prepared.export_spec.source)
        has_same_features = source.inputs.features == prepared.encoder.features
        if not has_same_features or source.labels != prepared.table.label_names:
            raise BadTrainingData(
                "other_columns", "The data no longer has the columns that the model was taught."
            )
        return prepared

    def fit(
        self,
        prepared: PreparedTable,
        progress: ProgressTracker,
        report: Reporter,
        stop: StopSignal,
    ) -> FittedTable:
        if prepared.device.name == "cpu":
            prepared.device = Device("cpu", "fp32")  # So small a network gains nothing from less.
        spec, export = prepared.spec, prepared.export_spec
        student = TabularStudent(prepared, TabularModel(export.source, os.cpu_count() or 1))
        state = run_training_loop(
            student,
            spec,
            epochs=spec.hyperparameters.planned_epochs(len(prepared.split.train)),
            identity=fingerprint(
                spec.hyperparameters.model_dump(),
                spec.effective_split.model_dump(),
                export.model_dump(exclude={"source"}),
                len(prepared.matrix),
            ),
            device=prepared.device,
            clock=progress,
            report=report,
            stop=stop,
        )
        network = student.network.to("cpu").eval()
        return FittedTable(
            {"network": network}, {}, {"network": 1.0}, state, state.seconds, MemberSettings()
        )

    def export(self, prepared: PreparedTable, trained: FittedTable, folder: Path) -> Manifest:
        manifest = super().export(prepared, trained, folder)
        manifest.training["method"] = "distilled"
        return manifest

    def evaluate(
        self, prepared: PreparedTable, trained: FittedTable, folder: Path, manifest: Manifest
    ) -> EvaluationResult:
        evaluated = super().evaluate(prepared, trained, folder, manifest)
        measure = partial(_measure_variant, prepared)
        return compare_with_original(evaluated, prepared.export_spec, folder, manifest, measure)


TASK: Task[PreparedTable, FittedTable] = TabularExport()


class TabularStudent(TabularLearner):
    """Learns the labels and, in equal parts, the finished model's outputs for the same rows."""

    def __init__(self, prepared: PreparedTable, teacher: TabularModel) -> None:
        super().__init__(prepared)
        outputs = teacher.outputs(self._train.matrix)
        self._teacher_outputs = torch.from_numpy(outputs).float().to(self._matrix.device)

    def loss(self, rows: Batch) -> Tensor:
        index = torch.from_numpy(rows).to(self._matrix.device)
        outputs = self.network(self._matrix[index]).float()
        teacher_outputs = self._teacher_outputs[index]
        label_loss = super().loss(rows)
        if not self._prepared.is_label:
            return (label_loss + functional.mse_loss(outputs, teacher_outputs)) / 2
        distance = functional.kl_div(
            functional.log_softmax(outputs, dim=-1),
            functional.log_softmax(teacher_outputs, dim=-1),
            reduction="batchmean",
            log_target=True,
        )
        return (label_loss + distance) / 2


def _measure_variant(
    prepared: PreparedTable, folder: Path, manifest: Manifest, name: str
) -> ModelVariant:
    test = prepared.split.test
    matrix = prepared.matrix[test]
    model = TabularModel(folder, 1, manifest)
    return ModelVariant(
        name=name,
        file_bytes=(folder / manifest.serving.file).stat().st_size,
        parameters=None,
        predictions=prepared.build_predictions(test, model.predict(matrix)),
        raw_outputs=model.outputs(matrix),
        predict_row=lambda row: model.outputs(matrix[row : row + 1]),
    )
