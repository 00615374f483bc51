"""Whatever happens to a team's money, Stripe charges what our statements say, to the cent."""

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import AuditEntry
from billing.budgets.budget import get_budget
from billing.credit import grants
from billing.metering import runs
from billing.metering.admission import admission_refusal
from billing.models import (
    Budget,
    CreditGrant,
    LedgerEntry,
    MeteredRun,
    OperatorAlert,
    Plan,
    Reconciliation,
    StripeCustomer,
    StripeOutbox,
    Subscription,
)
from billing.months import this_month
from billing.pricing import supersede
from billing.stripe import credit, gateway, reconciliation
from billing.stripe.account import adopt_account, count_foreign_rows, get_or_create_customer_id
from billing.stripe.catalog import sync_catalog
from billing.stripe.doctor import keep_catalog
from billing.stripe.subscriptions import change_plan
from billing.stripe.usage_outbox import build, claims
from tests.billing.stripe.fake.server import LIVE_KEY
from tests.billing.stripe.usage_outbox.outbox_facts import run_of

pytestmark = pytest.mark.django_db
DOLLAR = 1_000_000
PLAN_FREE = "free"


def give(tale, dollars: int, **how) -> CreditGrant:
    given = grants.grant(
        tale.team, dollars * DOLLAR, kind="promo", source=f"test:{uuid.uuid4()}", note="A gift",
        **how,
    )  # fmt: skip
    credit.mirror_due()
    return given


def expire_all() -> None:
    from tests.billing.credit.test_credit import let_expire

    for grant in CreditGrant.objects.filter(expires_at__isnull=False, left_micro__gt=0):
        let_expire(grant)
    grants.expire_due()


@pytest.mark.slow
def test_credit_that_an_operator_gives_reaches_stripe(tale):
    tale.subscribe(PLAN_FREE)
    give(tale, 5)
    tale.use(8)
    tale.assert_sides_agree(3)
    tale.close()
    tale.assert_sides_agree(3)
    assert not Reconciliation.objects.exists()


@pytest.mark.slow
def test_credit_given_after_use_covers_the_period_on_both_sides(tale):
    tale.subscribe(PLAN_FREE)
    tale.use(8)
    tale.assert_sides_agree(8)
    give(tale, 5)
    tale.assert_sides_agree(3)
    assert grants.credit_balance_micro(tale.team) == 0
    give(tale, 10)
    tale.assert_sides_agree(0)
    assert grants.credit_balance_micro(tale.team) == 7 * DOLLAR
    tale.close()
    tale.assert_sides_agree(0)
    assert tale.credit_at_stripe() == 700


def test_credit_given_when_the_month_has_turned_and_the_invoice_is_a_draft_counts_once(tale):
    end = this_month().start - timedelta(minutes=30)  # Of the subscription's period.
    before = this_month().previous.previous
    last_day = (before.end - timedelta(days=1)).day
    start = before.start.replace(day=min(end.day, last_day), hour=end.hour, minute=end.minute)
    tale.world.offset = int((start - timezone.now()).total_seconds())
    tale.subscribe(PLAN_FREE)
    tale.use(8)
    tale.report()
    invoice = tale.world.close_period(Subscription.objects.get().stripe_id)
    tale.deliver()
    tale.pass_time(minutes=40)
    give(tale, 5)
    tale.pass_time(minutes=20)
    tale.world.finalize(invoice["id"])
    tale.world.collect(invoice["id"])
    tale.deliver()
    tale.assert_sides_agree(3)
    assert grants.credit_balance_micro(tale.team) == 0
    assert not Reconciliation.objects.filter(state="open").exists()


def test_a_top_up_used_in_part_before_subscribing_gives_stripe_what_is_left(tale):
    tale.pay_top_up(4_000)
    tale.use(10)
    tale.subscribe(PLAN_FREE)
    assert tale.credit_at_stripe() == 3_000
    tale.use(35)
    tale.assert_sides_agree(5)
    tale.close()
    tale.assert_sides_agree(5)


