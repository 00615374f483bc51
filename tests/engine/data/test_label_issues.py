"""Wrong labels are found out of sample, and left out only where that pays."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from engine.data.label_issues import (
    MAX_COST,
    describe_examination,
    examine_labels,
    find_suspects,
    list_label_issues,
)

RNG = np.random.default_rng(5)
FEATURES = RNG.normal(size=(300, 4))
TRUE = (FEATURES[:, 0] + FEATURES[:, 1] > 0).astype(np.int64)
FLIPPED = RNG.choice(300, 60, replace=False)
GIVEN = TRUE.copy()
GIVEN[FLIPPED] = 1 - GIVEN[FLIPPED]


def learn(labels, strength=1.0):
    def predict(train, held_out):
        model = LogisticRegression(C=strength).fit(FEATURES[train], labels[train])
        return model.predict_proba(FEATURES[held_out])

    return predict


def test_flipped_labels_are_found_and_named():
    examination = examine_labels(GIVEN, learn(GIVEN), seed=0)
    assert examination is not None
    hits = np.isin(examination.suspects, FLIPPED)
    assert hits.mean() > 0.75  # Of the suspects most were flipped,
    assert hits.sum() > 30  # and half of what was flipped is among them.
    assert hits[:20].mean() >= hits.mean()
    listed = list_label_issues(
        examination,
        np.arange(300),
        labels=GIVEN,
        label_names=["no", "yes"],
        texts=["t" * 900] * 300,
        source_rows=list(range(1000, 1300)),
    )
    assert listed[0]["row"] == 1000 + examination.suspects[0]
    assert {listed[0]["label"], listed[0]["suggested"]} == {"no", "yes"}
    assert len(listed) <= 50
    assert len(listed[0]["text"]) == 400
    assert "seem to have a wrong label" in describe_examination(examination, 300)


def test_clean_labels_are_all_learnt():
    examination = examine_labels(TRUE, learn(TRUE, 100.0), seed=0)
    assert examination is not None
    assert not examination.is_better_without
    assert len(examination.suspects) < 12


@pytest.mark.parametrize(
    "labels",
    [
        np.zeros(100, int),
        np.arange(50) % 2,
        np.r_[np.zeros(200, int), 1, 1],
        np.arange(MAX_COST) % 2,
    ],
    ids=["one label", "few rows", "a rare label", "many rows"],
)
def test_what_cannot_be_examined_is_not(labels):
    assert examine_labels(labels, learn(labels), seed=0) is None


def test_a_model_that_knows_nothing_suspects_nobody():
    chance = np.random.default_rng(1).integers(0, 2, 300)
    assert examine_labels(chance, learn(chance), seed=0) is None


def test_a_label_is_no_suspect_below_what_its_rows_usually_reach():
    """A model that is never sure of the second label has no doubts to tell."""
    probabilities = np.tile([0.6, 0.4], (6, 1))
    suspects, _ = find_suspects(probabilities, np.array([0, 0, 0, 0, 0, 1]))
    assert suspects.tolist() == [5]
    suspects, _ = find_suspects(probabilities[:, ::-1] * [1, 1], np.array([1, 1, 1, 1, 1, 1]))
    assert not len(suspects)
