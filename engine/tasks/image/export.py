"""A finished image model as one ONNX file alone, tested beside the original."""

from functools import partial
from pathlib import Path

from safetensors.torch import load_file

from engine.artifact import Manifest, verify
from engine.errors import BadTrainingData
from engine.events import PhaseName, Reporter
from engine.export.pruning import count_parameters
from engine.export.single_file import keep_requested_file
from engine.export.variant_comparison import ModelVariant
from engine.loop.checkpoints import TrainingState
from engine.progress import ProgressTracker
from engine.serving.images import ImageClassifier
from engine.spec import ImageSpec
from engine.stop_signal import StopSignal
from engine.tasks import EvaluationResult, Task
from engine.tasks.image.ensemble import EnsembleModel
from engine.tasks.image.fit import FittedImages
from engine.tasks.image.prepare import PreparedImages, prepare
from engine.tasks.image.task import WEIGHTS_FILE, ImageTask
from engine.tasks.shared import compare_with_original

NETWORK_BUILDERS = {
    "network": PreparedImages.create_network,
    "head": PreparedImages.create_frozen_network,
}


class ImageExport(ImageTask):
    """The rows, split and metrics of an image task; the network comes from a finished model."""

    def prepare(
        self, spec: ImageSpec, progress: ProgressTracker, report: Reporter
    ) -> PreparedImages:
        prepared = prepare(spec, progress, report)
        if verify(prepared.export_spec.source).labels != prepared.images.label_names:
            raise BadTrainingData(
                "other_labels", "The data no longer has the labels that the model was taught."
            )
        return prepared

    def estimate_phase_seconds(self, prepared: PreparedImages) -> dict[PhaseName, float]:
        return super().estimate_phase_seconds(prepared) | {"training": 0.1}

    def fit(
        self,
        prepared: PreparedImages,
        progress: ProgressTracker,
        report: Reporter,
        stop: StopSignal,
    ) -> FittedImages:
        progress.start_phase("training")
        source = prepared.export_spec.source
        training = verify(source).training
        names = training["method"].split(" + ")
        members = {name: NETWORK_BUILDERS[name](prepared) for name in names}
        mirrored = bool(training["answers_are_means_with_mirror_images"])
        model = EnsembleModel(members, mirrored=mirrored)
        model.load_state_dict(load_file(source / WEIGHTS_FILE))
        model.to("cpu").eval()
        return FittedImages(
            members,
            training["validation_losses"],
            TrainingState(finished=True),
            0.1,
            None,
            training["reason"],
            mirrored,
        )

    def export(self, prepared: PreparedImages, trained: FittedImages, folder: Path) -> Manifest:
        manifest = super().export(prepared, trained, folder)
        return keep_requested_file(prepared.export_spec, manifest, folder)

    def evaluate(
        self, prepared: PreparedImages, trained: FittedImages, folder: Path, manifest: Manifest
    ) -> EvaluationResult:
        evaluated = super().evaluate(prepared, trained, folder, manifest)
        measure = partial(_measure_variant, prepared, count_parameters(trained.ensemble))
        return compare_with_original(evaluated, prepared.export_spec, folder, manifest, measure)


TASK: Task[PreparedImages, FittedImages] = ImageExport()


def _measure_variant(
    prepared: PreparedImages, parameters: int, folder: Path, manifest: Manifest, name: str
) -> ModelVariant:
    test = prepared.split.test
    pixels = prepared.pixels(test)
    model = ImageClassifier(folder, 1, manifest)
    outputs = model.outputs(pixels)
    return ModelVariant(
        name=name,
        file_bytes=(folder / manifest.serving.file).stat().st_size,
        parameters=parameters,
        predictions=prepared.prediction_head.build_predictions(outputs, test),
        raw_outputs=outputs,
        predict_row=lambda row: model.outputs(pixels[row : row + 1]),
    )
