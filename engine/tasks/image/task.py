"""Image classification: from labelled images to an exported, tested classifier."""

import os
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from sklearn.linear_model import LogisticRegression
from torch.nn import functional

from engine.artifact import Inputs, Manifest, Serving
from engine.data import baselines
from engine.data.splitting import Split
from engine.estimate.cross_validation import MAX_SECONDS
from engine.estimate.image import (
    IMAGES_DECODED_PER_SECOND,
    IMAGES_PREDICTED_PER_SECOND,
    seconds_to_fit,
    seconds_to_fit_again,
)
from engine.evaluation import (
    Contender,
    ModelPredictions,
    Refit,
    TestRows,
    read_slice_columns,
)
from engine.events import PhaseName, Reporter
from engine.export.parity import HeldOutRows
from engine.metrics import make_multiclass_predictions
from engine.progress import ProgressTracker
from engine.serving.images import ImageClassifier
from engine.spec import ImageSpec
from engine.stop_signal import StopSignal
from engine.tasks import EvaluationResult, Task
from engine.tasks.image.data.preprocessing import Pixels
from engine.tasks.image.ensemble import (
    FeatureExtractor,
    Outputs,
    compute_outputs,
    fit_head,
)
from engine.tasks.image.fit import MAX_MIRRORED_ROWS, FittedImages, fit
from engine.tasks.image.onnx import INPUT, OUTPUT, export_onnx
from engine.tasks.image.prepare import PreparedImages, prepare
from engine.tasks.image.report import build_extra_sections
from engine.tasks.shared import Rows

WEIGHTS_FILE = "network.safetensors"
MIN_PARITY_ROWS, PARITY_ROWS = 100, 500
CALIBRATION_ROWS = 200
BASELINE_SIDE, BASELINE_ROWS = 32, 5000


class ImageTask:
    """A column of images in, one label of many out."""

    def prepare(
        self, spec: ImageSpec, progress: ProgressTracker, report: Reporter
    ) -> PreparedImages:
        return prepare(spec, progress, report)

    def estimate_phase_seconds(self, prepared: PreparedImages) -> dict[PhaseName, float]:
        speed, split = prepared.base_model.speed, prepared.split
        seconds_per_image = speed / IMAGES_PREDICTED_PER_SECOND
        return {
            "loading": 4.0,
            "preparing": 1 + len(prepared.images.rows) / IMAGES_DECODED_PER_SECOND,
            "training": seconds_to_fit(
                prepared.spec.hyperparameters.model_copy(
                    update={"method": prepared.spec.effective_method}
                ),
                len(split.train),
                speed,
                is_scratch=prepared.is_from_scratch,
            ),
            "exporting": 4.0 + CALIBRATION_ROWS * seconds_per_image,
            "evaluating": 3.0 + 5 * len(split.test) * seconds_per_image,
            "saving": 0.5,
        }

    def fit(
        self,
        prepared: PreparedImages,
        progress: ProgressTracker,
        report: Reporter,
        stop: StopSignal,
    ) -> FittedImages:
        return fit(prepared, progress, report, stop)

    def export(self, prepared: PreparedImages, trained: FittedImages, folder: Path) -> Manifest:
        model, spec = trained.ensemble.eval(), prepared.spec
        weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
        save_file(weights, folder / WEIGHTS_FILE)
        rows = prepared.held_out_rows(MIN_PARITY_ROWS, PARITY_ROWS)
        served, parity = export_onnx(
            model,
            folder,
            prepared.pixels(rows),
            HeldOutRows([], rows, prepared.prediction_head),
            calibration=prepared.pixels(prepared.split.train[:CALIBRATION_ROWS]),
        )
        transform = prepared.base.image_transform
        return Manifest(
            task=spec.task,
            base_model=spec.base_model,
            labels=prepared.prediction_head.labels,
            inputs=Inputs(
                kind="image",
                columns=[spec.image_column],
                image_size=(transform.side, transform.side),
                preprocessing=transform.model_dump(mode="json"),
            ),
            target=prepared.prediction_head.target(spec.target_column),
            serving=Serving(file=served, tokenizer="", inputs=[INPUT], output=OUTPUT),
            parity=parity,
            training=prepared.training_summary(trained)
            | {
                "split": spec.effective_split.model_dump(),
                "validation_losses": trained.losses,
                "answers_are_means_with_mirror_images": trained.mirrored,
            },
        )

    def evaluate(
        self, prepared: PreparedImages, trained: FittedImages, folder: Path, manifest: Manifest
    ) -> EvaluationResult:
        test = prepared.split.test
        model = ImageClassifier(folder, threads=os.cpu_count() or 1, manifest=manifest)
        outputs = model.outputs(prepared.pixels(test))
        predictions = prepared.prediction_head.build_predictions(outputs, test)
        data, side = prepared.data_summary(), prepared.base.image_transform.side
        data["labels"] = prepared.prediction_head.outputs
        data["picture_size"] = f"{side} × {side} pixels"
        return EvaluationResult(
            predictions,
            _describe_rows(prepared, test),
            _fit_contenders(prepared, trained),
            data,
            partial(build_extra_sections, prepared, trained, model, predictions),
            None if prepared.spec.export else self._refit(prepared, trained),
        )

    def _refit(self, prepared: PreparedImages, trained: FittedImages) -> Refit:
        """Only the layer on frozen features is soon fitted again."""
        rows = len(prepared.split.train)
        seconds = seconds_to_fit_again(rows)
        if list(trained.members) != ["head"]:
            seconds = self.estimate_phase_seconds(prepared)["training"]
            seconds = max(seconds, 2 * MAX_SECONDS)  # A network from its pixels takes minutes.
        return Refit(
            prepared.split,
            prepared.spec.part_column,
            prepared.spec.split.seed,
            seconds,
            HeadRefit(prepared).answer,
            partial(_describe_rows, prepared),
        )


