"""The one word and sentence on a model."""

import pytest

from training.queries.report.verdict import judge_model, quality_bars


def measure(name, value, *, share=True, better="up", low=None, high=None):
    return {
        "name": name, "title": name.capitalize(), "value": value, "low": low, "high": high,
        "share": share, "better": better,
    }  # fmt: skip


def baseline(key, value, *, name="accuracy", p_value=0.001):
    return {
        "id": key, "name": f"the {key} baseline", "note": "",
        "metrics": [measure(name, value)], "significance": {"p_value": p_value, "difference": 0.1},
    }  # fmt: skip


def report(value, *baselines, verdict="helped", **more):
    return {
        "kind": "classification", "headline_metric": "accuracy", "verdict": verdict,
        "metrics": [measure("accuracy", value, low=value - 0.02, high=value + 0.02)],
        "baselines": list(baselines), "test_rows": 150, "next_step": "Read.", **more,
    }  # fmt: skip


def test_a_model_that_beats_the_baselines_is_good():
    verdict = judge_model(report(0.947, baseline("majority", 0.1), baseline("tfidf", 0.8)))
    assert (verdict.word, verdict.tone) == ("Good", "good")
    assert verdict.sentence == "94.7% right; the tfidf baseline 80.0%."


def test_a_lead_that_may_be_chance_is_no_clear_gain():
    verdict = judge_model(
        report(0.947, baseline("tfidf", 0.927, p_value=0.3), verdict="no_difference")
    )
    assert (verdict.word, verdict.tone) == ("No clear gain", "wait")
    assert "with 150 test rows the difference may be chance" in verdict.sentence


def generation(exact, bleu, rouge):
    return {
        "kind": "generation", "headline_metric": "loss", "verdict": "helped", "test_rows": 20,
        "metrics": [
            measure("loss", 3.1, share=False, better="down"), measure("exact_match", exact),
            measure("bleu", bleu, share=False), measure("rougeL", rouge),
        ],
        "baselines": [],
    }  # fmt: skip


def test_a_language_model_that_answers_nothing_is_never_green():
    verdict = judge_model(generation(0.0, 0.0, 0.01))
    assert (verdict.word, verdict.tone) == ("Not usable yet", "wait")
    assert "none of the expected answers" in verdict.sentence


@pytest.mark.parametrize(("exact", "bleu", "rouge"), [(0.1, 0.0, 0.1), (0.0, 20.0, 0.1)])
def test_a_language_model_with_some_right_answers_is_judged_by_its_gain(exact, bleu, rouge):
    assert judge_model(generation(exact, bleu, rouge)).word == "Good"


def test_a_model_no_better_than_guessing_is_not_usable():
    verdict = judge_model(report(0.5, baseline("majority", 0.5), verdict="no_difference"))
    assert (verdict.word, verdict.tone) == ("Not usable yet", "wait")


@pytest.mark.parametrize("empty", [{}, {"metrics": [], "headline_metric": "accuracy"}])
def test_a_report_without_numbers_is_not_compared(empty):
    assert judge_model(empty).word == "Not compared"
    assert quality_bars(empty) == []


def test_bars_stand_on_one_scale_with_their_intervals():
    ours, theirs = quality_bars(report(0.9, baseline("tfidf", 0.8)))
    assert (ours.value, ours.low, ours.width) == (90.0, 88.0, 4.0)
    assert (theirs.value, theirs.low) == (80.0, None)
    assert [bar.is_ours for bar in (ours, theirs)] == [True, False]
