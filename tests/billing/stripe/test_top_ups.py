"""Prepaid credit: once per payment, whatever Stripe says how often and in which order."""

import threading
import uuid

import pytest
from django.db import connection

from accounts.models import Notice
from billing.credit import grants
from billing.models import LedgerEntry, OperatorAlert, StripeCustomer, TopUp, WebhookEvent
from billing.stripe import gateway
from billing.stripe.account import adopt_account, get_or_create_customer_id
from billing.stripe.credit import mirror_due
from billing.stripe.top_ups import TopUpDone, TopUpMismatch, start_top_up_checkout
from billing.stripe.webhooks import inbox
from billing.stripe.webhooks.dispatcher import process_due
from tests.billing.stripe.fake.server import KEY, LIVE_KEY
from web.errors import NotAllowed

pytestmark = pytest.mark.django_db
DOLLAR = 1_000_000


def grants_at_stripe(story):
    return list(story.world.kind("billing.credit_grant").values())


def test_nothing_is_granted_before_stripe_says_paid(story):
    row = story.open_top_up()
    assert grants.credit_balance_micro(story.team) == 0
    story.world.pay(row.session_id)
    assert grants.credit_balance_micro(story.team) == 0
    story.deliver()
    assert grants.credit_balance_micro(story.team) == 25 * DOLLAR


@pytest.mark.parametrize(
    "how", [{"times": 3}, {"backwards": True}, {"times": 3, "backwards": True}]
)
def test_one_payment_is_one_credit(story, how):
    row = story.open_top_up()
    story.world.pay(row.session_id, is_paid=False)
    story.world.settle(row.session_id)  # A second event about the same payment.
    story.deliver(**how)
    row.refresh_from_db()
    assert (row.status, grants.credit_balance_micro(story.team)) == ("paid", 25 * DOLLAR)
    [grant] = grants_at_stripe(story)
    assert grant["amount"]["monetary"]["value"] == 2_500
    assert story.server.refusals == []


def test_a_delayed_payment_counts_when_it_arrives(story):
    row = story.open_top_up()
    story.world.pay(row.session_id, is_paid=False)
    story.deliver()
    assert grants.credit_balance_micro(story.team) == 0
    story.world.settle(row.session_id, succeeds=False)
    story.deliver()
    row.refresh_from_db()
    assert (row.status, grants.credit_balance_micro(story.team)) == ("failed", 0)


def test_a_failed_payment_says_so_and_the_page_stops_asking(story, client_of):
    row = story.open_top_up()
    story.world.pay(row.session_id, is_paid=False)
    story.deliver()
    address = f"/teams/acme-labs/plan/paid/?session_id={row.session_id}"
    shown = client_of(story.owner).get(address).content.decode()
    assert "Waiting for your bank" in shown
    assert "hx-get" in shown
    story.world.settle(row.session_id, succeeds=False)
    story.deliver()
    shown = client_of(story.owner).get(address).content.decode()
    assert "Your bank did not make this payment" in shown
    assert "paid/?session_id" not in shown
    assert start_top_up_checkout(story.team, story.owner, row.amount_cents, row.pk)
    row.refresh_from_db()
    assert row.status == "open"


def test_going_back_to_a_page_that_expired_opens_a_fresh_one(story):
    request_id = uuid.uuid4()
    first = start_top_up_checkout(story.team, story.owner, 2_500, request_id)
    gateway.expire_checkout_session(first.rpartition("/")[2])
    story.deliver()
    second = start_top_up_checkout(story.team, story.owner, 2_500, request_id)
    assert second != first
    story.world.pay(second.rpartition("/")[2])
    story.deliver()
    assert grants.credit_balance_micro(story.team) == 25 * DOLLAR
    with pytest.raises(TopUpDone):
        start_top_up_checkout(story.team, story.owner, 2_500, request_id)
    assert story.server.refusals == []


