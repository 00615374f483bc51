"""E-mails about notices: who gets them, once, and how to stop them."""

import re
from datetime import timedelta

import pytest
from django.core import mail
from django.test import Client
from django.utils.timezone import now

from accounts.models import EmailPreference, EventGroup, Membership, NoticeEmail
from accounts.notifications import email, preferences
from accounts.notifications.email import send_due
from accounts.notifications.fan_out import fan_out_pending
from accounts.notifications.publish import publish

pytestmark = pytest.mark.django_db


@pytest.fixture
def people(alice, bob, vera):
    """An owner, a member and a viewer."""
    return alice, bob, vera


def mailed(team, event, **facts) -> set[str]:
    publish(team, event, "Something happened.", **facts)
    fan_out_pending()
    send_due()
    return {address for message in mail.outbox for address in message.to}


def test_a_failure_is_mailed_to_those_who_can_act_on_it(team, people):
    assert mailed(team, "training_job.failed") == {"alice@acme.test", "bob@acme.test"}


def test_a_success_is_mailed_to_who_launched_it(team, people):
    assert mailed(team, "training_job.succeeded", about=people[1]) == {"bob@acme.test"}


def test_progress_is_mailed_to_nobody_and_payments_to_who_pays(team, people):
    assert mailed(team, "training_job.running", about=people[1]) == set()
    assert mailed(team, "payment.failed") == {"alice@acme.test"}


def test_a_members_own_wish_wins(team, people):
    alice, _, vera = (person.memberships.get() for person in people)
    preferences.set_preferences(alice, {EventGroup.FAILURES: EmailPreference.NEVER})
    preferences.set_preferences(vera, {EventGroup.FAILURES: EmailPreference.ALL})
    assert mailed(team, "training_job.failed") == {"bob@acme.test", "vera@acme.test"}


def test_the_message_reads_well_and_links(team, alice, settings):
    settings.PUBLIC_URL = "https://lathe.test"
    mailed(team, "training_job.failed", url="/jobs/7/")
    (message,) = mail.outbox
    assert message.subject == "[Acme Labs] Something happened."
    html, kind = message.alternatives[0]
    assert kind == "text/html"
    for text in (message.body, html):
        assert "https://lathe.test/jobs/7/" in text
        assert "https://lathe.test/unsubscribe/" in text
    assert message.extra_headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_what_customers_name_things_cannot_break_the_message(team, alice):
    team.name = "A\r\nBcc: eve@evil.test"
    team.save()
    publish(team, "training_job.failed", "<script>x</script>\r\nBcc: eve@evil.test\x00")
    fan_out_pending()
    send_due()
    (message,) = mail.outbox
    assert message.recipients() == ["alice@acme.test"]
    assert "\n" not in message.subject
    assert "<script>" not in message.alternatives[0][0]


def test_fanning_out_and_sending_twice_mails_once(team, alice):
    mailed(team, "training_job.failed")
    team.notices.update(fanned_out_at=None)
    fan_out_pending()
    send_due()
    assert len(mail.outbox) == 1


def test_a_mail_server_that_is_away_is_asked_again_later(team, alice, monkeypatch):
    monkeypatch.setattr(email.EmailMultiAlternatives, "send", refuse)
    mailed(team, "training_job.failed")
    row = NoticeEmail.objects.get()
    assert (row.attempts, row.sent_at, row.error) == (1, None, "no route to the mail server")
    assert timedelta(seconds=50) < row.next_at - now() < timedelta(seconds=80)
    monkeypatch.undo()
    assert send_due() == 0
    NoticeEmail.objects.update(next_at=now())
    send_due()
    row.refresh_from_db()
    assert row.sent_at is not None
    assert len(mail.outbox) == 1


def refuse(*_: object) -> None:
    raise ConnectionRefusedError("no route to the mail server")


def test_after_seven_attempts_an_email_is_given_up(team, alice, monkeypatch):
    monkeypatch.setattr(email.EmailMultiAlternatives, "send", refuse)
    publish(team, "training_job.failed", "It failed.")
    fan_out_pending()
    for _ in range(email.MAX_ATTEMPTS):
        NoticeEmail.objects.update(next_at=now())
        send_due()
    row = NoticeEmail.objects.get()
    assert row.attempts == 7
    assert row.given_up_at is not None


def test_a_worker_killed_after_sending_repeats_the_message_id(team, alice, monkeypatch):
    class Killed(BaseException):
        pass

    def die(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(email, "update_claimed", die)
        with pytest.raises(Killed):
            mailed(team, "training_job.failed")
    assert send_due() == 0  # Nobody else sends it meanwhile.
    NoticeEmail.objects.update(next_at=now())
    send_due()
    assert len({message.extra_headers["Message-ID"] for message in mail.outbox}) == 1


def test_who_has_left_meanwhile_gets_nothing(team, alice, bob):
    publish(team, "training_job.failed", "It failed.")
    fan_out_pending()
    bob.memberships.all().delete()
    send_due()
    assert [message.to for message in mail.outbox] == [["alice@acme.test"]]


def unsubscribe_path() -> str:
    return re.search(r"(/unsubscribe/\S+)", mail.outbox[-1].body).group(1)


def test_one_click_stops_one_group_without_signing_in(team, alice, client):
    mailed(team, "training_job.failed")
    path = unsubscribe_path()
    assert b"Stop these e-mails?" in client.get(path).content
    assert (
        preferences.preferences_of(Membership.objects.get())[EventGroup.FAILURES]
        == EmailPreference.ALL
    )
    strict = Client(enforce_csrf_checks=True)
    assert strict.post(path, {"List-Unsubscribe": "One-Click"}).status_code == 200
    now_wished = preferences.preferences_of(Membership.objects.get())
    assert now_wished[EventGroup.FAILURES] == EmailPreference.NEVER
    assert now_wished[EventGroup.BUDGET] == EmailPreference.ALL
    mail.outbox.clear()
    assert mailed(team, "training_job.failed") == set()


def test_stopping_a_digest_stops_all_emails(team, alice, client):
    member = alice.memberships.get()
    path = f"/unsubscribe/{preferences.create_unsubscribe_token(member)}/"
    assert "“" not in client.get(path).content.decode()
    assert client.post(path).status_code == 200
    assert mailed(team, "payment.failed") == set()


def test_a_forged_or_old_unsubscribe_link_is_a_404(team, alice, client):
    mailed(team, "training_job.failed")
    path = unsubscribe_path()
    alice.memberships.all().delete()
    for wrong in (path, path[:-3] + "abc/", "/unsubscribe/x/"):
        assert client.post(wrong).status_code == 404
