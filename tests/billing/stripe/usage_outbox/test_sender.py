"""Every row counts once at Stripe, whatever is lost between the two of us."""

import threading
from datetime import timedelta

import pytest
from django.db import connection

from billing.models import OperatorAlert
from billing.stripe.usage_outbox import build, claims, flush
from tests.billing.stripe.fake.metering import EVENTS, SUMMARIES, undelivered
from tests.billing.stripe.usage_outbox.outbox_facts import ask, rows, run_of, service, use, values

LOST = ["drop-before", "drop-after", "500-before", "500-after", "429"]


@pytest.fixture
def run(team):
    return run_of(team)


def test_a_delivered_row_is_sent_as_stripe_wants_it_and_never_again(team, run, metered):
    use(run, 5_000)
    build()
    assert (flush(), flush()) == (1, 0)
    (row,) = rows(team)
    assert (row.status, row.tries, row.claimed_until, metered.billed()) == ("sent", 1, None, 5)
    (params,) = metered.calls()
    assert params == {
        "event_name": "lathe_cpu", "identifier": row.identifier,
        "timestamp": str(row.minute * 60),
        "payload": {"stripe_customer_id": row.customer, "value": "5"},
    }  # fmt: skip
    assert metered.server.calls("POST", EVENTS)[0][3] == f"me:{row.identifier}:0"


def test_without_a_key_nothing_is_sent_and_nothing_is_lost(team, run, metered, settings):
    settings.STRIPE_SECRET_KEY = ""
    use(run, 5_000)
    build()
    assert (flush(), values(team, status="pending")) == (0, [5])


@pytest.mark.parametrize("fault", LOST)
@pytest.mark.parametrize("times", [1, 3])
def test_a_fault_before_or_after_the_effect_is_repaired_by_repeating(
    team, run, metered, fault, times
):
    use(run, 5_000)
    build()
    metered.break_events(fault, times)
    assert flush() == 0
    assert rows(team)[0].status == ("pending" if fault == "429" else "unknown")
    for _ in range(times):
        metered.wait(hours=1)
        flush()
    assert (metered.billed(), undelivered()) == (5, 0)


def test_a_saved_error_is_not_replayed_for_ever(team, run, metered):
    use(run, 5_000)
    build()
    metered.break_events("500-before")
    flush()
    (row,) = rows(team)
    assert row.idempotency_generation == 1
    metered.wait(hours=1)
    flush()
    keys = [call[3] for call in metered.server.calls("POST", EVENTS)]
    assert set(keys) == {f"me:{row.identifier}:0", f"me:{row.identifier}:1"}


def test_a_lost_answer_is_repeated_under_the_same_key(team, run, metered):
    use(run, 5_000)
    build()
    metered.break_events("drop-after")
    flush()
    metered.wait(hours=1)
    flush()
    assert len({call[3] for call in metered.server.calls("POST", EVENTS)}) == 1


def test_what_stripe_has_already_counts_as_sent(team, run, metered):
    use(run, 5_000)
    build()
    (row,) = rows(team)
    metered.world.meter_events.append({
        "event_name": "lathe_cpu", "identifier": row.identifier, "timestamp": row.minute * 60,
        "payload": {"stripe_customer_id": row.customer, "value": "5"},
        "_received": metered.world.now(),
    })  # fmt: skip
    assert flush() == 1
    assert (rows(team)[0].status, metered.billed()) == ("sent", 5)


def test_a_refused_row_is_kept_with_its_reason_and_people_are_told(team, run, metered):
    from billing.models import OperatorAlert

    use(run, 5_000)
    build()
    metered.server.break_next("POST", EVENTS, "refuse", 1)
    flush()
    (row,) = rows(team)
    assert (row.status, row.first_try_at) == ("dead", None)
    assert "not acceptable" in row.last_error
    assert row.identifier in OperatorAlert.objects.get().sentence
    use(run, 3_000)
    build()
    assert (flush(), metered.billed()) == (1, 3)  # One bad row does not block the rest.


def test_an_invalid_key_kills_no_row(team, run, metered, settings):
    use(run, 5_000)
    build()
    settings.STRIPE_SECRET_KEY = "sk_test_other"
    flush()
    (row,) = rows(team)
    assert (row.status, row.first_try_at) == ("pending", None)
    settings.STRIPE_SECRET_KEY = "sk_test_lathe"
    metered.wait(hours=1)
    assert (flush(), metered.billed()) == (1, 5)


def test_failed_tries_come_back_later_and_later(team, run, metered):
    use(run, 5_000)
    build()
    pauses = []
    for _ in range(5):
        metered.break_events("429")
        flush()
        (row,) = rows(team)
        pauses.append((row.next_at - metered.now()).total_seconds())
        metered.wait(seconds=pauses[-1] + 1)
    assert pauses[0] < 16 < pauses[4] < 241
    assert len({round(pause, 3) for pause in pauses}) == 5


