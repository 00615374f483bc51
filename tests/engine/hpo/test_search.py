import json

import numpy as np
import pytest

from engine.artifact import read_manifest
from engine.errors import BadTrainingData
from engine.events import CheckpointSaved, Reporter, Result, TrialUpdated, parse_event
from engine.pipeline import run_job
from engine.spec import parse_spec
from engine.stop_signal import StopSignal
from engine.tasks.text import embeddings

DIALS = {"epochs": 3, "precision": "fp32", "early_stopping_patience": 0}


class Killed(Exception):
    """Stands for a kill: raised out of the reporter, nothing after it happens."""


def table(rows: int = 300) -> dict:
    dice = np.random.default_rng(3)
    size, weight = dice.normal(size=rows), dice.normal(size=rows)
    wins = size * weight + dice.normal(scale=0.3, size=rows) > 0
    return {"size": size.tolist(), "weight": weight.tolist(), "label": wins.astype(str).tolist()}


@pytest.fixture
def tabular_spec(write_spec):
    """A quick search on a table; keyword arguments replace fields of the search."""

    def make(name: str = "job", dials: dict | None = None, **search):
        path = write_spec(
            name,
            columns=table(),
            hyperparameters={**DIALS, "batch_rows": 64, **(dials or {})},
            task="tabular-classification",
            search={"trials": 5, **search},
        )
        spec = json.loads(path.read_text())
        del spec["text_columns"]
        return parse_spec(spec)

    return make


def run(spec, stop_after=None) -> list:
    """All events; `stop_after` kills the job after that many trials are over."""
    events: list = []

    def write(line: str) -> None:
        event = parse_event(line)
        events.append(event)
        saved = [one for one in events if isinstance(one, CheckpointSaved)]
        if stop_after is not None and len(saved) == stop_after:
            raise Killed

    try:
        events.append(run_job(spec, Reporter(write), StopSignal()))
    except Killed:
        assert stop_after is not None
    return events


def ended(events: list) -> dict[int, TrialUpdated]:
    trials = [one for one in events if isinstance(one, TrialUpdated) and one.state != "running"]
    return {one.number: one for one in trials}


@pytest.mark.slow
def test_the_trial_with_the_best_validation_score_becomes_the_model(tabular_spec):
    spec = tabular_spec(trials=6)
    trials = ended(run(spec))
    finished = {n: one.score for n, one in trials.items() if one.state == "finished"}
    winner = min(finished, key=finished.get)  # A loss: lower is better.
    training = read_manifest(spec.output).training
    assert training["search"]["winner"] == winner
    assert training["search"]["score"] == pytest.approx(finished[winner])
    for name, value in trials[winner].parameters.items():
        assert training["hyperparameters"][name] == value
    assert training["hyperparameters"]["method"] == "auto"
    assert trials[0].parameters["batch_rows"] == 64, "the first trial is the settings as given"
    assert trials[0].parameters["dropout"] == 0.15


@pytest.mark.slow
def test_the_final_training_repeats_the_winning_trial(tabular_spec):
    spec = tabular_spec(dials={"method": "network"}, trials=3)
    run(spec)
    training = read_manifest(spec.output).training
    assert training["validation"]["validation_loss"] == training["search"]["score"]


@pytest.mark.nightly
def test_a_trial_that_does_worse_than_most_is_cut_short_and_says_so(tabular_spec):
    trials = ended(run(tabular_spec(trials=12, parameters=["learning_rate"])))
    pruned = [one for one in trials.values() if one.state == "pruned"]
    assert pruned, {n: (one.state, one.scores) for n, one in trials.items()}
    assert all(1 <= len(one.scores) <= 3 and not one.is_best for one in pruned)


@pytest.mark.nightly
def test_a_killed_search_goes_on_after_its_finished_trials_as_if_never_killed(tabular_spec):
    whole = ended(run(tabular_spec("whole")))
    first = run(tabular_spec("killed"), stop_after=3)
    saved = [one for one in first if isinstance(one, CheckpointSaved)][-1]
    resumed = tabular_spec("killed").model_copy(update={"resume_from": saved.path})
    resumed = parse_spec(resumed.model_dump())
    second = run(resumed)
    begun = {
        one.number for one in second if isinstance(one, TrialUpdated) and one.state == "running"
    }
    assert begun == {3, 4}, "finished trials are not run again"
    for number, trial in ended(second).items():
        assert trial.parameters == whole[number].parameters
        assert trial.scores == whole[number].scores


@pytest.mark.nightly
def test_killed_in_the_final_training_no_trial_is_repeated(tabular_spec):
    first = run(tabular_spec(), stop_after=7)  # Five trials and two epochs of the model.
    saved = [one for one in first if isinstance(one, CheckpointSaved)][-1]
    assert saved.step > 5
    resumed = parse_spec(tabular_spec().model_dump() | {"resume_from": saved.path})
    second = run(resumed)
    assert not [one for one in second if isinstance(one, TrialUpdated) and one.state == "running"]
    assert isinstance(second[-1], Result)
    steps = [one.step for one in second if isinstance(one, CheckpointSaved)]
    assert len(steps) == 1, "only the last epoch was left"
    assert steps[0] > saved.step


@pytest.mark.nightly
def test_no_trial_starts_that_would_not_fit_into_the_time(tabular_spec):
    spec = tabular_spec(dials={"epochs": 40}, trials=200, seconds=10)
    run(spec)
    search = read_manifest(spec.output).training["search"]
    assert 1 <= search["trials"] < 200
    assert search["seconds"] <= 10


@pytest.mark.nightly
def test_a_text_search_finds_a_model_too_and_embeds_no_row_twice(write_spec, monkeypatch):
    embedded, real = [], embeddings.Features

    def counted(rows, values, frozen):
        embedded.append(len(rows))
        return real(rows, values, frozen)

    monkeypatch.setattr(embeddings, "Features", counted)
    path = write_spec(
        hyperparameters=DIALS | {"method": "full", "batch_tokens": 128},
        task="text-classification",
        search={"trials": 2, "parameters": ["learning_rate", "dropout"]},
    )
    spec = parse_spec(json.loads(path.read_text()))
    events = run(spec)
    assert set(ended(events)) == {0, 1}
    search = read_manifest(spec.output).training["search"]
    best = max(one.score for one in ended(events).values())
    assert search["score"] == best
    assert isinstance(events[-1], Result)
    assert len(embedded) == 1


def test_what_cannot_be_searched_is_refused(tabular_spec):
    assert "'epochs' cannot be searched" in tabular_spec(parameters=["epochs"]).search_problem()
    assert "steps" in tabular_spec(dials={"method": "trees"}).search_problem()
    with pytest.raises(BadTrainingData, match="cannot be searched"):
        run(tabular_spec(parameters=["epochs"]))
