"""Daily sums, statement, invoice and ledger say one thing."""

import random
import re
import threading
import uuid
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import Sum
from django.urls import reverse

from accounts.models import Team
from billing.credit import grants
from billing.ledger.corrections import post_adjustment
from billing.metering import runs
from billing.metering.usage_events import UsageRecord, record_usage
from billing.models import (
    BillingDetails,
    CreditBurn,
    CreditDay,
    Invoice,
    LedgerEntry,
    UsageDay,
    UsageEvent,
    UsageSegment,
)
from billing.money import round_to_cents
from billing.months import this_month
from billing.statements import invoices
from billing.statements.invoices import build_content, issue_due
from billing.statements.statement import build_statement
from tests.billing.statements.test_statement import ran
from tests.web.language.reading import Reader
from tests.web.language.test_pages import CHINESE

CHARGES = ["compute", "inference"]


def assert_daily_sums_equal_the_rows(team):
    charged = LedgerEntry.objects.filter(team=team, kind__in=CHARGES)
    sums = UsageDay.objects.filter(team=team).aggregate(
        a=Sum("amount_micro"), ms=Sum("device_ms"), u=Sum("units"), r=Sum("requests")
    )
    events = UsageEvent.objects.filter(team=team).aggregate(u=Sum("units"), r=Sum("requests"))
    timed = UsageSegment.objects.filter(team=team).aggregate(ms=Sum("device_ms"))
    assert (sums["a"] or 0) == charged.total_micro()
    assert (sums["ms"] or 0) == (timed["ms"] or 0)
    assert (sums["u"] or 0, sums["r"] or 0) == (events["u"] or 0, events["r"] or 0)
    for entry in charged.values("about", "run").annotate(a=Sum("amount_micro")):
        kept = UsageDay.objects.filter(team=team, source=entry["about"], run=entry["run"])
        assert kept.aggregate(a=Sum("amount_micro"))["a"] == entry["a"]
    burned = CreditBurn.objects.filter(
        team=team, entry__kind__in=[*CHARGES, "refund", "adjustment"]
    )
    assert (CreditDay.objects.filter(team=team).aggregate(a=Sum("used_micro"))["a"] or 0) == (
        burned.total_micro()
    )


def busy_month(team, alice, seed=1, at=None):
    rng = random.Random(seed)
    grants.grant(team, 9_000, kind="promo", source=f"p{seed}", note="Welcome")
    for number in range(4):
        source = f"training-job:{uuid.UUID(int=number % 2)}"
        ran(team, source, fence=number + 1, steps=rng.randint(1, 6), at=at,
            sku=rng.choice(["cpu", "gpu"]))  # fmt: skip
    for number in range(10):
        use = UsageRecord(
            team_id=team.pk, source=f"deployment:{uuid.UUID(int=9)}", event_key=f"{seed}:{number}",
            units=rng.randint(1, 90_000), requests=1, token_prefix=rng.choice(["", "lathe_a"]),
        )  # fmt: skip
        record_usage([use])
    post_adjustment(team, -1_234, "Sorry", by=alice, request_id=uuid.uuid4())


@pytest.mark.parametrize("seed", range(3))
def test_ledger_daily_sums_statement_and_invoice_are_equal(team, alice, seed):
    busy_month(team, alice, seed)
    assert_daily_sums_equal_the_rows(team)
    statement = build_statement(team, this_month())
    content = build_content(team, this_month())
    usage = LedgerEntry.objects.filter(team=team).of_usage().total_micro()
    assert statement.total_micro == content.total_micro == usage
    assert statement.due_micro == content.due_micro
    everything = LedgerEntry.objects.filter(team=team).total_micro()
    assert everything == statement.due_micro - statement.credit.closing_micro
    assert statement.credit.closing_micro == grants.credit_balance_micro(team)


@pytest.mark.parametrize("table", ["usageday", "creditday"])
def test_daily_sums_change_through_the_ledger_only(team, alice, table):
    busy_month(team, alice)
    for verb in (f"DELETE FROM billing_{table}", f"UPDATE billing_{table} SET day = day"):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            connection.cursor().execute(verb)


@pytest.mark.parametrize(
    ("micro", "whole"), [(0, 0), (4_999, 0), (5_000, 1), (15_000, 2), (25_000, 3), (-5_000, -1)]
)
def test_half_a_cent_is_rounded_up(micro, whole):
    assert round_to_cents(micro) == whole


