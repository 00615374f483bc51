"""One report for every task: whole, valid JSON, and in words that fit the numbers."""

import json

import numpy as np
import pytest
from pydantic import TypeAdapter

from engine import metrics
from engine.errors import BrokenArtifact
from engine.evaluation import (
    Contender,
    Report,
    TestRows,
    build_report,
    read_predictions,
    write_predictions,
)

ROWS = 240
NAMES = ["card", "transfer", "other"]
SCHEMA = TypeAdapter(Report)


def labels_right(share: float, *, seed: int = 0, rows: int = ROWS, sure: float = 0.8):
    """Answers of which this share is right."""
    dice = np.random.default_rng(seed)
    true = np.arange(rows) % 3
    predicted = np.where(np.arange(rows) < share * rows, true, (true + 1) % 3)
    order = np.random.default_rng(7).permutation(rows)
    chances = np.full((rows, 3), (1 - sure) / 2) + dice.random((rows, 3)) * 0.01
    chances[np.arange(rows), predicted] = sure
    return metrics.make_multiclass_predictions(true[order], chances[order])


def rows_of(count: int = ROWS, **more) -> TestRows:
    return TestRows(
        texts=[f"question {number}" for number in range(count)],
        lengths=[3 + number % 7 for number in range(count)],
        source_rows=list(range(count)),
        label_names=NAMES,
        **more,
    )


def report_of(own, *others, **options):
    contenders = [Contender(id_, name, answers) for id_, name, answers in others]
    report = build_report(own, options.pop("rows", rows_of()), contenders, **options)
    json.dumps(report, allow_nan=False)
    return SCHEMA.validate_python(report)


GUESS = ("majority", "always guessing the most common label", labels_right(1 / 3))


@pytest.mark.parametrize(
    ("own", "words", "probe", "verdict", "opening", "next_step"),
    [
        (0.95, 0.7, None, "helped", "Tuning helped: accuracy 95.0%", "Read the most confused"),
        (0.6, 0.9, None, "hurt", "Tuning hurt: accuracy 60.0%", "TF-IDF does better"),
        (0.95, 0.95, None, "no_difference", "No clear gain", "TF-IDF may be as good"),
        (0.95, 0.7, 0.95, "helped", "Tuning helped", "The quick probe is about as good"),
        (0.95, 0.7, 0.8, "helped", "Tuning helped", "Read the most confused"),
    ],
)
def test_the_headline_says_whether_tuning_helped(own, words, probe, verdict, opening, next_step):
    others = [GUESS, ("tfidf", "TF-IDF", labels_right(words, seed=1))]
    if probe:
        others.append(("probe", "frozen", labels_right(probe, seed=2)))
    report = report_of(labels_right(own), *others)
    assert report["verdict"] == verdict
    assert report["headline"].startswith(opening)
    assert "for always guessing" in report["headline"]
    assert report["next_step"].startswith(next_step)
    assert bool(report["probe_sentence"]) == bool(probe)


def test_it_says_by_how_much_and_how_sure():
    report = report_of(labels_right(0.95), GUESS, ("tfidf", "TF-IDF", labels_right(0.7)))
    assert report["sure"].startswith("It is 25.0 points better than TF-IDF (95% CI ")
    assert report["sure"].endswith("(p < 0.001).")
    same = report_of(labels_right(0.7), GUESS, ("tfidf", "TF-IDF", labels_right(0.7)))
    assert same["sure"] == "It does exactly as well as TF-IDF."


def test_few_rows_uneven_labels_and_untested_labels_are_said():
    true = np.zeros(60, dtype=int)
    true[:5] = 1
    predictions = metrics.make_multiclass_predictions(true, np.tile([0.8, 0.1, 0.1], (60, 1)))
    notes = " ".join(report_of(predictions, rows=rows_of(60))["notes"])
    assert "Only 60 test rows" in notes
    assert "92% of the test rows are 'card'" in notes
    assert "1 label has no test row and was not tested: other." in notes


def test_a_report_without_rivals_claims_nothing():
    report = report_of(labels_right(0.9))
    assert report["verdict"] == "unknown"
    assert report["headline"].startswith("Not compared with anything: accuracy 90.0%")


def test_one_label_in_the_test_rows_still_gives_a_report():
    predictions = metrics.make_multiclass_predictions(
        np.zeros(40, dtype=int), np.tile([0.8, 0.1, 0.1], (40, 1))
    )
    report = report_of(predictions, rows=rows_of(40))
    assert report["curves"] == []


def test_slices_come_by_length_and_by_telling_columns_and_weak_ones_are_marked():
    own = labels_right(0.8)
    right = own.true == own.predicted
    lang = np.where(~right & (np.arange(ROWS) % 6 < 5), "nl", "en").tolist()
    report = report_of(own, rows=rows_of(columns={"lang": lang, "price": list(range(ROWS))}))
    by = {one["by"]: one["slices"] for one in report["breakdowns"]}
    assert [one["rows"] for one in by["length"]] == [80, 80, 80]
    assert [(one["name"], one["is_weak"]) for one in by["lang"]] == [("en", False), ("nl", True)]
    assert [one["name"].split()[0] for one in by["price"]] == ["0", "59.75", "119.5", "179.2"]
    assert sum(one["rows"] for one in by["price"]) == ROWS


