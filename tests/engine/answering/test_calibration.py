"""Thresholds, bounds and weights, on scores made up so that the right figures are known."""

import numpy as np
import pytest
from scipy.stats import binom

from engine.answering import calibration
from engine.answering.bounds import wilson_interval
from engine.answering.held_out import (
    IN_SCOPE,
    LEFT_OUT_ANSWER,
    OFF_TOPIC,
    HeldOut,
    Phrasings,
    count_folds,
    leave_out,
    load_off_topic,
)
from engine.answering.scoring import Calibrator, Mixture, Scores, rank
from engine.answering.terms import normalise, score_terms, split_terms, weigh_terms


def test_the_bound_is_clopper_and_pearsons():
    for right, total in ((9, 10), (95, 100), (280, 300)):
        bound = calibration.lower_bound(right, total)
        assert binom.sf(right - 1, total, bound) == pytest.approx(0.10, abs=1e-6)
    assert calibration.lower_bound(0, 10) == 0


def test_wilsons_interval_is_the_published_one():
    low, high = wilson_interval(8, 10)
    assert (round(low, 4), round(high, 4)) == (0.4902, 0.9433)


def test_the_threshold_is_the_lowest_that_keeps_the_promise():
    rng = np.random.default_rng(0)
    probability = rng.uniform(0, 1, 4000)
    right = rng.uniform(0, 1, 4000) < probability  # Calibrated by construction.
    weights = np.ones(4000)
    threshold = calibration.find_threshold(probability, right, weights, 0.9)
    answered = probability >= threshold
    assert calibration.lower_bound(right[answered].sum(), answered.sum()) >= 0.9
    assert 0.75 < threshold < 0.86  # The mean of U(t, 1) is 0.9 at t = 0.8.


def test_nothing_more_likely_wrong_than_right_is_answered():
    probability, right = np.linspace(0.01, 0.99, 500), np.ones(500, dtype=bool)
    threshold = calibration.find_threshold(probability, right, np.ones(500), 0.8)
    assert threshold >= 0.5


def test_no_threshold_where_no_promise_can_be_kept():
    probability, right = np.linspace(0, 1, 50), np.zeros(50, dtype=bool)
    assert calibration.find_threshold(probability, right, np.ones(50), 0.8) is None


def test_questions_of_equal_probability_are_answered_together():
    probability = np.array([0.9] * 100 + [0.8] * 100)
    right = np.array([True] * 100 + [True] * 20 + [False] * 80)
    threshold = calibration.find_threshold(probability, right, np.ones(200), 0.9)
    assert threshold == 0.9


def _held_out(kinds) -> HeldOut:
    kinds = np.array(kinds)
    flat = np.zeros((len(kinds), 2))
    return HeldOut(Scores(flat, flat, flat), np.where(kinds == 0, 0, -1), kinds, [""] * len(kinds))


def test_out_of_scope_questions_weigh_their_real_share_however_few_they_are():
    held_out = _held_out([IN_SCOPE] * 900 + [LEFT_OUT_ANSWER] * 10 + [OFF_TOPIC] * 40)
    weights = calibration.weigh(held_out, np.zeros(950, dtype=bool), 0.18)
    total = weights.sum()
    assert weights[900:].sum() / total == pytest.approx(0.18)
    assert weights[900:910].sum() == pytest.approx(weights[910:].sum())
    assert total == pytest.approx(950)


def test_judged_questions_outweigh_the_rest_as_they_grow():
    shares = []
    for judged in (20, 200, 2000):
        held_out = _held_out([IN_SCOPE] * (300 + judged) + [OFF_TOPIC] * 50)
        is_judged = np.zeros(len(held_out.kinds), dtype=bool)
        is_judged[300 : 300 + judged] = True
        weights = calibration.weigh(held_out, is_judged, 0.1)
        shares.append(weights[is_judged].sum() / weights[: 300 + judged].sum())
    assert shares == sorted(shares)
    assert shares[1] == pytest.approx(0.5)


def test_too_few_questions_make_no_promise():
    assert not calibration.can_promise(_held_out([IN_SCOPE] * 99 + [OFF_TOPIC] * 50))
    assert not calibration.can_promise(_held_out([IN_SCOPE] * 500 + [OFF_TOPIC] * 19))
    assert calibration.can_promise(_held_out([IN_SCOPE] * 100 + [OFF_TOPIC] * 20))