@pytest.mark.parametrize("is_heard", [True, False])
def test_a_deleted_customers_credit_goes_to_the_next_one(tale, is_heard):
    tale.pay_top_up(4_000)
    tale.subscribe(PLAN_FREE)
    before = StripeCustomer.objects.get().customer_id
    gateway_delete(tale)
    if not is_heard:
        tale.delivered = len(tale.world.events)
        Subscription.objects.all().delete()
        reconciliation.reconcile_all()
    tale.deliver()
    assert get_or_create_customer_id(tale.team) != before
    tale.subscribe(PLAN_FREE)
    tale.use(30)
    tale.server.refusals.clear()
    tale.assert_sides_agree(0)
    assert tale.credit_at_stripe() == 4_000


def gateway_delete(tale) -> None:
    from tests.billing.stripe.fake.endpoints import Call, delete_customer

    customer = StripeCustomer.objects.get(team=tale.team).customer_id
    delete_customer(tale.world, Call("DELETE", "", {}), customer)


@pytest.mark.slow
def test_a_refund_is_credit_on_both_sides(tale):
    tale.subscribe(PLAN_FREE)
    give(tale, 4)
    entry = tale.use(10)
    tale.assert_sides_agree(6)
    refund(entry, 5)
    tale.assert_sides_agree(1)
    refund(entry, 5)
    tale.assert_sides_agree(0)
    assert grants.credit_balance_micro(tale.team) == 4 * DOLLAR
    tale.close()
    tale.assert_sides_agree(0)
    assert tale.credit_at_stripe() == 400


def refund(entry: LedgerEntry, dollars: int) -> None:
    from billing.ledger.corrections import refund_part

    refund_part(entry.about, "Sorry", request_id=uuid.uuid4(), amount_micro=dollars * DOLLAR)


@pytest.mark.slow
def test_a_refund_of_a_paid_invoice_is_credit_for_the_next(tale):
    tale.subscribe(PLAN_FREE)
    entry = tale.use(10)
    tale.close()
    tale.assert_sides_agree(10)
    refund(entry, 7)
    tale.assert_sides_agree(10)
    assert (grants.credit_balance_micro(tale.team), tale.credit_at_stripe()) == (7 * DOLLAR, 700)
    tale.use(9)
    tale.assert_sides_agree(12)
    tale.close()
    tale.assert_sides_agree(12)


def test_what_is_given_back_while_an_invoice_is_a_draft_is_no_charge_of_the_next_period(
    tale, monkeypatch
):
    tale.begin(monkeypatch, days_ago=65)
    tale.subscribe(PLAN_FREE)
    entry = tale.use(10)
    tale.close()
    invoice = tale.world.close_period(Subscription.objects.get().stripe_id)
    tale.deliver()
    tale.pass_time(minutes=35)
    refund(entry, 7)  # Of what was paid: it becomes credit.
    credit.mirror_due()
    tale.pass_time(minutes=25)
    tale.world.finalize(invoice["id"])
    tale.deliver()
    tale.use(9)
    tale.assert_sides_agree(12)
    refund(entry, 3)
    tale.assert_sides_agree(10)
    assert grants.credit_balance_micro(tale.team) == 1 * DOLLAR
    tale.close()
    tale.assert_sides_agree(10)


@pytest.mark.slow
def test_credit_covers_late_usage_and_adjustments(tale):
    tale.subscribe(PLAN_FREE)
    give(tale, 20)
    tale.use(5)
    tale.report()
    tale.use(6)  # Nobody takes it in before the invoice is final.
    tale.close_unreported()
    tale.deliver()
    tale.adjust(4)
    tale.assert_sides_agree(0)
    assert StripeOutbox.objects.filter(status="moved").count() == 1
    assert tale.credit_at_stripe() == 1_500
    tale.use(8)
    tale.assert_sides_agree(3)
    tale.close()
    tale.assert_sides_agree(3)
    tale.adjust(-2)
    tale.assert_sides_agree(3)
    assert tale.credit_at_stripe() == 200


@pytest.mark.parametrize("is_built", [True, False])
def test_what_was_given_back_of_usage_that_missed_its_invoice_is_carried_on(tale, is_built):
    tale.subscribe(PLAN_FREE)
    tale.use(9)
    give(tale, 8)
    tale.assert_sides_agree(1)
    entry = tale.use(4)
    if is_built:
        build()
    refund(entry, 4)
    credit.mirror_due()
    tale.close_unreported()  # It asks for nine and takes nine of twelve off.
    tale.deliver()
    assert not Reconciliation.objects.filter(scope="balance", state="open").exists()
    tale.assert_sides_agree(1)
    assert tale.credit_at_stripe() == 300
    give(tale, 5)
    tale.assert_sides_agree(0)
    assert grants.credit_balance_micro(tale.team) == 4 * DOLLAR
    tale.use(6)
    tale.close()
    tale.assert_sides_agree(2)
    assert tale.credit_at_stripe() == 0
    assert reconciliation.reconcile(tale.team) == 0