@pytest.mark.parametrize("fault", ["drop-before", "drop-after"])
def test_after_a_day_stripe_is_asked_before_anything_is_sent_again(team, run, metered, fault):
    use(run, 5_000)
    build()
    metered.break_events(fault)
    flush()
    metered.wait(hours=25)
    flush()
    assert (metered.billed(), undelivered()) == (5, 0)
    assert metered.calls(SUMMARIES, "GET")
    # A resend would have counted twice: Stripe has forgotten the identifier by now.
    assert len(metered.calls()) == (4 if fault == "drop-before" else 3)


def test_a_young_silence_of_stripes_counts_proves_nothing(team, run, metered):
    use(run, 5_000)
    build()
    metered.break_events("drop-before")
    flush()
    metered.wait(hours=19, minutes=50)
    metered.break_events("drop-after")
    flush()  # This try has its effect.
    metered.wait(minutes=30)
    assert flush() == 0
    assert not metered.calls(SUMMARIES, "GET")
    metered.wait(minutes=31)
    assert (flush(), metered.billed(), undelivered()) == (1, 5, 0)
    assert metered.calls(SUMMARIES, "GET")


def test_stripe_unreachable_while_being_asked_leaves_the_row_unknown(team, run, metered):
    use(run, 5_000)
    build()
    metered.break_events("drop-after")
    flush()
    metered.wait(hours=25)
    metered.server.break_next("GET", SUMMARIES, "drop-before", 3)
    flush()
    (row,) = rows(team)
    assert row.status == "unknown"
    metered.wait(hours=1)
    assert (flush(), metered.billed()) == (1, 5)


@pytest.mark.parametrize("fault", ["drop-after", "500-after", "429"])
def test_what_is_too_old_for_an_event_goes_into_the_open_period_once(team, run, metered, fault):
    use(run, 500_000_000)
    build()
    metered.wait(days=35)
    metered.break_events(fault)
    flush()
    metered.wait(hours=1)
    flush()
    (row,), (moved,) = rows(team), rows(team, "adjustments")
    assert (metered.billed(), metered.billed("adjustments")) == (0, 10_000_000)  # $10.00.
    assert (row.status, row.reference, moved.status) == ("moved", moved.identifier, "sent")


def test_what_misses_the_invoice_of_its_period_goes_into_the_next(team, run, metered):
    metered.service = service(period_end=metered.now() + timedelta(minutes=5))
    use(run, 500_000_000)
    build()
    metered.break_events("429")
    flush()
    metered.wait(hours=1)
    flush()
    assert (metered.billed(), metered.billed("adjustments")) == (0, 10_000_000)


def test_what_comes_after_the_last_invoice_is_told_to_people(team, run, metered):
    ended = metered.now() + timedelta(minutes=5)
    metered.service = service(period_end=ended, ended_at=ended)
    use(run, 500_000_000)
    build()
    metered.wait(hours=1)
    flush()
    assert (rows(team)[0].status, metered.billed("adjustments")) == ("dead", 0)
    assert "$10" in OperatorAlert.objects.get().sentence


def test_an_unknown_event_is_looked_for_before_it_is_charged(team, run, metered):
    use(run, 500_000_000)
    build()
    metered.break_events("drop-after")
    flush()
    metered.wait(days=36)
    flush()
    assert (metered.billed(), metered.billed("adjustments")) == (500_000, 0)


def test_tokens_travel_the_same_way(team, metered):
    ask(team, 1_234)
    build()
    assert (flush(), metered.billed("inference-tokens")) == (1, 1_234)


def test_a_killed_sender_leaves_a_row_that_says_so(team, run, metered):
    use(run, 5_000)
    build()
    assert claims.claim_next() is not None  # And then the process is gone.
    (row,) = rows(team)
    assert (row.status, row.tries) == ("unknown", 1)
    assert flush() == 0
    metered.wait(minutes=5)
    assert (flush(), metered.billed()) == (1, 5)


def test_a_sender_that_slept_through_its_claim_changes_nothing(team, run, metered):
    use(run, 5_000)
    build()
    late = claims.claim_next()
    metered.wait(minutes=5)
    assert flush() == 1
    claims.mark_rejected(late, "too late")
    assert rows(team)[0].status == "sent"


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_racing_senders_call_once_per_row_and_one_at_a_time_per_meter(team, other_team, metered):
    for owner in (team, other_team):
        run = run_of(owner)
        for _ in range(6):
            use(run, 1_000)
            build()
    metered.server.meter_call_seconds = 0.05
    errors: list[Exception] = []

    def send() -> None:
        try:
            while undelivered():
                flush()
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    identifiers = [params["identifier"] for params in metered.calls()]
    assert len(identifiers) == len(set(identifiers)) == 12
    assert metered.billed() == 12
