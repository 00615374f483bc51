"""Suspected labels of a text job, by the frozen encoder with a linear layer."""

from dataclasses import replace

import numpy as np
from scipy.special import softmax

from engine.data import baselines
from engine.data.label_issues import (
    FitPredict,
    Floats,
    Ints,
    LabelExamination,
    examine_labels,
)
from engine.data.learning_curve import LearningCurve, measure_learning_curve
from engine.tasks.shared import Rows
from engine.tasks.text.frozen_encoder import Features
from engine.tasks.text.prepare import PreparedTexts


def examine_text_labels(
    prepared: PreparedTexts, features: Features, rows: Rows
) -> LabelExamination | None:
    """Of single labels and a base model that knows something; `rows` have embeddings."""
    if not _has_quick_model(prepared):
        return None
    labels, predict = _quick_model(prepared, features, rows)
    return examine_labels(labels, predict, prepared.spec.split.seed)


def measure_text_curve(
    prepared: PreparedTexts, features: Features, rows: Rows
) -> LearningCurve | None:
    """Of the same quick model."""
    if not _has_quick_model(prepared):
        return None
    labels, predict = _quick_model(prepared, features, rows)
    return measure_learning_curve(labels, predict, prepared.spec.split.seed)


def _has_quick_model(prepared: PreparedTexts) -> bool:
    is_label = prepared.examples.truth.kind == "label"
    is_known = prepared.base_folder is not None
    return is_label and is_known and prepared.spec.hyperparameters.contenders


def _quick_model(
    prepared: PreparedTexts, features: Features, rows: Rows
) -> tuple[Ints, FitPredict]:
    """The labels of these rows, and the probe on any of them, by their position among `rows`."""
    labels = np.asarray(prepared.examples.truth.values[rows], dtype=np.int64)
    embeddings, count = features.select_rows(rows), prepared.prediction_head.outputs

    def predict(train: Ints, held_out: Ints) -> Floats:
        probe = baselines.fit_probe(
            embeddings[train], labels[train], count, strength=baselines.PROBE_C
        )
        outputs = probe.outputs(embeddings[held_out]).astype(np.float64)
        return np.asarray(softmax(outputs, axis=1))

    return labels, predict


def leave_out_suspects(prepared: PreparedTexts, found: LabelExamination, sample: Rows) -> Rows:
    """Takes the suspected rows out of the job's training rows; the sample without them."""
    suspects = sample[found.suspects]
    split = prepared.split
    prepared.split = replace(split, train=np.setdiff1d(split.train, suspects))
    return np.setdiff1d(sample, suspects)
