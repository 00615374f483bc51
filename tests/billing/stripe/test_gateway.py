"""The gateway against a server that behaves, and misbehaves, like Stripe."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from billing.stripe import gateway
from billing.stripe.errors import (
    StripeDisabled,
    StripeKeyRejected,
    StripeNotFound,
    StripeRateLimited,
    StripeRequestRejected,
    StripeServerError,
    StripeUnreachable,
)


def test_without_a_key_every_call_says_so():
    assert not gateway.is_enabled()
    with pytest.raises(StripeDisabled):
        gateway.retrieve_customer("cus_1")


def test_every_call_carries_the_pinned_version_and_our_key(stripe_server):
    made = gateway.create_customer({"name": "Acme"}, key="customer:1")
    assert gateway.retrieve_customer(made.id) == made
    assert [call[3] for call in stripe_server.calls("POST", "/v1/customers")] == ["customer:1"]
    assert gateway.api_version() == "2026-10-28.endive"


def test_an_answer_lost_on_the_way_is_one_customer(stripe_server):
    stripe_server.break_next("POST", "/v1/customers", "drop-after")
    gateway.create_customer({"name": "Acme"}, key="customer:1")
    assert len(stripe_server.world.kind("customer")) == 1
    assert len(stripe_server.calls("POST", "/v1/customers")) == 2


def test_a_line_that_stays_dead_has_an_unknown_outcome(stripe_server):
    stripe_server.break_next("POST", "/v1/customers", "drop-before", times=3)
    with pytest.raises(StripeUnreachable):
        gateway.create_customer({"name": "Acme"}, key="customer:1")


@pytest.mark.slow
def test_a_saved_500_is_replayed_under_its_key_and_gone_under_another(stripe_server):
    stripe_server.break_next("POST", "/v1/customers", "500-after")
    for _ in range(2):
        with pytest.raises(StripeServerError):
            gateway.create_customer({"name": "Acme"}, key="customer:1:0")
    assert gateway.create_customer({"name": "Acme"}, key="customer:1:1").id


def test_too_many_calls_are_not_repeated_at_once(stripe_server):
    stripe_server.break_next("GET", "/v1/customers", "429")
    with pytest.raises(StripeRateLimited):
        gateway.retrieve_customer("cus_1")
    assert len(stripe_server.calls("GET", "/v1/customers")) == 1


@pytest.mark.slow
def test_a_call_that_hangs_ends(stripe_server, settings):
    settings.STRIPE_TIMEOUT_SECONDS = 1
    stripe_server.break_next("GET", "/v1/customers", "hang-before", times=3)
    with pytest.raises(StripeUnreachable):
        gateway.retrieve_customer("cus_1")


def test_refusals_keep_stripes_reason(stripe_server, settings):
    with pytest.raises(StripeNotFound):
        gateway.retrieve_customer("cus_none")
    with pytest.raises(
        StripeRequestRejected, match="unknown parameter: payment_method_types"
    ) as refused:
        gateway.create_checkout_session({"payment_method_types": ["card"]}, key="x")
    assert refused.value.param == "payment_method_types"
    settings.STRIPE_SECRET_KEY = "sk_test_wrong"
    with pytest.raises(StripeKeyRejected):
        gateway.retrieve_customer("cus_none")


def test_decimals_travel_as_plain_digits():
    assert gateway.decimal_text(Decimal("1E+2")) == "100"
    assert gateway.decimal_text(Decimal("0.0000002")) == "0.0000002"


def test_an_identifier_is_refused_within_a_day_and_counts_again_after(stripe_server):
    customer = gateway.create_customer({"name": "Acme"}, key="c").id
    meter = gateway.create_meter(
        {
            "display_name": "GPU seconds",
            "event_name": "gpu_seconds",
            "default_aggregation": {"formula": "sum"},
        },
        key="m",
    )
    event = {
        "event_name": "gpu_seconds",
        "payload": {"stripe_customer_id": customer, "value": "60"},
        "identifier": "one",
    }
    gateway.create_meter_event(event, key="me:1")
    gateway.create_meter_event(event, key="me:1")  # The idempotency layer replays the answer.
    with pytest.raises(StripeRequestRejected, match="An event already exists with identifier one"):
        gateway.create_meter_event(event, key="me:2")
    assert len(stripe_server.world.meter_events) == 1
    now = stripe_server.world.now() // 3600 * 3600
    span = {"customer": customer, "start_time": now, "end_time": now + 3600}
    assert [row.value for row in gateway.list_meter_event_summaries(span, meter.id)] == [60]
    stripe_server.world.advance(25 * 3600)
    gateway.create_meter_event(event, key="me:1")
    assert len(stripe_server.world.meter_events) == 2


def test_when_stripe_is_slow_few_requests_wait_and_the_others_are_told_soon(stripe_server):
    """A web process has more threads than connections to the database."""
    made = gateway.create_customer({"name": "Acme"}, key="customer:1")
    stripe_server.hang_seconds = 2
    stripe_server.break_next("GET", "/v1/customers", "hang-before", times=gateway.MAX_CALLS)

    def ask(_):
        try:
            return gateway.retrieve_customer(made.id).id
        except StripeRateLimited:
            return "busy"

    with ThreadPoolExecutor(64) as threads:
        outcomes = Counter(threads.map(ask, range(64)))
    assert outcomes == {made.id: gateway.MAX_CALLS, "busy": 64 - gateway.MAX_CALLS}
    assert gateway.retrieve_customer(made.id) == made  # Each made room for the next.