def test_values_of_a_handful_of_rows_share_one_slice():
    own = labels_right(0.8)
    sizes = [640] * (ROWS - 9) + [481] * 4 + [500] * 3 + [720] * 2
    report = report_of(own, rows=rows_of(columns={"width": sizes}))
    (by,) = [one["slices"] for one in report["breakdowns"] if one["by"] == "width"]
    assert [(one["name"], one["rows"]) for one in by] == [("640", ROWS - 9), ("(other)", 9)]


def test_numbers_get_residuals_and_errors_by_range():
    dice = np.random.default_rng(0)
    true = dice.gamma(2, 30, size=ROWS)
    own = metrics.make_regression_predictions(true, true + dice.normal(0, 5, ROWS))
    mean = metrics.make_regression_predictions(true, np.full(ROWS, true.mean()))
    report = report_of(own, ("mean", "always the mean", mean), ("linear", "ridge", mean))
    assert report["headline"].startswith("Tuning helped: root mean squared error ")
    assert "better than" in report["sure"]
    assert sum(one["rows"] for one in report["residuals"]["ranges"]) == ROWS
    assert sum(report["residuals"]["errors"]["counts"]) == ROWS
    assert set(report["examples"]) == {"worst", "too_high", "too_low", "best"}
    worse = report_of(mean, ("linear", "ridge", own))
    assert worse["verdict"] == "hurt"
    assert "worse than ridge" in worse["sure"]


def test_a_constant_target_is_reported_without_nonsense():
    own = metrics.make_regression_predictions(np.full(120, 3.0), np.full(120, 3.0))
    report = report_of(own, ("mean", "always the mean", own), rows=rows_of(120))
    assert report["verdict"] == "no_difference"
    assert any("never varies" in note for note in report["notes"])


def test_label_sets_are_compared_by_micro_f1():
    dice = np.random.default_rng(0)
    true = dice.random((ROWS, 3)) < 0.3
    own = metrics.make_multilabel_predictions(true, np.where(true, 0.9, 0.1))
    guess = metrics.make_multilabel_predictions(true, np.tile([0.9, 0.1, 0.1], (ROWS, 1)))
    report = report_of(own, ("majority", "always the same labels", guess))
    assert report["headline"].startswith("Tuning helped: micro F1 100.0%")
    assert {"per_class", "curves", "calibration"} <= set(report)


def texts(outputs, loss):
    references = ["the cat sat on the mat", "a dog barks at night", "rain falls"] * 20
    losses = np.full(60, loss) + np.arange(60) % 5
    return metrics.GenerationPredictions(references, outputs * 20, losses, np.full(60, 5))


def test_texts_are_shown_beside_the_base_models():
    own = texts(["the cat sat on the mat", "a dog sleeps at night", "rain falls"], 2.0)
    base = texts(["cats", "I am a model", ""], 9.0)
    report = report_of(own, ("base", "the base model", base), rows=rows_of(60))
    assert report["headline"].startswith("Tuning helped: ROUGE-L 0.933")
    assert "for the base model" in report["headline"]
    sample = report["samples"][0]
    assert (sample["output"], sample["base_output"]) == ("the cat sat on the mat", "cats")
    assert sample["rougeL"] == 1.0


@pytest.mark.parametrize(
    "given",
    [
        labels_right(0.9),
        metrics.make_multilabel_predictions(
            np.eye(3)[np.arange(ROWS) % 3], np.full((ROWS, 3), 0.6), [0.5, 0.7, 0]
        ),
        metrics.make_regression_predictions(np.arange(ROWS), np.arange(ROWS) + 0.5),
        metrics.GenerationPredictions(
            ["a"] * ROWS, ["b"] * ROWS, np.ones(ROWS), np.ones(ROWS, dtype=int)
        ),
        metrics.GenerationPredictions(["a"] * ROWS, ["b"] * ROWS),
    ],
)
def test_predictions_are_read_back_as_they_were(given, tmp_path):
    path = tmp_path / "predictions.parquet"
    write_predictions(path, given, rows_of())
    back = read_predictions(path)
    assert back.keys == rows_of().keys
    assert back.rows.label_names == NAMES
    for name, value in vars(given).items():
        if value is not None:
            np.testing.assert_allclose(
                *(np.asarray(side) for side in (getattr(back.predictions, name), value)), atol=1e-6
            ) if not isinstance(value, list) else None
    assert build_report(back.predictions, back.rows, [])["metrics"][0]["value"] == pytest.approx(
        build_report(given, rows_of(), [])["metrics"][0]["value"]
    )


def test_predictions_of_an_older_version_are_refused_in_words(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"row": [1]}), tmp_path / "old.parquet")
    with pytest.raises(BrokenArtifact, match="older version"):
        read_predictions(tmp_path / "old.parquet")
