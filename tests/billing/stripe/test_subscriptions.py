"""A team's subscription: chosen, paid, changed, ended, and never twice."""

import uuid

import pytest

from accounts.models import AuditEntry, Membership, Notice, User
from accounts.people.deletion import delete_account
from billing.budgets.budget import get_budget
from billing.credit import grants
from billing.models import OperatorAlert, Plan, Rate, StripeCustomer, StripeInvoice, Subscription
from billing.pricing import supersede
from billing.stripe import gateway
from billing.stripe.account import get_or_create_customer_id
from billing.stripe.catalog import sync_catalog
from billing.stripe.errors import StripeServerError, StripeUnreachable
from billing.stripe.subscriptions import (
    AlreadySubscribed,
    PlanNotPriced,
    active_subscription,
    cancel_at_period_end,
    change_plan,
    end_deserted,
    metered_prices,
    preview_change,
    preview_next_invoice,
    start_checkout,
    undo_cancellation,
)
from web.errors import NotAllowed

pytestmark = pytest.mark.django_db
DOLLAR = 1_000_000


def plan(code):
    return Plan.objects.get(pk=code)


@pytest.mark.parametrize("how", [{}, {"times": 3}, {"backwards": True}])
def test_a_paid_plan_counts_once_stripe_says_so(story, how):
    assert get_budget(story.team).plan_id == "free"
    subscription = story.subscribe("team", **how)
    assert (subscription.status, subscription.plan_id) == ("active", "team")
    assert get_budget(story.team).plan_id == "team"
    assert len(subscription.metered_items) == Rate.objects.in_force().count()
    assert (
        grants.credit_balance_micro(story.team) == 20 * DOLLAR
    )  # The month's included credit, once.
    [grant] = story.world.kind("billing.credit_grant").values()
    assert (grant["category"], grant["amount"]["monetary"]["value"]) == ("promotional", 2_000)
    assert grant["expires_at"] is None  # The ledger's expiry withdraws it.
    invoice = StripeInvoice.objects.get()
    assert (invoice.status, invoice.total_cents) == ("paid", 4_900)


def test_coming_back_from_checkout_grants_nothing(story, client_of):
    url = start_checkout(story.team, story.owner, plan("team"), uuid.uuid4())
    session_id = url.rpartition("/")[2]
    story.world.pay(session_id)
    page = client_of(story.owner).get(f"/teams/acme-labs/plan/paid/?session_id={session_id}")
    assert "Waiting for Stripe" in page.content.decode()
    assert active_subscription(story.team) is None
    story.deliver()
    page = client_of(story.owner).get(f"/teams/acme-labs/plan/paid/?session_id={session_id}")
    assert "The subscription is active" in page.content.decode()


def test_usage_can_be_paid_by_card_without_a_fee(story):
    subscription = story.subscribe("free")
    assert (subscription.plan_id, subscription.plan_item_id) == ("free", "")
    assert get_budget(story.team).plan_id == "free"


def test_the_same_form_twice_is_one_page_and_a_new_one_closes_the_old(story):
    request_id = uuid.uuid4()
    first = start_checkout(story.team, story.owner, plan("team"), request_id)
    second = start_checkout(story.team, story.owner, plan("scale"), uuid.uuid4())
    sessions = story.world.kind("checkout.session")
    assert sessions[first.rpartition("/")[2]]["status"] == "expired"
    assert sessions[second.rpartition("/")[2]]["status"] == "open"


def page(url):
    return url.rpartition("/")[2]


def test_a_double_click_gets_one_page_and_going_back_a_fresh_one(story):
    request_id, sessions = uuid.uuid4(), story.world.kind("checkout.session")
    first = start_checkout(story.team, story.owner, plan("team"), request_id)
    assert start_checkout(story.team, story.owner, plan("team"), request_id) == first
    start_checkout(story.team, story.owner, plan("scale"), request_id)
    again = start_checkout(story.team, story.owner, plan("team"), request_id)
    assert sessions[page(first)]["status"] == "expired"
    assert sessions[page(again)]["status"] == "open"
    assert story.server.refusals == []


