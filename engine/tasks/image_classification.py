"""Image classification: from pictures to an exported, tested classifier."""

import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from safetensors.torch import save_file
from sklearn.linear_model import LogisticRegression

from engine import baselines, catalog
from engine.artifact import Inputs, Manifest, Serving
from engine.evaluation import Contender, TestRows, other_columns
from engine.events import PhaseName, Reporter
from engine.exporting import HeldOutRows
from engine.images.answering import few_threads
from engine.images.costs import ASKED_PER_SECOND, DECODED_PER_SECOND, seconds_to_fit
from engine.images.exporting import INPUT, OUTPUT, export
from engine.images.preprocessing import Pixels
from engine.metrics import answers
from engine.progress import JobClock
from engine.serving.images import ImageClassifier
from engine.spec import ImageSpec
from engine.stopping import StopSignal
from engine.tasks import Evaluated, Task
from engine.tasks.image_fitting import Rows, Trained, fit
from engine.tasks.image_preparation import Prepared, prepare
from engine.tasks.image_reporting import further_checks
from engine.tasks.outcome import about_training

WEIGHTS_FILE = "network.safetensors"
PARITY_ROWS = 500
CALIBRATION_ROWS = 200
BASELINE_SIDE, BASELINE_ROWS = 32, 5000


class ImageClassification:
    """A column of pictures in, one label of many out."""

    def prepare(self, spec: ImageSpec, clock: JobClock, report: Reporter) -> Prepared:
        return prepare(spec, clock, report)

    def expected_costs(self, prepared: Prepared) -> dict[PhaseName, float]:
        spec, rows = prepared.spec, len(prepared.pictures.rows)
        speed, is_scratch = catalog.find(spec.base_model).speed, prepared.base.is_scratch
        train_rows = len(prepared.split.train)
        return {
            "loading": 4.0,
            "preparing": 1 + rows / DECODED_PER_SECOND,
            "training": seconds_to_fit(
                spec.hyperparameters, train_rows, speed, is_scratch=is_scratch
            ),
            "exporting": 4.0 + CALIBRATION_ROWS * speed / ASKED_PER_SECOND,
            "evaluating": 3.0 + 5 * len(prepared.split.test) * speed / ASKED_PER_SECOND,
            "saving": 0.5,
        }

    def fit(
        self, prepared: Prepared, clock: JobClock, report: Reporter, stop: StopSignal
    ) -> Trained:
        return fit(prepared, clock, report, stop)

    def export(self, prepared: Prepared, trained: Trained, folder: Path) -> Manifest:
        model, spec = trained.answering.eval(), prepared.spec
        weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
        save_file(weights, folder / WEIGHTS_FILE)
        chosen = _parity_rows(prepared)
        served, parity = export(
            model,
            folder,
            prepared.pixels(chosen),
            HeldOutRows([], chosen, prepared.goal),
            calibration=prepared.pixels(prepared.split.train[:CALIBRATION_ROWS]),
        )
        look = prepared.base.look
        return Manifest(
            task=spec.task,
            base_model=spec.base_model,
            labels=prepared.goal.labels,
            inputs=Inputs(
                kind="image",
                columns=[spec.image_column],
                image_size=(look.side, look.side),
                preprocessing=look.model_dump(mode="json"),
            ),
            target=prepared.goal.target(spec.target_column),
            serving=Serving(file=served, tokenizer="", inputs=[INPUT], output=OUTPUT),
            parity=parity,
            training=_about(prepared, trained),
        )

    def evaluate(
        self, prepared: Prepared, trained: Trained, folder: Path, manifest: Manifest
    ) -> Evaluated:
        spec, test, pictures = prepared.spec, prepared.split.test, prepared.pictures
        model = ImageClassifier(folder, threads=os.cpu_count() or 1, manifest=manifest)
        given = prepared.goal.answers(model.outputs(prepared.pixels(test)), test)
        source_rows = pictures.rows[test].tolist()
        used = [spec.image_column, spec.target_column, spec.division.column]
        rows = TestRows(
            texts=[pictures.names[row] for row in test],
            lengths=[],
            source_rows=source_rows,
            label_names=pictures.label_names,
            columns=other_columns(
                spec.data, source_rows, [name for name in used if name], spec.fairness_columns
            ),
        )
        checks = partial(further_checks, prepared, trained, model, given)
        return Evaluated(given, rows, _contenders(prepared, trained), _data(prepared), checks)


TASK: Task[Prepared, Trained] = ImageClassification()


def _about(prepared: Prepared, trained: Trained) -> dict[str, Any]:
    said = about_training(
        prepared.spec,
        prepared.device,
        trained.state,
        method=trained.method,
        reason=trained.reason,
        seconds=trained.seconds,
    )
    return said | {
        "split": prepared.spec.division.model_dump(),
        "validation_losses": trained.losses,
        "answers_are_means_with_mirror_images": trained.mirrored,
    }


def _parity_rows(prepared: Prepared) -> Rows:
    """Validation rows, so that choosing the file to serve leaves the test rows untouched; with
    too few of them, training rows fill up."""
    divided = prepared.split
    chosen = np.concatenate([divided.validation, divided.train])
    return chosen[: min(max(100, len(divided.validation)), PARITY_ROWS)]


def _contenders(prepared: Prepared, trained: Trained) -> list[Contender]:
    labels, divided, goal = prepared.pictures.labels, prepared.split, prepared.goal
    true = labels[divided.test]
    majority = baselines.majority_probabilities(labels[divided.train], len(true), goal.outputs)
    sample = baselines.sample_rows(divided.train, prepared.spec.split.seed)[:BASELINE_ROWS]
    model = LogisticRegression(max_iter=200, tol=1e-3)
    with few_threads(len(sample)):
        model.fit(_small(prepared.pixels(sample)), labels[sample])
    shares = np.zeros((len(true), goal.outputs))
    shares[:, model.classes_] = model.predict_proba(_small(prepared.pixels(divided.test)))
    side, note = BASELINE_SIDE, f"fitted on {len(sample):,} training pictures"
    found = [
        Contender("majority", "always guessing the most common label", answers(true, majority)),
        Contender(
            "linear", f"logistic regression on {side} × {side} pixels", answers(true, shares), note
        ),
    ]
    if trained.head_test is not None:
        name = f"{prepared.base.frozen_name} + linear layer"
        frozen = goal.answers(trained.head_test, divided.test)
        found.append(Contender("probe", name, frozen, f"fitted on {len(divided.train):,} pictures"))
    return found


def _small(pixels: Pixels) -> Any:
    """(rows, BASELINE_SIDE² · 3), 0 to 1."""
    size = (BASELINE_SIDE, BASELINE_SIDE)
    method = Image.Resampling.BILINEAR
    shrunk = [np.asarray(Image.fromarray(one).resize(size, method)) for one in pixels]
    return np.stack(shrunk).reshape(len(pixels), -1) / 255


def _data(prepared: Prepared) -> dict[str, Any]:
    divided, look = prepared.split, prepared.base.look
    return {
        "train_rows": len(divided.train),
        "validation_rows": len(divided.validation),
        "test_rows": len(divided.test),
        "labels": prepared.goal.outputs,
        "picture_size": f"{look.side} × {look.side} pixels",
        "warnings": prepared.warnings,
    }
