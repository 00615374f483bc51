"""Other forms of a finished text model: its files alone, or a smaller network taught by it."""

import os
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from engine.artifact import Manifest, verify
from engine.batching import Batch
from engine.cards import Side, card_of
from engine.checkpoints import TrainingState, fingerprint
from engine.device import Device
from engine.errors import BadTrainingData
from engine.events import PhaseName, Reporter
from engine.exporting import torch_logits
from engine.goals.outline import Outputs, Rows
from engine.hub_folder import (
    FOLDER,
    load_from_hub_folder,
    save_for_hub,
    tokens_by_hub_folder,
)
from engine.network import TextNetwork, VocabularyTrim, load_network
from engine.progress import JobClock
from engine.serving.text import TextModel, open_model, outputs_of_all
from engine.shrinking import (
    parameters_of,
    with_fewer_heads,
    with_fewer_layers,
    with_fewer_neurons,
)
from engine.spec import ExportSpec, TextSpec
from engine.spec.exporting import UNCHANGED
from engine.stopping import StopSignal
from engine.tasks import Evaluated, Task
from engine.tasks.one_form import only_wanted, with_card
from engine.tasks.text import TextTask
from engine.tasks.text_embedding import Features, predict
from engine.tasks.text_fitting import Trained
from engine.tasks.text_learning import Lesson, TextLearner
from engine.tasks.text_preparation import Prepared, prepare
from engine.tokenised import tokenise
from engine.training import learn

SOFTNESS = 2.0  # Temperature: how much of the model's doubts the student hears.
ROWS_HEARD = 512  # By which neurons are judged.
HEARD_AT_ONCE = 16


@dataclass
class Taught(Prepared):
    """Prepared rows as the finished model reads them."""

    @property
    def export(self) -> ExportSpec:
        assert self.spec.export is not None
        return self.spec.export


class TextExport(TextTask):
    """The rows, split and metrics of a text task; the network comes from a finished model."""

    def prepare(self, spec: TextSpec, clock: JobClock, report: Reporter) -> Taught:
        found = prepare(spec, clock, report)
        prepared = Taught(**vars(found))
        source = verify(prepared.export.source)
        if source.labels != prepared.goal.labels or source.inputs.max_length is None:
            raise BadTrainingData(
                "other_labels", "The data no longer has the labels that the model was taught."
            )
        tokenizer = Tokenizer.from_file(str(prepared.export.source / source.serving.tokenizer))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        rows = tokenise(tokenizer, prepared.examples.texts, source.inputs.max_length)
        return replace(prepared, tokenizer=tokenizer, rows=rows)

    def expected_costs(self, prepared: Prepared) -> dict[PhaseName, float]:
        assert isinstance(prepared, Taught)
        costs = super().expected_costs(prepared)
        return costs | {"training": 0.1} if prepared.export.format in UNCHANGED else costs

    def fit(
        self, prepared: Prepared, clock: JobClock, report: Reporter, stop: StopSignal
    ) -> Trained:
        assert isinstance(prepared, Taught)
        started_at = time.monotonic()
        teacher, state = load_network(prepared.export.source), TrainingState(finished=True)
        network = teacher
        clock.enter("training")
        if prepared.export.format not in UNCHANGED:
            network = _smaller(prepared, teacher)
            before, after = parameters_of(teacher), parameters_of(network)
            report.info(f"From {before:,} parameters to {after:,}; now it learns from the model.")
            state = _teach(prepared, teacher, network, clock, report, stop)
        network.to("cpu").eval()
        validation = prepared.split.validation
        if prepared.goal.settles and len(validation):
            on_cpu = replace(prepared, device=Device("cpu"))
            prepared.goal.settle(predict(on_cpu, network, validation), validation)
        nothing = Features(np.zeros(0, dtype=np.int64), np.zeros((0, 1), dtype=np.float32))
        seconds = state.seconds or time.monotonic() - started_at
        return Trained(network, prepared.export.format, "", None, state, seconds, nothing)

    def export(self, prepared: Prepared, trained: Trained, folder: Path) -> Manifest:
        manifest = super().export(prepared, trained, folder)
        assert isinstance(prepared, Taught)
        if prepared.export.format == "safetensors":
            save_for_hub(trained.network, prepared.tokenizer, manifest, folder)
        return only_wanted(prepared.export, manifest, folder)

    def evaluate(
        self, prepared: Prepared, trained: Trained, folder: Path, manifest: Manifest
    ) -> Evaluated:
        assert isinstance(prepared, Taught)
        evaluated = super().evaluate(prepared, trained, folder, manifest)
        return with_card(evaluated, partial(_card, prepared, folder, manifest))


TASK: Task[Prepared, Trained] = TextExport()


