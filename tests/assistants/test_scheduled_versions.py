"""Versions that nobody asked for: only when due, if something was taught, and past the gate."""

from datetime import timedelta

import pytest
from django.utils.timezone import now

from accounts.models import Membership, Notice
from assistants.knowledge.phrasings import add_phrasing
from assistants.models import Assistant, Version
from assistants.versions import building
from assistants.versions.scheduling import build_due

pytestmark = pytest.mark.django_db


@pytest.fixture
def weekly(live):
    Assistant.objects.filter(pk=live.assistant_id).update(rebuild_days=7)
    Version.objects.update(created_at=now() - timedelta(days=8))
    return Assistant.objects.get(pk=live.assistant_id)


def teach(assistant):
    add_phrasing(assistant.answers.get(key="pickup"), "may i fetch it from the shop myself")


def test_it_is_built_when_it_is_due_and_something_was_taught(weekly):
    assert build_due() == 0  # Nothing was taught.
    teach(weekly)
    Version.objects.update(created_at=now() - timedelta(days=6))
    assert build_due() == 0  # Too early.
    Version.objects.update(created_at=now() - timedelta(days=8))
    assert build_due() == 1
    version = weekly.versions.first()
    assert (version.number, version.publish_when_measured) == (2, True)
    assert build_due() == 0  # Under way.


def test_nothing_is_built_for_who_did_not_ask(weekly):
    teach(weekly)
    Assistant.objects.update(rebuild_days=None)
    assert build_due() == 0
    Assistant.objects.update(rebuild_days=7, state="paused")
    assert build_due() == 0


def test_an_owner_stands_in_for_who_left(weekly, alice, mallory):
    teach(weekly)
    Assistant.objects.update(created_by=mallory)
    assert not Membership.objects.filter(team=weekly.team, user=mallory).exists()
    assert build_due() == 1
    assert weekly.versions.first().created_by == alice


def test_the_team_hears_why_a_version_does_not_go_live(weekly, alice):
    weekly.test_cases.create(question="x y z", expects="answer", value="pickup", locked=True)
    building.create_version(weekly, alice, publish_when_measured=True)
    building.build_pending()
    assert weekly.versions.first().status == "measured"
    notice = Notice.objects.get(event="assistant.version_refused")
    assert "The locked question “x y z” is broken" in notice.sentence
