"""Cross-validation of a text job: as many more models, each tested on rows it never saw."""

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from engine.data import baselines
from engine.data.near_duplicates import group_texts
from engine.events import Reporter
from engine.progress import ProgressTracker
from engine.stop_signal import StopSignal
from engine.tasks import CrossValidation, FoldMetric
from engine.tasks.shared import Rows
from engine.tasks.text.embeddings import predict
from engine.tasks.text.fit import FittedTexts, init_head_from_probe, train_network
from engine.tasks.text.learner import FitData
from engine.tasks.text.prepare import PreparedTexts, build_prediction_head


def cross_validate(
    prepared: PreparedTexts,
    trained: FittedTexts,
    progress: ProgressTracker,
    report: Reporter,
    stop: StopSignal,
) -> list[dict[str, float]]:
    """Metrics of each fold, over the training and validation rows; the test rows stay untouched.

    Fold models stop at the planned epochs: no rows are left to choose an earlier one by.
    """
    count = prepared.spec.hyperparameters.folds
    if not count:
        return []
    progress.start_phase("cross-validating")
    folds = []
    for number, (train, held_out) in enumerate(_split_folds(prepared, count)):
        stop.raise_if_requested()
        folds.append(_evaluate_fold(prepared, trained, train, held_out, number, stop))
        progress.advance((number + 1) / count)
    name = prepared.prediction_head.score.name.removeprefix("validation_")
    values = [fold[name] for fold in folds]
    report.info(
        f"{count}-fold cross-validation: {name.replace('_', ' ')} {np.mean(values):.4g}"
        f" ± {np.std(values, ddof=1):.2g}"
    )
    return folds


def summarize_folds(folds: list[dict[str, float]]) -> CrossValidation:
    """Mean and sample deviation of every metric over the folds."""
    metrics = {}
    for name in folds[0]:
        values = [fold[name] for fold in folds]
        mean, deviation = float(np.mean(values)), float(np.std(values, ddof=1))
        metrics[name] = FoldMetric(mean=mean, deviation=deviation, values=values)
    return CrossValidation(
        folds=len(folds),
        method="stratified folds, equal texts kept together; mean and sample deviation",
        metrics=metrics,
    )


def _split_folds(prepared: PreparedTexts, count: int) -> list[tuple[Rows, Rows]]:
    """Training and held-out rows of each fold."""
    rows = np.sort(np.concatenate([prepared.split.train, prepared.split.validation]))
    strata = np.asarray(prepared.examples.strata)[rows]
    groups = np.zeros(len(rows), dtype=np.int64)
    same = group_texts([prepared.examples.texts[row] for row in rows]).groups
    for number, members in enumerate(same):
        groups[members] = number
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=prepared.spec.split.seed)
    return [
        (rows[train], rows[held_out])
        for train, held_out in splitter.split(rows, strata, groups)
        if len(held_out)
    ]


def _evaluate_fold(
    prepared: PreparedTexts,
    trained: FittedTexts,
    train: Rows,
    held_out: Rows,
    number: int,
    stop: StopSignal,
) -> dict[str, float]:
    hyperparameters, seed = prepared.spec.hyperparameters, prepared.spec.split.seed
    head = build_prediction_head(prepared.examples.truth, train, hyperparameters)
    if trained.ngrams is not None:
        outputs = trained.ngrams.refit(head, train).outputs(held_out)
        return _strip_names(head.validation(outputs, held_out))
    features = trained.features
    sample = baselines.sample_training_rows(train, seed)
    probe = head.fit_probe(features.select_rows(sample), sample)
    if prepared.method == "probe":
        outputs = probe.outputs(features.select_rows(held_out))
    else:
        network = prepared.create_network().to(prepared.device.name)
        if prepared.base_folder is not None:
            init_head_from_probe(network, probe)
        data = FitData(network, head, train, held_out[:0])
        silent = Reporter(lambda _line: None)
        progress = ProgressTracker(silent, {"training": 1.0})
        train_network(prepared, data, features, progress, silent, stop, fold=number)
        network.to(prepared.device.name)
        outputs = predict(prepared, network, held_out)
    return _strip_names(head.validation(outputs, held_out))


def _strip_names(metrics: dict[str, float]) -> dict[str, float]:
    return {name.removeprefix("validation_"): value for name, value in metrics.items()}
