"""Text classification and regression: from texts to an exported, tested model."""

import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from engine.artifact import Inputs, Manifest
from engine.data import baselines
from engine.data.label_issues import describe_examination, list_label_issues
from engine.data.text_examples import TEXT_SEPARATOR
from engine.evaluation import Contender
from engine.events import PhaseName, Reporter
from engine.export.parity import HeldOutRows, describe_serving, export_ngrams, export_onnx
from engine.progress import ProgressTracker
from engine.serving.text import compute_all_outputs, open_model
from engine.spec import TextSpec
from engine.spec.text import STEP_TIME_RATIOS
from engine.stop_signal import StopSignal
from engine.tasks import DataSummary, EvaluationResult, Task
from engine.tasks.shared import Rows
from engine.tasks.text.contenders.selection import TUNED
from engine.tasks.text.cross_validation import cross_validate, summarize_folds
from engine.tasks.text.fit import FittedTexts, fit
from engine.tasks.text.network import save_network
from engine.tasks.text.prepare import PreparedTexts, prepare
from engine.tasks.text.refit import describe_rows, plan_refit
from engine.tasks.text.report import build_extra_sections

MIN_PARITY_ROWS, QUICK_PARITY_ROWS, PARITY_ROWS = 200, 300, 1000
# Measured on two cores of a 2024 server processor (AVX-512 bf16), MiniLM: tokens per second.
TRAINED_TOKENS_PER_SECOND = 3000.0
EMBEDDED_TOKENS_PER_SECOND = 16_000.0


class TextTask:
    """Joined text columns in; one label, several labels or a number out."""

    def prepare(self, spec: TextSpec, progress: ProgressTracker, report: Reporter) -> PreparedTexts:
        return prepare(spec, progress, report)

    def estimate_phase_seconds(self, prepared: PreparedTexts) -> dict[PhaseName, float]:
        speed, split = prepared.base_model.speed, prepared.split
        mean_tokens = float(np.mean(prepared.rows.lengths))
        probe_rows = min(len(split.train), baselines.MAX_BASELINE_ROWS)
        embedded_rows = probe_rows + len(split.validation) + len(split.test)
        fitting = 2 + probe_rows * prepared.prediction_head.outputs * 5e-6
        embedding = embedded_rows * mean_tokens / EMBEDDED_TOKENS_PER_SECOND
        steps = prepared.epochs * len(split.train) * mean_tokens / TRAINED_TOKENS_PER_SECOND
        is_frozen = prepared.method in ("head", "probe")
        training = max(1e-3, speed * steps * STEP_TIME_RATIOS[prepared.method])
        return {
            "loading": 4.0,
            "preparing": 1 + speed * embedding + fitting,
            "training": training,
            "cross-validating": prepared.spec.hyperparameters.folds * (training + fitting),
            "exporting": speed * (3 if is_frozen else 6),
            "evaluating": 2 + fitting + speed * (4 if is_frozen else 8),
            "saving": 0.5,
        }

    def fit(
        self,
        prepared: PreparedTexts,
        progress: ProgressTracker,
        report: Reporter,
        stop: StopSignal,
    ) -> FittedTexts:
        trained = fit(prepared, progress, report, stop)
        trained.folds = cross_validate(prepared, trained, progress, report, stop)
        return trained

    def export(self, prepared: PreparedTexts, trained: FittedTexts, folder: Path) -> Manifest:
        spec, encoding = prepared.spec, trained.ngrams or prepared
        encoding.tokenizer.no_truncation()
        encoding.tokenizer.save(str(folder / "tokenizer.json"))
        most = QUICK_PARITY_ROWS if prepared.method == "probe" else PARITY_ROWS
        rows = prepared.held_out_rows(MIN_PARITY_ROWS, most)
        token_ids = [encoding.rows.ids[row].tolist() for row in rows]
        held_out = HeldOutRows(token_ids, rows, prepared.prediction_head)
        if trained.ngrams is not None:
            served, parity = export_ngrams(trained.ngrams.model, folder, held_out)
        else:
            save_network(trained.network, folder)
            frozen = trained.features.frozen if trained.method in ("head", "probe") else None
            served, parity = export_onnx(trained.network, folder, held_out, frozen)
        return Manifest(
            task=spec.task,
            base_model=spec.base_model,
            labels=prepared.prediction_head.labels,
            inputs=Inputs(
                kind="text",
                columns=spec.text_columns,
                text_separator=TEXT_SEPARATOR,
                max_length=encoding.rows.max_length,
            ),
            target=prepared.prediction_head.target(spec.target_name),
            serving=describe_serving(served, parity),
            parity=parity,
            training={**prepared.training_summary(trained)},
        )

    def evaluate(
        self, prepared: PreparedTexts, trained: FittedTexts, folder: Path, manifest: Manifest
    ) -> EvaluationResult:
        test, encoding = prepared.split.test, trained.ngrams or prepared
        encoded = [encoding.rows.ids[row].tolist() for row in test]
        model = open_model(folder, threads=os.cpu_count() or 1, manifest=manifest)
        outputs = compute_all_outputs(model, encoded)
        predictions = prepared.prediction_head.build_predictions(outputs, test)
        rows = describe_rows(prepared, trained, test)
        seconds = self.estimate_phase_seconds(prepared)["training"]
        return EvaluationResult(
            predictions,
            rows,
            _fit_contenders(prepared, trained, rows.texts),
            _data_summary(prepared, trained),
            partial(build_extra_sections, prepared, trained, model, predictions),
            None if prepared.spec.export else plan_refit(prepared, trained, seconds),
        )


