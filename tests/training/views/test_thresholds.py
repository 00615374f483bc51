"""The threshold slider says what a threshold would have done, row by row."""

import json
import re

import numpy as np
import pytest

from engine import evaluation, metrics
from projects import storage
from tests.training.made import make_model
from training.artifacts.thresholds import STEPS, count_by_threshold
from training.queries.report.thresholds import cheapest_place, outcome_at

LABELS = ["<b>card</b>", "transfer & co", "a/b?c=d"]


@pytest.fixture
def model(job, tmp_path):
    return make_model(job, tmp_path / "artifact", LABELS, pull=1.0)


@pytest.fixture
def rows(model, tmp_path):
    """The predictions that the artifact holds, as (true label, probabilities)."""
    path = tmp_path / "predictions.parquet"
    storage.fetch_file(f"{model.artifact_key}/predictions.parquet", path)
    stored = evaluation.read_predictions(path).predictions
    return stored.true, stored.probabilities.astype(np.float32)


def test_each_label_is_counted_at_each_threshold(model, rows):
    true, probabilities = rows
    for place, label in enumerate(LABELS):
        counts = count_by_threshold(model, label)
        for step in range(STEPS + 1):
            answered = probabilities[:, place] >= np.float32(step / STEPS)
            is_it = true == place
            expected = (
                int((answered & is_it).sum()),
                int((answered & ~is_it).sum()),
                int((~answered & is_it).sum()),
            )
            assert counts.points[step] == expected, (label, step)


def test_all_labels_together_leave_rows_without_an_answer(model, rows):
    true, probabilities = rows
    counts = count_by_threshold(model, "")
    assert counts.points[0] == (int((probabilities.argmax(1) == true).sum()),
                                int((probabilities.argmax(1) != true).sum()), 0)  # fmt: skip
    for right, wrong, missed in counts.points:
        assert right + wrong + missed == counts.rows == len(true)
    assert counts.points[STEPS][2] == int((probabilities.max(1) < 1).sum())


def test_the_cheapest_threshold_is_no_dearer_than_any_other(model):
    for label in ["", *LABELS]:
        counts = count_by_threshold(model, label)
        for costs in ((1, 1), (20, 1), (1, 20), (0, 1)):
            cheapest = outcome_at(counts, cheapest_place(counts, *costs), *costs).cost
            every = [outcome_at(counts, place, *costs).cost for place in range(STEPS + 1)]
            assert cheapest == min(every)


def test_several_labels_a_row_are_asked_one_by_one(job, tmp_path):
    made = make_model(job, tmp_path / "artifact", LABELS)
    true = np.array([[1, 0, 1], [0, 1, 0], [1, 1, 0]], dtype=bool)
    predictions = metrics.make_multilabel_predictions(
        true,
        np.array([[0.9, 0.2, 0.4], [0.3, 0.6, 0.1], [0.7, 0.5, 0.2]]),
        np.array([0.5, 0.5, 0.3]),
    )
    shown = evaluation.TestRows(texts=["a", "b", "c"], lengths=[1, 1, 1], source_rows=[0, 1, 2],
                                label_names=LABELS)  # fmt: skip
    evaluation.write_predictions(tmp_path / "artifact" / "predictions.parquet", predictions, shown)
    storage.put_folder(made.artifact_key, tmp_path / "artifact")
    counts = count_by_threshold(made, "no such label")
    assert (counts.label, counts.can_ask_all, counts.served) == (LABELS[0], False, 0.5)
    assert counts.points[80] == (1, 0, 1)
    assert count_by_threshold(made, LABELS[2]).served == pytest.approx(0.3)


def test_the_page_works_without_javascript(model, alice, client_of):
    path = f"/models/{model.pk}/thresholds/"
    query = {"label": LABELS[1], "threshold": "0.9", "cost_wrong": "5", "cost_missed": "0.5"}
    page = client_of(alice).get(path, query).content.decode()
    counts = count_by_threshold(model, LABELS[1])
    outcome = outcome_at(counts, 90, 5, 0.5)
    assert f'data-out="precision">{outcome.precision:.1%}' in page
    assert f'data-out="recall">{outcome.recall:.1%}' in page
    assert json.loads(re.search('data-points="([^"]+)"', page)[1]) == [*map(list, counts.points)]
    assert "<b>card</b>" not in page


@pytest.mark.parametrize(
    "query",
    [{"threshold": "2"}, {"threshold": "x"}, {"cost_wrong": "-1"}, {"cost_missed": "nan"},
     {"cost_wrong": "inf"}],
)  # fmt: skip
def test_what_is_no_threshold_or_cost_is_said(model, alice, client_of, query):
    answer = client_of(alice).get(f"/models/{model.pk}/thresholds/", query)
    assert answer.status_code == 400
    assert 'class="error"' in answer.content.decode()


def test_strangers_see_none_and_a_model_without_files_says_so(model, alice, mallory, client_of):
    path = f"/models/{model.pk}/thresholds/"
    assert client_of(mallory).get(path).status_code == 404
    storage.delete(model.artifact_key)
    assert "were not kept" in client_of(alice).get(path).content.decode()