def test_a_top_up_that_was_returned_in_part_says_how_much(story, client_of):
    row = story.pay_top_up(2_000)
    story.world.refund(row.payment_intent, 500)
    story.deliver()
    row.refresh_from_db()
    assert (row.status, row.kept_cents) == ("paid", 1_500)
    assert "$5.00 returned" in client_of(story.owner).get("/teams/acme-labs/plan/").content.decode()


def test_an_expired_page_is_an_expired_top_up(story):
    row = story.open_top_up()
    gateway.expire_checkout_session(row.session_id)
    story.deliver()
    row.refresh_from_db()
    assert row.status == "expired"


def test_a_page_that_was_given_up_and_is_paid_after_all_grants_its_credit(story, settings):
    row = story.open_top_up()
    settings.STRIPE_SECRET_KEY = LIVE_KEY  # For an hour: what was open is given up.
    adopt_account()
    settings.STRIPE_SECRET_KEY = KEY
    adopt_account()
    row.refresh_from_db()
    assert row.status == "expired"
    story.world.pay(row.session_id)
    story.deliver(times=2)
    row.refresh_from_db()
    assert (row.status, grants.credit_balance_micro(story.team)) == ("paid", 25 * DOLLAR)


def test_a_page_for_a_customer_that_had_to_be_made_anew_is_kept(story):
    get_or_create_customer_id(story.team)
    StripeCustomer.objects.update(customer_id="cus_of_nobody")
    request_id = uuid.uuid4()
    first = start_top_up_checkout(story.team, story.owner, 2_500, request_id)
    assert TopUp.objects.get().session_id == first.rpartition("/")[2]
    assert start_top_up_checkout(story.team, story.owner, 2_500, request_id) == first


def test_the_same_form_twice_is_one_page(story):
    request_id = uuid.uuid4()
    first = start_top_up_checkout(story.team, story.owner, 2_500, request_id)
    assert start_top_up_checkout(story.team, story.owner, 2_500, request_id) == first
    assert TopUp.objects.count() == 1
    with pytest.raises(TopUpMismatch):
        start_top_up_checkout(story.team, story.owner, 9_900, request_id)


@pytest.mark.parametrize("fault", ["drop-after", "500-after", "500-before", "429"])
def test_stripes_own_grant_is_made_once_whatever_fails(story, fault):
    story.server.break_next("POST", "/v1/billing/credit_grants$", fault, times=2)
    story.pay_top_up()
    for _ in range(3):
        mirror_due()
    assert grants.credit_balance_micro(story.team) == 25 * DOLLAR
    assert len(grants_at_stripe(story)) == 1


@pytest.mark.parametrize("how", [{"times": 3}, {"backwards": True}])
def test_a_refund_takes_the_credit_back_once(story, how):
    row = story.open_top_up()
    session = story.world.pay(row.session_id)
    story.world.refund(session["payment_intent"])
    story.deliver(**how)
    row.refresh_from_db()
    assert (row.status, grants.credit_balance_micro(story.team)) == ("refunded", 0)
    assert LedgerEntry.objects.filter(kind="take_back").count() <= 1
    assert [grant["_left"] for grant in grants_at_stripe(story) if not grant["voided_at"]] == []


def left_at_stripe(story):
    return sum(grant["_left"] for grant in grants_at_stripe(story))


def replay_all(story):
    """Every message is carried out once more, the last one first."""
    for event in WebhookEvent.objects.order_by("-created_at", "-pk"):
        inbox.replay(event, story.owner)
        process_due()


def test_a_part_refund_takes_a_part_here_and_at_stripe(story):
    row = story.pay_top_up()
    story.world.refund(row.payment_intent, 1_000)
    story.deliver(times=2)
    assert (grants.credit_balance_micro(story.team), left_at_stripe(story)) == (15 * DOLLAR, 1_500)
    row.refresh_from_db()
    assert row.status == "paid"
    story.world.refund(row.payment_intent, 500)
    story.deliver(times=2)
    assert (grants.credit_balance_micro(story.team), left_at_stripe(story)) == (10 * DOLLAR, 1_000)
    replay_all(story)
    assert (grants.credit_balance_micro(story.team), left_at_stripe(story)) == (10 * DOLLAR, 1_000)
    assert not OperatorAlert.objects.exists()