def test_a_refund_of_what_our_ledger_alone_bills_undoes_that_and_is_no_credit(tale, monkeypatch):
    tale.begin(monkeypatch, days_ago=2)  # Its last invoice may still come.
    tale.subscribe(PLAN_FREE)
    tale.pass_time(days=1)
    tale.world.end_subscription(Subscription.objects.get().stripe_id)
    tale.deliver()
    entry = tale.use(10)
    refund(entry, 6)
    assert (tale.statements_cents(), tale.charged_cents()) == (400, 0)
    refund(entry, 4)
    assert tale.statements_cents() == grants.credit_balance_micro(tale.team) == 0


@pytest.mark.slow
def test_credit_settles_charges_and_not_what_was_given_back(tale):
    tale.subscribe(PLAN_FREE)
    tale.use(10)
    tale.close()
    tale.adjust(-2)
    tale.adjust(3)
    give(tale, 5)
    tale.close_unreported()
    tale.deliver()
    tale.assert_sides_agree(10)
    give(tale, 6)
    tale.assert_sides_agree(10)


def test_what_is_given_back_while_an_invoice_becomes_final_is_credit(tale):
    tale.subscribe(PLAN_FREE)
    tale.pass_time(minutes=3)
    tale.adjust(5)
    tale.report()
    tale.close_unreported()
    tale.adjust(-2)  # Stripe has collected the 5 already: the message is on its way.
    tale.deliver(times=2)
    tale.assert_sides_agree(5)
    assert grants.credit_balance_micro(tale.team) == 2 * DOLLAR
    tale.use(3)
    tale.assert_sides_agree(6)


@pytest.mark.slow
def test_credit_bought_while_an_invoice_becomes_final_is_for_what_follows(tale):
    tale.subscribe(PLAN_FREE)
    tale.use(8)
    tale.report()
    top_up = tale.open_top_up(1_000)
    tale.close_unreported()
    tale.world.pay(top_up.session_id)
    tale.deliver(backwards=True)
    tale.assert_sides_agree(8)
    assert grants.credit_balance_micro(tale.team) == 10 * DOLLAR
    tale.use(12)
    tale.assert_sides_agree(10)


def test_late_usage_is_billed_once_and_no_button_bills_it_again(tale):
    tale.subscribe(PLAN_FREE)
    tale.use(5)
    tale.close_unreported()
    tale.deliver()
    tale.assert_sides_agree(5)
    for row in Reconciliation.objects.all():
        assert reconciliation.repair(row, by=tale.owner).endswith("nothing was to be done.")
    tale.assert_sides_agree(5)


@pytest.mark.slow
@pytest.mark.parametrize("cause", ["refund", "dispute"])
def test_credit_taken_back_after_use_is_charged_and_blocks_nobody(tale, cause):
    tale.subscribe(PLAN_FREE)
    row = tale.pay_top_up(1_000)
    tale.use(6)
    tale.assert_sides_agree(0)
    getattr(tale.world, cause)(row.payment_intent)
    tale.deliver(times=2)
    tale.assert_sides_agree(6)
    assert get_budget(tale.team).debt_micro == 0
    assert not admission_refusal(get_budget(tale.team), "cpu", 1)
    tale.close()
    tale.assert_sides_agree(6)


def test_a_debt_that_is_charged_counts_once_against_the_cap(tale):
    tale.subscribe(PLAN_FREE)
    row = tale.pay_top_up(1_000)
    tale.use(6)
    before = get_budget(tale.team)
    Budget.objects.update(cap_micro=10 * DOLLAR)
    tale.world.refund(row.payment_intent)
    tale.deliver(times=2)
    budget = get_budget(tale.team)
    assert (budget.spent_micro, budget.debt_micro) == (before.spent_micro, 0)
    assert budget.left_micro == 4 * DOLLAR
    assert not admission_refusal(budget, "cpu", 1)
    tale.assert_sides_agree(6)