def test_where_stripe_invoices_our_page_is_a_statement_without_a_number(
    team, alice, client_of, settings
):
    last = this_month().previous
    ran(team, "training-job:1", at=last.end - timedelta(hours=2))
    settings.STRIPE_SECRET_KEY = "sk_test_lathe"
    assert issue_due() == 0
    page = f"{reverse('billing:invoice', args=[team.slug])}?month={last.code}"
    shown = client_of(alice).get(page).content.decode()
    assert f"Statement of {last}" in " ".join(shown.split())
    assert "Amount due" not in shown
    assert "Stripe issues the invoices" in (
        client_of(alice).get(reverse("billing:invoices", args=[team.slug])).content.decode()
    )


@pytest.mark.parametrize(("dollars", "issued"), [(5, 1), (-5, 0)])
def test_a_month_with_nothing_but_a_charge_by_hand_is_invoiced(team, dollars, issued):
    last = this_month().previous
    LedgerEntry.objects.create(
        team=team, kind="adjustment", amount_micro=dollars * 1_000_000, source="adjustment:1",
        note="Labelling", occurred_at=last.start,
    )  # fmt: skip
    assert [issue_due(), issue_due()] == [issued, 0]
    if issued:
        assert invoices.load_issued(Invoice.objects.get()).due_cents == 500


def test_an_ended_month_is_issued_once_and_stays_as_it_was(team, alice, settings):
    settings.SELLER_NAME = "Lathe Works"
    BillingDetails.objects.create(team=team, legal_name="Acme GmbH", tax_id="DE123")
    last = this_month().previous
    ran(team, "training-job:1", at=last.end - timedelta(hours=2))
    assert issue_due() == 1
    assert issue_due() == 0
    invoice = Invoice.objects.get()
    assert invoice.number == f"LATHE-{last.start:%Y}-00001"
    BillingDetails.objects.update(legal_name="Other")
    _, content = invoices.get_invoice(team, last)
    assert (content.buyer["name"], content.seller["name"]) == ("Acme GmbH", "Lathe Works")
    assert content.total_micro == LedgerEntry.objects.total_micro()
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        Invoice.objects.update(month="2020-01")


def test_late_usage_is_booked_into_the_running_month(team):
    late = this_month().start - timedelta(minutes=5)
    record_usage(
        [
            UsageRecord(team_id=team.pk, source="deployment:1", event_key="k", units=10_000,
                       requests=1, occurred_at=late)
        ]
    )  # fmt: skip
    assert LedgerEntry.objects.get().occurred_at >= this_month().start


def test_numbers_have_no_gap(team, other_team):
    for number, owner in enumerate((team, other_team)):
        ran(owner, f"training-job:{number}", at=this_month().previous.start + timedelta(days=3))
    issue_due()
    assert sorted(Invoice.objects.values_list("serial", flat=True)) == [1, 2]


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_two_issuers_at_once_leave_no_gap_and_give_no_number_twice(monkeypatch):
    teams = [Team.objects.create(name=f"Team {n}", slug=f"team-{n}") for n in range(4)]
    earlier, last = this_month().previous.previous, this_month().previous
    for number, owner in enumerate(teams):
        for fence, month in enumerate((earlier, last), start=1):
            ran(owner, f"training-job:{number}", fence=fence, at=month.start + timedelta(days=3))
    both_have_looked = threading.Barrier(2)
    find_uninvoiced = invoices._uninvoiced_months

    def look_and_wait():
        months = find_uninvoiced()
        both_have_looked.wait(timeout=30)
        return months

    monkeypatch.setattr(invoices, "_uninvoiced_months", look_and_wait)
    issued = []

    def issue():
        try:
            issued.append(issue_due())
        finally:
            connection.close()

    issuers = [threading.Thread(target=issue) for _ in range(2)]
    for issuer in issuers:
        issuer.start()
    for issuer in issuers:
        issuer.join()
    assert sum(issued) == 8
    assert sorted(Invoice.objects.values_list("serial", flat=True)) == list(range(1, 9))
    assert Invoice.objects.values("team", "month").distinct().count() == 8
    for invoice in Invoice.objects.all():
        assert invoice.number.endswith(f"-{invoice.serial:05d}")


def url(name, team):
    return reverse(f"billing:{name}", args=[team.slug])


