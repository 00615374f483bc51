"""A study proposes the same trials however often it is interrupted."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from engine.hpo import study as module
from engine.hpo.study import STUDY_FILE, Study, TrialRecord, create_study, round_parameters
from engine.spec import parse_spec
from engine.spec.searching import Choices, Range

SPACE = {
    "learning_rate": FloatDistribution(1e-4, 1e-2, log=True),
    "layers": CategoricalDistribution((1, 2, 3)),
}


def study(**changes) -> Study:
    given = {
        "space": SPACE,
        "initial_parameters": {"learning_rate": 1e-3, "layers": 2},
        "seed": 7,
        "identity": "this",
    }
    return Study(**given | changes)


def record(number: int, state="finished", scores=(0.5,), *, higher=True, **changes) -> TrialRecord:
    values = {
        "number": number,
        "state": state,
        "parameters": {"learning_rate": 1e-3, "layers": 2},
        "score_name": "accuracy",
        "higher_is_better": higher,
        "scores": list(scores),
        "seconds": 2.0,
    }
    return TrialRecord(**values | changes)


def test_the_first_trial_takes_the_settings_as_given():
    assert study().ask(higher_is_better=True).params == {"learning_rate": 1e-3, "layers": 2}


def test_proposals_depend_on_the_records_alone():
    one, other = study(), study()
    for number in range(4):
        trials = [each.ask(higher_is_better=True) for each in (one, other)]
        assert trials[0].params == trials[1].params
        assert trials[0].number == number
        other = study(records=list(other.records))  # As a restarted process builds it.
        for each in (one, other):
            parameters = round_parameters(trials[0].params)
            each.records.append(record(number, scores=(0.1 * number,), parameters=parameters))
    assert len({str(kept.parameters) for kept in one.records}) > 1


def test_a_trials_score_is_that_of_its_best_epoch():
    assert record(0, scores=(0.2, 0.9, 0.4)).score == 0.9
    assert record(0, scores=(0.2, 0.9, 0.4), higher=False).score == 0.2
    assert record(0, scores=()).score is None


@pytest.mark.parametrize(("higher", "winner"), [(True, 2), (False, 1)])
def test_the_best_finished_trial_wins(higher, winner):
    records = [
        record(0, "pruned", (0.99,), higher=higher),
        record(1, scores=(0.3,), higher=higher),
        record(2, scores=(0.8,), higher=higher),
        record(3, "failed", (), higher=higher),
        record(4, "stopped", (0.01,), higher=higher),
    ]
    assert study(records=records).best is records[winner]


def test_the_earlier_of_equal_trials_wins():
    records = [record(0), record(1)]
    assert study(records=records).best is records[0]


def test_nothing_finished_has_no_winner():
    assert study(records=[record(0, "pruned")]).best is None
    assert study().longest_seconds == 0.0


def test_times_are_summed_over_all_trials():
    kept = study(records=[record(0, seconds=2.0), record(1, "failed", (), seconds=5.0)])
    assert (kept.seconds, kept.longest_seconds) == (7.0, 5.0)


def test_a_study_is_read_back_from_its_folder(tmp_path):
    written = study(records=[record(0), record(1, "pruned", (0.1, 0.2))])
    written.save(tmp_path)
    read = study()
    assert read.load(tmp_path)
    assert read.records == written.records


def test_a_study_of_another_search_is_not_taken_over(tmp_path):
    study(records=[record(0)]).save(tmp_path)
    assert not study(identity="other").load(tmp_path)


@pytest.mark.parametrize("content", [None, "{", "[]", '{"identity": "this"}'])
def test_a_damaged_study_starts_from_the_beginning(tmp_path, content):
    if content is not None:
        (tmp_path / STUDY_FILE).write_text(content)
    fresh = study()
    assert not fresh.load(tmp_path)
    assert fresh.records == []


def test_the_event_of_a_trial_carries_its_score():
    event = record(3, scores=(0.2, 0.7)).event(is_best=True)
    assert (event.number, event.score, event.is_best, event.scores) == (3, 0.7, True, [0.2, 0.7])
    json.loads(event.model_dump_json())


def test_values_are_rounded_to_four_digits():
    rounded = round_parameters({"rate": 0.000123456, "layers": 3, "schedule": "linear"})
    assert rounded == {"rate": 0.0001235, "layers": 3, "schedule": "linear"}


def test_ranges_are_widened_to_hold_the_jobs_own_value():
    made = module._make_distribution(Range(low=0.1, high=0.3), 0.5)
    assert (made.low, made.high) == (0.1, 0.5)
    made = module._make_distribution(Range(low=0.5, high=2.0, is_relative=True, is_log=True), 0.01)
    assert (made.low, made.high, made.log) == (0.005, 0.02, True)
    made = module._make_distribution(Choices(options=(1, 2)), 3)
    assert made.choices == (1, 2, 3)


def test_an_automatic_learning_rate_is_searched_around_the_one_it_would_take(tmp_path):
    pq.write_table(pa.table({"text": ["a"] * 20, "label": ["x", "y"] * 10}), tmp_path / "d.parquet")
    spec = parse_spec(
        {
            "data": str(tmp_path / "d.parquet"),
            "text_columns": ["text"],
            "target_column": "label",
            "output": str(tmp_path / "o"),
            "work": str(tmp_path / "w"),
            "base_model": "all-MiniLM-L6-v2",
            "hyperparameters": {"method": "full", "epochs": 2},
            "search": {"trials": 3, "parameters": ["learning_rate"]},
        }
    )
    made = create_study(spec)
    rate, ranged = made.initial_parameters["learning_rate"], made.space["learning_rate"]
    assert rate > 0
    assert ranged.low < rate < ranged.high
    assert create_study(spec).identity == made.identity