def test_a_debt_from_before_is_charged_with_the_first_invoice(tale):
    row = tale.pay_top_up(1_000)
    tale.use(6)
    tale.world.refund(row.payment_intent)
    tale.deliver()
    assert get_budget(tale.team).debt_micro == 6 * DOLLAR
    assert admission_refusal(get_budget(tale.team), "cpu", 1)
    tale.subscribe(PLAN_FREE)
    assert not admission_refusal(get_budget(tale.team), "cpu", 1)
    tale.assert_sides_agree(6)
    tale.close()
    tale.assert_sides_agree(6)


@pytest.mark.slow
@pytest.mark.parametrize("end", ["at once", "unpaid", "customer deleted"])
@pytest.mark.parametrize("has_credit", [True, False])
@pytest.mark.parametrize("is_given_back", [True, False])
def test_what_no_last_invoice_held_is_charged_with_the_next_subscription(
    tale, end, has_credit, is_given_back
):
    tale.subscribe(PLAN_FREE)
    tale.use(3)
    tale.close(is_paid=end != "unpaid")
    if has_credit:
        give(tale, 4)
    entry = tale.use(9)
    tale.adjust(2)
    tale.report()
    tale.use(1)
    if is_given_back:
        refund(entry, 6)
        tale.adjust(-1)
    {
        "at once": lambda: tale.world.end_subscription(Subscription.objects.get().stripe_id),
        "unpaid": lambda: tale.world.give_up(Subscription.objects.get().stripe_id),
        "customer deleted": lambda: gateway_delete(tale),
    }[end]()
    tale.deliver(times=2)
    tale.report()
    tale.pass_time(days=2)
    tale.subscribe(PLAN_FREE, times=2)
    tale.pass_time(minutes=10)  # Each row of a meter has a minute of its own.
    due = 3 + 9 + 2 + 1 - 4 * has_credit - 7 * is_given_back
    tale.server.refusals.clear()
    tale.assert_sides_agree(due)
    tale.use(5)
    tale.assert_sides_agree(due + 5)
    tale.close()
    tale.assert_sides_agree(due + 5)
    assert not Reconciliation.objects.filter(state="open").exists()
    assert not OperatorAlert.objects.filter(key__startswith="outbox", settled_at=None).exists()


def test_what_was_being_sent_while_the_next_subscription_began_is_charged(tale):
    tale.subscribe(PLAN_FREE)
    tale.use(9)
    build()
    StripeOutbox.objects.update(next_at=tale.now())
    claim = claims.claim_next()
    tale.world.end_subscription(Subscription.objects.get().stripe_id)
    tale.deliver()
    tale.subscribe(PLAN_FREE)
    claims.mark_delivered(claim)  # The call has ended: an event for what no invoice bills.
    tale.pass_time(minutes=10)
    tale.world.happened(
        "customer.subscription.updated",
        tale.world.get("subscription", Subscription.objects.get().stripe_id),
    )
    tale.deliver()
    tale.assert_sides_agree(9)


@pytest.mark.parametrize(("is_sent", "credit_dollars"), [(False, 0), (False, 4), (True, 0)])
def test_what_missed_the_last_invoice_is_charged_with_the_next_subscription(
    tale, is_sent, credit_dollars
):
    """And what the last invoice holds is not charged again."""
    tale.subscribe(PLAN_FREE)
    if credit_dollars:
        give(tale, credit_dollars)
    tale.use(7)
    tale.adjust(2)
    if is_sent:
        tale.report()
    build()
    stripe_id = Subscription.objects.get().stripe_id
    tale.world.get("subscription", stripe_id)["cancel_at_period_end"] = True
    last = tale.world.close_period(stripe_id)
    tale.world.end_subscription(stripe_id)
    tale.pass_time(hours=2)
    tale.world.finalize(last["id"])
    tale.deliver(times=2)
    tale.report()
    assert StripeOutbox.objects.filter(status="dead").count() == 2 * (not is_sent)
    tale.pass_time(days=1)
    tale.subscribe(PLAN_FREE, times=2)
    tale.pass_time(minutes=10)
    tale.assert_sides_agree(9 - credit_dollars)
    assert not OperatorAlert.objects.filter(key__startswith="outbox", settled_at=None).exists()


