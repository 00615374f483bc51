"""Only a confirmed address is one's own."""

import pytest
from allauth.account.models import EmailAddress

from accounts.models import Membership
from accounts.notifications.preferences import email_recipients
from accounts.notifications.publish import publish


@pytest.mark.parametrize("has_confirmed", [True, False])
def test_an_unconfirmed_address_never_becomes_primary(alice, client_of, has_confirmed):
    EmailAddress.objects.filter(user=alice).update(verified=has_confirmed)
    EmailAddress.objects.create(user=alice, email="victim@elsewhere.test")
    form = {"email": "victim@elsewhere.test", "action_primary": ""}
    page = client_of(alice).post("/accounts/email/", form, follow=True)
    alice.refresh_from_db()
    assert alice.email == "alice@acme.test"
    assert "Confirm this address first" in page.content.decode()


def test_a_confirmed_address_becomes_primary(alice, client_of):
    EmailAddress.objects.create(user=alice, email="new@acme.test", verified=True)
    client_of(alice).post("/accounts/email/", {"email": "new@acme.test", "action_primary": ""})
    alice.refresh_from_db()
    assert alice.email == "new@acme.test"


@pytest.mark.parametrize("email", ["nobody@x.test", "", "\0", "x" * 3000])
def test_an_address_of_nobody_becomes_nothing(alice, client_of, email):
    answer = client_of(alice).post("/accounts/email/", {"email": email, "action_primary": ""})
    assert answer.status_code in {302, 400}


def test_notices_go_to_confirmed_addresses_only(alice, bob, team, client_of):
    EmailAddress.objects.filter(user=bob).update(verified=False)
    Membership.objects.update(role="owner")
    publish(team, "training_job.failed", "It failed.")
    recipients = email_recipients(team.notices.get())
    assert [member.user for member in recipients] == [alice]
    page = client_of(bob).get(f"/teams/{team.slug}/notices/settings/").content.decode()
    assert "Nothing is sent until you confirm this address" in page
    page = client_of(alice).get(f"/teams/{team.slug}/notices/settings/").content.decode()
    assert "Nothing is sent until" not in page