@pytest.mark.parametrize("fault", ["500-before", "500-after"])
def test_a_failure_of_stripes_at_checkout_does_not_stick_to_the_form(story, fault, monkeypatch):
    monkeypatch.setattr("stripe._http_client.HTTPClient._sleep_time_seconds", lambda *_, **__: 0)
    request_id, path = uuid.uuid4(), "/v1/checkout/sessions$"
    story.server.break_next("POST", path, fault, times=3)
    assert start_checkout(story.team, story.owner, plan("team"), request_id)
    StripeCustomer.objects.update(checkout_id="")
    story.server.break_next("POST", path, fault, times=6)
    with pytest.raises(StripeServerError):
        start_checkout(story.team, story.owner, plan("team"), request_id)
    assert start_checkout(story.team, story.owner, plan("team"), request_id)


@pytest.mark.slow
@pytest.mark.parametrize("way_out", ["choose", "end", "pay"])
def test_a_subscription_that_is_not_paid_for_has_every_way_out(story, client_of, way_out):
    subscription = story.subscribe("team")
    draft = story.world.close_period(subscription.stripe_id)
    story.world.finalize(draft["id"])
    story.world.collect(draft["id"], succeeds=False)
    story.world.give_up(subscription.stripe_id)
    story.deliver()
    assert get_budget(story.team).plan_id == "free"
    shown = client_of(story.owner).get("/teams/acme-labs/plan/").content.decode()
    assert f"https://invoice.stripe.com/i/{draft['id']}" in shown
    if way_out == "pay":
        story.world.collect(draft["id"])
        story.deliver()
        assert get_budget(story.team).plan_id == "team"
        return
    if way_out == "end":
        assert cancel_at_period_end(story.team, story.owner, uuid.uuid4()) is None
    again = story.subscribe("scale")
    assert story.world.get("subscription", subscription.stripe_id)["status"] == "canceled"
    assert (again.plan_id, get_budget(story.team).plan_id) == ("scale", "scale")
    assert story.server.refusals == []


def test_a_paid_invoice_and_one_with_a_credit_note_show_what_is_left_to_pay(story):
    subscription = story.subscribe("scale")
    assert StripeInvoice.objects.get().due_cents == 0
    draft = story.world.close_period(subscription.stripe_id)
    story.world.finalize(draft["id"])
    story.deliver()
    assert StripeInvoice.objects.get(pk=draft["id"]).due_cents == 49_900
    story.world.credit_note(draft["id"], 48_900)
    story.deliver()
    assert StripeInvoice.objects.get(pk=draft["id"]).due_cents == 1_000


@pytest.mark.slow
def test_a_change_that_happened_is_not_called_a_failure(story, client_of):
    story.subscribe("team")
    story.server.break_next("GET", "/v1/subscriptions/", "500-before", times=3)
    change_plan(story.team, story.owner, plan("scale"), uuid.uuid4())
    story.deliver()
    assert get_budget(story.team).plan_id == "scale"
    story.server.break_next("POST", "/v1/checkout/sessions$", "500-before", times=6)
    answer = client_of(story.owner).post(
        "/teams/acme-labs/plan/top-up/", {"dollars": "25", "request_id": str(uuid.uuid4())}
    )
    assert answer.status_code == 502
    assert "Nothing was changed" not in answer.content.decode()


def test_a_team_subscribes_once(story):
    story.subscribe()
    with pytest.raises(AlreadySubscribed):
        start_checkout(story.team, story.owner, plan("scale"), uuid.uuid4())


def test_between_paying_and_its_message_no_second_page_opens(story):
    url = start_checkout(story.team, story.owner, plan("team"), uuid.uuid4())
    story.world.pay(url.rpartition("/")[2])
    with pytest.raises(AlreadySubscribed, match="just subscribed"):
        start_checkout(story.team, story.owner, plan("team"), uuid.uuid4())


