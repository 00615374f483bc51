"""Usage and statement: exact, of one team only, and the same on page, wire and in CSV."""

import csv
import io
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.db.backends.postgresql.psycopg_any import NumericRange
from django.urls import reverse
from django.utils.timezone import now

from billing.metering import runs
from billing.metering.usage_events import UsageRecord, record_usage
from billing.models import Budget, LedgerEntry, MeteredRun, Rate, RunEndReason, UsageSegment
from billing.money import amount_micro, plain_dollars
from billing.months import BadMonth, Month, parse_month, this_month
from billing.statements.sources import CostSource
from billing.statements.statement import build_statement, month_total, top_rows
from web.spreadsheet_cells import escape_formula

STEP_MS = 4_999  # Of a length that leaves fractions of a micro-dollar everywhere.


def ran(team, source, *, fence=1, steps=7, at=None, sku="gpu", end=RunEndReason.FINISHED):
    """A finished run as the metering rule books it: one segment and entry per heartbeat."""
    at = at or now()
    rate = Rate.objects.current(sku)
    run = MeteredRun.objects.create(
        team=team,
        source=source,
        fence=fence,
        rate=rate,
        started_at=at - timedelta(minutes=60 - fence),
        lease_until=at,
        ended_at=at - timedelta(minutes=59.5 - fence),
        end_reason=end,
        billed_ms=steps * STEP_MS,
        checkpointed_ms=0,
    )
    for step in range(steps):
        book(run, step, at)
    return run


def book(run, step, at):
    low, high = step * STEP_MS, (step + 1) * STEP_MS
    nano = run.rate.nano_per_unit
    amount = amount_micro(high, nano) - amount_micro(low, nano)
    segment = UsageSegment.objects.create(
        run=run,
        team=run.team,
        source=run.source,
        span=NumericRange(low, high),
        device_ms=STEP_MS,
        amount_micro=amount,
        recorded_at=at,
    )
    LedgerEntry.objects.create(
        team=run.team,
        kind="compute",
        amount_micro=amount,
        source=f"segment:{segment.pk}",
        about=run.source,
        run=run,
        sku=run.rate.sku,
        occurred_at=at,
    )


def asked(team, source, key, units, prefix="lathe_abc"):
    use = UsageRecord(
        team_id=team.pk, source=source, event_key=key, units=units, requests=2, token_prefix=prefix
    )
    record_usage([use])


@pytest.fixture
def job_source():
    return f"training-job:{uuid.uuid4()}"


@pytest.fixture
def busy(team, job_source):
    """A month with two attempts, a refund, an endpoint, a credit and an adjustment."""
    lost = ran(team, job_source, end=RunEndReason.LEASE)
    runs.refund_lost_work(lost.pk, "The worker fell silent.")
    ran(team, job_source, fence=2, steps=11)
    ran(team, f"training-job:{uuid.uuid4()}", sku="cpu")
    for number in range(9):
        asked(team, "deployment:" + str(uuid.UUID(int=7)), str(number), 1_234 + number)
    for number, amount in enumerate([-1_000, 17]):
        source = f"adjustment:{number}"
        LedgerEntry.objects.create(
            team=team, kind="adjustment", amount_micro=amount, source=source, note="=a credit"
        )
    return team


def test_rows_days_attempts_and_total_all_equal_the_ledger(busy):
    statement = build_statement(busy, this_month())
    ledger = LedgerEntry.objects.filter(team=busy).total_micro()
    rows = sum(cause.net_micro for cause in statement.cost_sources)
    others = sum(line.amount_micro for line in statement.others)
    assert statement.total_micro == ledger == rows + others
    assert (
        ledger == sum(day.amount_micro for day in statement.days) == month_total(busy, this_month())
    )
    for job in statement.jobs:
        assert job.net_micro == sum(use.net_micro for use in job.attempts)
        assert job.device_ms == sum(use.device_ms for use in job.attempts)


