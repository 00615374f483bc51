"""Which e-mails a member gets who chose nothing, something, or no e-mails."""

import pytest

from accounts.models import EmailFrequency, EmailPreference, EventGroup, Membership, Role
from accounts.notifications import preferences
from accounts.notifications.preferences import default_preference, email_recipients
from accounts.notifications.publish import publish

pytestmark = pytest.mark.django_db
ALL, MINE, NEVER = EmailPreference.ALL, EmailPreference.MINE, EmailPreference.NEVER
GROUPS = [
    EventGroup.FAILURES,
    EventGroup.RESULTS,
    EventGroup.PROGRESS,
    EventGroup.BUDGET,
    EventGroup.PAYMENT,
    EventGroup.SECURITY,
]


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        (Role.OWNER, [ALL, MINE, NEVER, ALL, ALL, ALL]),
        (Role.ADMIN, [ALL, MINE, NEVER, ALL, ALL, ALL]),
        (Role.MEMBER, [ALL, MINE, NEVER, ALL, NEVER, NEVER]),
        (Role.VIEWER, [NEVER, MINE, NEVER, NEVER, NEVER, NEVER]),
        (Role.BILLING, [NEVER, MINE, NEVER, ALL, ALL, NEVER]),
    ],
)
def test_the_default_depends_on_what_the_role_may_do(role, expected):
    assert [default_preference(role, group) for group in GROUPS] == expected


def test_an_unknown_role_gets_only_what_it_started():
    assert default_preference("guest", EventGroup.FAILURES) == NEVER
    assert default_preference("guest", EventGroup.RESULTS) == MINE


def test_a_stored_preference_replaces_the_default_of_its_group_only(alice):
    member = alice.memberships.get()
    before = preferences.preferences_of(member)
    preferences.set_preferences(member, {EventGroup.BUDGET: NEVER})
    preferences.set_preferences(member, {EventGroup.BUDGET: MINE})
    after = preferences.preferences_of(Membership.objects.get(pk=member.pk))
    assert after == before | {EventGroup.BUDGET: MINE}


def recipients(team, event: str, **options) -> set[str]:
    publish(team, event, "It happened.", **options)
    notice = team.notices.latest("created_at")
    return {member.user.email for member in email_recipients(notice)}


def test_mine_means_what_i_caused(team, alice, bob):
    assert recipients(team, "dataset.ready", about=bob) == {bob.email}
    assert recipients(team, "dataset.ready") == set()


def test_who_is_inactive_or_wants_no_email_gets_none(team, alice, bob):
    preferences.set_frequency(alice.memberships.get(), EmailFrequency.NEVER)
    bob.is_active = False
    bob.save()
    assert recipients(team, "training_job.failed") == set()


def test_a_notice_may_concern_another_group_than_its_event_does(team, alice, vera):
    assert recipients(team, "training_job.queued", group=EventGroup.FAILURES) == {alice.email}


def test_an_unsubscribe_token_names_member_and_group(alice):
    member = alice.memberships.get()
    token = preferences.create_unsubscribe_token(member, EventGroup.BUDGET)
    assert preferences.read_unsubscribe_token(token) == (member, EventGroup.BUDGET)
    token = preferences.create_unsubscribe_token(member)
    assert preferences.read_unsubscribe_token(token) == (member, None)


def test_a_token_signed_for_something_else_is_refused(alice):
    from django.core import signing

    forged = signing.dumps([alice.memberships.get().pk, ""], salt="another purpose")
    assert preferences.read_unsubscribe_token(forged) is None