TASK: Task[PreparedImages, FittedImages] = ImageTask()


def _describe_rows(prepared: PreparedImages, rows: Rows) -> TestRows:
    spec, images = prepared.spec, prepared.images
    source_rows = images.rows[rows].tolist()
    used = [spec.image_column, spec.target_column, spec.effective_split.column]
    return TestRows(
        texts=[images.names[row] for row in rows],
        lengths=[],
        source_rows=source_rows,
        label_names=images.label_names,
        columns=read_slice_columns(
            spec.data, source_rows, [name for name in used if name], spec.fairness_columns
        ),
    )


@dataclass(eq=False)
class HeadRefit:
    """The layer on frozen features, fitted to other pictures; features are computed once."""

    _prepared: PreparedImages

    @cached_property
    def _views(self) -> list[Outputs]:
        """Features (pictures, features) of every picture and, where they answer, mirror images."""
        prepared = self._prepared
        extractor = FeatureExtractor(prepared.create_frozen_network())
        pixels = prepared.pixels(np.arange(len(prepared.images.rows)))
        mirrors = (False, True) if prepared.is_mirrored else (False,)
        return [compute_outputs(extractor, pixels, mirror=mirror) for mirror in mirrors]

    def answer(self, fold: Split, _number: int) -> tuple[ModelPredictions, list[Contender]]:
        prepared, network = self._prepared, self._prepared.create_frozen_network()
        labels, views = prepared.images.labels, self._views
        known = np.union1d(fold.train, fold.validation)  # As the job's layer learns both.
        taught = views if len(known) < MAX_MIRRORED_ROWS else views[:1]
        balanced = prepared.spec.hyperparameters.class_weights == "balanced"
        fit_head(network, [view[known] for view in taught], labels[known], balanced=balanced)
        with torch.inference_mode():
            logs = [
                functional.log_softmax(network.head(torch.from_numpy(view[fold.test])), dim=1)
                for view in views
            ]
        outputs = torch.stack(logs).mean(0).numpy()
        predictions = prepared.prediction_head.build_predictions(outputs, fold.test)
        return predictions, _fit_simple(replace(prepared, split=fold))


def _fit_contenders(prepared: PreparedImages, trained: FittedImages) -> list[Contender]:
    """The simple ones, and the frozen features where they were not kept."""
    contenders, split = _fit_simple(prepared), prepared.split
    if trained.head_test_outputs is not None:
        contenders.append(
            Contender(
                "probe",
                f"{prepared.base.frozen_backbone_name} + linear layer",
                prepared.prediction_head.build_predictions(trained.head_test_outputs, split.test),
                f"fitted on {len(split.train):,} pictures",
            )
        )
    return contenders


def _fit_simple(prepared: PreparedImages) -> list[Contender]:
    """Guessing, and logistic regression on small images."""
    labels, split, head = prepared.images.labels, prepared.split, prepared.prediction_head
    truth = labels[split.test]
    guesses = baselines.majority_probabilities(labels[split.train], len(truth), head.outputs)
    sample = baselines.sample_training_rows(split.train, prepared.spec.split.seed)[:BASELINE_ROWS]
    model = LogisticRegression(max_iter=200, tol=1e-3)
    model.fit(_downscale(prepared.pixels(sample)), labels[sample])
    probabilities = np.zeros((len(truth), head.outputs))
    test_pixels = _downscale(prepared.pixels(split.test))
    probabilities[:, model.classes_] = model.predict_proba(test_pixels)
    return [
        Contender(
            "majority",
            "always guessing the most common label",
            make_multiclass_predictions(truth, guesses),
        ),
        Contender(
            "linear",
            f"logistic regression on {BASELINE_SIDE} × {BASELINE_SIDE} pixels",
            make_multiclass_predictions(truth, probabilities),
            "fitted on "
            f"{'1 training picture' if len(sample) == 1 else f'{len(sample):,} training pictures'}",
        ),
    ]


def _downscale(pixels: Pixels) -> Any:
    """(rows, BASELINE_SIDE² · 3), 0 to 1."""
    size, method = (BASELINE_SIDE, BASELINE_SIDE), Image.Resampling.BILINEAR
    small = [np.asarray(Image.fromarray(image).resize(size, method)) for image in pixels]
    return np.stack(small).reshape(len(pixels), -1) / 255