def test_invoice_pages_print_number_parties_and_totals(team, alice, bob, mallory, client_of):
    busy_month(team, alice)
    ran(team, "training-job:7", at=this_month().previous.start + timedelta(days=1))
    issue_due()
    issued = Invoice.objects.get()
    page = client_of(bob).get(url("invoice", team) + f"?month={issued.month}").content.decode()
    assert issued.number in page
    assert "excl. tax" in page
    so_far = client_of(bob).get(url("invoice", team)).content.decode()
    assert "Pro-forma" in so_far
    assert "Covered by credit: Welcome" in so_far
    assert issued.number in client_of(bob).get(url("invoices", team)).content.decode()
    assert client_of(bob).get(url("details", team)).status_code == 403
    for name in ("invoice", "invoices", "details"):
        assert client_of(mallory).get(url(name, team)).status_code == 404
    assert client_of(alice).get(url("invoice", team) + "?month=x").status_code == 400


def test_billing_details_are_saved_and_bad_ones_explained(team, alice, client_of):
    client = client_of(alice)
    answer = client.post(url("details", team), {"legal_name": "Acme GmbH", "email": "a@acme.test"})
    assert answer.status_code == 302
    assert BillingDetails.objects.get(team=team).legal_name == "Acme GmbH"
    bad = client.post(url("details", team), {"email": "nope"})
    assert "valid email" in bad.content.decode()


def test_a_month_of_everything_is_in_the_readers_language(team, alice, client_of):
    busy_month(team, alice)
    kinds = {"voice-in-seconds": 7, "voice-out-characters": 1, "assistant-answers": 3}
    for number, (kind, units) in enumerate(kinds.items()):
        use = UsageRecord(
            team_id=team.pk, source=f"assistant:{uuid.UUID(int=5)}", event_key=str(number),
            units=units, requests=1, kind=kind,
        )  # fmt: skip
        record_usage([use])
    runs.refund_source(f"training-job:{uuid.UUID(int=1)}", "Refund: out of memory")
    names = re.compile(
        r"\S+@\S+|Acme|Welcome|Sorry|lathe_a|Lathe|Free|Webhook|Assistant 0+|\b[Tt]oken\b"
        r"|\w+-\w+:\S+"
    )
    for name in ("invoice", "statement", "usage"):
        reader = Reader()
        reader.feed(client_of(alice).get(url(name, team), **CHINESE).content.decode())
        told = {text for text in reader.texts if re.search("[a-z]{4}", names.sub("", text))}
        assert told == set(), name


@pytest.mark.parametrize("by", ["day", "job", "attempt", "token"])
def test_every_csv_ends_in_the_total(team, alice, client_of, by):
    busy_month(team, alice)
    answer = client_of(alice).get(url("usage-csv", team) + f"?by={by}")
    assert answer.status_code == 200
    total = [line for line in answer.content.decode().splitlines() if line.startswith("total")]
    statement = build_statement(team, this_month())
    micro = (
        statement.total_micro if by != "token" else sum(u.amount_micro for u in statement.tokens)
    )
    assert f"{micro / 1e6:.6f}" in total[0]
    assert client_of(alice).get(url("usage-csv", team) + "?by=x").status_code == 400


def test_the_statement_api_shows_credit_and_what_is_due(team, alice, token, api):
    busy_month(team, alice)
    bill = api(token).get("/api/v1/statement").json()
    statement = build_statement(team, this_month())
    assert bill["due_micros"] == statement.due_micro
    assert (
        bill["credit"]["closing_micros"]
        == bill["balance_micros"]
        == grants.credit_balance_micro(team)
    )
    assert sum(line["amount_micros"] for line in bill["credit"]["lines"]) == (
        bill["credit"]["closing_micros"] - bill["credit"]["opening_micros"]
    )
    assert sum(day["amount_micros"] for day in bill["days"]) == bill["total_micros"]


def test_the_usage_page_asks_a_fixed_number_of_queries(
    team, alice, client_of, django_assert_max_num_queries
):
    client = client_of(alice)
    client.get(url("usage", team))
    for number in range(5):
        ran(team, f"training-job:{uuid.UUID(int=number)}", steps=2)
    with django_assert_max_num_queries(40) as captured:
        client.get(url("usage", team))
    few = len(captured)
    for number in range(5, 30):
        ran(team, f"training-job:{uuid.UUID(int=number)}", steps=2)
    with django_assert_max_num_queries(few):
        client.get(url("usage", team))
