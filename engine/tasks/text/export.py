"""Other forms of a finished text model: its files alone, or a smaller network distilled from it."""

import os
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from engine.artifact import Manifest, verify
from engine.data.batching import Batch
from engine.data.tokenization import tokenize_texts
from engine.errors import BadTrainingData
from engine.events import PhaseName, Reporter
from engine.export.huggingface_folder import (
    HUGGINGFACE_FOLDER,
    load_huggingface_folder,
    save_huggingface_folder,
    tokenize_with_huggingface_folder,
)
from engine.export.parity import torch_logits
from engine.export.pruning import (
    count_parameters,
    prune_heads,
    prune_layers,
    prune_neurons,
)
from engine.export.single_file import keep_requested_file
from engine.export.variant_comparison import ModelVariant
from engine.loop.checkpoints import TrainingState, fingerprint
from engine.loop.device import Device
from engine.loop.training_loop import run_training_loop
from engine.prediction_heads.interface import Outputs
from engine.progress import ProgressTracker
from engine.serving.text import TextModel, compute_all_outputs, open_model
from engine.spec import TextSpec
from engine.spec.exporting import FILE_ONLY_FORMATS
from engine.stop_signal import StopSignal
from engine.tasks import EvaluationResult, Task
from engine.tasks.shared import Rows, compare_with_original
from engine.tasks.text.embeddings import predict
from engine.tasks.text.fit import FittedTexts
from engine.tasks.text.frozen_encoder import Features
from engine.tasks.text.learner import FitData, TextLearner
from engine.tasks.text.network import TextNetwork, VocabularyTrimmer, load_network
from engine.tasks.text.prepare import PreparedTexts, prepare
from engine.tasks.text.task import TextTask

TEMPERATURE = 2.0  # Of both softmaxes in distillation (Hinton et al. 2015, section 2).
CALIBRATION_ROWS = 512  # By which heads and neurons are ranked.
CALIBRATION_BATCH_ROWS = 16


class TextExport(TextTask):
    """The rows, split and metrics of a text task; the network comes from a finished model."""

    def prepare(self, spec: TextSpec, progress: ProgressTracker, report: Reporter) -> PreparedTexts:
        """The rows as the finished model reads them."""
        prepared = prepare(spec, progress, report)
        folder = prepared.export_spec.source
        source = verify(folder)
        if source.labels != prepared.prediction_head.labels or source.inputs.max_length is None:
            raise BadTrainingData(
                "other_labels", "The data no longer has the labels that the model was taught."
            )
        tokenizer = Tokenizer.from_file(str(folder / source.serving.tokenizer))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        rows = tokenize_texts(tokenizer, prepared.examples.texts, source.inputs.max_length)
        return replace(prepared, tokenizer=tokenizer, rows=rows)

    def estimate_phase_seconds(self, prepared: PreparedTexts) -> dict[PhaseName, float]:
        seconds = super().estimate_phase_seconds(prepared)
        is_file_only = prepared.export_spec.format in FILE_ONLY_FORMATS
        return seconds | {"training": 0.1} if is_file_only else seconds

    def fit(
        self,
        prepared: PreparedTexts,
        progress: ProgressTracker,
        report: Reporter,
        stop: StopSignal,
    ) -> FittedTexts:
        started_at = time.monotonic()
        export, state = prepared.export_spec, TrainingState(finished=True)
        network = teacher = load_network(export.source)
        progress.start_phase("training")
        if export.format not in FILE_ONLY_FORMATS:
            network = _build_student(prepared, teacher)
            before, after = count_parameters(teacher), count_parameters(network)
            report.info(f"From {before:,} parameters to {after:,}; now it learns from the model.")
            state = _distill(prepared, teacher, network, progress, report, stop)
        network.to("cpu").eval()
        validation = prepared.split.validation
        if prepared.prediction_head.has_thresholds and len(validation):
            on_cpu = replace(prepared, device=Device("cpu"))
            outputs = predict(on_cpu, network, validation)
            prepared.prediction_head.fit_thresholds(outputs, validation)
        no_features = Features(np.zeros(0, dtype=np.int64), np.zeros((0, 1), dtype=np.float32))
        seconds = state.seconds or time.monotonic() - started_at
        return FittedTexts(network, export.format, "", state, seconds, no_features)

    def export(self, prepared: PreparedTexts, trained: FittedTexts, folder: Path) -> Manifest:
        manifest = super().export(prepared, trained, folder)
        if prepared.export_spec.format == "safetensors":
            save_huggingface_folder(trained.network, prepared.tokenizer, manifest, folder)
        return keep_requested_file(prepared.export_spec, manifest, folder)

    def evaluate(
        self, prepared: PreparedTexts, trained: FittedTexts, folder: Path, manifest: Manifest
    ) -> EvaluationResult:
        evaluated = super().evaluate(prepared, trained, folder, manifest)
        measure = partial(_measure_variant, prepared)
        return compare_with_original(evaluated, prepared.export_spec, folder, manifest, measure)


TASK: Task[PreparedTexts, FittedTexts] = TextExport()


