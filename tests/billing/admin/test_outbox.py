"""Operators see what Stripe was told and refused, and may resend it, on record."""

from datetime import timedelta

import pytest
from django.test import Client

from accounts.models import AuditEntry, User
from billing.credit import grants
from billing.models import Reconciliation, StripeCustomer, StripeOutbox
from billing.stripe.account import get_or_create_customer_id
from billing.stripe.credit import mirror_due
from billing.stripe.reconciliation import reconcile, reconcile_all
from billing.stripe.usage_outbox import build, flush, report_usage
from tests.billing.stripe.fake.metering import EVENTS
from tests.billing.stripe.usage_outbox.outbox_facts import rows, run_of, use

OUTBOX, DRIFT = "/admin/billing/stripeoutbox/", "/admin/billing/reconciliation/"
CUSTOMERS = "/admin/billing/stripecustomer/"


@pytest.fixture
def operator(db, client_of) -> Client:
    return client_of(User.objects.create_superuser("root@lathe.test", "correct horse battery"))


@pytest.fixture
def onlooker(db, client_of) -> Client:
    """Staff that may look and not act."""
    from django.contrib.auth.models import Permission

    person = User.objects.create_user("look@lathe.test", "correct horse battery", is_staff=True)
    person.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    return client_of(person)


@pytest.fixture
def dead(team, metered) -> StripeOutbox:
    use(run_of(team), 5_000)
    build()
    metered.server.break_next("POST", EVENTS, "refuse")
    flush()
    return rows(team)[0]


@pytest.fixture
def drift(team, metered) -> Reconciliation:
    """An invoice that missed what Stripe accepted and lost."""
    stripe_id = metered.subscribe(team)
    metered.wait(hours=1)
    use(run_of(team), 5_000_000, metered.now())
    report_usage()
    metered.world.meter_events.clear()
    invoice_id = metered.close_period(stripe_id)
    metered.world.finalize(invoice_id)
    metered.read(team, stripe_id)
    metered.wait(hours=3)
    reconcile(team, invoice_id)
    return Reconciliation.objects.get(scope="quantity")


def act(client: Client, page: str, action: str, row) -> str:
    answer = client.post(page, {"action": action, "_selected_action": [row.pk]}, follow=True)
    return answer.content.decode()


@pytest.mark.parametrize("page", [OUTBOX, DRIFT, CUSTOMERS])
def test_the_lists_open_for_operators_only(operator, alice, client_of, page, dead, drift):
    assert operator.get(page).status_code == 200
    assert client_of(alice).get(page).status_code == 302


def test_dead_rows_show_why(operator, dead):
    page = operator.get(f"{OUTBOX}?status__exact=dead").content.decode()
    assert dead.identifier in page
    assert "This is not acceptable." in page
    assert dead.identifier not in operator.get(f"{OUTBOX}?status__exact=sent").content.decode()
    assert operator.get(f"{OUTBOX}{dead.pk}/change/").status_code == 200


def test_a_dead_row_is_resent_on_record(operator, dead, metered):
    page = act(operator, OUTBOX, "resend_rows", dead)
    assert "1 to be sent again" in page
    assert (flush(), metered.billed()) == (1, 5)
    entry = AuditEntry.objects.get(action="outbox.resent")
    assert (entry.actor, entry.target) == ("root@lathe.test", dead.identifier)
    assert entry.detail == {"was": "dead", "error": "This is not acceptable."}


def test_onlookers_cannot_resend(onlooker, dead, drift):
    assert onlooker.get(OUTBOX).status_code == 200
    act(onlooker, OUTBOX, "resend_rows", dead)
    act(onlooker, DRIFT, "repair", drift)
    dead.refresh_from_db()
    assert dead.status == "dead"
    assert not AuditEntry.objects.filter(action="outbox.resent").exists()


def test_a_local_row_says_why_it_is_not_resent(operator, team):
    use(run_of(team), 5_000)
    build()
    page = act(operator, OUTBOX, "resend_rows", rows(team)[0])
    assert "billed on our ledger alone" in page


@pytest.mark.parametrize("verb", ["change", "delete"])
def test_nothing_is_changed_or_deleted_by_hand(operator, dead, drift, verb):
    for page, row in ((OUTBOX, dead), (DRIFT, drift)):
        assert operator.post(f"{page}{row.pk}/{verb}/", {"post": "yes"}).status_code == 403
        assert operator.get(f"{page}add/").status_code == 403


def test_a_difference_shows_both_figures_and_leads_to_its_rows(operator, team, drift):
    page = operator.get(DRIFT).content.decode()
    assert "+5" in page
    link = page.split('href="/admin/billing/stripeoutbox/?')[1].split('"')[0]
    behind = operator.get(f"{OUTBOX}?{link.replace('&amp;', '&')}").content.decode()
    assert rows(team)[0].identifier in behind


def test_resending_what_is_behind_a_difference_settles_it(operator, team, drift, metered):
    assert "differs by 5" in act(operator, DRIFT, "check_again", drift)
    assert "1 to be sent again" in act(operator, OUTBOX, "resend_rows", rows(team)[0])
    flush(), flush()
    assert metered.billed("adjustments") == 100_000  # 5,000 seconds, on the next invoice.
    assert "agrees now" in act(operator, DRIFT, "check_again", drift)
    assert AuditEntry.objects.filter(action="reconciliation.checked").count() == 2


def test_checking_while_stripe_is_away_says_so(operator, drift, metered):
    metered.server.break_next("GET", "/lines$", "drop-before", 3)
    assert "could not be reached" in act(operator, DRIFT, "check_again", drift)


def test_a_row_that_is_being_sent_is_left_to_its_sender(operator, dead, metered):
    StripeOutbox.objects.update(
        status="unknown", first_try_at=metered.now(),
        claimed_until=metered.now() + timedelta(minutes=3),
    )  # fmt: skip
    assert "being sent right now" in act(operator, OUTBOX, "resend_rows", dead)


def test_credit_that_differs_is_repaired_with_one_click(operator, story):
    story.subscribe("free")
    grants.grant(story.team, 5_000_000, kind="promo", source="gift", note="A gift")
    mirror_due()
    (at_stripe,) = story.world.kind("billing.credit_grant").values()
    at_stripe["_left"] = 100
    assert reconcile_all() == 1
    page = act(operator, DRIFT, "repair", Reconciliation.objects.get())
    assert "is what our ledger says" in page
    left = [grant["_left"] for grant in story.world.kind("billing.credit_grant").values()]
    assert sum(left) == 500


def test_a_customer_that_stripe_does_not_know_is_forgotten_on_record(operator, onlooker, story):
    before = get_or_create_customer_id(story.team)
    row = StripeCustomer.objects.get()
    act(onlooker, CUSTOMERS, "forget", row)
    assert get_or_create_customer_id(story.team) == before
    assert "made anew" in act(operator, CUSTOMERS, "forget", row)
    assert get_or_create_customer_id(story.team) != before
    assert AuditEntry.objects.get(action="stripe.customer_forgotten").target == before