@pytest.mark.slow
def test_what_was_invoiced_when_a_subscription_ended_is_not_charged_again(tale):
    tale.subscribe(PLAN_FREE)
    tale.use(9)
    tale.report()
    stripe_id = Subscription.objects.get().stripe_id
    held = tale.world.get("subscription", stripe_id)
    start = held["items"]["data"][0]["current_period_start"]
    invoice = tale.world.make_invoice(held, "subscription_update", start, tale.world.now())
    tale.world.finalize(invoice["id"])
    invoice["status"] = "paid"
    tale.world.end_subscription(stripe_id)  # By hand, in the dashboard.
    tale.deliver(backwards=True)
    tale.pass_time(hours=1)
    tale.subscribe(PLAN_FREE)
    tale.assert_sides_agree(9)
    assert not StripeOutbox.objects.filter(status="moved").exists()


@pytest.mark.slow
def test_an_abandoned_draft_that_somebody_finalizes_later_raises_an_alert(tale):
    tale.subscribe(PLAN_FREE)
    tale.use(3)
    tale.close(is_paid=False)
    stripe_id = Subscription.objects.get().stripe_id
    tale.world.give_up(stripe_id)
    tale.use(9)
    tale.report()
    draft = tale.world.close_period(stripe_id)  # Of an unpaid subscription it stays one.
    tale.pass_time(days=4)
    tale.world.end_subscription(stripe_id)
    tale.deliver(times=2)
    tale.subscribe(PLAN_FREE, times=2)
    tale.pass_time(minutes=10)
    tale.server.refusals.clear()
    tale.assert_sides_agree(12)
    assert not OperatorAlert.objects.filter(settled_at=None).exists()
    tale.world.finalize(draft["id"])  # By hand, in the dashboard: it asks for the nine again.
    tale.deliver()
    drift = Reconciliation.objects.get(invoice=draft["id"], scope="amount")
    assert (drift.state, drift.ours, drift.theirs) == ("open", 0, 900)
    alert = OperatorAlert.objects.get(key=f"drift:{drift.pk}", settled_at=None)
    assert draft["id"] in alert.sentence


@pytest.fixture
def today(tale):
    """The period that is open now, so that its included credit is valid."""
    tale.world.offset = 0
    Plan.objects.filter(pk="scale").update(included_micro=250 * DOLLAR)
    return tale


@pytest.mark.slow
@pytest.mark.parametrize("used", [0, 100])
def test_a_downgrade_takes_included_credit_back_and_cannot_be_farmed(today, used):
    today.subscribe("scale")
    assert today.credit_at_stripe() == 25_000
    if used:
        today.use(used)
    change_plan(today.team, today.owner, Plan.objects.get(pk=PLAN_FREE), uuid.uuid4())
    today.deliver(times=2)
    assert grants.credit_balance_micro(today.team) <= DOLLAR // 10
    today.report()
    credit.mirror_due()
    assert abs(today.statements_cents() - used * 100) <= 10
    assert today.charged_cents() == today.statements_cents()
    change_plan(today.team, today.owner, Plan.objects.get(pk="scale"), uuid.uuid4())
    change_plan(today.team, today.owner, Plan.objects.get(pk=PLAN_FREE), uuid.uuid4())
    today.deliver()
    assert grants.credit_balance_micro(today.team) <= DOLLAR // 10
    assert today.server.refusals == []


def test_a_cheaper_plan_chosen_before_the_first_payment_was_heard_of_brings_its_own_credit(today):
    today.subscribe("scale", times=1)
    granted = CreditGrant.objects.get(source__startswith="plan:")
    assert granted.granted_micro == 250 * DOLLAR


@pytest.mark.slow
@pytest.mark.parametrize("nano", [30_000, 10_000])
def test_a_rate_that_changes_within_the_period_is_charged_as_it_was_used(tale, nano):
    """A subscription keeps its prices until its period ends; our ledger changes at once."""
    tale.subscribe(PLAN_FREE)
    give(tale, 3)
    tale.use(10)
    before = run_of(tale.team)
    supersede("cpu", nano)
    tale.use(10)
    keep_catalog()
    tale.use(2, of=before)  # A run that began before goes on at its own rate.
    due = 10 + 10 * nano // 20_000 + 2 - 3
    tale.assert_sides_agree(due)
    tale.close()
    tale.assert_sides_agree(due)
    tale.use(4)
    tale.use(5, of=before)
    due += 4 * nano // 20_000 + 5
    tale.assert_sides_agree(due)
    tale.close()
    tale.assert_sides_agree(due)
    assert not Reconciliation.objects.filter(state="open").exists()


