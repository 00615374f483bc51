"""Credit: burn order, expiry, refunds and take-backs, and sums that always agree."""

import random
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import Sum
from django.utils.timezone import now

from accounts.models import AuditEntry, Notice
from billing.budgets.budget import get_budget, lock_budget
from billing.credit import grants
from billing.credit.grants import BadCredit
from billing.ledger.corrections import post_adjustment
from billing.ledger.posting import post_entry
from billing.metering.usage_events import UsageRecord, record_usage
from billing.models import CREDIT_KINDS, CreditBurn, CreditGrant, LedgerEntry

Kind = LedgerEntry.Kind


def give(team, amount, *, days=None, kind="promo", priority=50, source=None):
    expires_at = None if days is None else now() + timedelta(days=days)
    return grants.grant(
        team,
        amount,
        kind=kind,
        source=source or f"test:{uuid4()}",
        note="A gift",
        expires_at=expires_at,
        priority=priority,
    )


def charge(team, amount, about="training-job:1"):
    with transaction.atomic():
        budget = lock_budget(team.pk)
        source = f"t:{uuid4()}"
        entry = LedgerEntry(kind=Kind.COMPUTE, amount_micro=amount, source=source, about=about)
        post_entry(budget, entry)
        budget.save(update_fields=["spent_micro"])
    return entry


def refund(team, amount, about="training-job:1"):
    with transaction.atomic():
        budget = lock_budget(team.pk)
        source = f"t:{uuid4()}"
        entry = LedgerEntry(kind=Kind.REFUND, amount_micro=-amount, source=source, about=about)
        post_entry(budget, entry)
        budget.save(update_fields=["spent_micro"])
    return entry


def rewrite(sql, *values):
    """Change grants as no code of ours may: their trigger is put aside for one statement."""
    switch = "ALTER TABLE billing_creditgrant {} TRIGGER billing_grant_append_only"
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(switch.format("DISABLE"))
        cursor.execute(sql, values)
        cursor.execute(switch.format("ENABLE"))


def let_expire(grant):
    """Move a grant's whole life into the past."""
    past = now() - timedelta(hours=1)
    rewrite(
        "UPDATE billing_creditgrant SET granted_at = %s, expires_at = %s WHERE id = %s",
        past - timedelta(days=1),
        past,
        grant.pk,
    )


def left(*grants):
    return [CreditGrant.objects.get(pk=grant.pk).left_micro for grant in grants]


def assert_sums_agree(team):
    """The ledger, the burns, the grants, the budget and the balance are one truth."""
    entries = LedgerEntry.objects.filter(team=team)
    burns = CreditBurn.objects.filter(team=team)
    on_usage = burns.exclude(entry__kind__in=CREDIT_KINDS).total_micro()
    owed = entries.of_usage().total_micro() - on_usage
    balance = grants.credit_balance_micro(team)
    unexpired = CreditGrant.objects.filter(team=team).usable(now()).total_left_micro()
    expired_but_not_booked = (
        CreditGrant.objects.filter(team=team).aggregate(all=Sum("left_micro"))["all"] or 0
    ) - unexpired
    assert entries.total_micro() == owed - balance - expired_but_not_booked
    for grant in CreditGrant.objects.filter(team=team):
        assert grant.left_micro == grant.granted_micro - grant.burns.all().total_micro() >= 0
    for entry in entries:
        burned = entry.burns.all().total_micro()
        assert abs(burned) <= abs(entry.amount_micro)
        assert burned * entry.amount_micro >= 0
    assert get_budget(team).spent_micro == entries.of_usage().total_micro()


def test_a_grant_is_one_grant_however_often_its_payment_is_reported(team, alice):
    for _ in range(2):
        grant = grants.grant(team, 5_000, kind="paid", source="topup:pi_1", note="Top-up", by=alice)
    assert CreditGrant.objects.get() == grant
    entry = LedgerEntry.objects.get()
    assert (entry.kind, entry.amount_micro, entry.note) == ("credit", -5_000, "Top-up")
    assert grants.credit_balance_micro(team) == 5_000
    assert AuditEntry.objects.get(action="credit.granted").actor == alice.email
    assert Notice.objects.get(event="credit.granted").sentence.startswith("$0.005 of credit")


