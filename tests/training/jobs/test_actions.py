"""Actions of people on jobs: what each is allowed from, and what it leaves behind."""

import pytest

from training.errors import StaleJobState
from training.jobs import actions
from training.models import Status


@pytest.mark.parametrize("verb", [actions.cancel, actions.pause, actions.resume])
def test_a_finished_job_obeys_nobody(job, alice, verb):
    actions.cancel(job, alice)
    with pytest.raises(StaleJobState):
        verb(job, alice)


def test_only_a_paused_job_resumes(job, alice):
    with pytest.raises(StaleJobState):
        actions.resume(job, alice)
    actions.pause(job, alice)
    actions.resume(job, alice)
    assert job.status == Status.QUEUED