def _smaller(prepared: Taught, teacher: TextNetwork) -> TextNetwork:
    if prepared.export.format == "distilled":
        return with_fewer_layers(teacher, prepared.export.layers)
    if prepared.export.keep_heads < 1:
        validation = prepared.split.validation
        rows = validation if len(validation) else prepared.split.train
        heard = [(*prepared.rows.padded(some, "cpu"), some) for some in _in_parts(rows)]
        teacher = with_fewer_heads(teacher, prepared.export.keep_heads, heard, prepared.goal.loss)
    if prepared.export.keep == 1:
        return teacher
    batches = (prepared.rows.padded(some, "cpu") for some in _in_parts(prepared.split.train))
    return with_fewer_neurons(teacher, prepared.export.keep, batches)


def _in_parts(rows: Rows) -> list[Rows]:
    heard = rows[:ROWS_HEARD]
    return [heard[at : at + HEARD_AT_ONCE] for at in range(0, len(heard), HEARD_AT_ONCE)]


class Pupil(TextLearner):
    """Learns the labels and, in equal parts, what the finished model answers to the same rows."""

    def __init__(self, prepared: Taught, lesson: Lesson, answers: Outputs) -> None:
        super().__init__(prepared, lesson)
        self._kind = prepared.examples.truth.kind
        self._taught = torch.from_numpy(answers).to(prepared.device.name)

    def loss(self, rows: Batch) -> Tensor:
        lesson = self._lesson
        chosen = lesson.train[rows]
        ids, mask = self._rows.padded(chosen, self._prepared.device.name)
        outputs = lesson.network(ids, mask)
        own = lesson.goal.loss(outputs, chosen)
        return (own + self._imitation(outputs.float(), self._taught[rows])) / 2

    def _imitation(self, outputs: Tensor, taught: Tensor) -> Tensor:
        if self._kind == "number":
            return functional.mse_loss(outputs, taught)
        if self._kind == "labels":
            return functional.binary_cross_entropy_with_logits(outputs, taught.sigmoid())
        distance = functional.kl_div(
            functional.log_softmax(outputs / SOFTNESS, dim=-1),
            functional.log_softmax(taught / SOFTNESS, dim=-1),
            reduction="batchmean",
            log_target=True,
        )
        return distance * SOFTNESS**2


def _teach(
    prepared: Taught,
    teacher: TextNetwork,
    network: TextNetwork,
    clock: JobClock,
    report: Reporter,
    stop: StopSignal,
) -> TrainingState:
    divided, spec = prepared.split, prepared.spec
    answers = predict(prepared, teacher.to(prepared.device.name), divided.train)
    teacher.to("cpu")
    used: Rows = np.unique(np.concatenate(prepared.rows.ids))
    trim = VocabularyTrim(network.encoder, used.tolist())
    network.to(prepared.device.name)
    lesson = Lesson(network, prepared.goal, divided.train, divided.validation)
    state = learn(
        Pupil(prepared, lesson, answers),
        spec,
        epochs=prepared.export.epochs,
        identity=fingerprint(
            spec.hyperparameters.model_dump(),
            spec.split.model_dump(),
            prepared.export.model_dump(exclude={"source"}),
            verify(prepared.export.source).files["model.safetensors"].sha256,
        ),
        device=prepared.device,
        clock=clock,
        report=report,
        stop=stop,
    )
    trim.undo()
    return state


def _card(prepared: Taught, folder: Path, manifest: Manifest) -> dict[str, Any]:
    source, export = verify(prepared.export.source), prepared.export
    original = _side(prepared, export.source, source, "original")
    if export.format == "safetensors":
        return card_of(export, original, _opened_by_transformers(prepared, folder / FOLDER))
    return card_of(export, original, _side(prepared, folder, manifest, export.format))


def _side(prepared: Taught, folder: Path, manifest: Manifest, name: str) -> Side:
    test = prepared.split.test
    encoded = [prepared.rows.ids[row].tolist() for row in test]
    raw = outputs_of_all(open_model(folder, os.cpu_count() or 1, manifest), encoded)
    one: TextModel = open_model(folder, 1, manifest)
    return Side(
        name=name,
        file_bytes=(folder / manifest.serving.file).stat().st_size,
        parameters=parameters_of(load_network(folder)),
        given=prepared.goal.answers(raw, test),
        raw=raw,
        ask=lambda place: one.outputs([encoded[place]]),
    )


def _opened_by_transformers(prepared: Taught, folder: Path) -> Side:
    """The folder as its receiver reads it: its own tokenizer, encoder and head."""
    test, network = prepared.split.test, load_from_hub_folder(folder)
    texts = [prepared.examples.texts[row] for row in test]
    encoded = tokens_by_hub_folder(folder, texts, prepared.rows.max_length)
    raw = torch_logits(network, encoded)
    return Side(
        name="safetensors",
        file_bytes=sum(one.stat().st_size for one in folder.glob("*.safetensors")),
        parameters=parameters_of(network),
        given=prepared.goal.answers(raw, test),
        raw=raw,
        ask=lambda place: torch_logits(network, [encoded[place]]),
    )
