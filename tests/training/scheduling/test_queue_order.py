"""The order told is the order kept: positions are compared with what claims really take."""

import random
from datetime import timedelta
from uuid import UUID

import pytest
from django.utils.timezone import now

from accounts.models import Team
from billing.budgets import budget
from billing.models import Budget, Plan
from tests.training.queued import copy_of
from training.models import Status, TrainingJob
from training.scheduling import claims, queue_order, workers
from training.scheduling.wait_reason import wait_reason


@pytest.fixture
def crowd(job: TrainingJob) -> list[TrainingJob]:
    """Forty queued jobs of six teams with random ages and priorities, two teams already busy."""
    draw = random.Random(7)
    Plan.objects.filter(code="team").update(concurrency=20)
    teams = [Team.objects.create(name=f"t{n}", slug=f"t{n}") for n in range(6)]
    for team in teams:
        budget.get_budget(team)
    Budget.objects.update(plan="team", cap_micro=None)
    for team in teams[:2]:
        for _ in range(2):
            copy_of(job, team=team, queued_at=now() - timedelta(days=9))
            assert claims.claim("cpu", "w") is not None
    for number in range(40):
        copy_of(
            job,
            name=f"job {number}",
            team=draw.choice(teams),
            priority=draw.choice([-10, 0, 0, 0, 3, 10, 10, 50]),
            queued_at=now() - timedelta(seconds=draw.randrange(500)),
        )
    return list(TrainingJob.objects.filter(status=Status.QUEUED))


def test_positions_are_the_order_in_which_claims_take_jobs(crowd):
    positions = {one.pk: queue_order.queue_position(one) for one in crowd}
    taken = []
    while (attempt := claims.claim("cpu", "w")) is not None:
        taken.append(attempt.job_id)
    assert sorted(positions.values()) == list(range(len(crowd)))
    assert taken == sorted(positions, key=positions.get)


def test_positions_stay_true_as_jobs_are_claimed_and_finish(crowd):
    draw = random.Random(3)
    for _ in range(25):
        queued = TrainingJob.objects.filter(status=Status.QUEUED)
        positions = {one.pk: queue_order.queue_position(one) for one in queued}
        first = claims.claim("cpu", "w").job_id
        assert positions[first] == 0
        running = list(TrainingJob.objects.filter(status=Status.RUNNING))
        if draw.random() < 0.5:
            schedule_end(draw.choice(running))


def schedule_end(job: TrainingJob) -> None:
    from training.jobs import attempts

    attempts.release(job.attempts.live().get(), "back")
    job.refresh_from_db()
    job.cancel()


def test_what_the_plan_holds_back_is_ahead_of_nobody(job, other_team):
    held_back = copy_of(job, queued_at=now() - timedelta(hours=1))
    job.queued_at = now() - timedelta(hours=2)
    job.save()
    later = copy_of(job, team=other_team, queued_at=now())
    assert queue_order.queue_position(job) == 0
    assert queue_order.queue_position(held_back) is None
    assert queue_order.queue_position(later) == 1
    workers.register("w", "cpu", devices=[])
    assert "another of your jobs goes first" in wait_reason(held_back)
    assert wait_reason(later) == "1 job ahead"


def test_a_teams_own_priority_never_overtakes_another_team_but_an_operators_does(job, other_team):
    job.queued_at = now() - timedelta(hours=1)
    job.save()
    pushy = copy_of(job, team=other_team, priority=10, queued_at=now())
    assert (queue_order.queue_position(job), queue_order.queue_position(pushy)) == (0, 1)
    TrainingJob.objects.filter(pk=pushy.pk).update(priority=11)
    assert (queue_order.queue_position(job), queue_order.queue_position(pushy)) == (1, 0)


def test_a_frozen_teams_jobs_have_no_turn(job, other_team):
    later = copy_of(job, team=other_team)
    Team.objects.filter(pk=job.team_id).update(frozen_at=now())
    assert queue_order.queue_position(job) is None
    assert queue_order.queue_position(later) == 0


def test_a_spent_cap_is_told_before_the_turn_comes(job):
    budget.get_budget(job.team)
    Budget.objects.filter(pk=job.team_id).update(cap_micro=1)
    assert "spend cap is reached" in wait_reason(job)


@pytest.mark.parametrize("seed", range(12))
def test_the_short_way_to_the_first_in_line_never_leads_elsewhere(job, seed):
    """Against the whole line, with any mixture of busy and idle teams and of priorities."""
    draw = random.Random(seed)
    Plan.objects.filter(code="team").update(concurrency=2)
    teams = [Team.objects.create(name=f"t{n}", slug=f"t{n}") for n in range(5)]
    for team in teams:
        budget.get_budget(team)
    Budget.objects.update(plan="team", cap_micro=None)
    priorities = [0] if seed % 3 == 0 else [-10, 0, 3, 10] if seed % 3 == 1 else [0, 3, 50]
    for _ in range(30):
        age = timedelta(seconds=draw.randrange(500))
        team, priority = draw.choice(teams[: draw.randrange(1, 6)]), draw.choice(priorities)
        copy_of(job, team=team, priority=priority, queued_at=now() - age)
    Team.objects.filter(pk=draw.choice(teams).pk).update(frozen_at=now())
    nobody = UUID(int=0)  # Somebody passed over makes it draw up the whole line.
    for _ in range(12):
        whole = queue_order.next_jobs("cpu", [nobody])
        first = queue_order.next_jobs("cpu", [])
        assert first[:1] == whole[:1]
        if not whole:
            break
        assert claims.claim("cpu", "w").job_id == whole[0]