def test_a_compute_class_newer_than_the_subscription_is_charged(tale):
    tale.subscribe(PLAN_FREE)
    supersede("gpu-new", 20_000)
    new = run_of(tale.team, "gpu-new")
    tale.use(7, of=new)
    tale.assert_sides_agree(7)
    assert keep_catalog()
    tale.use(5, of=new)
    tale.assert_sides_agree(12)
    tale.close()
    tale.assert_sides_agree(12)


def test_expired_credit_leaves_stripe_as_well(tale):
    tale.subscribe(PLAN_FREE)
    give(tale, 9, expires_at=timezone.now() + timedelta(days=1))
    tale.use(4)
    tale.assert_sides_agree(0)
    expire_all()
    tale.assert_sides_agree(0)
    assert tale.credit_at_stripe() == 400
    tale.use(3)
    tale.assert_sides_agree(3)
    tale.close()
    tale.assert_sides_agree(3)


def test_without_a_card_nothing_beyond_credit_is_usable(story):
    budget = get_budget(story.team)
    assert (budget.is_prepaid, budget.can_spend) == (True, False)
    with pytest.raises(runs.CapReached):
        runs.open_run(story.team, "training-job:1", "cpu")
    assert not MeteredRun.objects.exists()
    story.pay_top_up(2_500)
    assert get_budget(story.team).left_micro == 25 * DOLLAR
    story.subscribe("team")
    assert not get_budget(story.team).is_prepaid


# --- The comparison -----------------------------------------------------------------------------


def test_credit_that_differs_unexplained_is_told_and_repaired_with_one_click(tale):
    tale.subscribe(PLAN_FREE)
    give(tale, 20)
    credit.mirror_due()
    next(iter(tale.world.kind("billing.credit_grant").values()))["_left"] = 1_200
    assert reconciliation.reconcile_all() == 1
    row = Reconciliation.objects.get()
    assert (row.scope, row.ours, row.theirs) == ("balance", 2_000, 1_200)
    assert "2000 cents, Stripe 1200" in OperatorAlert.objects.get(settled_at=None).sentence
    reconciliation.repair(row, by=tale.owner)
    assert tale.credit_at_stripe() == 2_000
    assert reconciliation.reconcile_all() == 0
    assert not OperatorAlert.objects.filter(settled_at=None).exists()
    assert AuditEntry.objects.filter(action="reconciliation.repaired").exists()


@pytest.mark.parametrize("is_gone", [False, True])
def test_a_balance_that_agrees_when_it_is_checked_again_is_settled(tale, is_gone):
    tale.subscribe(PLAN_FREE)
    give(tale, 20)
    next(iter(tale.world.kind("billing.credit_grant").values()))["_left"] = 1_200
    assert reconciliation.reconcile_all() == 1
    give(tale, 5)  # Stripe's credit follows the ledger's again.
    if is_gone:
        StripeCustomer.objects.update(customer_id=None)
    assert reconciliation.recheck(Reconciliation.objects.get()) == 0
    row, cents = Reconciliation.objects.get(), 2_000 if is_gone else 2_500
    assert (row.state, row.ours, row.theirs) == ("settled", cents, cents)
    assert not OperatorAlert.objects.filter(settled_at=None).exists()


def test_credit_that_an_invoice_did_not_take_off_is_granted_again_once(tale):
    tale.subscribe(PLAN_FREE)
    give(tale, 5)
    tale.use(5)
    tale.report()
    for grant in tale.world.kind("billing.credit_grant").values():
        grant["voided_at"], grant["_left"] = 1, 0  # By hand, in the dashboard.
    invoice = tale.world.close_period(Subscription.objects.get().stripe_id)
    tale.world.finalize(invoice["id"])
    tale.deliver()
    row = Reconciliation.objects.get(scope="credit", state="open")
    assert (row.ours, row.theirs) == (500, 0)
    for _ in range(2):
        reconciliation.repair(row, by=tale.owner)
        row.refresh_from_db()
    assert grants.credit_balance_micro(tale.team) == 5 * DOLLAR
    credit.mirror_due()
    assert tale.credit_at_stripe() == 500