def test_the_same_source_with_another_amount_is_refused(team, other_team):
    give(team, 5, source="a")
    with pytest.raises(BadCredit):
        give(team, 6, source="a")
    with pytest.raises(BadCredit):
        give(other_team, 5, source="a")


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": 0},
        {"amount": -1},
        {"amount": 1, "days": -1},
        {"amount": 1, "priority": 101},
    ],
)
def test_impossible_credit_is_refused_with_a_sentence(team, wrong):
    with pytest.raises(BadCredit):
        give(team, **wrong)


def test_credit_burns_by_priority_then_expiry_then_promo_then_age(team):
    old_promo = give(team, 10)
    last = give(team, 10, priority=90, days=1)
    paid = give(team, 10, kind="paid", days=9)
    promo = give(team, 10, days=9)
    soon = give(team, 10, days=2)
    first = give(team, 10, priority=0)
    new_promo = give(team, 10)
    order = [first, soon, promo, paid, old_promo, new_promo, last]
    rewrite(  # Two grants that expire at the very same moment.
        "UPDATE billing_creditgrant SET expires_at = %s WHERE id = ANY(%s)",
        promo.expires_at,
        [paid.pk, promo.pk],
    )
    for used in range(1, 8):
        charge(team, 10)
        assert left(*order) == [0] * used + [10] * (7 - used)
    charge(team, 10)
    assert_sums_agree(team)


def test_what_credit_does_not_cover_is_owed(team):
    give(team, 30)
    entry = charge(team, 100)
    assert entry.burns.get().amount_micro == 30
    assert LedgerEntry.objects.filter(team=team).total_micro() == 70
    assert_sums_agree(team)


def test_a_refund_takes_from_what_is_owed_first_and_then_returns_credit(team):
    grant = give(team, 30)
    charge(team, 100)
    refund(team, 60)
    assert left(grant) == [0]
    refund(team, 30)
    assert left(grant) == [20]
    refund(team, 10)
    assert left(grant) == [30]
    assert_sums_agree(team)


def test_a_refund_of_one_job_never_returns_what_another_used(team):
    grant = give(team, 100)
    charge(team, 40, "training-job:1")
    charge(team, 40, "training-job:2")
    refund(team, 40, "training-job:2")
    assert left(grant) == [60]
    assert_sums_agree(team)


def test_credit_returned_after_its_grant_expired_lives_on(team):
    grant = give(team, 50, days=1)
    charge(team, 50)
    let_expire(grant)
    refund(team, 50)
    again = CreditGrant.objects.exclude(pk=grant.pk).get()
    assert (left(grant, again), again.expires_at) == ([0, 50], None)
    assert grants.credit_balance_micro(team) == 50
    assert_sums_agree(team)


def test_what_is_left_at_expiry_is_booked_back_once_at_that_moment(team):
    grant = give(team, 50, days=1)
    charge(team, 20)
    let_expire(grant)
    assert grants.credit_balance_micro(team) == 0
    assert charge(team, 5).burns.count() == 0  # Time is over, whether booked yet or not.
    assert grants.expire_due() == 1
    assert grants.expire_due() == 0
    entry = LedgerEntry.objects.get(kind=Kind.EXPIRY)
    grant.refresh_from_db()
    assert (entry.amount_micro, entry.occurred_at) == (30, grant.expires_at)
    assert Notice.objects.filter(event="credit.expired").count() == 1
    assert_sums_agree(team)


def test_people_are_warned_of_an_expiry_once(team):
    give(team, 50, days=3)
    give(team, 50, days=30)
    for _ in range(2):
        grants.warn_of_expiry()
    assert Notice.objects.filter(event="credit.expiring").count() == 1


def test_taking_back_an_unused_top_up_leaves_nothing(team):
    give(team, 50, kind="paid", source="topup:1")
    assert grants.revoke("topup:1", "Refunded") == 50
    assert grants.revoke("topup:1", "Refunded") == 0
    assert (
        grants.credit_balance_micro(team)
        == 0
        == LedgerEntry.objects.filter(team=team).total_micro()
    )
    assert_sums_agree(team)


def test_taking_back_what_was_used_makes_a_debt_that_new_credit_settles_first(team):
    give(team, 50, kind="paid", source="topup:1")
    charge(team, 40)
    assert grants.revoke("topup:1", "Disputed") == 50
    assert grants.credit_balance_micro(team) == -40
    assert get_budget(team).left_micro == 0
    assert_sums_agree(team)
    grant = give(team, 100)
    assert (grants.credit_balance_micro(team), left(grant)) == (60, [60])
    assert get_budget(team).debt_micro == 0
    assert_sums_agree(team)


