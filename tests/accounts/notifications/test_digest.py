"""The daily digest: all of a day's notices in one e-mail, once."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.core import mail
from django.utils.timezone import now

from accounts.models import EmailFrequency, NoticeEmail
from accounts.notifications import digest, email, preferences
from accounts.notifications.fan_out import fan_out_pending
from accounts.notifications.publish import publish
from accounts.tasks import send_emails

pytestmark = pytest.mark.django_db


@pytest.fixture
def daily(team, alice, bob):
    """Alice wants one e-mail a day, Bob each as it happens."""
    preferences.set_frequency(alice.memberships.get(), EmailFrequency.DAILY)
    return alice


def happened(team, *sentences: str) -> None:
    for sentence in sentences:
        publish(team, "training_job.failed", sentence, url="/jobs/7/")
    fan_out_pending()
    send_emails()


def the_hour_comes() -> None:
    NoticeEmail.objects.filter(next_at__isnull=False).update(next_at=now())
    send_emails()


def to(person) -> list[mail.EmailMessage]:
    return [message for message in mail.outbox if message.to == [person.email]]


def test_the_hour_is_the_next_seven_oclock():
    early = datetime(2026, 11, 22, 6, 59, tzinfo=UTC)
    late = early + timedelta(minutes=1)
    assert digest.next_digest_at(early) == late
    assert digest.next_digest_at(late) == late + timedelta(days=1)


def test_a_day_is_one_email_to_who_wants_that(team, daily, bob, settings):
    settings.PUBLIC_URL = "https://lathe.test"
    happened(team, "One failed.", "<b>Two</b> failed.", "Three failed.")
    assert (len(to(daily)), len(to(bob))) == (0, 3)
    the_hour_comes()
    [message] = to(daily)
    assert message.subject.startswith("[Acme Labs] 3 notices since 20")
    html = message.alternatives[0][0]
    for text in (message.body, html):
        positions = [text.index(word) for word in ("One failed", "Two", "Three failed")]
        assert positions == sorted(positions)
        assert "https://lathe.test/jobs/7/" in text
    assert "<b>Two" in message.body
    assert "<b>Two" not in html
    assert len(to(bob)) == 3


def test_a_digest_is_sent_once_and_the_next_has_only_what_is_new(team, daily):
    happened(team, "One failed.")
    the_hour_comes()
    the_hour_comes()
    assert len(to(daily)) == 1
    happened(team, "Two failed.")
    the_hour_comes()
    _, second = to(daily)
    assert "One failed." not in second.body


def without_token(body: str) -> str:
    """The link that unsubscribes is signed with the second of sending."""
    return re.sub(r"/[\w-]+:[\w-]+:[\w-]+/", "/TOKEN/", body)


def test_a_worker_killed_after_sending_repeats_the_same_message(team, daily, monkeypatch):
    class Killed(BaseException):
        pass

    def die(*_: object, **__: object) -> None:
        raise Killed

    happened(team, "One failed.", "Two failed.")
    monkeypatch.setattr(email, "update_claimed", die)
    with pytest.raises(Killed):
        the_hour_comes()
    monkeypatch.undo()
    send_emails()  # Another worker leaves the claim alone.
    assert len(to(daily)) == 1
    the_hour_comes()
    first, second = to(daily)
    assert first.extra_headers["Message-ID"] == second.extra_headers["Message-ID"]
    assert without_token(first.body) == without_token(second.body)


def test_a_mail_server_that_is_away_gets_the_digest_later(team, daily, monkeypatch):
    happened(team, "One failed.")

    def refuse(*_: object) -> None:
        raise ConnectionRefusedError("no route to the mail server")

    monkeypatch.setattr(email.EmailMultiAlternatives, "send", refuse)
    the_hour_comes()
    waiting = NoticeEmail.objects.get(in_digest=True)
    assert (waiting.sent_at, waiting.error) == (None, "no route to the mail server")
    assert waiting.next_at > now()
    monkeypatch.undo()
    the_hour_comes()
    assert len(to(daily)) == 1


def test_who_left_or_wants_no_more_gets_no_digest(team, daily, bob):
    preferences.set_frequency(bob.memberships.get(), EmailFrequency.DAILY)
    happened(team, "One failed.")
    daily.memberships.all().delete()
    preferences.set_frequency(bob.memberships.get(), EmailFrequency.NEVER)
    the_hour_comes()
    assert mail.outbox == []
    reasons = NoticeEmail.objects.filter(given_up_at__isnull=False).values_list("error", flat=True)
    assert set(reasons) == {
        "No longer in the team, or the address is not confirmed.",
        "No longer wanted.",
    }


def test_the_page_remembers_when_to_write(team, alice, client_of):
    client, page = client_of(alice), f"/teams/{team.slug}/notices/settings/"
    groups = preferences.preferences_of(alice.memberships.get())
    client.post(page, groups | {"pace": "daily"})
    assert alice.memberships.get().email_pace == EmailFrequency.DAILY
    assert '<option value="daily" selected>' in client.get(page).content.decode()
    client.post(page, groups | {"pace": "sometimes"})
    assert alice.memberships.get().email_pace == EmailFrequency.DAILY
