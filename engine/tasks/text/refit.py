"""A text job's kept model and its rivals fitted again, the same way, to other rows of its data."""

from dataclasses import replace
from functools import partial

import numpy as np

from engine.data import baselines
from engine.data.baselines import Probe
from engine.data.splitting import Split
from engine.estimate.text import seconds_to_fit_again
from engine.evaluation import Contender, ModelPredictions, Refit, TestRows, read_slice_columns
from engine.events import Reporter
from engine.prediction_heads.interface import Outputs
from engine.progress import ProgressTracker
from engine.stop_signal import StopSignal
from engine.tasks.shared import Rows
from engine.tasks.text.contenders.selection import NGRAMS, PROBE
from engine.tasks.text.embeddings import embed_missing, predict
from engine.tasks.text.fit import (
    FittedTexts,
    fit_named_probe,
    init_head_from_probe,
    load_untrained,
    train_network,
)
from engine.tasks.text.frozen_encoder import Features
from engine.tasks.text.learner import FitData
from engine.tasks.text.network import TextNetwork
from engine.tasks.text.prepare import PreparedTexts, build_prediction_head


def plan_refit(prepared: PreparedTexts, trained: FittedTexts, training_seconds: float) -> Refit:
    """`training_seconds` are those of the network's steps."""
    train = np.union1d(prepared.split.train, trained.examined_rows)
    seconds = seconds_to_fit_again(len(train), prepared.prediction_head.outputs)
    return Refit(
        replace(prepared.split, train=train),
        prepared.spec.part_column,
        prepared.spec.split.seed,
        seconds + (0 if trained.method in (NGRAMS, PROBE) else training_seconds),
        partial(_answer_fold, prepared, trained),
        partial(describe_rows, prepared, trained),
    )


def describe_rows(prepared: PreparedTexts, trained: FittedTexts, rows: Rows) -> TestRows:
    spec, examples = prepared.spec, prepared.examples
    ids = (trained.ngrams or prepared).rows.ids
    source_rows = [examples.rows[row] for row in rows]
    return TestRows(
        texts=[examples.texts[row] for row in rows],
        lengths=[len(ids[row]) for row in rows],
        source_rows=source_rows,
        label_names=examples.label_names,
        columns=read_slice_columns(
            spec.data, source_rows, [*spec.text_columns, *spec.targets], spec.fairness_columns
        ),
    )


def fit_again(prepared: PreparedTexts, trained: FittedTexts, method: str, fold: int) -> Outputs:
    """Outputs of the test rows of `prepared`, which is of the fold, by a new model of this kind;
    the head takes its thresholds."""
    split, head = prepared.split, prepared.prediction_head
    rows = np.concatenate([split.validation, split.test])
    if method == NGRAMS:
        assert trained.ngram_contender is not None
        ngrams = trained.ngram_contender.refit(head, prepared.learnt_rows)
        outputs = ngrams.outputs(rows)
    elif method == PROBE:
        features = _embed_all(prepared, trained)
        load = partial(load_untrained, prepared)
        probe = fit_named_probe(prepared, load, features, prepared.learnt_rows)
        outputs = probe.outputs(features.select_rows(rows))
    else:
        features = _embed_all(prepared, trained)
        sample = baselines.sample_training_rows(split.train, prepared.spec.split.seed)
        probe = head.fit_probe(features.select_rows(sample), sample)
        network = _train_again(prepared, features, probe, fold)
        outputs = predict(prepared, network, rows)
    if len(split.validation):
        head.fit_thresholds(outputs[: len(split.validation)], split.validation)
    return np.asarray(outputs[len(split.validation) :])


def _train_again(
    prepared: PreparedTexts, features: Features, probe: Probe, fold: int
) -> TextNetwork:
    network, split = load_untrained(prepared), prepared.split
    if prepared.base_folder is not None:
        init_head_from_probe(network, probe)
    data = FitData(network, prepared.prediction_head, split.train, split.validation)
    silent = Reporter(lambda _line: None)
    progress = ProgressTracker(silent, {"training": 1.0})
    train_network(prepared, data, features, progress, silent, StopSignal(), fold=fold)
    return network.to(prepared.device.name)


def of_fold(prepared: PreparedTexts, trained: FittedTexts, fold: Split) -> PreparedTexts:
    """The job on these rows; its suspected labels are left out again where they were."""
    examination = trained.examination
    if examination is not None and examination.is_better_without:
        suspects = trained.examined_rows[examination.suspects]
        fold = replace(fold, train=np.setdiff1d(fold.train, suspects))
    truth, hyperparameters = prepared.examples.truth, prepared.spec.hyperparameters
    head = build_prediction_head(truth, fold.train, hyperparameters)
    return replace(prepared, split=fold, prediction_head=head)


def _answer_fold(
    prepared: PreparedTexts, trained: FittedTexts, fold: Split, number: int
) -> tuple[ModelPredictions, list[Contender]]:
    """Rivals that were only trained by steps are left out: that would take as long again."""
    answers = {}
    rivals = [rival for rival in trained.rivals if rival.id in (NGRAMS, PROBE)]
    for method in dict.fromkeys([trained.method, *(rival.id for rival in rivals)]):
        again = of_fold(prepared, trained, fold)
        outputs = fit_again(again, trained, method, number)
        answers[method] = again.prediction_head.build_predictions(outputs, fold.test)
    again = of_fold(prepared, trained, fold)
    texts, learnt = prepared.examples.texts, again.learnt_rows
    simple = again.prediction_head.baselines(
        [texts[row] for row in learnt], learnt, [texts[row] for row in fold.test], fold.test
    )
    contenders = [Contender(*one) for one in simple]
    contenders += [replace(rival, predictions=answers[rival.id]) for rival in rivals]
    return answers[trained.method], contenders


def _embed_all(prepared: PreparedTexts, trained: FittedTexts) -> Features:
    """Embeddings of all rows, once, by the encoder before training."""
    rows = np.arange(len(prepared.rows.ids))
    if trained.features.contains_rows(rows):
        return trained.features
    cached = next((one for one in prepared.embedding_cache if one.contains_rows(rows)), None)
    if cached is not None:
        return cached
    return embed_missing(prepared, load_untrained(prepared), trained.features, rows)
