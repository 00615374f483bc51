"""The arithmetic of answers, against scipy and by hand."""

import numpy as np
import pytest
from scipy.special import softmax as scipy_softmax

from engine.serving.answers import label_answers, label_set_answers, number_answers, softmax

LABELS = ["no", "yes", "maybe"]


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_softmax_is_scipys_in_the_precision_of_the_logits(kind):
    logits = np.random.default_rng(0).normal(size=(20, 5)).astype(kind)
    shares = softmax(logits)
    assert shares.dtype == kind
    assert np.allclose(shares, scipy_softmax(logits, axis=1), atol=1e-6)


def test_softmax_of_huge_logits_neither_overflows_nor_loses_the_largest():
    shares = softmax(np.array([[1e4, -1e4, 1e4], [-1e30, -1e30, 0.0]]))
    assert shares.tolist() == [[0.5, 0.0, 0.5], [0.0, 0.0, 1.0]]


def test_softmax_of_no_rows_is_no_rows():
    assert softmax(np.zeros((0, 3))).shape == (0, 3)


def test_the_likeliest_label_is_answered_with_all_probabilities():
    (first, tied) = label_answers(LABELS, np.array([[0.2, 0.5, 0.3], [0.4, 0.2, 0.4]]))
    assert first == {
        "label": "yes",
        "probability": 0.5,
        "probabilities": {"no": 0.2, "yes": 0.5, "maybe": 0.3},
    }
    assert tied["label"] == "no"  # The first of equals, always.


def test_probabilities_without_their_labels_are_refused():
    with pytest.raises(ValueError, match="zip"):
        label_answers(["only one"], np.array([[0.5, 0.5]]))


def test_a_label_is_given_from_its_own_threshold_on():
    shares = np.array([[0.5, 0.49, 0.1], [0.1, 0.1, 0.05]])
    first, none = label_set_answers(LABELS, shares, [0.5, 0.5, 0.1])
    assert first["labels"] == ["no", "maybe"]
    assert first["probabilities"] == {"no": 0.5, "yes": 0.49, "maybe": 0.1}
    assert none["labels"] == []


def test_numbers_are_plain_floats_for_json():
    answers = number_answers(np.array([1.5, -2.0], dtype=np.float32))
    assert answers == [{"value": 1.5}, {"value": -2.0}]
    assert all(type(one["value"]) is float for one in answers)
