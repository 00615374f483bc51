"""Suspending a team: recorded once, told once, lifted again."""

import pytest

from accounts.models import AuditEntry, Notice
from accounts.teams.suspension import suspend, unsuspend

pytestmark = pytest.mark.django_db


def test_suspending_twice_is_recorded_and_published_once(team, alice):
    suspend(team, alice)
    first = type(team).objects.get(pk=team.pk).frozen_at
    suspend(team, alice)
    team.refresh_from_db()
    assert team.frozen_at == first
    assert [entry.action for entry in AuditEntry.objects.filter(team=team)] == ["team.frozen"]
    assert Notice.objects.get().sentence == "An operator suspended Acme Labs: nothing new may run."


def test_lifting_what_is_not_suspended_says_nothing(team):
    unsuspend(team, None)
    assert not AuditEntry.objects.exists()
    assert not Notice.objects.exists()


def test_a_lifted_suspension_can_be_repeated(team, alice):
    suspend(team, alice)
    unsuspend(team, None)
    team.refresh_from_db()
    assert team.frozen_at is None
    suspend(team, alice)
    events = list(Notice.objects.order_by("created_at").values_list("event", flat=True))
    assert events == ["team.frozen", "team.unfrozen", "team.frozen"]
    assert list(AuditEntry.objects.order_by("pk").values_list("actor", flat=True)) == [
        *(alice.email, "system", alice.email)
    ]
