"""A number: learnt standardised by mean squared error, answered in its own unit."""

import numpy as np
import torch
from sklearn.linear_model import Ridge, RidgeCV
from torch import Tensor
from torch.nn import functional

from engine import baselines
from engine.artifact import Target
from engine.baselines import Probe
from engine.evaluation.rows import Given
from engine.goals.outline import Goal, Outputs, Rows
from engine.metrics import Floats, numbers
from engine.training import Score

ALPHAS = (0.01, 0.1, 1.0, 10.0)
SAME = 0.05  # Answers closer than this share of the deviation are the same.


class Number(Goal):
    """`truth` (rows,) in the data's unit; mean and deviation are those of the training rows."""

    score = Score("validation_rmse", higher_is_better=False)
    outputs = 1

    def __init__(self, truth: Floats, train: Rows) -> None:
        self.truth, self.labels = truth, []
        self._train = train
        self.mean = float(truth[train].mean())
        self.deviation = float(truth[train].std()) or 1.0
        self._targets = torch.from_numpy(self._standardised(truth).astype(np.float32))

    def _standardised(self, values: Floats) -> Floats:
        return (values - self.mean) / self.deviation

    def _values(self, outputs: Outputs) -> Floats:
        values: Floats = outputs[:, 0].astype(np.float64) * self.deviation + self.mean
        return values

    def loss(self, outputs: Tensor, rows: Rows) -> Tensor:
        targets = self._targets[rows].to(outputs.device)
        return functional.mse_loss(outputs.float().squeeze(1), targets)

    def validation(self, outputs: Outputs, rows: Rows) -> dict[str, float]:
        errors = self._values(outputs) - self.truth[rows]
        return {
            "validation_loss": float(((errors / self.deviation) ** 2).mean()),
            "validation_rmse": float(np.sqrt((errors**2).mean())),
            "validation_mae": float(np.abs(errors).mean()),
        }

    def summary(self, metrics: dict[str, float]) -> str:
        return f"validation error (RMSE) {metrics['validation_rmse']:.4g}"

    def fit_probe(self, features: Outputs, rows: Rows) -> Probe:
        model = RidgeCV(alphas=ALPHAS).fit(features, self._standardised(self.truth[rows]))
        weights = np.asarray(model.coef_, dtype=np.float32)[None]
        return Probe(weights, np.array([model.intercept_], dtype=np.float32), rows=len(rows))

    def settle(self, outputs: Outputs, rows: Rows) -> None:
        """Nothing: the output is the answer."""

    def answers(self, outputs: Outputs, rows: Rows) -> Given:
        return numbers(self.truth[rows], self._values(outputs))

    def quality(self, outputs: Outputs, rows: Rows) -> float:
        """Like R², against the deviation of the training rows."""
        errors = (self._values(outputs) - self.truth[rows]) / self.deviation
        return float(1 - (errors**2).mean())

    def agreement(self, one: Outputs, other: Outputs) -> float:
        return float((np.abs(one - other) <= SAME).mean())

    def p_value_of_loss(self, outputs: Outputs, probe: Outputs, rows: Rows) -> float:
        """Sign test over rows: which answer is nearer?"""
        own = np.abs(self._values(outputs) - self.truth[rows])
        other = np.abs(self._values(probe) - self.truth[rows])
        return baselines.sign_test(int((own < other).sum()), int((own > other).sum()))

    def baselines(
        self, train_texts: list[str], train: Rows, test_texts: list[str], test: Rows
    ) -> list[tuple[str, str, Given]]:
        true = self.truth[test]
        features, asked = baselines.tfidf_features(train_texts, test_texts)
        words = Ridge(alpha=1.0).fit(features, self.truth[train]).predict(asked)
        return [
            ("mean", "always the mean", numbers(true, np.full(len(test), self.mean))),
            ("tfidf", "TF-IDF + ridge regression", numbers(true, words)),
        ]

    def target(self, column: str) -> Target:
        return Target(kind="number", column=column, mean=self.mean, deviation=self.deviation)