def _build_student(prepared: PreparedTexts, teacher: TextNetwork) -> TextNetwork:
    """The smaller network to train, cut out of the finished one."""
    export, split = prepared.export_spec, prepared.split
    if export.format == "distilled":
        return prune_layers(teacher, export.layers)
    if export.keep_heads < 1:
        rows = split.validation if len(split.validation) else split.train
        batches = [
            (*prepared.rows.padded(batch, "cpu"), batch) for batch in _calibration_batches(rows)
        ]
        teacher = prune_heads(teacher, export.keep_heads, batches, prepared.prediction_head.loss)
    if export.keep == 1:
        return teacher
    inputs = (prepared.rows.padded(batch, "cpu") for batch in _calibration_batches(split.train))
    return prune_neurons(teacher, export.keep, inputs)


def _calibration_batches(rows: Rows) -> list[Rows]:
    rows = rows[:CALIBRATION_ROWS]
    starts = range(0, len(rows), CALIBRATION_BATCH_ROWS)
    return [rows[start : start + CALIBRATION_BATCH_ROWS] for start in starts]


class TextStudent(TextLearner):
    """Learns the labels and, in equal parts, the finished model's outputs for the same rows."""

    def __init__(self, prepared: PreparedTexts, data: FitData, teacher_outputs: Outputs) -> None:
        super().__init__(prepared, data)
        self._kind = prepared.examples.truth.kind
        self._teacher_outputs = torch.from_numpy(teacher_outputs).to(prepared.device.name)

    def loss(self, rows: Batch) -> Tensor:
        train_rows = self._train_rows(rows)
        # The teacher answered the texts as they are, so the student reads them as they are.
        ids, mask = self._rows.padded(train_rows, self._prepared.device.name)
        outputs = self._data.network(ids, mask)
        label_loss = self._data.prediction_head.loss(outputs, train_rows)
        taught = self._teacher_outputs[rows % len(self._data.train)]
        distance = self._distillation_loss(outputs.float(), taught)
        return (label_loss + distance) / 2

    def _distillation_loss(self, outputs: Tensor, teacher_outputs: Tensor) -> Tensor:
        if self._kind == "number":
            return functional.mse_loss(outputs, teacher_outputs)
        if self._kind == "labels":
            return functional.binary_cross_entropy_with_logits(outputs, teacher_outputs.sigmoid())
        distance = functional.kl_div(
            functional.log_softmax(outputs / TEMPERATURE, dim=-1),
            functional.log_softmax(teacher_outputs / TEMPERATURE, dim=-1),
            reduction="batchmean",
            log_target=True,
        )
        return distance * TEMPERATURE**2


def _distill(
    prepared: PreparedTexts,
    teacher: TextNetwork,
    network: TextNetwork,
    progress: ProgressTracker,
    report: Reporter,
    stop: StopSignal,
) -> TrainingState:
    split, spec, export = prepared.split, prepared.spec, prepared.export_spec
    outputs = predict(prepared, teacher.to(prepared.device.name), split.train)
    teacher.to("cpu")
    used = np.unique(np.concatenate(prepared.rows.ids)).tolist()
    trimmer = VocabularyTrimmer(network.encoder, used)
    network.to(prepared.device.name)
    data = FitData(network, prepared.prediction_head, split.train, split.validation)
    state = run_training_loop(
        TextStudent(prepared, data, outputs),
        spec,
        epochs=export.epochs,
        identity=fingerprint(
            spec.hyperparameters.model_dump(),
            spec.effective_split.model_dump(),
            export.model_dump(exclude={"source"}),
            verify(export.source).files["model.safetensors"].sha256,
        ),
        device=prepared.device,
        clock=progress,
        report=report,
        stop=stop,
    )
    trimmer.restore_full_embedding()
    return state


def _measure_variant(
    prepared: PreparedTexts, folder: Path, manifest: Manifest, name: str
) -> ModelVariant:
    if name == "safetensors":  # Measured as its receiver reads it.
        return _measure_huggingface_folder(prepared, folder / HUGGINGFACE_FOLDER)
    test = prepared.split.test
    encoded = [prepared.rows.ids[row].tolist() for row in test]
    outputs = compute_all_outputs(open_model(folder, os.cpu_count() or 1, manifest), encoded)
    model: TextModel = open_model(folder, 1, manifest)
    return ModelVariant(
        name=name,
        file_bytes=(folder / manifest.serving.file).stat().st_size,
        parameters=count_parameters(load_network(folder)),
        predictions=prepared.prediction_head.build_predictions(outputs, test),
        raw_outputs=outputs,
        predict_row=lambda row: model.outputs([encoded[row]]),
    )


def _measure_huggingface_folder(prepared: PreparedTexts, folder: Path) -> ModelVariant:
    """With the folder's own tokenizer, encoder and head."""
    test, network = prepared.split.test, load_huggingface_folder(folder)
    texts = [prepared.examples.texts[row] for row in test]
    encoded = tokenize_with_huggingface_folder(folder, texts, prepared.rows.max_length)
    outputs = torch_logits(network, encoded)
    return ModelVariant(
        name="safetensors",
        file_bytes=sum(path.stat().st_size for path in folder.glob("*.safetensors")),
        parameters=count_parameters(network),
        predictions=prepared.prediction_head.build_predictions(outputs, test),
        raw_outputs=outputs,
        predict_row=lambda row: torch_logits(network, [encoded[row]]),
    )
