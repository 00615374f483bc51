"""One training job from spec to artifact: prepare, train, export, evaluate, publish."""

import os
import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from engine import baselines, catalog
from engine.artifact import Manifest, Serving, building_folder, publish, write_json
from engine.evaluation import Contender, TestRows, evaluate
from engine.events import Reporter, Result
from engine.examples import TEXT_SEPARATOR
from engine.exporting import HeldOutRows, export
from engine.metrics import Answers, answers
from engine.network import save_network
from engine.progress import JobClock
from engine.serving import TextClassifier, predict_all
from engine.spec import TrainingSpec
from engine.stopping import StopSignal
from engine.tasks.text_classification import (
    EMBEDDED_TOKENS_PER_SECOND,
    TRAINED_TOKENS_PER_SECOND,
    Trained,
    fit,
)
from engine.tasks.text_preparation import Prepared, prepare

PARITY_ROWS = 1000
PACKAGES = ("torch", "transformers", "tokenizers", "onnx", "onnxruntime", "scikit-learn", "numpy")


def train(spec: TrainingSpec, report: Reporter, stop: StopSignal) -> Result:
    """Run the whole job; the artifact at spec.output is complete when this returns."""
    clock = JobClock(report, {"loading": 4, "preparing": 10, "training": 60, "evaluating": 8})
    timings: dict[str, float] = {}
    started_at = time.monotonic()
    prepared = prepare(spec, clock, report)
    clock.costs = _expected_costs(prepared)
    timings["preparing_seconds"] = time.monotonic() - started_at
    trained = fit(prepared, clock, report, stop)
    timings["training_seconds"] = trained.seconds
    stop.raise_if_requested()
    clock.enter("exporting")
    building = building_folder(spec.output)
    manifest = _export(prepared, trained, building, timings)
    stop.raise_if_requested()
    clock.enter("evaluating")
    result = _evaluate(prepared, trained, building, manifest, timings)
    stop.raise_if_requested()
    clock.enter("saving")
    publish(building, spec.output, manifest)
    clock.finish()
    report.info(result["headline"])
    headline = {metric["name"]: metric["value"] for metric in result["metrics"]}
    return Result(artifact=str(spec.output), metrics=headline)


def _expected_costs(prepared: Prepared) -> dict[Any, float]:
    """Seconds each phase would take on the machine the constants were measured on."""
    speed = catalog.find(prepared.spec.base_model).speed
    rows, settings = prepared.rows, prepared.spec.hyperparameters
    mean_tokens = sum(rows.lengths) / len(rows.lengths)
    train_rows = len(prepared.split.train)
    probed = min(train_rows, baselines.MOST_ROWS)
    held_out = len(prepared.split.validation) + len(prepared.split.test)
    epochs = settings.planned_epochs(train_rows) if settings.method == "full" else 0
    labels = len(prepared.examples.label_names)
    fitting = 2 + probed * labels * 5e-6
    embedding = (probed + held_out) * mean_tokens / EMBEDDED_TOKENS_PER_SECOND
    return {
        "loading": 4.0,
        "preparing": 1 + speed * embedding + fitting,
        "training": max(
            1e-3, speed * epochs * train_rows * mean_tokens / TRAINED_TOKENS_PER_SECOND
        ),
        "exporting": 6.0 * speed,
        "evaluating": 2 + fitting,
        "saving": 0.5,
    }


def _export(
    prepared: Prepared, trained: Trained, building: Path, timings: dict[str, float]
) -> Manifest:
    started_at = time.monotonic()
    save_network(trained.network, building)
    prepared.tokenizer.no_truncation()
    prepared.tokenizer.save(str(building / "tokenizer.json"))
    served, parity = export(trained.network, building, _parity_rows(prepared))
    timings["exporting_seconds"] = time.monotonic() - started_at
    spec = prepared.spec
    return Manifest(
        task=spec.task,
        base_model=spec.base_model,
        labels=prepared.examples.label_names,
        text_columns=spec.text_columns,
        target_column=spec.target_column,
        max_length=prepared.rows.max_length,
        serving=Serving(file=served, text_separator=TEXT_SEPARATOR),
        versions=versions(),
        parity=parity,
        training=_about_training(prepared, trained),
    )


