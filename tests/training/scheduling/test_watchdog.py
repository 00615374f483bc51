"""The watchdog ends attempts whose worker fell silent, and nothing else."""

from billing.models import LedgerEntry
from tests.training.queued import expire
from training.models import Status
from training.scheduling import claims, watchdog


def test_a_silent_worker_loses_its_job_to_the_queue(job):
    attempt = claims.claim("cpu", "worker-1")
    assert watchdog.end_silent_attempts() == 0
    expire(attempt)
    assert watchdog.end_silent_attempts() == 1
    assert watchdog.end_silent_attempts() == 0
    job.refresh_from_db()
    attempt.refresh_from_db()
    assert (job.status, attempt.end_reason) == (Status.QUEUED, "worker lost")
    assert claims.claim("cpu", "worker-2").number == 2


def test_three_lost_workers_fail_the_job(job):
    for number in (1, 2, 3):
        attempt = claims.claim("cpu", f"worker-{number}")
        expire(attempt)
        watchdog.end_silent_attempts()
    job.refresh_from_db()
    assert (job.status, job.failure_code) == (Status.FAILED, "worker_lost")
    assert LedgerEntry.objects.total_micro() == 0
