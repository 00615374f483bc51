"""Searches through the product: asked for, estimated, watched, killed and gone on with, billed."""

import pytest

from billing.models import Rate
from engine.events import TrialUpdated as TrialEvent
from tests.training.trainers import wait_until
from training.jobs.launch import LaunchRequest, estimate
from training.models import Status, TrainingJob, Trial
from training.scheduling import watchdog

JOBS = "/api/v1/training-jobs"


@pytest.fixture
def body(dataset_version) -> dict[str, object]:
    dataset = dataset_version.dataset
    return {
        "project": str(dataset.project_id),
        "dataset": str(dataset.pk),
        "task": "text-classification",
        "hyperparameters": {"method": "full"},
    }


@pytest.mark.django_db
def test_a_search_is_launched_over_the_api_with_its_money_made_into_seconds(api, token, body):
    rate = Rate.objects.current("cpu").nano_per_unit
    search = {"trials": 4, "budget_micros": rate // 10, "parameters": ["dropout"]}
    answer = api(token).post(JOBS, body | {"search": search}, format="json")
    assert answer.status_code == 201, answer.json()
    assert answer.json()["search"] == {"trials": 4, "seconds": 100.0, "parameters": ["dropout"]}
    assert TrainingJob.objects.get().recipe["search"]["seconds"] == 100


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("search", "words"),
    [
        ({"trials": 1}, "search.trials"),
        ({"trials": 5, "parameters": ["epochs"]}, "'epochs' cannot be searched"),
        ({"trials": 5, "budget_micros": 1}, "search.budget_micros"),
        ({"trials": 5, "budget": 1}, "Unknown field"),
        ("all of it", ""),
    ],
)
def test_a_search_that_cannot_be_is_refused_in_a_sentence(api, token, body, search, words):
    answer = api(token).post(JOBS, body | {"search": search}, format="json")
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]
    assert answer.json()["error"]["param"].startswith("search")


@pytest.mark.django_db
def test_the_estimate_counts_the_trials_and_keeps_within_the_budget(dataset_version):
    def asked(search):
        request = LaunchRequest(hyperparameters={"method": "full"}, search=search)
        return estimate(dataset_version=dataset_version, request=request)

    plain, searched = asked(None), asked({"trials": 10})
    assert searched.cost_high_micro > 8 * plain.cost_high_micro
    assert searched.seconds_low > 2 * plain.seconds_low
    bounded = asked({"trials": 100, "seconds": 60})
    assert bounded.seconds_high <= plain.seconds_high + 61


@pytest.mark.django_db
def test_the_launch_page_offers_a_search_and_launches_it(dataset_version, alice, client_of):
    url = f"/datasets/{dataset_version.dataset_id}/launch/"
    client = client_of(alice)
    page = client.get(url).content.decode()
    assert 'name="search-trials"' in page
    assert 'name="search-dollars"' in page
    form = {
        "version": "1",
        "task": "text-classification",
        "text_columns": "text",
        "target_column": "label",
        "base_model": "all-MiniLM-L6-v2",
        "compute": "cpu",
        "hyperparameters-method": "full",
        "search-minutes": "2",
    }
    refused = client.post(url, form)
    assert refused.status_code == 400
    assert "A search needs a number of trials" in refused.content.decode()
    assert client.post(url, form | {"search-trials": "3"}).status_code == 302
    job = TrainingJob.objects.get()
    assert job.recipe["search"] == {"trials": 3, "seconds": 120.0, "parameters": []}
    again = client.get(url, {"again": str(job.pk)}).content.decode()
    assert 'name="search-trials" value="3"' in again


@pytest.mark.django_db
def test_trials_are_on_the_page_and_in_the_api_and_only_there_for_the_team(
    job, alice, client_of, api, token, mallory_token
):
    for number, state in enumerate(["finished", "pruned"]):
        facts = TrialEvent(number=number, state=state, parameters={"dropout": 0.1 * number})
        Trial.objects.create(
            job=job,
            attempt_number=1,
            number=number,
            state=facts.state,
            parameters=facts.parameters,
            score_name="validation_macro_f1",
            scores=[0.5, 0.75],
            score=0.75,
            is_best=number == 0,
        )
    pages = [
        client_of(alice).get(f"/jobs/{job.pk}/?tab={tab}") for tab in ("charts", "checkpoints")
    ]
    page = "".join(one.content.decode() for one in pages)
    for words in ("pruned after epoch 2", "0.7500", "validation macro f1"):
        assert words in page
    answer = api(token).get(f"{JOBS}/{job.pk}/trials").json()["data"]
    assert [one["state"] for one in answer] == ["finished", "pruned"]
    assert [one["pruned_at"] for one in answer] == [None, 2]
    assert api(mallory_token).get(f"{JOBS}/{job.pk}/trials").status_code == 404


@pytest.mark.nightly
@pytest.mark.slow
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_search_whose_trainer_is_killed_repeats_no_finished_trial(job, trainer):
    from tests.training.worker.test_runner import bill_is_exact

    job.recipe |= {
        "hyperparameters": {"method": "full"},
        "search": {"trials": 5, "parameters": ["learning_rate"]},
    }
    job.save()
    first = trainer(LEASE_SECONDS="8")
    over = Trial.objects.exclude(state="running")
    wait_until(lambda: job.checkpoints.filter(step__gte=2).exists(), what="for two trials")
    first.kill()
    attempts = dict(over.values_list("number", "started_at"))
    assert 2 <= len(attempts) < 5
    wait_until(lambda: watchdog.end_silent_attempts() == 1, what="for the lease")
    trainer().finish()
    job = job_of(job)
    assert job.status == Status.SUCCEEDED, job.failure_sentence
    assert over.count() == Trial.objects.count() == 5
    for trial in over.filter(number__lt=2):
        assert trial.started_at == attempts[trial.number]
    search = job.model.manifest["training"]["search"]
    best = Trial.objects.get(is_best=True)
    assert search["winner"] == best.number
    assert best.score == max(t.score for t in over.filter(state="finished"))
    bill_is_exact(job)


def job_of(job: TrainingJob) -> TrainingJob:
    return TrainingJob.objects.get(pk=job.pk)