def _parity_rows(prepared: Prepared) -> HeldOutRows:
    """Validation rows, so that choosing the file to serve leaves the test rows untouched; with
    too few of them, training rows fill up."""
    divided = prepared.split
    chosen = np.concatenate([divided.validation, divided.train[:PARITY_ROWS]])
    count = max(200, len(divided.validation))
    chosen = chosen[: min(count, PARITY_ROWS)]
    return HeldOutRows(
        [prepared.rows.ids[row].tolist() for row in chosen],
        prepared.rows.labels[chosen].tolist(),
    )


def _about_training(prepared: Prepared, trained: Trained) -> dict[str, Any]:
    spec, state = prepared.spec, trained.state
    return {
        "method": trained.method,
        "reason": trained.reason,
        "hyperparameters": spec.hyperparameters.model_dump(),
        "split": spec.split.model_dump(),
        "steps": state.step,
        "epochs": state.epoch,
        "best_epoch": state.best_epoch + 1,
        "validation": state.best_metrics,
        "seconds": trained.seconds,
        "rows_per_second": state.rows_seen / trained.seconds if state.rows_seen else None,
        "device": prepared.device.name,
        "precision": "bf16" if prepared.device.bf16 else "fp32",
    }


def versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def _evaluate(
    prepared: Prepared,
    trained: Trained,
    building: Path,
    manifest: Manifest,
    timings: dict[str, float],
) -> dict[str, Any]:
    """Test the very file that will be served; write report and predictions."""
    started_at = time.monotonic()
    test, examples = prepared.split.test, prepared.examples
    encoded = [prepared.rows.ids[row].tolist() for row in test]
    classifier = TextClassifier(building, threads=os.cpu_count() or 1, manifest=manifest)
    given = answers(prepared.rows.labels[test], predict_all(classifier, encoded))
    rows = TestRows(
        texts=[examples.texts[row] for row in test],
        lengths=[len(ids) for ids in encoded],
        source_rows=[examples.rows[row] for row in test],
        label_names=examples.label_names,
    )
    result = evaluate(given, rows, _contenders(prepared, trained, rows.texts))
    timings["evaluating_seconds"] = time.monotonic() - started_at
    result |= {
        "evaluated_file": manifest.serving.file,
        "data": _about_data(prepared),
        "parity": manifest.parity,
        "training": manifest.training,
        "timings": timings,
        "versions": manifest.versions,
    }
    write_json(building / "report.json", result)
    write_predictions(building / "predictions.parquet", given, rows)
    return result


def _contenders(prepared: Prepared, trained: Trained, test_texts: list[str]) -> list[Contender]:
    labels, divided = prepared.rows.labels, prepared.split
    sample = baselines.sample_rows(divided.train, prepared.spec.split.seed)
    texts = [prepared.examples.texts[row] for row in sample]
    count, true = len(prepared.examples.label_names), labels[divided.test]
    majority = baselines.majority_probabilities(labels[divided.train], len(true), count)
    words = baselines.tfidf_probabilities(texts, labels[sample], test_texts, count)
    note = f"fitted on {len(sample):,} training rows"
    contenders = [
        Contender("majority", "always guessing the most common label", answers(true, majority)),
        Contender("tfidf", "TF-IDF + logistic regression", answers(true, words), note),
    ]
    if trained.method == "full":
        frozen = answers(true, trained.probe_test)
        contenders.append(Contender("probe", "frozen encoder + linear layer", frozen, note))
    return contenders


def _about_data(prepared: Prepared) -> dict[str, Any]:
    divided = prepared.split
    return {
        "train_rows": len(divided.train),
        "validation_rows": len(divided.validation),
        "test_rows": len(divided.test),
        "labels": len(prepared.examples.label_names),
        "cut_rows": prepared.rows.cut_rows,
        "mean_tokens": float(np.mean(prepared.rows.lengths)),
        "warnings": prepared.warnings,
    }


def write_predictions(path: Path, given: Answers, rows: TestRows) -> None:
    """One line per test row; `row` is its number in the data file, from 0."""
    names = rows.label_names
    table = pa.table(
        {
            "row": rows.source_rows,
            "text": rows.texts,
            "label": [names[label] for label in given.true],
            "predicted": [names[label] for label in given.predicted],
            "probability": given.confidence,
            "correct": given.true == given.predicted,
        }
    )
    pq.write_table(table, path)
