"""The pages of jobs: what they say in every state, to whom, and which verbs they offer."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from billing.metering import runs
from billing.models import MeteredRun, RunEndReason
from tests.training.made import make_model
from training.models import Attempt, Evaluation, JobEvent, MetricPoint, Status, TrainingJob
from training.queries.report.verdict import judge_model


def url(job: TrainingJob, tail: str = "") -> str:
    return f"/jobs/{job.pk}/{tail}"


@pytest.fixture
def running(job: TrainingJob) -> TrainingJob:
    """A job in the middle of training, a minute of it metered."""
    job.start()
    run = runs.open_run(job.team, job.source, "cpu")
    MeteredRun.objects.filter(pk=run.pk).update(started_at=now() - timedelta(minutes=2))
    runs.heartbeat(run.pk, run.fence, 60_000)
    Attempt.objects.create(job=job, number=1, worker="node-1", run=run)
    TrainingJob.objects.filter(pk=job.pk).update(
        phase="training", progress=0.649, step=912, total_steps=1425, epoch=3, epochs=5
    )
    job.refresh_from_db()
    return job


def measure(job: TrainingJob, name: str, values: dict[int, float], attempt: int = 1) -> None:
    MetricPoint.objects.bulk_create(
        MetricPoint(job=job, attempt_number=attempt, name=name, step=step, value=value)
        for step, value in values.items()
    )


def test_a_queued_job_says_why_it_waits_and_that_waiting_is_free(job, alice, client_of):
    page = client_of(alice).get(url(job)).content.decode()
    assert "Queued · no cpu worker has ever been seen" in page
    assert "Waiting is free" in page


def test_a_running_job_shows_phase_numbers_and_money(running, bob, client_of):
    measure(running, "train_loss", {900: 0.412})
    measure(running, "validation_accuracy", {900: 0.897})
    page = client_of(bob).get(url(running)).content.decode()
    for words in (
        "epoch 3 of 5 · step 912 / 1,425",
        "64% · estimating…",
        "0.412",
        "89.7%",
        "1m 00s",
    ):
        assert words in page
    assert "hx-sse:connect" in page


def test_the_remaining_time_is_never_guessed(running, alice, client_of):
    browser = client_of(alice)
    assert "estimating…" in browser.get(url(running, "status/")).content.decode()
    TrainingJob.objects.filter(pk=running.pk).update(eta_seconds=130)
    assert "about 2 min left" in browser.get(url(running, "status/")).content.decode()


def test_cancelling_says_what_was_charged(running, alice, client_of):
    browser = client_of(alice)
    page = browser.post(url(running, "cancel/"), follow=True).content.decode()
    running.refresh_from_db()
    assert running.status == Status.CANCELLED
    assert "Cancelled by alice@acme.test" in page
    assert "Charged $0.0012 for 1m 00s of compute." in page
    assert url(running, "live/") not in page


def test_a_confirmation_page_asks_first_where_there_are_no_dialogs(job, alice, client_of):
    page = client_of(alice).get(url(job, "cancel/")).content.decode()
    assert "Cancel “Support intents”?" in page
    job.refresh_from_db()
    assert job.status == Status.QUEUED


def test_pause_and_resume_are_offered_only_where_they_are_legal(job, alice, client_of):
    browser = client_of(alice)
    assert url(job, "pause/") in browser.get(url(job)).content.decode()
    page = browser.post(url(job, "pause/"), follow=True).content.decode()
    assert url(job, "resume/") in page
    assert url(job, "pause/") not in page
    assert "Nothing is charged while paused" in page
    page = browser.post(url(job, "resume/"), follow=True).content.decode()
    assert url(job, "pause/") in page


@pytest.mark.parametrize("verb", ["cancel", "pause", "resume"])
def test_a_verb_that_comes_too_late_is_refused_and_changes_nothing(job, alice, client_of, verb):
    job.cancel()
    answer = client_of(alice).post(url(job, f"{verb}/"))
    assert answer.status_code == 409
    job.refresh_from_db()
    assert job.status == Status.CANCELLED


def test_a_failure_shows_reason_next_step_refund_and_log(running, alice, client_of):
    attempt = running.attempts.get()
    running.fail("worker_lost", "The machine stopped answering.")
    runs.end_run(attempt.run_id, RunEndReason.LEASE)
    runs.refund_lost_work(attempt.run_id, "Refund")
    TrainingJob.objects.filter(pk=running.pk).update(log_tail="RuntimeError: <boom>")
    page = client_of(alice).get(url(running)).content.decode()
    assert "The machine stopped answering." in page
    assert "Nothing is wrong with your data" in page
    assert "Nothing to pay: $0.0012 for 1m 00s of compute was given back." in page
    assert f"again={running.pk}" in page
    log = client_of(alice).get(url(running), {"tab": "log"}).content.decode()
    assert "RuntimeError: &lt;boom&gt;" in log


def test_a_success_leads_to_the_model(running, alice, client_of, tmp_path):
    model = make_model(running, tmp_path / "artifact", ["card", "transfer"])
    running.succeed(model)
    page = client_of(alice).get(url(running)).content.decode()
    assert f"/models/{model.pk}/" in page
    assert "Open the report" in page
    assert judge_model(Evaluation.objects.get().report).sentence in page


def test_events_keep_their_level_and_are_shown_as_text(job, alice, client_of):
    job.add_event("<img src=x onerror=alert(1)>", level="warning")
    page = client_of(alice).get(url(job, "events/")).content.decode()
    assert "&lt;img src=x" in page
    assert "<img" not in page
    assert 'data-level="warning"' in page


def test_the_chart_leaves_out_what_a_lost_attempt_measured_in_vain(running, alice, client_of):
    measure(running, "train_loss", {1: 3.0, 2: 2.0, 3: 1.9}, attempt=1)
    measure(running, "train_loss", {3: 1.0, 4: 0.9}, attempt=2)
    measure(running, "validation_loss", {3: 7.0}, attempt=1)
    first = running.attempts.get()
    runs.end_run(first.run_id, RunEndReason.LEASE)
    Attempt.objects.filter(pk=first.pk).update(ended_at=now(), end_reason="worker lost")
    run = runs.open_run(running.team, running.source, "cpu")
    Attempt.objects.create(job=running, number=2, worker="b", run=run, resumed_from_step=2)
    series = json.loads(client_of(alice).get(url(running, "metrics.json")).content)["series"]
    points = [[1, 3.0], [2, 2.0], [3, 1.0], [4, 0.9]]
    assert series == [{"name": "train_loss", "points": points, "measured": 4}]


def test_one_answer_holds_every_chart_of_the_page(running, alice, client_of):
    measure(running, "train_loss", {1: 3.0, 2: 2.0})
    measure(running, "learning_rate", {1: 0.1, 2: 0.05})
    client = client_of(alice)
    page = client.get(url(running, "")).content.decode()
    charts = json.loads(client.get(url(running, "metrics.json?chart=all")).content)
    assert set(re.findall('data-part="([a-z]+)"', page)) == set(charts)
    assert charts["loss"]["series"][0]["points"] == [[1, 3.0], [2, 2.0]]
    assert charts["rate"]["series"][0]["points"] == [[1, 0.1], [2, 0.05]]
    assert charts["load"] == {"series": [], "lines": []}
    assert client.get(url(running, "metrics.json?chart=none")).status_code == 404


def test_a_job_that_moves_shows_its_newest_events_above_its_charts(job, alice, client_of):
    for number in range(7):
        job.add_event(f"Event {number}")
    page = client_of(alice).get(url(job, "status/")).content.decode()
    assert [f"Event {number}" in page for number in range(7)] == [False, False, *[True] * 5]


@pytest.mark.parametrize("tail", ["", "status/", "events/", "metrics.json", "live/", "cancel/"])
def test_strangers_and_the_signed_out_see_no_job(job, mallory, client_of, client, tail):
    assert client_of(mallory).get(url(job, tail)).status_code == 404
    assert client.get(url(job, tail)).status_code == 302


@pytest.mark.parametrize("verb", ["cancel", "pause", "resume"])
def test_a_stranger_stops_nothing(job, mallory, client_of, verb):
    assert client_of(mallory).post(url(job, f"{verb}/")).status_code == 404
    job.refresh_from_db()
    assert job.status == Status.QUEUED


@pytest.mark.parametrize("verb", ["cancel", "pause", "resume"])
def test_a_viewer_may_look_but_not_touch(job, vera, client_of, verb):
    browser = client_of(vera)
    page = browser.get(url(job)).content.decode()
    assert "cancel-dialog" not in page
    assert url(job, "pause/") not in page
    assert browser.post(url(job, f"{verb}/")).status_code == 403


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_looking_never_pauses_or_resumes(job, alice, client_of, verb):
    assert client_of(alice).get(url(job, f"{verb}/")).status_code == 405


def copies(job: TrainingJob, count: int) -> None:
    for number in range(count):
        job.pk, job.name = None, f"copy {number}"
        job._state.adding = True
        job.id, job.created_at = uuid4(), now()
        job.save(force_insert=True)
        measure(job, "train_loss", {1: 2.0, 2: 1.0})


@pytest.mark.parametrize("address", ["/teams/{slug}/jobs/", "/projects/{project}/jobs/list/"])
def test_a_list_asks_the_same_number_of_questions_however_long(
    job: TrainingJob, alice, client_of: Callable, address: str
):
    browser = client_of(alice)
    path = address.format(slug=job.team.slug, project=job.project_id)
    browser.get(path)
    with CaptureQueriesContext(connection) as few:
        browser.get(path)
    copies(job, 12)
    with CaptureQueriesContext(connection) as many:
        page = browser.get(path).content.decode()
    assert "copy 11" in page
    assert len(many) <= len(few) + 1
    assert len(many) < 15


def test_what_is_ticked_stays_ticked_over_pages_and_filters(job, alice, client_of):
    first = str(job.pk)
    copies(job, 30)
    client, path = client_of(alice), f"/teams/{job.team.slug}/jobs/"
    newest = str(TrainingJob.objects.get(name="copy 29").pk)
    page = client.get(path, {"job": [newest, first, "nonsense"]}).content.decode()
    assert ticked(page) == {newest, first}
    assert "not in the list below" in page
    page = client.get(path, {"job": [newest, first], "page": 2}).content.decode()
    assert ticked(page) == {newest, first}
    page = client.get(path, {"job": [newest, first], "q": "nothing has this name"}).content.decode()
    assert ticked(page) == {newest, first}
    assert "No fine-tune matches" in page
    assert "Compare the ticked ones" in page


def ticked(page: str) -> set[str]:
    return set(re.findall(r'name="job" value="([^"]+)"\s+checked', page))


def test_curves_of_many_jobs_take_as_many_questions_as_of_two(job, alice, client_of):
    copies(job, 40)
    client, path = client_of(alice), f"/teams/{job.team.slug}/jobs/"
    ids = [str(pk) for pk in TrainingJob.objects.filter(name__startswith="copy").values_list(
        "pk", flat=True)]  # fmt: skip
    for tail in ("overlay.json", "compare/"):
        client.get(path + tail, {"job": ids[:2]})
        with CaptureQueriesContext(connection) as few:
            client.get(path + tail, {"job": ids[:2]})
        with CaptureQueriesContext(connection) as many:
            answer = client.get(path + tail, {"job": ids})
        assert len(many) <= len(few)
        assert answer.status_code == 200
    series = client.get(path + "overlay.json", {"job": ids}).json()["series"]
    assert {one["name"] for one in series} == {f"copy {number}" for number in range(40)}


@pytest.mark.parametrize("sort", ["new", "metric", "cost", "name", "<script>"])
def test_the_list_sorts_and_survives_nonsense(job, alice, client_of, sort):
    answer = client_of(alice).get(f"/teams/{job.team.slug}/jobs/", {"sort": sort, "page": "x"})
    assert answer.status_code == 200
    assert "<script>" not in answer.content.decode()


def test_lists_hold_only_the_teams_own_jobs(job, mallory, other_team, client_of):
    assert client_of(mallory).get(f"/teams/{job.team.slug}/jobs/").status_code == 404
    assert client_of(mallory).get(f"/projects/{job.project_id}/jobs/list/").status_code == 404
    page = client_of(mallory).get(f"/teams/{other_team.slug}/jobs/").content.decode()
    assert "No fine-tunes yet" in page


def test_every_kind_of_string_shows_as_text(job, alice, client_of, shared):
    strings = json.loads((shared / "data/naughty_strings/blns.json").read_text())
    strings = [text.replace("\x00", "") for text in strings]
    JobEvent.objects.bulk_create(JobEvent(job=job, message=text) for text in strings[-150:])
    scripts = [text for text in strings if "<" in text]
    for text in scripts[::10]:
        TrainingJob.objects.filter(pk=job.pk).update(name=text[:120])
        page = client_of(alice).get(url(job)).content.decode()
        assert text[:120] not in page
    assert "<script>alert" not in page


def test_a_finished_job_without_steps_shows_no_empty_figures(job, alice, client_of, tmp_path):
    """Neither a loss nor a speed, and what it may have cost as the launch page said it."""
    estimate = {"seconds_low": 14, "seconds_high": 52, "cost_low_micro": 286}
    TrainingJob.objects.filter(pk=job.pk).update(estimate={**estimate, "cost_high_micro": 10_000})
    page = client_of(alice).get(url(job)).content.decode()
    assert "Training loss" in page
    assert "estimated up to $0.01" in page
    assert "data-job-finished" not in page
    TrainingJob.objects.filter(pk=job.pk).update(
        status=Status.CANCELLED, finished_at=now(), progress=0.5
    )
    page = client_of(alice).get(url(job)).content.decode()
    assert "Training loss</span>" not in page
    assert "data-job-finished" in page
    measure(job, "train_loss", {10: 0.5})
    assert "Training loss</span>" in client_of(alice).get(url(job)).content.decode()