def test_every_page_of_an_invoices_lines_is_compared(tale):
    tale.subscribe(PLAN_FREE)
    tale.use(7)
    tale.report()
    invoice = tale.world.close_period(Subscription.objects.get().stripe_id)
    more = {"amount": 100, "period": {"start": 1, "end": 2}, "metadata": {}}
    invoice["_items"] += [more | {"customer": invoice["customer"]} for _ in range(230)]
    tale.world.finalize(invoice["id"])
    tale.deliver()
    assert not Reconciliation.objects.exists()


@pytest.mark.slow
def test_the_whole_story_agrees_to_the_cent_in_every_state(tale, monkeypatch, settings):
    """Subscribe, top up, use, downgrade, refund, dispute, late usage, unpaid, deleted, live."""
    tale.begin(monkeypatch, days_ago=97)
    tale.subscribe("team")
    tale.pay_top_up(2_000)
    tale.use(30)
    tale.assert_sides_agree(10)
    tale.close()
    tale.assert_sides_agree(10)
    change_plan(tale.team, tale.owner, Plan.objects.get(pk=PLAN_FREE), uuid.uuid4())
    tale.deliver(times=2)
    second, third = tale.pay_top_up(1_000), tale.pay_top_up(500)
    tale.use(4)
    tale.assert_sides_agree(10)
    tale.world.refund(second.payment_intent, 600)
    tale.deliver(times=2, backwards=True)
    tale.assert_sides_agree(10)
    tale.world.dispute(third.payment_intent)
    tale.deliver()
    tale.assert_sides_agree(10)
    tale.use(5)
    tale.assert_sides_agree(15)
    tale.use(6)  # Nobody takes it in before the invoice is final.
    tale.close_unreported()
    tale.deliver()
    tale.assert_sides_agree(21)
    tale.use(2)
    tale.close(is_paid=False)
    tale.world.give_up(Subscription.objects.get().stripe_id)
    tale.deliver()
    tale.assert_sides_agree(23)
    assert get_budget(tale.team).plan_id == PLAN_FREE
    give(tale, 8)
    gateway_delete(tale)
    tale.deliver()
    tale.assert_sides_agree(23)
    settings.STRIPE_SECRET_KEY = LIVE_KEY
    tale.world = tale.server.worlds[LIVE_KEY]
    tale.world.offset, tale.delivered = 0, 0
    sync_catalog()
    tale.subscribe(PLAN_FREE)
    assert tale.credit_at_stripe() == 800
    tale.use(10)
    tale.report()
    credit.mirror_due()
    assert tale.charged_cents() == 200  # At the live account; the sandbox charged nobody.
    assert tale.server.refusals == []


# --- Another account ----------------------------------------------------------------------------


def test_from_a_sandbox_to_a_live_key_everything_is_made_anew(tale, settings):
    tale.subscribe("team")
    tale.pay_top_up(4_000)
    old = StripeCustomer.objects.get().customer_id
    settings.STRIPE_SECRET_KEY = LIVE_KEY
    assert count_foreign_rows() > 0
    sync_catalog()
    assert count_foreign_rows() == 0
    assert get_budget(tale.team).plan_id == "free"
    assert not Subscription.objects.exists()
    world = tale.server.worlds[LIVE_KEY]
    customer = get_or_create_customer_id(tale.team)
    assert customer in world.kind("customer")
    credit.mirror_due()
    assert [g["_left"] for g in world.kind("billing.credit_grant").values()] == [4_000]
    assert StripeCustomer.objects.get().elsewhere["acct_test:test"]["customer"] == old
    settings.STRIPE_SECRET_KEY = "sk_test_lathe"
    adopt_account()
    assert StripeCustomer.objects.get().customer_id == old
    assert tale.server.refusals == []


def test_a_customer_that_stripe_does_not_know_is_replaced_when_a_page_is_opened(tale):
    get_or_create_customer_id(tale.team)
    StripeCustomer.objects.update(customer_id="cus_of_nobody")
    tale.subscribe("team")
    assert Subscription.objects.get().customer_id in tale.world.kind("customer")
    assert AuditEntry.objects.filter(action="stripe.customer_forgotten").exists()
    assert gateway.is_enabled()