def test_an_endpoints_cost_equals_the_sum_over_api_tokens(busy):
    statement = build_statement(busy, this_month())
    [endpoint] = statement.deployments
    assert endpoint.net_micro == sum(use.amount_micro for use in statement.tokens) > 0
    assert endpoint.units == sum(1_234 + number for number in range(9))
    assert endpoint.requests == 18


def test_a_lost_attempt_is_listed_with_its_refund_and_reason(busy, job_source):
    statement = build_statement(busy, this_month())
    [job] = [cause for cause in statement.cost_sources if cause.source == job_source]
    lost, kept = job.attempts
    assert (lost.run.fence, lost.run.end_reason, lost.net_micro) == (1, "lease", 0)
    assert lost.refunded_micro == lost.charged_micro > 0
    assert lost.notes == ["The worker fell silent."]
    assert kept.net_micro == job.net_micro


def test_a_real_heartbeat_shows_up_at_once_and_agrees_with_the_budget(team, job_source):
    run = runs.open_run(team, job_source, "gpu")
    MeteredRun.objects.filter(pk=run.pk).update(started_at=now() - timedelta(seconds=30))
    runs.heartbeat(run.pk, run.fence, 20_000)
    statement = build_statement(team, this_month())
    assert statement.total_micro == Budget.objects.get(team=team).spent_micro == 14_000
    [use] = statement.jobs[0].attempts
    assert use.run.ended_at is None
    assert use.device_ms == 20_000


def test_a_free_run_is_listed_too(team, job_source):
    ran(team, job_source, steps=0)
    run = MeteredRun.objects.get()
    UsageSegment.objects.create(
        run=run,
        team=team,
        source=job_source,
        span=NumericRange(0, 40),
        device_ms=40,
        amount_micro=0,
    )
    [job] = build_statement(team, this_month()).jobs
    assert (job.net_micro, job.device_ms) == (0, 40)


def test_months_do_not_share_a_moment(team, job_source):
    october, november = Month(datetime(2026, 10, 1, tzinfo=UTC)), parse_month("2026-11")
    ran(team, job_source, at=november.start - timedelta(microseconds=1))
    ran(team, job_source, fence=2, at=november.start)
    totals = [build_statement(team, month).total_micro for month in (october, november)]
    assert totals[0] == totals[1] > 0
    assert sum(totals) == LedgerEntry.objects.total_micro()
    assert [len(build_statement(team, month).days) for month in (october, november)] == [31, 30]


def test_another_teams_usage_is_never_counted(busy, other_team):
    assert build_statement(other_team, this_month()).total_micro == 0
    assert build_statement(other_team, this_month()).cost_sources == []


@pytest.mark.parametrize("text", ["2026-13", "2026-1", "1999-01", "x", "2026-11-01", "2026-11\n"])
def test_an_odd_month_is_refused(text):
    with pytest.raises(BadMonth):
        parse_month(text)


def test_months_step_over_years():
    january = parse_month("2027-01")
    assert (january.previous.code, Month(january.end).code) == ("2026-12", "2027-02")
    assert this_month().next is None


def test_a_shortened_table_still_adds_up():
    causes = [CostSource(source=f"training-job:{n}", charged_micro=n) for n in range(250)]
    shown = top_rows(causes)
    assert len(shown.rows) == 50
    assert sum(cause.net_micro for cause in shown.rows) + shown.omitted_micro == shown.total_micro


def url(name, team):
    return reverse(f"billing:{name}", args=[team.slug])


def test_csv_rows_add_up_and_cannot_be_executed(client_of, alice, busy):
    answer = client_of(alice).get(url("usage-csv", busy))
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
    *rows, total = rows
    micro = [int(row["net_usd"].replace(".", "")) for row in rows]
    assert total["kind"] == "total"
    assert sum(micro) == int(total["net_usd"].replace(".", "")) == LedgerEntry.objects.total_micro()
    notes = [row["note"] for row in rows if row["note"]]
    assert "'=a credit" in notes
    assert not any(note.startswith(("=", "+", "-", "@")) for note in notes)


