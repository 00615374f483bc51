"""Measured values: short curves whole, long ones by their extremes, all of them as files."""

import csv
import io
from uuid import uuid4

import pytest
from django.utils.timezone import now

from billing.metering import runs
from billing.models import RunEndReason
from training.models import Attempt, MetricPoint, TrainingJob
from training.queries.metric_series import (
    MAX_POINTS,
    curves_of,
    newest_values,
    overlay_curves,
    sparklines,
)


def measured(job, name, values, attempt=1):
    MetricPoint.objects.bulk_create(
        MetricPoint(job=job, attempt_number=attempt, name=name, step=step, value=value)
        for step, value in values
    )


def attempted(job, number, resumed_from=None):
    run = runs.open_run(job.team, job.source, "cpu")
    runs.end_run(run.pk, RunEndReason.FINISHED)
    facts = {"run": run, "ended_at": now(), "resumed_from_step": resumed_from}
    Attempt.objects.create(job=job, number=number, worker="w", **facts)


@pytest.fixture
def long_job(job):
    """5,000 steps of training loss with one spike each way, and a few of validation loss."""
    values = {step: 1 + step % 7 / 10 for step in range(1, 5_001)}
    values |= {1_234: 99.0, 4_321: -99.0}
    measured(job, "train_loss", values.items())
    measured(job, "validation_loss", [(step, step / 5_000) for step in range(100, 5_001, 100)])
    return job


def test_a_short_curve_is_told_whole(job):
    values = [(step, 1 / step) for step in range(1, MAX_POINTS + 1)]
    measured(job, "train_loss", values)
    curve = curves_of(job)["train_loss"]
    assert (curve.points, curve.measured) == (values, MAX_POINTS)


def test_a_long_curve_keeps_its_spikes_and_its_ends_and_says_how_many_it_stands_for(long_job):
    curve = curves_of(long_job)["train_loss"]
    assert len(curve.points) <= MAX_POINTS + 1
    assert curve.measured == 5_000
    assert {(1_234, 99.0), (4_321, -99.0)} <= set(curve.points)
    steps = [step for step, _ in curve.points]
    assert steps == sorted(set(steps))
    assert steps[-1] == 5_000
    assert max(after - before for before, after in zip(steps, steps[1:], strict=False)) < 20


def test_a_sparse_curve_beside_a_long_one_is_whole(long_job):
    curve = curves_of(long_job)["validation_loss"]
    assert curve.points == [(step, step / 5_000) for step in range(100, 5_001, 100)]
    assert curve.measured == 50


def test_only_the_curves_asked_for_are_read(long_job):
    assert list(curves_of(long_job, ["validation_loss"])) == ["validation_loss"]
    assert curves_of(long_job, ["accuracy"]) == {}


@pytest.mark.parametrize("stride", [1, 1000])
def test_what_a_lost_attempt_measured_in_vain_is_left_out(job, stride):
    """Whole at stride 1, thinned at 1000."""
    measured(job, "train_loss", [(step * stride, 1.0) for step in range(1, 11)])
    attempted(job, 1)
    measured(job, "train_loss", [(step * stride, 2.0) for step in range(6, 9)], attempt=2)
    attempted(job, 2, resumed_from=5 * stride)
    points = curves_of(job)["train_loss"].points
    assert points == [(step * stride, 1.0 if step <= 5 else 2.0) for step in range(1, 9)]


def test_the_api_tells_of_both_numbers_and_pages_through_all_points(long_job, api, token):
    path = f"/api/v1/training-jobs/{long_job.pk}/metrics"
    body = api(token).get(path).json()
    assert body["measured"] == {"train_loss": 5_000, "validation_loss": 50}
    assert len(body["metrics"]["validation_loss"]) == 50
    seen, after = [], ""
    while True:
        page = api(token).get(f"{path}/validation_loss?limit=20{after}").json()
        seen += [(point["step"], point["value"]) for point in page["data"]]
        if not page["has_more"]:
            break
        after = f"&after={page['data'][-1]['id']}"
    assert seen == [(step, step / 5_000) for step in range(100, 5_001, 100)]


def test_the_csv_has_every_point(long_job, alice, mallory, client_of):
    page = f"/jobs/{long_job.pk}/metrics.csv"
    answer = client_of(alice).get(page)
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
    assert len(rows) == 5_050
    assert rows[0] | {"at": ""} == {
        "name": "train_loss", "step": "1", "epoch": "0", "value": "1.1", "attempt": "1", "at": ""
    }  # fmt: skip
    assert client_of(mallory).get(page).status_code == 404


def test_a_sparkline_has_few_points_and_needs_two(long_job):
    [(_, line)] = sparklines([long_job]).items()
    assert 50 <= len(line.split()) <= 61
    assert line.startswith("0.0,")
    MetricPoint.objects.exclude(step=1).delete()
    assert sparklines([long_job]) == {long_job: ""}


def test_the_newest_values_of_jobs_come_from_one_query(long_job, django_assert_num_queries):
    measured(long_job, "validation_accuracy", [(10, 0.9), (20, 0.95)])
    measured(long_job, "validation_accuracy", [(15, 0.7)], attempt=2)
    names = ["validation_accuracy", "validation_loss", "validation_rmse"]
    with django_assert_num_queries(1):
        newest = newest_values([long_job], names)
    # Of the newest attempt, whatever its step.
    assert newest == {long_job.pk: {"validation_accuracy": 0.7, "validation_loss": 1.0}}
    assert newest_values([], names) == {}


def test_curves_of_many_jobs_are_those_of_each_alone(long_job, django_assert_num_queries):
    other_job = TrainingJob.objects.get(pk=long_job.pk)
    other_job.pk, other_job._state.adding = uuid4(), True
    other_job.save(force_insert=True)
    attempted(other_job, 1)
    attempted(other_job, 2, resumed_from=20)
    measured(other_job, "train_loss", [(step, 5.0) for step in range(1, 31)], attempt=1)
    measured(other_job, "train_loss", [(step, 3.0) for step in range(20, 26)], attempt=2)
    jobs = [long_job, other_job]
    with django_assert_num_queries(3):  # The attempts of either job, then one for all points.
        curves = overlay_curves(jobs, "train_loss")
    assert curves[other_job.pk].points == curves_of(other_job)["train_loss"].points
    assert dict(curves[other_job.pk].points)[20] == 3.0
    assert max(step for step, _ in curves[other_job.pk].points) == 25
    long = curves[long_job.pk]
    assert long.measured == 5_000
    assert len(long.points) <= MAX_POINTS + 1
    assert {(1_234, 99.0), (4_321, -99.0)} <= set(long.points)
    assert long.points[-1] == curves_of(long_job)["train_loss"].points[-1]
    assert overlay_curves(jobs, "validation_loss").keys() == {long_job.pk}
    assert overlay_curves([], "train_loss") == {}
