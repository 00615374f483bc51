"""Figures of few test rows: how many fits there are, and that they say what they rest on."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from engine.data.splitting import split_rows
from engine.estimate import cross_validation as planning
from engine.evaluation import Contender, Refit, TestRows, build_report, cross_validate
from engine.evaluation.cross_validation import explain_few_rows, plan_folds
from engine.metrics import (
    make_multiclass_predictions,
    make_multilabel_predictions,
    make_regression_predictions,
)
from engine.metrics.resampling import bootstrap_weights, stratified_bootstrap_weights
from engine.spec import SplitSpec, parse_spec
from engine.stop_signal import StopSignal

SPEC = {
    "task": "tabular-regression",
    "target_column": "y",
    "data": "d",
    "output": "o",
    "work": "w",
}


class Job:
    """A linear model of made rows, as a task would hand it over."""

    def __init__(self, rows=120, kind="label", seed=0, seconds=0.01, column=None):
        rng = np.random.default_rng(seed)
        self.kind, self.features = kind, rng.normal(size=(rows, 4))
        score = self.features[:, 0] + rng.normal(0, 0.8, rows)
        self.sets = np.stack([score > 0, self.features[:, 1] > 0], axis=1)
        self.truth = score if kind == "number" else (score > 0).astype(int)
        strata = (score > 0).astype(int).tolist()
        self.split = split_rows([str(row) for row in range(rows)], strata, SplitSpec())
        self.fits = []
        self.refit = Refit(self.split, column, 0, seconds, self.answer_fold, self.describe)
        self.predictions, self.contenders = self.answer(self.split)

    def answer_fold(self, fold, number):
        self.fits.append(number)
        return self.answer(fold)

    def answer(self, split):
        train, test = split.train, split.test
        if self.kind == "number":
            model = Ridge().fit(self.features[train], self.truth[train])
            own = make_regression_predictions(self.truth[test], model.predict(self.features[test]))
            guess = make_regression_predictions(
                self.truth[test], np.full(len(test), self.truth[train].mean())
            )
            return own, [Contender("mean", "the mean", guess)]
        models = [
            LogisticRegression().fit(self.features[train], self.sets[train, label])
            for label in range(2)
        ]
        shares = np.stack([one.predict_proba(self.features[test])[:, 1] for one in models], axis=1)
        if self.kind == "labels":
            thresholds = [0.5, float(self.features[train].mean()) + 0.5]  # Each fold its own.
            own = make_multilabel_predictions(self.sets[test], shares, thresholds)
            guess = make_multilabel_predictions(self.sets[test], np.full(shares.shape, 0.4))
            return own, [Contender("majority", "a guess", guess)]
        own = make_multiclass_predictions(
            self.truth[test], np.stack([1 - shares[:, 0], shares[:, 0]], axis=1)
        )
        guess = make_multiclass_predictions(self.truth[test], np.full((len(test), 2), 0.5))
        return own, [Contender("majority", "a guess", guess)]

    def describe(self, rows):
        return TestRows(
            texts=[f"row {row}" for row in rows],
            lengths=[],
            source_rows=[int(row) for row in rows],
            label_names=[] if self.kind == "number" else ["no", "yes"],
            columns={"side": ["left" if row % 2 else "right" for row in rows]},
        )

    def report(self):
        crossed = cross_validate(
            self.refit, self.predictions, self.contenders, lambda _share: None, StopSignal()
        )
        rows = self.describe(self.split.test)
        return crossed, build_report(self.predictions, rows, self.contenders, crossed)


@pytest.mark.parametrize("kind", ["label", "labels", "number"])
def test_every_kind_of_answer_is_measured_on_nearly_all_rows(kind):
    job = Job(kind=kind)
    crossed, report = job.report()
    rows = len(job.split.train) + len(job.split.test)
    assert crossed.summary["rows"] == report["test_rows"] == rows
    assert crossed.summary["repeats"] == planning.MAX_REPEATS
    assert len(crossed.predictions.true) == rows * planning.MAX_REPEATS
    assert report["cross_validation"]["fits"] == len(job.fits)
    assert not set(crossed.rows.source_rows) & set(job.split.validation.tolist())
    own = report["metrics"][0]
    narrow = next(one for one in report["metrics"] if one["name"] == own["name"])
    few = build_report(job.predictions, job.describe(job.split.test), job.contenders)
    wide = next(one for one in few["metrics"] if one["name"] == own["name"])
    assert narrow["high"] - narrow["low"] < wide["high"] - wide["low"]
    assert "cross-validation" in report["baselines"][0]["significance"]["method"]
    assert report["verdict"] == "helped"
    # Counts are of rows, each once; examples are the served model's.
    assert sum(part["rows"] for part in report["breakdowns"][0]["slices"]) == rows
    shown = {one["row"] for group in report["examples"].values() for one in group}
    assert shown <= set(job.split.test.tolist())


def test_blocks_stand_in_the_same_order_so_that_rows_are_drawn_together():
    crossed, _ = Job().report()
    blocks = crossed.predictions.true.reshape(crossed.summary["repeats"], -1)
    assert (blocks == blocks[0]).all()
    assert (crossed.first.true == blocks[0]).all()


@pytest.mark.parametrize("draw", ["plain", "stratified"])
def test_weights_repeat_by_block_and_add_up_to_the_rows(draw):
    strata = np.tile(np.repeat([0, 1], [35, 5]), 3)
    batches = (
        bootstrap_weights(120, seed=0, repeats=3)
        if draw == "plain"
        else stratified_bootstrap_weights(strata, seed=0, repeats=3)
    )
    for weights in batches:
        assert weights.sum(1) == pytest.approx(np.full(len(weights), 120))
        assert (weights[:, :40] == weights[:, 40:80]).all()
        if draw == "stratified":
            assert weights[:, strata == 1].sum(1) == pytest.approx(15)


def test_an_interval_of_all_right_answers_does_not_collapse():
    job = Job(rows=40)
    perfect = make_multiclass_predictions(np.arange(40) % 2, np.eye(2)[np.arange(40) % 2])
    crossed = replace(perfect, repeats=1)
    report = build_report(crossed, job.describe(np.arange(40)), [])
    accuracy = report["metrics"][0]
    assert accuracy["value"] == 1.0
    assert (
        accuracy["low"]
        < 0.9
        < build_report(perfect, job.describe(np.arange(40)), [])["metrics"][0]["low"]
    )


def test_contenders_that_no_fold_fits_are_compared_on_the_test_rows_alone():
    job = Job()
    tuned = Contender("tuned", "the fine-tuned encoder", job.predictions, "slow")
    job.contenders.append(tuned)
    _, report = job.report()
    last = report["baselines"][-1]
    assert last["id"] == "tuned"
    assert last["note"] == f"slow; on the {len(job.split.test)} test rows alone"


@pytest.mark.parametrize(
    ("changes", "fits", "why"),
    [
        ({"seconds": 100}, 0, "would take too long"),
        ({"column": "part"}, 0, "column 'part' says which rows are the test"),
        ({"seconds": planning.MAX_SECONDS / 2}, 2, ""),
        ({"seconds": planning.MAX_SECONDS_TO_REPEAT / 8}, 8, ""),
        ({"rows": 4100}, 0, ""),
        ({"rows": 2000}, 3, ""),
    ],
)
def test_how_often_is_fitted_follows_from_rows_and_seconds(changes, fits, why):
    job = Job(**changes)
    planned = plan_folds(job.refit)
    assert sum(map(len, planned)) == fits
    if not fits:
        reason = explain_few_rows(job.refit, len(job.split.test))
        assert why in reason
        assert bool(reason) == bool(why)
    rows, seconds = changes.get("rows", 120), changes.get("seconds", 0.01)
    split = {"method": "column", "column": "part"} if "column" in changes else {}
    spec = parse_spec(SPEC | {"split": split})
    assert planning.seconds_to_cross_validate(rows, spec, seconds) == pytest.approx(
        fits * seconds, abs=seconds
    )
