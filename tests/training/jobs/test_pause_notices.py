"""Who is told by e-mail that a job was paused: whoever did not ask for it."""

import pytest

from accounts.models import ApiToken, Notice
from accounts.notifications.fan_out import fan_out_pending
from billing.budgets import budget, holds
from billing.models import Budget
from training.jobs import actions
from training.models import PauseCode, TrainingJob
from training.scheduling import claims, watchdog

pytestmark = pytest.mark.django_db


def written_to(event: str) -> set[str]:
    fan_out_pending()
    emails = Notice.objects.get(event=event).emails.all()
    return {email.user.email for email in emails}


@pytest.fixture
def bobs_job(job, bob):
    TrainingJob.objects.filter(pk=job.pk).update(launched_by=bob)
    return TrainingJob.objects.get(pk=job.pk)


def test_who_pauses_their_own_job_gets_no_email(bobs_job, bob):
    actions.pause(bobs_job, bob)
    assert written_to("training_job.paused") == set()


def test_whose_job_a_teammate_pauses_is_told(bobs_job, alice, vera):
    actions.pause(bobs_job, alice)
    assert written_to("training_job.paused") == {"bob@acme.test"}


def test_a_token_pauses_in_its_creators_name(bobs_job, bob, team):
    token, _ = ApiToken.issue(team=team, created_by=bob, name="ci")
    actions.pause(bobs_job, token)
    assert written_to("training_job.paused") == set()


def test_at_the_spend_cap_everyone_who_can_act_is_told(bobs_job, alice, vera, team):
    budget.get_budget(team)
    Budget.objects.filter(team=team).update(cap_micro=0)
    assert claims.claim("cpu", "w") is None
    assert written_to("training_job.paused") == {"alice@acme.test", "bob@acme.test"}


def test_a_hold_is_told_and_is_nobodys_pause(bobs_job, alice, team):
    claims.claim("cpu", "w")
    holds.place_hold(team, "Spending like never before.")
    watchdog.pause_jobs_of_held_teams()
    bobs_job.refresh_from_db()
    assert bobs_job.pause_code == PauseCode.HOLD
    assert written_to("training_job.paused") == {"alice@acme.test", "bob@acme.test"}
