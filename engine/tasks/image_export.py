"""A finished picture model as one ONNX file alone, tested beside the original."""

from functools import partial
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from engine.artifact import Manifest, verify
from engine.cards import Side, card_of
from engine.checkpoints import TrainingState
from engine.errors import BadTrainingData
from engine.events import PhaseName, Reporter
from engine.images.answering import AnsweringModel
from engine.progress import JobClock
from engine.serving.images import ImageClassifier
from engine.shrinking import parameters_of
from engine.spec import ExportSpec, ImageSpec
from engine.stopping import StopSignal
from engine.tasks import Evaluated, Task
from engine.tasks.image_classification import WEIGHTS_FILE, ImageClassification
from engine.tasks.image_fitting import Trained
from engine.tasks.image_preparation import Prepared, prepare
from engine.tasks.one_form import only_wanted, with_card

MAKERS = {"network": Prepared.new_network, "head": Prepared.frozen_network}


class ImageExport(ImageClassification):
    """The rows, split and metrics of a picture task; the network comes from a finished model."""

    def prepare(self, spec: ImageSpec, clock: JobClock, report: Reporter) -> Prepared:
        prepared = prepare(spec, clock, report)
        if verify(_export_of(prepared).source).labels != prepared.pictures.label_names:
            raise BadTrainingData(
                "other_labels", "The data no longer has the labels that the model was taught."
            )
        return prepared

    def expected_costs(self, prepared: Prepared) -> dict[PhaseName, float]:
        return super().expected_costs(prepared) | {"training": 0.1}

    def fit(
        self, prepared: Prepared, clock: JobClock, report: Reporter, stop: StopSignal
    ) -> Trained:
        clock.enter("training")
        folder = _export_of(prepared).source
        about = verify(folder).training
        members = {name: MAKERS[name](prepared) for name in about["method"].split(" + ")}
        mirrored = bool(about["answers_are_means_with_mirror_images"])
        model = AnsweringModel(members, mirrored=mirrored)
        model.load_state_dict(load_file(folder / WEIGHTS_FILE))
        model.to("cpu").eval()
        losses, state = about["validation_losses"], TrainingState(finished=True)
        return Trained(members, losses, state, 0.1, None, about["reason"], mirrored)

    def export(self, prepared: Prepared, trained: Trained, folder: Path) -> Manifest:
        manifest = super().export(prepared, trained, folder)
        return only_wanted(_export_of(prepared), manifest, folder)

    def evaluate(
        self, prepared: Prepared, trained: Trained, folder: Path, manifest: Manifest
    ) -> Evaluated:
        evaluated = super().evaluate(prepared, trained, folder, manifest)
        return with_card(evaluated, partial(_card, prepared, trained, folder, manifest))


TASK: Task[Prepared, Trained] = ImageExport()


def _export_of(prepared: Prepared) -> ExportSpec:
    assert prepared.spec.export is not None
    return prepared.spec.export


def _card(prepared: Prepared, trained: Trained, folder: Path, manifest: Manifest) -> dict[str, Any]:
    export, parameters = _export_of(prepared), parameters_of(trained.answering)
    source = _side(prepared, export.source, verify(export.source), "original", parameters)
    return card_of(export, source, _side(prepared, folder, manifest, export.format, parameters))


def _side(prepared: Prepared, folder: Path, manifest: Manifest, name: str, parameters: int) -> Side:
    test = prepared.split.test
    pixels = prepared.pixels(test)
    model = ImageClassifier(folder, 1, manifest)
    raw = model.outputs(pixels)
    return Side(
        name=name,
        file_bytes=(folder / manifest.serving.file).stat().st_size,
        parameters=parameters,
        given=prepared.goal.answers(raw, test),
        raw=raw,
        ask=lambda place: model.outputs(pixels[place : place + 1]),
    )
