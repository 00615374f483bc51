"""Text classification and regression: from texts to an exported, tested model."""

import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from engine import baselines, catalog
from engine.artifact import Inputs, Manifest, Serving
from engine.evaluation import Contender, TestRows, other_columns
from engine.events import PhaseName, Reporter
from engine.examples import TEXT_SEPARATOR
from engine.exporting import HeldOutRows, export
from engine.network import save_network
from engine.progress import JobClock
from engine.serving.text import open_model, outputs_of_all
from engine.spec import TextSpec
from engine.spec.text import SHARES_OF_FULL
from engine.stopping import StopSignal
from engine.tasks import Evaluated, Task
from engine.tasks.outcome import about_training
from engine.tasks.text_fitting import Trained, about_folds, fit
from engine.tasks.text_folds import cross_validate
from engine.tasks.text_preparation import Prepared, prepare
from engine.tasks.text_reporting import further_checks

FEWEST_PARITY_ROWS, QUICK_PARITY_ROWS, PARITY_ROWS = 200, 300, 1000
# Measured on two cores of a 2024 server processor (AVX-512 bf16), MiniLM: tokens per second.
TRAINED_TOKENS_PER_SECOND = 3000.0
EMBEDDED_TOKENS_PER_SECOND = 16_000.0


class TextTask:
    """Joined text columns in; one label, several labels or a number out."""

    def prepare(self, spec: TextSpec, clock: JobClock, report: Reporter) -> Prepared:
        return prepare(spec, clock, report)

    def expected_costs(self, prepared: Prepared) -> dict[PhaseName, float]:
        return _expected_costs(prepared)

    def fit(
        self, prepared: Prepared, clock: JobClock, report: Reporter, stop: StopSignal
    ) -> Trained:
        trained = fit(prepared, clock, report, stop)
        trained.folds = cross_validate(prepared, trained.features, clock, report, stop)
        return trained

    def export(self, prepared: Prepared, trained: Trained, folder: Path) -> Manifest:
        save_network(trained.network, folder)
        prepared.tokenizer.no_truncation()
        prepared.tokenizer.save(str(folder / "tokenizer.json"))
        frozen = trained.features.frozen if trained.method in ("head", "probe") else None
        served, parity = export(trained.network, folder, _parity_rows(prepared), frozen)
        spec = prepared.spec
        return Manifest(
            task=spec.task,
            base_model=spec.base_model,
            labels=prepared.goal.labels,
            inputs=Inputs(
                kind="text",
                columns=spec.text_columns,
                text_separator=TEXT_SEPARATOR,
                max_length=prepared.rows.max_length,
            ),
            target=prepared.goal.target(spec.target_column),
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
        spec, examples, test = prepared.spec, prepared.examples, prepared.split.test
        encoded = [prepared.rows.ids[row].tolist() for row in test]
        model = open_model(folder, threads=os.cpu_count() or 1, manifest=manifest)
        given = prepared.goal.answers(outputs_of_all(model, encoded), test)
        source_rows = [examples.rows[row] for row in test]
        rows = TestRows(
            texts=[examples.texts[row] for row in test],
            lengths=[len(ids) for ids in encoded],
            source_rows=source_rows,
            label_names=examples.label_names,
            columns=other_columns(
                spec.data,
                source_rows,
                [*spec.text_columns, spec.target_column],
                spec.fairness_columns,
            ),
        )
        contenders = _contenders(prepared, trained, rows.texts)
        checks = partial(further_checks, prepared, trained, model, given)
        return Evaluated(given, rows, contenders, _about_data(prepared, trained), checks)


TASK: Task[Prepared, Trained] = TextTask()


def _expected_costs(prepared: Prepared) -> dict[PhaseName, float]:
    """Seconds each phase would take on the machine the constants were measured on."""
    speed = catalog.find(prepared.spec.base_model).speed
    mean_tokens = float(np.mean(prepared.rows.lengths))
    train_rows, folds = len(prepared.split.train), prepared.spec.hyperparameters.folds
    probed = min(train_rows, baselines.MOST_ROWS)
    held_out = len(prepared.split.validation) + len(prepared.split.test)
    fitting = 2 + probed * prepared.goal.outputs * 5e-6
    embedding = (probed + held_out) * mean_tokens / EMBEDDED_TOKENS_PER_SECOND
    taught = prepared.epochs * train_rows * mean_tokens / TRAINED_TOKENS_PER_SECOND
    is_frozen = prepared.method in ("head", "probe")
    training = max(1e-3, speed * taught * SHARES_OF_FULL[prepared.method])
    return {
        "loading": 4.0,
        "preparing": 1 + speed * embedding + fitting,
        "training": training,
        "cross-validating": folds * (training + fitting),
        "exporting": speed * (3 if is_frozen else 6),
        "evaluating": 2 + fitting + speed * (4 if is_frozen else 8),
        "saving": 0.5,
    }


def _parity_rows(prepared: Prepared) -> HeldOutRows:
    """Validation rows, so that choosing the file to serve leaves the test rows untouched; with
    too few of them, training rows fill up. The quick method is checked on fewer."""
    divided = prepared.split
    chosen = np.concatenate([divided.validation, divided.train[:PARITY_ROWS]])
    most = QUICK_PARITY_ROWS if prepared.method == "probe" else PARITY_ROWS
    chosen = chosen[: min(max(FEWEST_PARITY_ROWS, len(divided.validation)), most)]
    encoded = [prepared.rows.ids[row].tolist() for row in chosen]
    return HeldOutRows(encoded, chosen, prepared.goal)


def _contenders(prepared: Prepared, trained: Trained, test_texts: list[str]) -> list[Contender]:
    divided = prepared.split
    sample = baselines.sample_rows(divided.train, prepared.spec.split.seed)
    texts = [prepared.examples.texts[row] for row in sample]
    note = f"fitted on {len(sample):,} training rows"
    found = prepared.goal.baselines(texts, sample, test_texts, divided.test)
    contenders = [
        Contender(id, name, given, "" if id in ("majority", "mean") else note)
        for id, name, given in found
    ]
    if trained.probe_answers is not None:
        name = "frozen encoder + linear layer"
        contenders.append(Contender("probe", name, trained.probe_answers, note))
    return contenders


def _about_data(prepared: Prepared, trained: Trained) -> dict[str, Any]:
    divided = prepared.split
    about = {
        "train_rows": len(divided.train),
        "validation_rows": len(divided.validation),
        "test_rows": len(divided.test),
        "labels": len(prepared.goal.labels),
        "cut_rows": prepared.rows.cut_rows,
        "mean_tokens": float(np.mean(prepared.rows.lengths)),
        "warnings": prepared.warnings,
    }
    if trained.folds:
        about["cross_validation"] = about_folds(trained.folds)
    return about
