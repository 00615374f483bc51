"""Makes finished things for page and API tests: a model with a real report, a job that ran."""

import json
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from engine import evaluation, metrics
from engine.data import baselines
from projects import storage
from training.models import Evaluation, TrainedModel, TrainingJob

ROWS = 120


def make_model(
    job: TrainingJob, folder: Path, labels: list[str], pull: float = 4.0
) -> TrainedModel:
    """A model of these labels whose report the engine computed from made-up answers."""
    written, predictions = _evaluated(tuple(labels), pull)
    report = json.loads(written)
    model = TrainedModel(
        team=job.team,
        project=job.project,
        dataset_version=job.dataset_version,
        name=job.name,
        task=job.task,
        base_model=job.base_model,
        labels=labels,
        metrics={one["name"]: one["value"] for one in report["metrics"]},
        artifact_bytes=1000,
    )
    model.artifact_key = f"artifacts/{model.pk}"
    folder.mkdir()
    (folder / "predictions.parquet").write_bytes(predictions)
    (folder / "model.onnx").write_bytes(b"weights" * 1000)
    (folder / "manifest.json").write_text("{}")
    storage.put_folder(model.artifact_key, folder)
    model.save()
    Evaluation.objects.create(model=model, report=report)
    return model


@cache
def _evaluated(labels: tuple[str, ...], pull: float) -> tuple[str, bytes]:
    """The report, in JSON, and the file of predictions: its intervals take a tenth of a second."""
    generator = np.random.default_rng(0)
    true = np.arange(ROWS) % len(labels)
    tuned, words = (_answers(generator, true, len(labels), one) for one in (pull, 1.0))
    rows = evaluation.TestRows(
        texts=[f"question {number}" for number in range(ROWS)],
        lengths=[3 + number % 7 for number in range(ROWS)],
        source_rows=list(range(ROWS)),
        label_names=list(labels),
    )
    majority = metrics.make_multiclass_predictions(
        true, baselines.majority_probabilities(true, ROWS, len(labels))
    )
    report = evaluation.build_report(
        tuned,
        rows,
        [
            evaluation.Contender("majority", "always guessing", majority),
            evaluation.Contender("tfidf", "TF-IDF + logistic regression", words, "fitted"),
        ],
    )
    report |= {"data": {"test_rows": ROWS, "train_rows": 900}, "parity": _parity()}
    with tempfile.TemporaryDirectory() as folder:
        predictions = Path(folder) / "predictions.parquet"
        evaluation.write_predictions(predictions, tuned, rows)
        return json.dumps(report), predictions.read_bytes()


def _answers(
    generator: np.random.Generator, true: np.ndarray, labels: int, pull: float
) -> metrics.MulticlassPredictions:
    logits = generator.normal(size=(ROWS, labels))
    logits[np.arange(ROWS), true] += pull
    return metrics.make_multiclass_predictions(true, np.exp(logits))


def _parity() -> dict[str, object]:
    facts = {
        "rows": 200,
        "largest_logit_difference": 2e-6,
        "label_agreement": 1.0,
        "accuracy_delta": 0.0,
        "accepted": True,
        "reason": "kept",
    }
    return {"model.onnx": facts, "served": "model.onnx"}
