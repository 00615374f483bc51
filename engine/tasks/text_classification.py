"""Single-label text classification: from texts to an exported, tested classifier."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from engine import baselines, catalog
from engine.artifact import Inputs, Manifest, Serving, Target
from engine.evaluation import Contender, TestRows, other_columns
from engine.events import PhaseName, Reporter
from engine.examples import TEXT_SEPARATOR
from engine.exporting import HeldOutRows, export
from engine.metrics import answers
from engine.network import save_network
from engine.progress import JobClock
from engine.serving import TextClassifier, predict_all
from engine.spec import TextSpec
from engine.stopping import StopSignal
from engine.tasks import Evaluated, Task
from engine.tasks.outcome import about_training
from engine.tasks.text_fitting import Trained, fit
from engine.tasks.text_preparation import Prepared, prepare

PARITY_ROWS = 1000
# Measured on two cores of a 2024 server processor (AVX-512 bf16), MiniLM: tokens per second.
TRAINED_TOKENS_PER_SECOND = 4500.0
EMBEDDED_TOKENS_PER_SECOND = 12_000.0


class TextClassification:
    """Joined text columns in, one label of many out."""

    def prepare(self, spec: TextSpec, clock: JobClock, report: Reporter) -> Prepared:
        return prepare(spec, clock, report)

    def expected_costs(self, prepared: Prepared) -> dict[PhaseName, float]:
        return _expected_costs(prepared)

    def fit(
        self, prepared: Prepared, clock: JobClock, report: Reporter, stop: StopSignal
    ) -> Trained:
        return fit(prepared, clock, report, stop)

    def export(self, prepared: Prepared, trained: Trained, folder: Path) -> Manifest:
        save_network(trained.network, folder)
        prepared.tokenizer.no_truncation()
        prepared.tokenizer.save(str(folder / "tokenizer.json"))
        served, parity = export(trained.network, folder, _parity_rows(prepared))
        spec = prepared.spec
        return Manifest(
            task=spec.task,
            base_model=spec.base_model,
            labels=prepared.examples.label_names,
            inputs=Inputs(
                kind="text",
                columns=spec.text_columns,
                text_separator=TEXT_SEPARATOR,
                max_length=prepared.rows.max_length,
            ),
            target=Target(kind="label", column=spec.target_column),
            serving=Serving(file=served),
            parity=parity,
            training=about_training(
                spec,
                prepared.device,
                trained.state,
                method=trained.method,
                reason=trained.reason,
                seconds=trained.seconds,
            ),
        )

    def evaluate(
        self, prepared: Prepared, trained: Trained, folder: Path, manifest: Manifest
    ) -> Evaluated:
        test, examples = prepared.split.test, prepared.examples
        encoded = [prepared.rows.ids[row].tolist() for row in test]
        classifier = TextClassifier(folder, threads=os.cpu_count() or 1, manifest=manifest)
        given = answers(prepared.rows.labels[test], predict_all(classifier, encoded))
        spec, source_rows = prepared.spec, [examples.rows[row] for row in test]
        rows = TestRows(
            texts=[examples.texts[row] for row in test],
            lengths=[len(ids) for ids in encoded],
            source_rows=source_rows,
            label_names=examples.label_names,
            columns=other_columns(spec.data, source_rows, [*spec.text_columns, spec.target_column]),
        )
        contenders = _contenders(prepared, trained, rows.texts)
        return Evaluated(given, rows, contenders, _about_data(prepared))


TASK: Task[Prepared, Trained] = TextClassification()


def _expected_costs(prepared: Prepared) -> dict[PhaseName, float]:
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