def test_amounts_and_text_for_cells():
    assert plain_dollars(-140_000) == "-0.140000"
    assert plain_dollars(1_820_416) == "1.820416"
    assert escape_formula("@SUM(A1)") == "'@SUM(A1)"
    assert escape_formula("plain") == "plain"


def test_the_pages_show_every_amount_exactly(client_of, vera, busy):
    for name in ["usage", "statement"]:
        html = client_of(vera).get(url(name, busy)).content.decode()
        statement = build_statement(busy, this_month())
        for cause in statement.cost_sources:
            assert plain_dollars(cause.net_micro).lstrip("-") in html
        assert plain_dollars(statement.total_micro) in html
        assert "as of" in html
    assert "this month" in client_of(vera).get(url("month", busy)).content.decode()


def test_pages_without_usage_say_what_is_free(client_of, alice, team):
    assert "free" in client_of(alice).get(url("usage", team)).content.decode()
    assert client_of(alice).get(url("usage", team) + "?month=2026-02").status_code == 200
    assert client_of(alice).get(url("usage", team) + "?month=nope").status_code == 400


def test_a_stranger_finds_no_page_about_money(client_of, mallory, busy):
    for name in ["usage", "statement", "usage-csv", "month"]:
        assert client_of(mallory).get(url(name, busy)).status_code == 404
    assert client_of(mallory).post(url("cap", busy), {"dollars": "1"}).status_code == 404


@pytest.mark.parametrize(
    ("typed", "micro"), [("12.50", 12_500_000), ("0", 0), ("", None), ("0.01", 10_000)]
)
def test_an_owner_sets_the_cap_and_it_is_audited(client_of, alice, team, typed, micro):
    assert client_of(alice).post(url("cap", team), {"dollars": typed}).status_code == 302
    assert Budget.objects.get(team=team).cap_micro == micro
    assert team.audit_entries.get(action="cap.changed").detail["new_micro"] == micro


@pytest.mark.parametrize("typed", ["-1", "1e9", "x", "0.001", "NaN", "Infinity"])
def test_an_odd_cap_is_refused(client_of, alice, team, typed):
    assert client_of(alice).post(url("cap", team), {"dollars": typed}).status_code == 400
    assert not Budget.objects.filter(team=team).exists()


def test_a_member_may_look_but_not_set_the_cap(client_of, bob, team):
    assert client_of(bob).get(url("usage", team)).status_code == 200
    assert client_of(bob).post(url("cap", team), {"dollars": "1000"}).status_code == 403


def test_the_api_says_the_same_as_the_page(api, token, busy, job_source):
    usage = api(token).get("/api/v1/usage").json()
    bill = api(token).get("/api/v1/statement").json()
    ledger = LedgerEntry.objects.filter(team=busy).total_micro()
    assert usage["total_micros"] == bill["total_micros"] == ledger
    assert sum(line["amount_micros"] for line in bill["lines"]) == ledger
    assert sum(day["amount_micros"] for day in usage["days"]) == ledger
    [job] = [row for row in usage["jobs"] if row["source"] == job_source]
    assert [attempt["attempt"] for attempt in job["attempts"]] == [1, 2]
    segments = (
        api(token).get(f"/api/v1/usage/segments?source={job_source}&limit=100").json()["data"]
    )
    assert sum(row["amount_micros"] for row in segments) == job["charged_micros"]


def test_another_teams_token_sees_nothing_of_it(api, mallory_token, busy):
    assert api(mallory_token).get("/api/v1/usage").json()["total_micros"] == 0
    assert api(mallory_token).get("/api/v1/usage/segments").json()["data"] == []
    assert api(mallory_token).get("/api/v1/usage?month=x").status_code == 400


@pytest.mark.django_db
def test_the_pricing_page_prints_rates_from_the_database_and_the_rule(client):
    html = client.get("/pricing/").content.decode()
    for shown in ["$0.072 per hour", "$2.52 per hour", "$0.02 per million tokens", "given back"]:
        assert shown in html
    Rate.objects.create(sku="gpu-large", nano_per_unit=1_000_000, valid=(now(), None))
    assert "$3.60 per hour" in client.get("/pricing/").content.decode()
