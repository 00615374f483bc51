"""What a person may see has changed: every process hears of it, in the same transaction."""

import pytest
from django.contrib.auth import get_user_model

from accounts.models import Membership, Role
from accounts.sign_in import stream_endings
from web.streams.access import access_ended, person_channel, session_channel


@pytest.fixture
def ended(monkeypatch) -> list[str]:
    """The channels that were notified."""
    channels: list[str] = []
    monkeypatch.setattr("web.streams.access.notify", lambda *names: channels.extend(names))
    return channels


def test_a_changed_person_ends_their_streams(alice, ended):
    alice.is_active = False
    alice.save()
    assert set(ended) == {person_channel(alice.pk)}


def test_a_new_password_ends_their_streams(alice, ended):
    alice.set_password("another horse battery")
    alice.save(update_fields=["password"])
    assert set(ended) == {person_channel(alice.pk)}


def test_signing_in_and_being_made_end_nothing(alice, ended):
    alice.save(update_fields=["last_login"])
    get_user_model().objects.create_user("new@acme.test", "correct horse battery")
    assert ended == []


@pytest.mark.parametrize("change", ["role", "delete"])
def test_a_changed_membership_ends_their_streams(bob, ended, change):
    membership = Membership.objects.get(user=bob)
    if change == "delete":
        membership.delete()
    else:
        membership.role = Role.VIEWER
        membership.save()
    assert set(ended) == {person_channel(bob.pk)}


def test_signing_out_ends_the_streams_of_that_session_only(alice, client_of, ended):
    browser = client_of(alice)
    key = browser.session.session_key
    ended.clear()
    browser.post("/accounts/logout/")
    assert ended == [session_channel(key)]
    assert key not in ended[0]


def test_nobody_is_told_of_nothing(ended):
    access_ended()
    stream_endings._end_of_session(None, None)
    assert ended == []
