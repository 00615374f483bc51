"""Which cheap model is kept: by folds of many rows, not by a few validation rows."""

from types import SimpleNamespace

import numpy as np
import pytest

from engine.prediction_heads import MultiClass, MultiLabel
from engine.tasks.text.contenders import selection
from engine.tasks.text.contenders.folds import measure_by_folds
from engine.tasks.text.contenders.selection import NGRAMS, PROBE, TUNED, Candidate

ROWS = 60


def prepared_of(head, *, moments=None):
    rows = np.arange(ROWS)
    split = SimpleNamespace(
        train=rows[:54],
        validation=rows[54:],
        groups=rows,
        strata=rows % 2,
        moments=moments,
    )
    return SimpleNamespace(
        split=split,
        prediction_head=head,
        learnt_rows=rows,
        spec=SimpleNamespace(
            split=SimpleNamespace(seed=0), hyperparameters=SimpleNamespace(method="auto")
        ),
        examples=SimpleNamespace(truth=SimpleNamespace(kind="label")),
    )


def two_labels():
    return MultiClass(np.arange(ROWS) % 2, ["a", "b"], np.arange(54), smoothing=0, balanced=False)


def candidate(id, head, right):
    """Of a model that is right on so many of the six validation rows."""
    outputs = np.zeros((6, 2), dtype=np.float32)
    truth = head.truth[54:]
    outputs[np.arange(6), np.where(np.arange(6) < right, truth, 1 - truth)] = 1
    return Candidate(id, id, lambda _: outputs, head, outputs)


def test_folds_answer_every_row_with_a_model_that_has_not_seen_it():
    head, asked = two_labels(), []

    def fit(known):
        def answer(rows):
            assert not set(known) & set(rows)
            asked.extend(rows)
            return np.eye(2, dtype=np.float32)[head.truth[rows]]

        return answer

    assert measure_by_folds(prepared_of(head), fit) == 1
    assert sorted(asked) == list(range(ROWS))


def test_folds_are_not_for_rows_in_order_of_time_or_for_thresholds():
    def fit(_known):
        raise AssertionError

    assert measure_by_folds(prepared_of(two_labels(), moments=np.arange(ROWS)), fit) is None
    flags = np.stack([np.arange(ROWS) % 2 == 0, np.arange(ROWS) % 3 == 0], axis=1)
    several = MultiLabel(flags, ["a", "b"], np.arange(54), smoothing=0, balanced=False)
    assert measure_by_folds(prepared_of(several), fit) is None


@pytest.mark.parametrize(
    ("right", "folded", "kept"),
    [
        # Six validation rows speak for the n-grams, sixty rows for the probe.
        ({PROBE: 3, NGRAMS: 6}, {PROBE: 0.8, NGRAMS: 0.7}, PROBE),
        ({PROBE: 6, NGRAMS: 3}, {PROBE: 0.7, NGRAMS: 0.8}, NGRAMS),
        ({PROBE: 3, NGRAMS: 6}, {}, NGRAMS),
        # The trained network has no folds: its lead over the probe on the six rows counts.
        ({TUNED: 5, PROBE: 4, NGRAMS: 3}, {PROBE: 0.6, NGRAMS: 0.7}, TUNED),
        ({TUNED: 4, PROBE: 4, NGRAMS: 5}, {PROBE: 0.6, NGRAMS: 0.7}, NGRAMS),
        ({TUNED: 6, PROBE: 6, NGRAMS: 6}, {PROBE: 0.95, NGRAMS: 0.99}, TUNED),
        ({PROBE: 5, NGRAMS: 6}, {PROBE: 0.99, NGRAMS: 0.995}, PROBE),
        ({TUNED: 5, PROBE: 3, NGRAMS: 6}, {PROBE: 0.8, NGRAMS: 0.7}, TUNED),
        ({TUNED: 4, PROBE: 5, NGRAMS: 3}, {PROBE: 0.8, NGRAMS: 0.7}, PROBE),
    ],
)
def test_cheap_models_are_compared_by_folds(right, folded, kept):
    head = two_labels()
    candidates = [candidate(id, head, count) for id, count in right.items()]
    found, reason = selection._choose(prepared_of(head), candidates, folded)
    assert found.id == kept
    assert bool(reason) == (found is not candidates[0])