def test_a_part_refund_of_a_grant_that_invoices_have_used_leaves_what_is_due(story):
    row = story.pay_top_up()
    [grant] = grants_at_stripe(story)
    grant["_left"] = 1_800  # An invoice took $7, so that it cannot be voided any more.
    for left in (1_500, 500, 0):
        story.world.refund(row.payment_intent, 1_000)
        story.deliver(times=2)
        assert left_at_stripe(story) == left


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("credit_grants$", "500-after"),
        ("/void$", "500-before"),
        ("/void$", "drop-after"),
        ("balance_summary$", "500-before"),
    ],
)
def test_a_part_refund_that_stripe_interrupts_is_carried_out_once(story, path, fault, monkeypatch):
    monkeypatch.setattr("stripe._http_client.HTTPClient._sleep_time_seconds", lambda *_, **__: 0)
    row = story.pay_top_up()
    story.world.refund(row.payment_intent, 1_000)
    method = "GET" if "balance" in path else "POST"
    story.server.break_next(method, path, fault, times=3)
    story.deliver()
    for _ in range(3):
        mirror_due()
    assert (grants.credit_balance_micro(story.team), left_at_stripe(story)) == (15 * DOLLAR, 1_500)


def test_a_refund_after_a_dispute_was_won_takes_the_credit_back_once(story):
    row = story.pay_top_up()
    dispute = story.world.dispute(row.payment_intent)
    story.deliver()
    story.world.close_dispute(dispute["id"], "won")
    story.deliver()
    story.world.refund(row.payment_intent)
    story.deliver(times=3)
    row.refresh_from_db()
    assert (row.status, grants.credit_balance_micro(story.team), left_at_stripe(story)) == (
        "refunded",
        0,
        0,
    )
    replay_all(story)
    row.refresh_from_db()
    assert (row.status, grants.credit_balance_micro(story.team), left_at_stripe(story)) == (
        "refunded",
        0,
        0,
    )
    assert LedgerEntry.objects.filter(kind="take_back").total_micro() == 50 * DOLLAR


def test_a_refund_that_fails_gives_the_credit_again(story):
    row = story.pay_top_up()
    refund = story.world.refund(row.payment_intent)
    story.deliver()
    assert grants.credit_balance_micro(story.team) == 0
    refund["status"] = "failed"
    story.world.happened("refund.failed", refund)
    story.deliver(times=2)
    assert grants.credit_balance_micro(story.team) == 25 * DOLLAR


def test_a_refund_that_is_given_up_later_gives_the_credit_again(story):
    """One that waits for the customer's bank details ends without a message of its own kind."""
    row = story.pay_top_up()
    refund = story.world.refund(row.payment_intent) | {"status": "requires_action"}
    story.world.kind("refund")[refund["id"]] = refund
    story.deliver()
    assert grants.credit_balance_micro(story.team) == 0
    refund["status"] = "canceled"
    story.world.happened("refund.updated", refund)
    story.deliver(times=2)
    assert (grants.credit_balance_micro(story.team), left_at_stripe(story)) == (25 * DOLLAR, 2_500)


@pytest.mark.parametrize("change", ["updated", "funds_withdrawn"])
def test_an_inquiry_that_becomes_a_dispute_takes_the_credit_back(story, change):
    """The bank first asks, and money moves only later: Stripe says so by an update."""
    row = story.pay_top_up()
    dispute = story.world.dispute(row.payment_intent)
    dispute["status"] = "warning_needs_response"
    story.deliver()
    assert grants.credit_balance_micro(story.team) == 25 * DOLLAR
    dispute["status"] = "needs_response"
    story.world.happened(f"charge.dispute.{change}", dispute)
    story.deliver(times=2)
    assert (grants.credit_balance_micro(story.team), left_at_stripe(story)) == (0, 0)
    assert OperatorAlert.objects.filter(key=f"dispute:{dispute['id']}", settled_at=None).exists()