def test_a_part_can_be_taken_back_and_parts_never_exceed_the_whole(team):
    give(team, 50, kind="paid", source="topup:1")
    assert grants.revoke("topup:1", "Refunded", amount_micro=20, key="re_1") == 20
    assert grants.revoke("topup:1", "Refunded", amount_micro=20, key="re_1") == 0
    assert grants.revoke("topup:1", "Refunded", amount_micro=40, key="re_2") == 30
    assert grants.credit_balance_micro(team) == 0
    assert_sums_agree(team)


def test_a_promised_adjustment_uses_and_returns_credit_of_a_prepaid_team(team, alice):
    get_budget(team)
    grant = give(team, 50)
    post_adjustment(team, 20, "Data transfer", by=alice, request_id=uuid4())
    assert left(grant) == [30]
    post_adjustment(team, -20, "Not ours", by=alice, request_id=uuid4())
    assert left(grant) == [50]
    assert_sums_agree(team)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_whatever_happens_in_whatever_order_all_sums_agree(team, seed):
    rng = random.Random(seed)
    sources: list[str] = []
    for number in range(45):
        about = f"training-job:{rng.randint(1, 3)}"
        match rng.randint(0, 7):
            case 0 | 1:
                sources.append(f"s:{number}")
                days = rng.choice([None, 1, 5])
                kind = rng.choice(["paid", "promo"])
                give(team, rng.randint(1, 400), days=days, kind=kind, source=sources[-1],
                     priority=rng.choice([10, 50]))  # fmt: skip
            case 2 | 3 | 4:
                charge(team, rng.randint(1, 300), about)
            case 5:
                charged = LedgerEntry.objects.filter(about=about, team=team).total_micro()
                if charged > 0:
                    refund(team, rng.randint(1, charged), about)
            case 6 if sources:
                grants.revoke(rng.choice(sources), "Refunded")
            case 7:
                grant = CreditGrant.objects.filter(
                    expires_at__isnull=False, left_micro__gt=0
                ).first()
                if grant is not None:
                    let_expire(grant)
                    if rng.random() < 0.7:
                        grants.expire_due()
        assert_sums_agree(team)


def test_tokens_burn_credit_too(team):
    grant = give(team, 4)
    record_usage(
        [UsageRecord(team_id=team.pk, source="deployment:1", event_key="k", units=300, requests=1)]
    )
    assert left(grant) == [0]
    assert_sums_agree(team)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE billing_creditburn SET amount_micro = 1",
        "DELETE FROM billing_creditburn",
        "UPDATE billing_creditgrant SET granted_micro = granted_micro + 1, left_micro = 1",
        "UPDATE billing_creditgrant SET expires_at = now() + interval '1 day'",
        "DELETE FROM billing_creditgrant",
        "UPDATE billing_ledgerentry SET amount_micro = 0",
        "DELETE FROM billing_ledgerentry",
        *[
            f"TRUNCATE billing_{table} CASCADE"
            for table in ("creditburn", "creditgrant", "ledgerentry", "usagesegment", "usageevent")
        ],
    ],
)
def test_the_database_refuses_to_rewrite_money(team, statement):
    give(team, 50)
    charge(team, 20)
    connection.cursor().execute("SET CONSTRAINTS ALL IMMEDIATE")
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        connection.cursor().execute(statement)


def test_the_database_refuses_more_burned_than_granted(team):
    grant = give(team, 50)
    with pytest.raises(IntegrityError), transaction.atomic():
        CreditGrant.objects.filter(pk=grant.pk).update(left_micro=51)
    with pytest.raises(IntegrityError), transaction.atomic():
        CreditGrant.objects.filter(pk=grant.pk).update(left_micro=-1)


def test_notices_about_credit_lead_to_it_and_say_how_much(team):
    until = now() + timedelta(days=3)
    given = grants.grant(
        team, 5_000_000, kind="promo", source="told:1", note="A gift", expires_at=until
    )
    grants.warn_of_expiry()
    told = Notice.objects.filter(team=team)
    assert {one.event for one in told} == {"credit.granted", "credit.expiring"}
    for one in told:
        assert one.url == f"/teams/{team.slug}/usage/#credit"
        assert one.data == {
            "grant": given.pk,
            "kind": "promo",
            "amount_micros": 5_000_000,
            "expires_at": until.isoformat(),
        }
