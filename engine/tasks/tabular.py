"""Tabular classification and regression: from a table to an exported, tested model."""

import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from safetensors.numpy import save_file
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from engine import baselines, catalog
from engine.artifact import Inputs, Manifest, Serving, Target
from engine.errors import BrokenExport
from engine.evaluation import Contender, TestRows, other_columns
from engine.events import PhaseName, Reporter
from engine.onnx_files import write_onnx
from engine.progress import JobClock
from engine.serving.tabular import TabularModel
from engine.spec import TabularSpec
from engine.stopping import StopSignal
from engine.tabular.costs import seconds_to_fit, seconds_to_test
from engine.tabular.graph import INPUT, OUTPUT, GraphParts
from engine.tabular.members import BoostedTrees, Floats, Linear, Rows, fit_linear, tree_threads
from engine.tabular.network import TabularNetwork
from engine.tabular.random_trees import RandomTrees
from engine.tasks import Evaluated, Task
from engine.tasks.outcome import about_training
from engine.tasks.tabular_fitting import Trained, fit, mean_outputs
from engine.tasks.tabular_preparation import Prepared, prepare
from engine.tasks.tabular_reporting import further_checks

MODEL_FILE, NETWORK_FILE = "model.onnx", "network.safetensors"
PARITY_ROWS = 1000
LARGEST_DIFFERENCE = 1e-3
SHOWN_CHARACTERS = 400


class Tabular:
    """Columns of any type in, one label or one number out."""

    def prepare(self, spec: TabularSpec, clock: JobClock, report: Reporter) -> Prepared:
        return prepare(spec, clock, report)

    def expected_costs(self, prepared: Prepared) -> dict[PhaseName, float]:
        spec, rows = prepared.spec, len(prepared.matrix)
        speed = catalog.find(spec.base_model).speed
        width, outputs = prepared.encoder.width, prepared.outputs
        fitting = seconds_to_fit(spec.hyperparameters, rows, width, outputs, speed)
        return {
            "loading": 4.0,
            "preparing": 1 + rows * width * 1e-6,
            "training": fitting,
            "exporting": 2.0,
            "evaluating": seconds_to_test(rows, width),
            "saving": 0.5,
        }

    def fit(
        self, prepared: Prepared, clock: JobClock, report: Reporter, stop: StopSignal
    ) -> Trained:
        return fit(prepared, clock, report, stop)

    def export(self, prepared: Prepared, trained: Trained, folder: Path) -> Manifest:
        _write_graph(prepared, trained, folder)
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
            training=_about(prepared, trained),
        )
        parity = _parity(prepared, trained, TabularModel(folder, manifest=manifest))
        return manifest.model_copy(update={"parity": {MODEL_FILE: parity, "served": MODEL_FILE}})

    def evaluate(
        self, prepared: Prepared, trained: Trained, folder: Path, manifest: Manifest
    ) -> Evaluated:
        test, spec = prepared.split.test, prepared.spec
        model = TabularModel(folder, threads=os.cpu_count() or 1, manifest=manifest)
        source_rows = prepared.table.rows[test].tolist()
        rows = TestRows(
            texts=[prepared.texts[row][:SHOWN_CHARACTERS] for row in test],
            lengths=[],
            source_rows=source_rows,
            label_names=prepared.table.label_names,
            columns=other_columns(
                spec.data, source_rows, [spec.target_column], spec.fairness_columns
            ),
        )
        given = prepared.given(test, model.predict(prepared.matrix[test]))
        checks = partial(further_checks, prepared, model, given)
        return Evaluated(given, rows, _contenders(prepared), _about_data(prepared), checks)


TASK: Task[Prepared, Trained] = Tabular()


def _write_graph(prepared: Prepared, trained: Trained, folder: Path) -> None:
    parts, width = GraphParts(), prepared.encoder.width
    for name, member in trained.members.items():
        share = trained.shares[name]
        if isinstance(member, TabularNetwork):
            path = folder / "network.onnx"
            write_onnx(member, (width,), path, input_name=INPUT)
            parts.add_network(onnx.load(str(path)), share)
            path.unlink()
            weights = {name: tensor.numpy() for name, tensor in member.state_dict().items()}
            save_file(weights, folder / NETWORK_FILE)
        elif isinstance(member, BoostedTrees):
            parts.add_boosted(member, share)
        elif isinstance(member, RandomTrees):
            parts.add_random_trees(member, share)
        elif isinstance(member, Linear):
            parts.add_linear(member, share)
    parts.save(folder / MODEL_FILE, width, prepared.outputs)