TASK: Task[PreparedTexts, FittedTexts] = TextTask()


def _fit_contenders(
    prepared: PreparedTexts, trained: FittedTexts, test_texts: list[str]
) -> list[Contender]:
    """Guessing, a linear model on words, and the frozen base model with a linear layer."""
    split = prepared.split
    sample = baselines.sample_training_rows(prepared.learnt_rows, prepared.spec.split.seed)
    sample_texts = [prepared.examples.texts[row] for row in sample]
    note = _describe_sample(prepared, sample)
    contenders = [
        Contender(id, name, predictions, "" if id in ("majority", "mean") else note)
        for id, name, predictions in prepared.prediction_head.baselines(
            sample_texts, sample, test_texts, split.test
        )
    ]
    tuned_note = _describe_sample(prepared, split.train)
    return contenders + [
        replace(rival, note=tuned_note if rival.id == TUNED else note) for rival in trained.rivals
    ]


def _describe_sample(prepared: PreparedTexts, sample: Rows) -> str:
    if np.isin(prepared.split.validation, sample).any():
        return f"fitted on {len(sample):,} training and validation rows"
    return f"fitted on {'1 training row' if len(sample) == 1 else f'{len(sample):,} training rows'}"


def _data_summary(prepared: PreparedTexts, trained: FittedTexts) -> DataSummary:
    summary = prepared.data_summary()
    summary["labels"] = len(prepared.prediction_head.labels)
    summary["cut_rows"] = prepared.rows.truncated_rows
    summary["mean_tokens"] = float(np.mean(prepared.rows.lengths))
    if (found := trained.examination) is not None and len(found.suspects):
        rows = trained.examined_rows
        examples = prepared.examples
        summary["label_issues"] = list_label_issues(
            found,
            rows,
            labels=examples.truth.values,
            label_names=examples.label_names,
            texts=examples.texts,
            source_rows=examples.rows,
        )
        summary["warnings"] = [*summary["warnings"], describe_examination(found, len(rows))]
    if trained.curve is not None:
        summary["learning_curve"] = trained.curve
    if trained.folds:
        summary["cross_validation"] = summarize_folds(trained.folds)
    return summary
