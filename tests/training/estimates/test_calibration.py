"""Finished jobs narrow the next estimate; unfinished and repeated ones teach nothing."""

import pytest

from training.estimates import calibration
from training.models import ComputeClass, TrainingJob

pytestmark = pytest.mark.django_db


def pretend(monkeypatch, shares):
    """Finished jobs that took these shares of a guess of 100 seconds."""

    class Found(list):
        def order_by(self, _field):
            return self

    jobs = Found()
    for share in shares:
        job = TrainingJob(estimate={"seconds": 100.0})
        job.used_ms, job.charged_micro, job.refunds_micro = int(share * 100_000), 0, 0
        jobs.append(job)
    monkeypatch.setattr(calibration, "with_costs", lambda _jobs: jobs)


def test_the_range_covers_what_past_jobs_took(monkeypatch):
    machine = ComputeClass.objects.get(code="cpu")
    pretend(monkeypatch, [0.5, 0.6, 0.9])
    low, high = calibration.speed_ratio_range(machine, "text-classification")
    assert low < 0.5
    assert 0.9 < high < 1.3


def test_too_few_jobs_teach_nothing(monkeypatch):
    machine = ComputeClass.objects.get(code="cpu")
    pretend(monkeypatch, [0.5, 0.6])
    assert calibration.speed_ratio_range(machine, "text-classification") is None


def test_the_question_can_be_asked_of_the_database():
    assert (
        calibration.speed_ratio_range(ComputeClass.objects.get(code="cpu"), "text-classification")
        is None
    )