def _about(prepared: Prepared, trained: Trained) -> dict[str, Any]:
    said = about_training(
        prepared.spec,
        prepared.device,
        trained.state,
        method=trained.method,
        reason=trained.reason,
        seconds=trained.seconds,
    )
    return said | {"validation_losses": trained.losses, "shares": trained.shares}


def _parity(prepared: Prepared, trained: Trained, model: TabularModel) -> dict[str, Any]:
    """The file against the members themselves. Raises BrokenExport when they differ."""
    chosen = np.concatenate([prepared.split.validation, prepared.split.train])[:PARITY_ROWS]
    matrix = prepared.matrix[chosen]
    wanted = mean_outputs(trained, matrix)
    raw = model.outputs(matrix).astype(np.float64)
    difference = float(np.abs(raw - wanted).max(initial=0.0))
    if not np.isfinite(raw).all() or difference > LARGEST_DIFFERENCE:
        raise BrokenExport(
            "The exported model does not compute what the trained model computes"
            f" (largest difference {difference:.3g}). Nothing was charged; please tell support."
        )
    parity = {
        "rows": len(chosen),
        "largest_logit_difference": difference,
        "accepted": True,
        "reason": f"kept: largest difference at most {LARGEST_DIFFERENCE}",
    }
    if prepared.is_label:
        parity["label_agreement"] = float((raw.argmax(1) == wanted.argmax(1)).mean())
    return parity


def _contenders(prepared: Prepared) -> list[Contender]:
    """Guessing, a linear model, and boosted trees at scikit-learn's defaults, on the same rows."""
    divided = prepared.split
    # What they are fitted on, our model was: its trees are fitted again with validation rows.
    known = np.concatenate([divided.train, divided.validation])
    fitted_on = baselines.sample_rows(known, prepared.spec.split.seed)
    train, test = prepared.rows(fitted_on), prepared.rows(divided.test)
    linear, _ = fit_linear(train, prepared.rows(divided.validation), prepared.outputs)
    note = f"fitted on {len(fitted_on):,} training and validation rows"
    if prepared.table.labels is not None:
        known = prepared.table.labels[divided.train]
        guess = baselines.majority_probabilities(known, len(divided.test), prepared.outputs)
        trees = _boosted(HistGradientBoostingClassifier, train)
        shares = trees.predict_proba(test.matrix)
        line = _softmax(linear.outputs(test.matrix))
        names = ("majority", "always guessing the most common label", "logistic regression")
    else:
        forest = _boosted(HistGradientBoostingRegressor, train)
        guess = np.full(len(divided.test), prepared.mean)
        shares = forest.predict(test.matrix) * prepared.deviation + prepared.mean
        line = linear.outputs(test.matrix)[:, 0] * prepared.deviation + prepared.mean
        names = ("mean", "always guessing the mean", "ridge regression")
    given = [prepared.given(divided.test, outputs) for outputs in (guess, line, shares)]
    return [
        Contender(names[0], names[1], given[0]),
        Contender("linear", names[2], given[1], note),
        Contender("boosted", "boosted trees at their defaults", given[2], note),
    ]


def _boosted(kind: Any, train: Rows) -> Any:
    with tree_threads(train.matrix):
        return kind(random_state=0).fit(train.matrix, train.targets)


def _softmax(logits: Floats) -> Floats:
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponents / exponents.sum(axis=1, keepdims=True))


def _about_data(prepared: Prepared) -> dict[str, Any]:
    divided = prepared.split
    return {
        "train_rows": len(divided.train),
        "validation_rows": len(divided.validation),
        "test_rows": len(divided.test),
        "labels": len(prepared.table.label_names),
        "features": [feature.model_dump() for feature in prepared.encoder.features],
        "warnings": prepared.warnings,
    }
