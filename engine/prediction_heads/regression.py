"""A number: trained standardised by mean squared error, predicted in the data's unit."""

import numpy as np
import torch
from scipy.sparse import csr_matrix
from sklearn.linear_model import Ridge, RidgeCV
from torch import Tensor
from torch.nn import functional

from engine.artifact import Target
from engine.data import baselines
from engine.data.baselines import Probe
from engine.evaluation.rows import ModelPredictions
from engine.loop.interface import ValidationMetric
from engine.metrics import Floats, make_regression_predictions
from engine.prediction_heads.interface import Outputs, PredictionHead, Rows

RIDGE_ALPHAS = (0.01, 0.1, 1.0, 10.0)
SAME_ANSWER_TOLERANCE = 0.05  # Answers closer than this share of the deviation are the same.


class Regression(PredictionHead):
    """`truth` (rows,) in the data's unit; mean and deviation are those of the training rows."""

    score = ValidationMetric("validation_rmse", higher_is_better=False)
    outputs = 1

    def __init__(self, truth: Floats, train: Rows) -> None:
        self.truth, self.labels = truth, []
        self._train = train
        self.mean = float(truth[train].mean())
        self.deviation = float(truth[train].std()) or 1.0
        self._targets = torch.from_numpy(((truth - self.mean) / self.deviation).astype(np.float32))

    def _to_data_unit(self, outputs: Outputs) -> Floats:
        values: Floats = outputs[:, 0].astype(np.float64) * self.deviation + self.mean
        return values

    def loss(self, outputs: Tensor, rows: Rows) -> Tensor:
        targets = self._targets[rows].to(outputs.device)
        return functional.mse_loss(outputs.float().squeeze(1), targets)

    def validation(self, outputs: Outputs, rows: Rows) -> dict[str, float]:
        errors = self._to_data_unit(outputs) - self.truth[rows]
        return {
            "validation_loss": float(((errors / self.deviation) ** 2).mean()),
            "validation_rmse": float(np.sqrt((errors**2).mean())),
            "validation_mae": float(np.abs(errors).mean()),
        }

    def summary(self, metrics: dict[str, float]) -> str:
        return f"validation error (RMSE) {metrics['validation_rmse']:.4g}"

    def fit_probe(self, features: Outputs, rows: Rows) -> Probe:
        model = RidgeCV(alphas=RIDGE_ALPHAS).fit(
            features, (self.truth[rows] - self.mean) / self.deviation
        )
        weights = np.asarray(model.coef_, dtype=np.float32)[None]
        return Probe(weights, np.array([model.intercept_], dtype=np.float32), rows=len(rows))

    def fit_sparse(self, features: csr_matrix, rows: Rows, strength: float) -> Probe:
        targets = (self.truth[rows] - self.mean) / self.deviation
        model = Ridge(alpha=10 / strength).fit(features, targets)
        weights = np.asarray(model.coef_, dtype=np.float32)[None]
        return Probe(weights, np.array([model.intercept_], dtype=np.float32), rows=len(rows))

    def fit_thresholds(self, outputs: Outputs, rows: Rows) -> None:
        """There are none: the output is the answer."""

    def build_predictions(self, outputs: Outputs, rows: Rows) -> ModelPredictions:
        return make_regression_predictions(self.truth[rows], self._to_data_unit(outputs))

    def quality(self, outputs: Outputs, rows: Rows) -> float:
        """Like R², against the deviation of the training rows."""
        errors = (self._to_data_unit(outputs) - self.truth[rows]) / self.deviation
        return float(1 - (errors**2).mean())

    def agreement(self, one: Outputs, other: Outputs) -> float:
        return float((np.abs(one - other) <= SAME_ANSWER_TOLERANCE).mean())

    def p_value_against_probe(self, outputs: Outputs, probe: Outputs, rows: Rows) -> float:
        """Sign test over rows, by which prediction is nearer to the true number."""
        own = np.abs(self._to_data_unit(outputs) - self.truth[rows])
        other = np.abs(self._to_data_unit(probe) - self.truth[rows])
        return baselines.sign_test(int((own < other).sum()), int((own > other).sum()))

    def baselines(
        self, train_texts: list[str], train: Rows, test_texts: list[str], test: Rows
    ) -> list[tuple[str, str, ModelPredictions]]:
        true = self.truth[test]
        features, test_features = baselines.fit_tfidf_features(train_texts, test_texts)
        words = Ridge(alpha=1.0).fit(features, self.truth[train]).predict(test_features)
        return [
            (
                "mean",
                "always the mean",
                make_regression_predictions(true, np.full(len(test), self.mean)),
            ),
            ("tfidf", "TF-IDF + ridge regression", make_regression_predictions(true, words)),
        ]

    def target(self, column: str) -> Target:
        return Target(kind="number", column=column, mean=self.mean, deviation=self.deviation)
