"""Tabular classification and regression: from a table to an exported, tested model."""

import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from safetensors.numpy import save_file
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from engine.analysis.row_order import describe_row_order
from engine.artifact import Inputs, Manifest, Serving, Target
from engine.data import baselines
from engine.data.label_issues import describe_examination, list_label_issues
from engine.data.splitting import Split
from engine.estimate.tabular import seconds_to_fit, seconds_to_fit_again, seconds_to_test
from engine.evaluation import (
    Contender,
    ModelPredictions,
    Refit,
    TestRows,
    read_slice_columns,
)
from engine.events import PhaseName, Reporter
from engine.export.onnx import write_traced
from engine.loop.device import full_matmul_precision
from engine.progress import ProgressTracker
from engine.serving.answers import softmax
from engine.serving.tabular import TabularModel
from engine.spec import TabularSpec
from engine.stop_signal import StopSignal
from engine.tasks import DataSummary, EvaluationResult, Task
from engine.tasks.shared import ExactParity, Rows, require_exact_parity
from engine.tasks.tabular.ensemble_members import (
    BoostedTrees,
    EncodedRows,
    Floats,
    Linear,
    fit_linear,
    limit_openmp_threads,
)
from engine.tasks.tabular.extra_trees import ExtraTrees
from engine.tasks.tabular.fit import FittedTable, compute_ensemble_outputs, fit, fit_again
from engine.tasks.tabular.network import TabularNetwork
from engine.tasks.tabular.onnx_graph import INPUT, OUTPUT, OnnxGraphBuilder
from engine.tasks.tabular.prepare import PreparedTable, encode_table, prepare
from engine.tasks.tabular.report import build_extra_sections

MODEL_FILE, NETWORK_FILE = "model.onnx", "network.safetensors"
PARITY_ROWS = 1000
MAX_LOGIT_DIFFERENCE = 1e-3
MAX_DISPLAY_CHARACTERS = 400


class TabularTask:
    """Columns of any type in, one label or one number out."""

    def prepare(
        self, spec: TabularSpec, progress: ProgressTracker, report: Reporter
    ) -> PreparedTable:
        return prepare(spec, progress, report)

    def estimate_phase_seconds(self, prepared: PreparedTable) -> dict[PhaseName, float]:
        rows, width = prepared.matrix.shape
        fitting = seconds_to_fit(
            prepared.spec.hyperparameters,
            rows,
            width,
            prepared.outputs,
            prepared.base_model.speed,
        )
        return {
            "loading": 4.0,
            "preparing": 1 + rows * width * 1e-6,
            "training": fitting,
            "exporting": 2.0,
            "evaluating": seconds_to_test(rows, width),
            "saving": 0.5,
        }

    def fit(
        self,
        prepared: PreparedTable,
        progress: ProgressTracker,
        report: Reporter,
        stop: StopSignal,
    ) -> FittedTable:
        return fit(prepared, progress, report, stop)

    def export(self, prepared: PreparedTable, trained: FittedTable, folder: Path) -> Manifest:
        _write_onnx_graph(prepared, trained, folder)
        spec, features = prepared.spec, prepared.encoder.features
        manifest = Manifest(
            task=spec.task,
            base_model=spec.base_model,
            labels=prepared.table.label_names,
            inputs=Inputs(
                kind="features",
                columns=[feature.name for feature in features],
                features=features,
            ),
            target=Target(
                kind="label" if prepared.is_label else "number",
                column=spec.target_column,
                mean=prepared.mean,
                deviation=prepared.deviation,
            ),
            serving=Serving(file=MODEL_FILE, tokenizer="", inputs=[INPUT], output=OUTPUT),
            training=prepared.training_summary(trained)
            | {"validation_losses": trained.losses, "shares": trained.ensemble_weights},
        )
        parity = _check_parity(prepared, trained, TabularModel(folder, manifest=manifest))
        return manifest.model_copy(update={"parity": {MODEL_FILE: parity, "served": MODEL_FILE}})

    def evaluate(
        self, prepared: PreparedTable, trained: FittedTable, folder: Path, manifest: Manifest
    ) -> EvaluationResult:
        test = prepared.split.test
        model = TabularModel(folder, threads=os.cpu_count() or 1, manifest=manifest)
        data = prepared.data_summary()
        data["labels"] = len(prepared.table.label_names)
        _add_label_issues(prepared, trained, data)
        if order := _describe_order(prepared):
            data["warnings"] = [*data["warnings"], order]
        data["features"] = [feature.model_dump() for feature in prepared.encoder.features]
        predictions = prepared.build_predictions(test, model.predict(prepared.matrix[test]))
        return EvaluationResult(
            predictions,
            _describe_rows(prepared, test),
            _fit_contenders(prepared),
            data,
            partial(build_extra_sections, prepared, model, predictions),
            None if prepared.spec.export else self._refit(prepared, trained),
        )

    def _refit(self, prepared: PreparedTable, trained: FittedTable) -> Refit:
        seconds = self.estimate_phase_seconds(prepared)
        rows, width = len(prepared.split.train), prepared.encoder.width
        return Refit(
            replace(prepared.split, train=trained.examined_rows),
            prepared.spec.part_column,
            prepared.spec.split.seed,
            seconds_to_fit_again(seconds["training"], rows, width),
            partial(_answer_fold, prepared, trained),
            partial(_describe_rows, prepared),
        )


TASK: Task[PreparedTable, FittedTable] = TabularTask()