def test_a_dispute_holds_the_credit_until_it_is_won(story):
    row = story.pay_top_up()
    dispute = story.world.dispute(row.payment_intent)
    story.deliver(times=2)
    assert grants.credit_balance_micro(story.team) == 0
    assert OperatorAlert.objects.filter(key=f"dispute:{dispute['id']}").exists()
    story.world.close_dispute(dispute["id"], "won")
    story.deliver(times=2)
    assert grants.credit_balance_micro(story.team) == 25 * DOLLAR


def test_a_dispute_that_is_won_gives_again_what_it_took_and_no_refund_before_it(story):
    row = story.pay_top_up(2_000)
    story.world.refund(row.payment_intent, 1_500)
    story.deliver()
    dispute = story.world.dispute(row.payment_intent)  # Of the whole charge.
    story.deliver(times=2)
    assert grants.credit_balance_micro(story.team) == 0
    story.world.close_dispute(dispute["id"], "won")
    story.deliver(times=2)
    row.refresh_from_db()
    assert (grants.credit_balance_micro(story.team), left_at_stripe(story)) == (5 * DOLLAR, 500)
    assert (row.status, row.kept_cents) == ("paid", 500)


def test_a_part_refund_of_a_payment_with_tax_takes_its_part_of_the_credit(story):
    row = story.pay_top_up(2_000)
    story.world.get("payment_intent", row.payment_intent)["amount"] = 2_400
    story.world.refund(row.payment_intent, 1_200)
    story.deliver(times=2)
    row.refresh_from_db()
    assert (grants.credit_balance_micro(story.team), row.kept_cents) == (10 * DOLLAR, 1_000)
    story.world.refund(row.payment_intent, 1_200)
    story.deliver(times=2)
    row.refresh_from_db()
    assert (grants.credit_balance_micro(story.team), row.status) == (0, "refunded")


@pytest.mark.parametrize("backwards", [True, False])
def test_many_part_refunds_with_tax_take_no_more_than_one_refund_of_them_all(story, backwards):
    row = story.pay_top_up(2_000)
    story.world.get("payment_intent", row.payment_intent)["amount"] = 2_170  # 8.5 % of tax.
    for _ in range(10):
        story.world.refund(row.payment_intent, 101)
    failed = story.world.refund(row.payment_intent, 101)
    failed["status"] = "failed"
    story.world.refund(row.payment_intent, 101)
    story.deliver(times=2, backwards=backwards)
    row.refresh_from_db()
    assert row.returned_cents == -(-11 * 101 * 2_000 // 2_170) == 1_024
    assert grants.credit_balance_micro(story.team) == (2_000 - 1_024) * DOLLAR // 100


def test_a_lost_dispute_changes_nothing_more(story):
    row = story.pay_top_up()
    dispute = story.world.dispute(row.payment_intent)
    story.world.close_dispute(dispute["id"], "lost")
    story.deliver(times=2, backwards=True)
    assert grants.credit_balance_micro(story.team) == 0
    assert Notice.objects.filter(event="credit.taken_back").count() == 1
    alert = OperatorAlert.objects.filter(key=f"dispute:{dispute['id']}").first()
    assert alert is None or (alert.settled_at and "Answer it" not in alert.sentence)


def test_only_the_billing_permission_may_top_up(story, bob, vera, mallory):
    for person in (bob, vera, mallory):
        with pytest.raises(NotAllowed):
            start_top_up_checkout(story.team, person, 2_500, uuid.uuid4())
    assert not TopUp.objects.exists()


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_four_workers_carry_out_one_payment_once(story):
    row = story.open_top_up()
    story.world.pay(row.session_id, is_paid=False)
    story.world.settle(row.session_id)
    for event in story.world.events:
        assert story.post(event) == 200

    def work():
        process_due()
        connection.close()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    row.refresh_from_db()
    assert (row.status, grants.credit_balance_micro(story.team)) == ("paid", 25 * DOLLAR)
    mirror_due()
    assert len(grants_at_stripe(story)) == 1