@pytest.mark.parametrize("backwards", [False, True])
def test_of_two_subscriptions_the_younger_is_ended(story, backwards):
    urls = []
    for _ in range(2):
        urls.append(start_checkout(story.team, story.owner, plan("team"), uuid.uuid4()))
        StripeCustomer.objects.update(checkout_id="")  # As if two requests had raced.
    for url in urls:
        story.world.pay(url.rpartition("/")[2])
        story.world.advance(1)
    first, second = sorted(story.world.kind("subscription"))
    story.deliver(backwards=backwards)
    story.deliver()
    assert Subscription.objects.get().stripe_id == first
    assert story.world.get("subscription", second)["status"] == "canceled"
    assert OperatorAlert.objects.filter(key=f"second-subscription:{second}").exists()
    assert get_budget(story.team).plan_id == "team"


def test_a_change_is_shown_before_and_made_once(story):
    story.subscribe("team")
    change = preview_change(story.team, plan("scale"))
    assert change.total_cents > 49_900
    assert active_subscription(story.team).plan_id == "team"
    request_id = uuid.uuid4()
    after = change_plan(story.team, story.owner, plan("scale"), request_id)
    assert (after.plan_id, get_budget(story.team).plan_id) == ("scale", "scale")
    story.deliver(times=2)
    assert Subscription.objects.get().plan_id == "scale"
    assert AuditEntry.objects.filter(action="plan.changed").count() == 1
    assert preview_next_invoice(story.team).total_cents == change.total_cents


def test_down_to_a_plan_without_a_fee_and_up_again(story):
    story.subscribe("team")
    after = change_plan(story.team, story.owner, plan("free"), uuid.uuid4())
    assert (after.plan_id, after.plan_item_id) == ("free", "")
    after = change_plan(story.team, story.owner, plan("team"), uuid.uuid4())
    assert after.plan_id == "team"
    assert after.plan_item_id


def test_a_team_that_everybody_left_is_not_charged_again(story, alice):
    subscription = story.subscribe("team")
    assert end_deserted() == 0
    for person in User.objects.filter(memberships__team=story.team).order_by("-pk"):
        if person != story.owner:
            delete_account(person)
    delete_account(story.owner)
    assert end_deserted() == 1
    at_stripe = story.world.kind("subscription")[subscription.stripe_id]
    assert at_stripe["cancel_at_period_end"]
    assert AuditEntry.objects.filter(team=story.team, action="plan.ending", actor="system").exists()
    assert end_deserted() == 0


def test_an_operator_hears_of_a_deserted_subscription_that_stripe_does_not_end(story, monkeypatch):
    story.subscribe("team")
    Membership.objects.filter(team=story.team).delete()
    monkeypatch.setattr(gateway, "update_subscription", refuse)
    assert end_deserted() == 0
    alert = OperatorAlert.objects.get(key__startswith="deserted:")
    assert "could not be ended" in alert.sentence
    monkeypatch.undo()
    assert end_deserted() == 1
    alert.refresh_from_db()
    assert alert.settled_at


def refuse(*_, **__):
    raise StripeUnreachable


def test_ending_takes_effect_at_the_end_and_can_be_taken_back(story):
    story.subscribe("team")
    assert cancel_at_period_end(story.team, story.owner, uuid.uuid4()).cancel_at
    assert get_budget(story.team).plan_id == "team"
    assert undo_cancellation(story.team, story.owner, uuid.uuid4()).cancel_at is None
    cancel_at_period_end(story.team, story.owner, uuid.uuid4())
    story.world.end_subscription(Subscription.objects.get().stripe_id)
    story.deliver(backwards=True)
    assert Subscription.objects.get().status == "canceled"
    assert get_budget(story.team).plan_id == "free"
    again = story.subscribe("scale")
    assert (again.plan_id, Subscription.objects.count()) == ("scale", 1)


@pytest.mark.parametrize("backwards", [False, True])
def test_a_card_that_fails_is_told_and_forgotten_when_it_works(story, backwards):
    subscription = story.subscribe("team")
    draft = story.world.close_period(subscription.stripe_id)
    story.world.finalize(draft["id"])
    story.world.collect(draft["id"], succeeds=False)
    story.deliver(times=2, backwards=backwards)
    subscription.refresh_from_db()
    assert subscription.status == "past_due"
    assert "not charged" in subscription.payment_problem
    assert get_budget(story.team).plan_id == "team"  # While Stripe still tries.
    notice = Notice.objects.get(event="payment.failed")
    assert "LATHE-" in notice.sentence
    story.world.collect(draft["id"])
    story.deliver(backwards=backwards)
    subscription.refresh_from_db()
    assert (subscription.status, subscription.payment_problem) == ("active", "")
    assert StripeInvoice.objects.get(pk=draft["id"]).status == "paid"


