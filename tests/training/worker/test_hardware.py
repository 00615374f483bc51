"""What a worker measures of its machine."""

import os

from training.models import Attempt, MetricPoint
from training.queries.job_page.charts import chart_of
from training.scheduling import claims
from training.worker import hardware
from training.worker.hardware import HardwareSampler


def test_a_sample_says_how_busy_the_engine_is_and_how_much_it_holds(job):
    attempt = claims.claim("cpu", "trainer-1")
    assert attempt is not None
    measured = HardwareSampler(attempt, os.getpid()).measure()
    assert 0 <= measured["system_cpu_percent"] <= 100
    assert 0.001 < measured["system_memory_gib"] < 1000


def test_samples_become_the_job_s_curves_over_seconds(job, monkeypatch):
    monkeypatch.setattr(hardware, "INTERVAL_SECONDS", 0.0)
    attempt = claims.claim("cpu", "trainer-1")
    attempt.job.refresh_from_db()
    sampler = HardwareSampler(attempt, os.getpid())
    sampler.sample_if_due()
    assert set(MetricPoint.objects.values_list("name", flat=True)) >= {
        "system_cpu_percent",
        "system_memory_gib",
    }
    assert [one["name"] for one in chart_of(attempt.job, "load")["series"]][:1] == [
        "system_cpu_percent"
    ]


def test_an_engine_that_is_gone_ends_nothing(job, monkeypatch):
    monkeypatch.setattr(hardware, "INTERVAL_SECONDS", 0.0)
    attempt = claims.claim("cpu", "trainer-1")
    HardwareSampler(attempt, 2**22 - 1).sample_if_due()
    assert Attempt.objects.get().ended_at is None
    assert not MetricPoint.objects.exists()
