"""Why a queued job waits, in the words that its page shows."""

from datetime import timedelta

from django.utils.timezone import now

from tests.training.queued import allow, copy_of
from training.models import DesiredState, Worker
from training.scheduling import claims, workers
from training.scheduling.wait_reason import wait_reason


def test_waiting_is_explained(job, alice):
    allow(job, 2)
    last = copy_of(job)
    assert wait_reason(job) == "no cpu worker has ever been seen; start one"
    workers.register("worker-1", "cpu", devices=[])
    assert wait_reason(job) == "starting in a moment"
    assert wait_reason(last) == "1 job ahead"
    Worker.objects.update(seen_at=now() - timedelta(minutes=3, seconds=5))
    assert wait_reason(job) == "no cpu worker has been seen for 3 min"
    assert wait_reason(last) == "no cpu worker has been seen for 3 min; 1 job ahead"
    workers.heartbeat("worker-1")
    claims.claim("cpu", "worker-1")
    assert wait_reason(last) == "next in line; the cpu worker is busy"
    allow(job, 1)
    assert wait_reason(last) == "your plan runs 1 at a time and 1 is running"
    workers.set_desired_state(Worker.objects.get(), DesiredState.DRAIN, alice)
    allow(job, 2)
    assert wait_reason(last) == "every cpu worker is draining"