def test_each_month_brings_its_credit_once(story):
    subscription = story.subscribe("team")
    draft = story.world.close_period(subscription.stripe_id)
    story.world.finalize(draft["id"])
    story.world.collect(draft["id"])
    story.deliver(times=2)
    sources = grants.CreditGrant.objects.filter(team=story.team).values_list("source", flat=True)
    assert len(set(sources)) == 2


def test_a_late_message_about_an_ended_subscription_changes_nothing(story):
    old = story.subscribe("team").stripe_id
    story.world.end_subscription(old)
    story.deliver()
    new = story.subscribe("scale").stripe_id
    story.world.happened("customer.subscription.updated", story.world.get("subscription", old))
    story.deliver()
    assert Subscription.objects.get().stripe_id == new
    assert get_budget(story.team).plan_id == "scale"


def test_a_new_rate_counts_from_the_next_period(story):
    subscription = story.subscribe("team")
    supersede("gpu", 800_000)
    sync_catalog()
    new = Rate.objects.current("gpu").stripe_price_id
    assert new not in Subscription.objects.get().metered_items
    story.world.close_period(subscription.stripe_id)
    story.deliver()
    items = Subscription.objects.get().metered_items
    assert new in items
    assert len(items) == Rate.objects.in_force().count()


def test_prices_with_names_as_long_as_stripes_are_added_although_it_fails_once(story, monkeypatch):
    monkeypatch.setattr("stripe._http_client.HTTPClient._sleep_time_seconds", lambda *_, **__: 0)
    subscription = story.subscribe("team")
    for rate in list(Rate.objects.in_force()):
        supersede(rate.sku, rate.nano_per_unit + 1_000)
    sync_catalog()
    prices = story.world.kind("price")
    for rate in Rate.objects.in_force():
        price = prices.pop(rate.stripe_price_id)
        price["id"] = f"price_1{price['id'][6:]:x>23}"
        prices[price["id"]] = price
        Rate.objects.filter(pk=rate.pk).update(stripe_price_id=price["id"])
    story.server.break_next("POST", r"/v1/subscriptions/\w+$", "500-before", times=3)
    story.world.close_period(subscription.stripe_id)
    story.deliver()
    assert Subscription.objects.get().metered_items.keys() == set(metered_prices())
    assert story.server.refusals == []


def test_a_customer_deleted_at_stripe_is_made_anew(story):
    story.subscribe("team")
    before = get_or_create_customer_id(story.team)
    story.world.end_subscription(Subscription.objects.get().stripe_id)
    story.world.happened("customer.deleted", story.world.get("customer", before))
    story.world.get("customer", before)["deleted"] = True
    story.deliver()
    assert get_budget(story.team).plan_id == "free"
    assert get_or_create_customer_id(story.team) != before


def test_a_customer_is_made_once_although_stripe_fails_after_it(story):
    story.server.break_next("POST", "/v1/customers$", "drop-after")
    first = get_or_create_customer_id(story.team)
    assert get_or_create_customer_id(story.team) == first
    assert len(story.world.kind("customer")) == 1


def test_a_plan_without_a_price_says_what_to_do(story):
    Plan.objects.filter(pk="team").update(stripe_price_id="")
    with pytest.raises(PlanNotPriced, match="sync_stripe_catalog"):
        start_checkout(story.team, story.owner, plan("team"), uuid.uuid4())


def test_only_the_billing_permission_may_choose(story, bob, vera, mallory):
    for person in (bob, vera, mallory):
        with pytest.raises(NotAllowed):
            start_checkout(story.team, person, plan("team"), uuid.uuid4())
    assert not story.world.kind("checkout.session")