def _describe_rows(prepared: PreparedTable, rows: Rows) -> TestRows:
    spec, source_rows = prepared.spec, prepared.table.rows[rows].tolist()
    return TestRows(
        texts=[prepared.texts[row][:MAX_DISPLAY_CHARACTERS] for row in rows],
        lengths=[],
        source_rows=source_rows,
        label_names=prepared.table.label_names,
        columns=read_slice_columns(
            spec.data, source_rows, [spec.target_column], spec.fairness_columns
        ),
    )


def _answer_fold(
    prepared: PreparedTable, trained: FittedTable, fold: Split, number: int
) -> tuple[ModelPredictions, list[Contender]]:
    """The job again on the rows of this fold, from what its columns mean."""
    again = encode_table(prepared.spec, prepared.table, fold, prepared.device)
    outputs = compute_ensemble_outputs(fit_again(again, trained, number), again.matrix[fold.test])
    answers = softmax(outputs) if again.is_label else outputs[:, 0] * again.deviation + again.mean
    return again.build_predictions(fold.test, answers), _fit_contenders(again)


def _write_onnx_graph(prepared: PreparedTable, trained: FittedTable, folder: Path) -> None:
    graph, width = OnnxGraphBuilder(), prepared.encoder.width
    for name, member in trained.members.items():
        weight = trained.ensemble_weights[name]
        if isinstance(member, TabularNetwork):
            path = folder / "network.onnx"
            write_traced(member, (width,), path, input_name=INPUT)
            graph.add_network(onnx.load(str(path)), weight)
            path.unlink()
            tensors = {key: tensor.numpy() for key, tensor in member.state_dict().items()}
            save_file(tensors, folder / NETWORK_FILE)
        elif isinstance(member, BoostedTrees):
            graph.add_boosted_trees(member, weight, name)
        elif isinstance(member, ExtraTrees):
            graph.add_extra_trees(member, weight)
        elif isinstance(member, Linear):
            graph.add_linear(member, weight)
    graph.save(folder / MODEL_FILE, width, prepared.outputs)


def _check_parity(
    prepared: PreparedTable, trained: FittedTable, model: TabularModel
) -> ExactParity:
    """The file against the members themselves. Raises BrokenExport when they differ."""
    matrix = prepared.matrix[prepared.held_out_rows(PARITY_ROWS, PARITY_ROWS)]
    with full_matmul_precision():
        expected = compute_ensemble_outputs(trained, matrix)
    outputs = model.outputs(matrix).astype(np.float64)
    return require_exact_parity(
        list(expected), list(outputs), MAX_LOGIT_DIFFERENCE, has_labels=prepared.is_label
    )


def _add_label_issues(prepared: PreparedTable, trained: FittedTable, data: DataSummary) -> None:
    examination, table = trained.examination, prepared.table
    if examination is None or table.labels is None or not len(examination.suspects):
        return
    rows = trained.examined_rows
    data["warnings"] = [*data["warnings"], describe_examination(examination, len(rows))]
    data["label_issues"] = list_label_issues(
        examination,
        rows,
        labels=table.labels,
        label_names=table.label_names,
        texts=prepared.texts,
        source_rows=table.rows.tolist(),
    )


def _describe_order(prepared: PreparedTable) -> str:
    """Of rows drawn at random; whoever names a split column has thought of it."""
    table = prepared.table
    if prepared.spec.effective_split.column is not None:
        return ""
    targets = table.labels if table.labels is not None else table.numbers
    assert targets is not None
    return describe_row_order(prepared.matrix, targets, is_label=prepared.is_label)


def _fit_contenders(prepared: PreparedTable) -> list[Contender]:
    """Guessing, a linear model, and boosted trees at scikit-learn's defaults, on the same rows."""
    split, table = prepared.split, prepared.table
    # Our model's trees are fitted again with the validation rows: these may have them too.
    sample = baselines.sample_training_rows(
        np.concatenate([split.train, split.validation]), prepared.spec.split.seed
    )
    train, test = prepared.rows(sample), prepared.rows(split.test)
    linear, _ = fit_linear(train, prepared.rows(split.validation), prepared.outputs)
    linear_outputs = linear.outputs(test.matrix)
    outputs: list[Floats]
    if table.labels is not None:
        guesses = baselines.majority_probabilities(
            table.labels[split.train], len(split.test), prepared.outputs
        )
        trees = _fit_boosted_baseline(HistGradientBoostingClassifier, train)
        outputs = [guesses, softmax(linear_outputs), trees.predict_proba(test.matrix)]
        guess = ("majority", "always guessing the most common label")
        linear_name = "logistic regression"
    else:
        forest = _fit_boosted_baseline(HistGradientBoostingRegressor, train)
        scaled = [np.zeros(len(split.test)), linear_outputs[:, 0], forest.predict(test.matrix)]
        outputs = [one * prepared.deviation + prepared.mean for one in scaled]
        guess = ("mean", "always guessing the mean")
        linear_name = "ridge regression"
    predictions = [prepared.build_predictions(split.test, one) for one in outputs]
    note = f"fitted on {len(sample):,} training and validation rows"
    return [
        Contender(*guess, predictions[0]),
        Contender("linear", linear_name, predictions[1], note),
        Contender("boosted", "boosted trees at their defaults", predictions[2], note),
    ]


def _fit_boosted_baseline(kind: Any, train: EncodedRows) -> Any:
    with limit_openmp_threads(train.matrix):
        return kind(random_state=0).fit(train.matrix, train.targets)
