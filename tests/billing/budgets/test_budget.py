"""Soft notices, forecast, the 90 % rule and holds."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import transaction
from django.urls import reverse
from django.utils.timezone import now

from accounts.models import AuditEntry, Notice
from billing.budgets import forecast, holds
from billing.budgets.budget import get_budget, lock_budget, set_cap
from billing.budgets.forecast import forecast_micro
from billing.ledger.corrections import post_adjustment
from billing.ledger.posting import post_entry
from billing.metering import admission
from billing.models import Budget, LedgerEntry
from billing.months import month_of, this_month
from billing.statements.statement import daily_charges
from training.models import Status
from training.scheduling import claims, watchdog
from training.scheduling.wait_reason import wait_reason


def spend(team, micro, at=None):
    with transaction.atomic():
        budget = lock_budget(team.pk)
        LedgerEntry.objects.create(
            team=team,
            kind="compute",
            amount_micro=micro,
            source=f"t:{uuid4()}",
            about="training-job:1",
            occurred_at=at or now(),
        )
        if at is None:
            budget.spent_micro += micro
            budget.save()


def charge(team, micro):
    with transaction.atomic():
        budget = lock_budget(team.pk)
        source = f"t:{uuid4()}"
        post_entry(
            budget, LedgerEntry(kind=LedgerEntry.Kind.COMPUTE, amount_micro=micro, source=source)
        )
        budget.save()


def told(team):
    return list(Notice.objects.filter(team=team, group="budget").values_list("event", flat=True))


def test_a_new_team_has_a_cap(team):
    assert get_budget(team).cap_micro == 25_000_000


def test_each_share_of_the_cap_is_told_once(team, alice):
    set_cap(team, alice, 1_000_000)
    seen = []
    for micro in (499_999, 1, 100, 300_000, 5, 199_895, 7):
        post_adjustment(team, micro, "Work", by=alice, request_id=uuid4())
        seen.append(sorted(told(team)))
    assert seen[0] == []
    assert seen[1] == seen[2] == ["budget.half_spent"]
    assert seen[3] == seen[4] == ["budget.half_spent", "budget.nearly_spent"]
    assert seen[5] == seen[6] == ["budget.half_spent", "budget.nearly_spent", "budget.spent"]
    assert "$0.5 of $1.00" in Notice.objects.get(event="budget.half_spent").sentence.replace(
        "$0.50", "$0.5"
    )


def test_a_new_month_begins_anew(team, alice):
    set_cap(team, alice, 1_000_000)
    post_adjustment(team, 600_000, "Work", by=alice, request_id=uuid4())
    last_month = this_month().start - timedelta(days=3)
    Budget.objects.filter(pk=team.pk).update(period_start=month_of(last_month).start)
    budget = get_budget(team)
    assert (budget.spent_micro, budget.last_alerted_percent) == (0, 0)


def test_a_lowered_cap_is_told_at_once(team, alice):
    post_adjustment(team, 600_000, "Work", by=alice, request_id=uuid4())
    assert told(team) == []
    set_cap(team, alice, 1_000_000)
    assert told(team) == ["budget.half_spent"]


def test_a_team_heading_past_its_cap_is_told_once(team, alice):
    set_cap(team, alice, 100_000_000)
    spend(team, 1_000_000)
    budget = get_budget(team)
    left = (month_of(now() + timedelta(days=32)).start - now()).total_seconds() / 86_400
    assert forecast_micro(budget) >= budget.spent_micro
    Budget.objects.filter(pk=team.pk).update(cap_micro=1_000_001)
    expected = 1 if left > 0.1 else forecast.warn_of_overspending()
    assert expected == 1
    forecast.warn_of_overspending()
    forecast.warn_of_overspending()
    assert told(team).count("budget.forecast_over") == 1


@pytest.mark.parametrize("day", [1, 2, 15])
def test_the_page_forecasts_from_its_own_sums_what_the_api_does(team, monkeypatch, day):
    """On the first of a month yesterday is not among the sums of the page."""
    moment = this_month().start.replace(day=day, hour=15)
    monkeypatch.setattr(forecast, "now", lambda: moment)
    monkeypatch.setattr(forecast, "this_month", lambda: month_of(moment))
    for number in range(3):
        spend(team, 1_000_000 * (number + 1), at=moment - timedelta(days=number))
    days = daily_charges(team, month_of(moment)).values_list("day", "amount_micro")
    expected = forecast_micro(get_budget(team))
    assert expected > 3_000_000  # Today's and yesterday's, spread over what is left.
    assert forecast_micro(get_budget(team), dict(days)) == expected


def test_a_job_waits_near_the_cap_unless_an_hour_is_paid_for(team, job):
    get_budget(team)
    Budget.objects.filter(pk=team.pk).update(cap_micro=500_000, spent_micro=450_000)
    assert claims.claim("cpu", "w1") is None
    job.refresh_from_db()
    assert job.status == Status.QUEUED
    assert "cannot run an hour" in wait_reason(job)
    Budget.objects.filter(pk=team.pk).update(cap_micro=5_000_000, spent_micro=4_550_000)
    assert admission.admission_refusal(get_budget(team), "cpu", 1) == ""
    assert claims.claim("cpu", "w1") is not None


def usual_days(team, micro=1_000_000, days=6):
    for day in range(1, days + 1):
        spend(team, micro, at=now() - timedelta(days=day))


def test_an_unusual_day_puts_the_team_on_hold_and_its_jobs_pause(team, job, alice):
    attempt = claims.claim("cpu", "w1")
    usual_days(team)
    spend(team, 19_000_000)
    assert holds.hold_anomalous_teams() == 0  # Under the floor.
    spend(team, 2_000_000)
    assert holds.hold_anomalous_teams() == 1
    assert holds.hold_anomalous_teams() == 0
    assert told(team).count("budget.held") == 1
    assert "10 times the usual $1.00" in get_budget(team).hold_reason
    assert not get_budget(team).can_spend
    assert watchdog.pause_jobs_of_held_teams() == 1
    job.refresh_from_db()
    attempt.refresh_from_db()
    assert (job.status, attempt.ended_at is not None) == (Status.PAUSED, True)
    job.resume()
    assert claims.claim("cpu", "w1") is None
    assert "on hold" in wait_reason(job)


def test_few_days_of_history_are_nothing_to_compare_with(team):
    usual_days(team, days=4)
    spend(team, 90_000_000)
    assert holds.hold_anomalous_teams() == 0


def test_an_owner_confirms_and_the_hold_does_not_return_today(team, alice, client_of):
    usual_days(team)
    spend(team, 30_000_000)
    holds.hold_anomalous_teams()
    page = client_of(alice).get(reverse("billing:usage", args=[team.slug])).content.decode()
    assert "release the hold" in page
    answer = client_of(alice).post(reverse("billing:release-hold", args=[team.slug]))
    assert answer.status_code == 302
    assert get_budget(team).held_at is None
    assert holds.hold_anomalous_teams() == 0
    assert AuditEntry.objects.get(action="team.released").actor == alice.email


def test_members_may_not_release_and_strangers_find_nothing(team, bob, mallory, client_of):
    holds.place_hold(team, "odd")
    url = reverse("billing:release-hold", args=[team.slug])
    assert client_of(bob).post(url).status_code == 403
    assert client_of(mallory).post(url).status_code == 404
    assert get_budget(team).held_at is not None


@pytest.mark.parametrize("factor", [0])
def test_the_anomaly_hold_can_be_switched_off(team, settings, factor):
    settings.ANOMALY_FACTOR = factor
    usual_days(team)
    spend(team, 90_000_000)
    assert holds.hold_anomalous_teams() == 0