def _blobs(answers=12, phrasings=10, spread=0.35, seed=0) -> Phrasings:
    """Unit vectors around one centre for each answer."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(answers, 32))
    vectors = np.repeat(centres, phrasings, axis=0) + spread * rng.normal(
        size=(answers * phrasings, 32)
    )
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    numbers = np.repeat(np.arange(answers), phrasings)
    texts = [f"word{number} same" for number in numbers]
    return Phrasings(texts, vectors, numbers, np.ones(len(texts), dtype=bool), answers)


def _off_topic(count=60, seed=9):
    vectors = np.random.default_rng(seed).normal(size=(count, 32))
    return ["?"] * count, vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_every_phrasing_is_left_out_once_as_known_and_once_as_unknown():
    known = _blobs()
    held_out = leave_out(known, _off_topic())
    counts = np.bincount(held_out.kinds)
    assert counts[OFF_TOPIC] == 60
    assert counts[LEFT_OUT_ANSWER] == 120  # Each answer is left out in one fold.
    assert 90 <= counts[IN_SCOPE] <= 120  # But those whose answer is left out in the same fold.
    assert (held_out.answers[held_out.kinds != IN_SCOPE] == -1).all()


def test_a_suggested_phrasing_never_measures():
    known = _blobs()
    known.may_measure[::2] = False
    held_out = leave_out(known, _off_topic())
    assert (held_out.kinds == LEFT_OUT_ANSWER).sum() == 60


def test_copies_of_a_phrasing_are_left_out_together():
    from engine.answering.held_out import _assign_folds

    known = _blobs(answers=3, phrasings=10)
    known.embeddings[5] = known.embeddings[4]
    for seed in range(20):
        folds = _assign_folds(known, 5, np.random.default_rng(seed))
        assert folds[4] == folds[5]


def test_folds_are_fewer_where_phrasings_are():
    assert count_folds(_blobs(phrasings=10)) == 10
    assert count_folds(_blobs(phrasings=3)) == 3


def test_a_calibrator_says_what_scikit_learn_fitted_and_survives_json():
    known = _blobs(spread=0.8)
    held_out = leave_out(known, _off_topic())
    judged = np.zeros(len(held_out.kinds), dtype=bool)
    measured = calibration.calibrate(held_out, judged, 0.8, 0.15)
    again = Calibrator.model_validate_json(measured.calibrator.model_dump_json())
    told = again.probability(rank(held_out.scores, again.mixture).features)
    assert np.corrcoef(told, measured.probability)[0, 1] > 0.98
    right = measured.right
    assert told[right].mean() > told[~right].mean() + 0.3


def test_chinese_becomes_characters_and_pairs_and_english_words():
    assert split_terms("How do I return?") == ["how", "do", "i", "return"]
    assert sorted(split_terms("退货 政策")) == sorted(["退货", "货政", "政策", *"退货政策"])
    assert "=1990" in split_terms("1990 年")
    assert normalise("Ｆｕｌｌ　Width") == "full width"


def test_bm25_scores_are_the_formulas():
    documents = {1: ["a", "b", "a"], 2: ["b"], 3: ["c", "c", "c", "c"]}
    weights = weigh_terms(documents)
    idf = np.log(1 + (3 - 1 + 0.5) / (1 + 0.5))
    length = 1 - 0.4 + 0.4 * 3 / (8 / 3)
    assert score_terms(weights, "a")[1] == pytest.approx(idf * 2 * 2.5 / (2 + 1.5 * length))
    assert score_terms(weights, "z") == {}


def test_our_off_topic_questions_are_many_and_differ():
    for language, least in (("en", 200), ("zh", 80)):
        questions = load_off_topic(language)
        assert len(set(questions)) == len(questions) >= least
    assert load_off_topic("fr") == []


def test_features_of_a_single_candidate_are_finite():
    one = Scores(np.zeros((2, 1)), np.full((2, 1), 0.5), np.zeros((2, 1)))
    assert np.isfinite(rank(one, Mixture()).features).all()
