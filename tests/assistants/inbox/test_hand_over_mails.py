"""A storm of hand-overs: one e-mail at once, then one every few minutes about who still waits."""

from datetime import timedelta

import pytest
from django.core import mail
from django.utils import timezone

from accounts.models import EmailFrequency, Membership, NoticeEmail
from accounts.notifications import bundles, digest, email
from accounts.notifications.fan_out import fan_out_pending
from assistants.conversations import state
from assistants.models import Conversation

pytestmark = pytest.mark.django_db


@pytest.fixture
def clock(monkeypatch):
    """Lets minutes pass for what sends e-mails."""
    passed = [timedelta()]

    def moved() -> object:
        return timezone.now() + passed[0]

    monkeypatch.setattr(bundles, "now", moved)
    monkeypatch.setattr("accounts.models.notification.now", moved)

    def wait(minutes: float) -> None:
        passed[0] += timedelta(minutes=minutes)

    return wait


def hand_over(assistant, count: int) -> list[Conversation]:
    channel = assistant.channels.get()
    talks = [Conversation.objects.create(channel=channel) for _ in range(count)]
    for talk in talks:
        assert state.wait_for_person(talk, "rule")
    return talks


def send() -> list[str]:
    """The subjects of what is sent now to alice."""
    fan_out_pending()
    before = len(mail.outbox)
    bundles.send_due()
    email.send_due()
    return [one.subject for one in mail.outbox[before:] if one.to == ["alice@acme.test"]]


def test_a_storm_is_one_mail_at_once_and_one_every_five_minutes(assistant, alice, bob, clock):
    hand_over(assistant, 1)
    assert send() == ["[Acme Labs] A visitor of shop-help waits for a person."]
    talks = hand_over(assistant, 30)
    assert send() == []
    clock(4)
    assert send() == []
    for talk in talks[:9]:
        state.take(talk, alice)
    clock(1.1)
    assert send() == ["[Acme Labs] 21 visitors wait for a person."]
    body = mail.outbox[-1].body
    assert body.count("/conversations/") == 20
    assert "and 1 more" in body
    assert f"/conversations/{talks[0].pk}/" not in body
    clock(60)
    assert send() == []  # Of each conversation at most once.
    assert not NoticeEmail.objects.filter(next_at__isnull=False).exists()
    taken = NoticeEmail.objects.filter(given_up_at__isnull=False, user=alice)
    assert taken.count() == 9
    assert {message.to[0] for message in mail.outbox} == {"alice@acme.test", "bob@acme.test"}


def test_what_was_taken_before_the_mail_is_told_to_nobody(assistant, alice, clock):
    (talk,) = hand_over(assistant, 1)
    state.take(talk, alice)
    assert send() == []
    hand_over(assistant, 1)
    assert len(send()) == 1  # What was not sent delays nothing.


def test_a_daily_digest_tells_who_still_waits(assistant, alice, monkeypatch):
    Membership.objects.filter(user=alice).update(email_pace=EmailFrequency.DAILY)
    taken, waiting = hand_over(assistant, 2)
    state.take(taken, alice)
    fan_out_pending()
    NoticeEmail.objects.update(next_at=timezone.now())
    digest.send_due()
    (message,) = mail.outbox
    assert f"/conversations/{waiting.pk}/" in message.body
    assert f"/conversations/{taken.pk}/" not in message.body
    assert "once a day" in message.body
