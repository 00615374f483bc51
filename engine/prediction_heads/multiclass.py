"""One label of several: softmax, cross-entropy, accuracy and F1."""

import numpy as np
import torch
from scipy.sparse import csr_matrix
from scipy.special import softmax
from torch import Tensor
from torch.nn import functional

from engine.artifact import Target
from engine.data import baselines
from engine.data.baselines import Probe
from engine.evaluation.rows import ModelPredictions
from engine.loop.interface import ValidationMetric
from engine.metrics import make_multiclass_predictions, mcnemar_test, multiclass_scores
from engine.prediction_heads.interface import Outputs, PredictionHead, Rows


class MultiClass(PredictionHead):
    """`truth` (rows,) holds label numbers. With `balanced`, each row is weighted by the inverse
    frequency of its label among the training rows."""

    score = ValidationMetric("validation_macro_f1")

    def __init__(
        self, truth: Rows, labels: list[str], train: Rows, *, smoothing: float, balanced: bool
    ) -> None:
        self.truth, self.labels, self.outputs = truth, labels, len(labels)
        self._train, self._smoothing = train, smoothing
        self._targets = torch.from_numpy(truth)
        self._weights: Tensor | None = None
        if balanced:
            counts = np.bincount(truth[train], minlength=self.outputs).clip(1)
            weights = len(train) / (self.outputs * counts)
            self._weights = torch.from_numpy(weights.astype(np.float32))

    def loss(self, outputs: Tensor, rows: Rows) -> Tensor:
        weights = None if self._weights is None else self._weights.to(outputs.device)
        return functional.cross_entropy(
            outputs.float(),
            self._targets[rows].to(outputs.device),
            weight=weights,
            label_smoothing=self._smoothing,
        )

    def weight(self, rows: Rows) -> float:
        if self._weights is None:
            return float(len(rows))
        return float(self._weights[self._targets[rows]].sum())

    def validation(self, outputs: Outputs, rows: Rows) -> dict[str, float]:
        truth = self._targets[rows]
        scores = multiclass_scores(self.truth[rows], outputs.argmax(1), self.outputs)
        return {
            "validation_loss": float(functional.cross_entropy(torch.from_numpy(outputs), truth)),
            "validation_accuracy": scores["accuracy"],
            "validation_macro_f1": scores["macro_f1"],
        }

    def summary(self, metrics: dict[str, float]) -> str:
        return f"validation accuracy {metrics['validation_accuracy']:.1%}"

    def fit_probe(self, features: Outputs, rows: Rows) -> Probe:
        weights = "balanced" if self._weights is not None else None
        return baselines.fit_probe(features, self.truth[rows], self.outputs, weights)

    def fit_sparse(self, features: csr_matrix, rows: Rows, strength: float) -> Probe:
        weights = "balanced" if self._weights is not None else None
        return baselines.fit_sparse_classifier(
            features, self.truth[rows], self.outputs, weights, strength
        )

    def fit_thresholds(self, outputs: Outputs, rows: Rows) -> None:
        """There are none: the likeliest label is the answer."""

    def build_predictions(self, outputs: Outputs, rows: Rows) -> ModelPredictions:
        return make_multiclass_predictions(
            self.truth[rows], softmax(outputs.astype(np.float64), axis=1)
        )

    def quality(self, outputs: Outputs, rows: Rows) -> float:
        return float((outputs.argmax(1) == self.truth[rows]).mean())

    def agreement(self, one: Outputs, other: Outputs) -> float:
        return float((one.argmax(1) == other.argmax(1)).mean())

    def p_value_against_probe(self, outputs: Outputs, probe: Outputs, rows: Rows) -> float:
        test = mcnemar_test(outputs.argmax(1), probe.argmax(1), self.truth[rows])
        is_worse = test["other_only_right"] > test["tuned_only_right"]
        return float(test["p_value"]) if is_worse else 1.0

    def baselines(
        self, train_texts: list[str], train: Rows, test_texts: list[str], test: Rows
    ) -> list[tuple[str, str, ModelPredictions]]:
        true = self.truth[test]
        majority = baselines.majority_probabilities(
            self.truth[self._train], len(test), self.outputs
        )
        words = baselines.tfidf_probabilities(
            train_texts, self.truth[train], test_texts, self.outputs
        )
        return [
            (
                "majority",
                "always guessing the most common label",
                make_multiclass_predictions(true, majority),
            ),
            ("tfidf", "TF-IDF + logistic regression", make_multiclass_predictions(true, words)),
        ]

    def target(self, column: str) -> Target:
        return Target(kind="label", column=column)
