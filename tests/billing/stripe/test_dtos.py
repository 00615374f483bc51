"""Stripe's objects are read alike, however Stripe leaves a field out."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from pydantic import ValidationError

from billing.stripe.dtos import (
    StripeCheckoutSessionData,
    StripeCreditBalanceData,
    StripeCreditGrantData,
    StripeCustomerData,
    StripeEventData,
    StripeInvoiceData,
    StripeMeterErrorsData,
    StripeMeterSummaryData,
    StripePriceData,
    StripeRefundData,
    StripeSubscriptionData,
    StripeWebhookEndpointData,
)

NOVEMBER, DECEMBER = 1_793_491_200, 1_796_083_200
START, END = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
PRICE = {"id": "price_1", "product": "prod_1", "unit_amount_decimal": "0.000002"}
ITEM = {
    "id": "si_1", "price": PRICE, "current_period_start": NOVEMBER,
    "current_period_end": DECEMBER,
}  # fmt: skip
SUBSCRIPTION = {
    "id": "sub_1", "customer": "cus_1", "status": "active", "created": NOVEMBER,
    "items": {"data": [ITEM]},
}  # fmt: skip
INVOICE = {
    "id": "in_1", "customer": "cus_1", "total": 4900, "created": NOVEMBER,
    "period_start": NOVEMBER, "period_end": DECEMBER, "lines": {"data": []},
}  # fmt: skip


@pytest.mark.parametrize("customer", ["cus_1", {"id": "cus_1", "object": "customer"}])
def test_a_reference_is_an_id_expanded_or_not(customer):
    assert StripeSubscriptionData.model_validate(
        {**SUBSCRIPTION, "customer": customer}
    ).customer == ("cus_1")


@pytest.mark.parametrize("absent", [{}, {"deleted": None}])
def test_what_is_left_out_and_what_is_null_read_alike(absent):
    customer = StripeCustomerData.model_validate({"id": "cus_1", **absent})
    assert customer.is_deleted is False


def test_seconds_become_aware_moments():
    item = StripeSubscriptionData.model_validate(SUBSCRIPTION).items[0]
    assert (item.period_start, item.period_end) == (START, END)


def test_fractions_of_a_cent_stay_exact():
    assert StripePriceData.model_validate(PRICE).cents == Decimal("0.000002")
    whole = {"id": "p", "unit_amount": 4900}
    assert StripePriceData.model_validate(whole).cents == 4900
    tiered = {"id": "p", "unit_amount_decimal": None, "unit_amount": None, "recurring": None}
    price = StripePriceData.model_validate(tiered)
    assert (price.cents, price.meter) == (0, "")


def test_a_metered_price_names_its_meter():
    metered = {**PRICE, "recurring": {"meter": "mtr_1", "interval": "month"}}
    assert StripePriceData.model_validate(metered).meter == "mtr_1"
    assert StripePriceData.model_validate({**PRICE, "recurring": {"meter": None}}).meter == ""


@pytest.mark.parametrize(
    ("ending", "expected"),
    [
        ({}, None),
        ({"cancel_at": DECEMBER}, END),
        ({"cancel_at": None, "cancel_at_period_end": True}, END),
        ({"cancel_at": NOVEMBER, "cancel_at_period_end": True}, START),
        ({"cancel_at_period_end": False}, None),
    ],
)
def test_when_a_subscription_ends(ending, expected):
    assert StripeSubscriptionData.model_validate({**SUBSCRIPTION, **ending}).cancel_at == expected


def test_a_subscription_without_items_that_ends_with_its_period_has_no_date():
    bare = {**SUBSCRIPTION, "items": {"data": []}, "cancel_at_period_end": True}
    assert StripeSubscriptionData.model_validate(bare).cancel_at is None


def test_an_invoice_of_its_own_has_no_subscription():
    for parent in ({}, {"parent": None}, {"parent": {"subscription_details": None}}):
        invoice = StripeInvoiceData.model_validate({**INVOICE, **parent})
        assert (invoice.subscription, invoice.status, invoice.due_cents) == ("", "draft", 0)
    parent = {"subscription_details": {"subscription": {"id": "sub_1"}}}
    assert StripeInvoiceData.model_validate({**INVOICE, "parent": parent}).subscription == "sub_1"


def test_invoice_lines_name_price_and_period():
    line = {
        "id": "il_1", "amount": 12, "period": {"start": NOVEMBER, "end": DECEMBER},
        "pricing": {"price_details": {"price": {"id": "price_1"}}}, "description": None,
    }  # fmt: skip
    invoice = StripeInvoiceData.model_validate({**INVOICE, "lines": {"data": [line]}})
    [read] = invoice.lines
    assert (read.price, read.amount_cents, read.quantity, read.description) == (
        "price_1", 12, None, "",
    )  # fmt: skip
    assert (read.period_start, read.period_end) == (START, END)


def test_why_an_invoice_was_not_finalized():
    failed = {**INVOICE, "last_finalization_error": {"message": "No tax location"}}
    assert StripeInvoiceData.model_validate(failed).finalization_error == "No tax location"
    healthy = {**INVOICE, "last_finalization_error": None}
    assert StripeInvoiceData.model_validate(healthy).finalization_error == ""


def test_a_grant_is_void_once_it_says_when():
    wire = {"id": "g", "customer": "cus_1", "amount": {"monetary": {"value": 500}}}
    grant = StripeCreditGrantData.model_validate(wire)
    assert (grant.amount_cents, grant.voided_at, grant.expires_at) == (500, None, None)
    assert StripeCreditGrantData.model_validate({**wire, "voided_at": NOVEMBER}).voided_at == START


def test_balances_in_money_add_up_and_others_do_not_count():
    wire = {
        "balances": [
            {"available_balance": {"monetary": {"value": 300}}},
            {"available_balance": {"monetary": None}},
            {"available_balance": {"monetary": {"value": 45}}},
        ]
    }
    assert StripeCreditBalanceData.model_validate(wire).total_cents == 345


@pytest.mark.parametrize("created", [NOVEMBER, "2026-11-01T00:00:00Z", "2026-11-01T00:00:00.000Z"])
def test_both_kinds_of_events_are_kept_as_they_came(created):
    wire = {
        "id": "evt_1",
        "type": "invoice.paid",
        "created": created,
        "data": {"object": {"id": 1}},
    }
    event = StripeEventData.model_validate(wire)
    assert (event.created, event.api_version, event.payload) == (START, "", wire)


def test_an_event_without_a_type_is_refused():
    with pytest.raises(ValidationError):
        StripeEventData.model_validate_json(b'{"id": "evt_1", "created": 1}')


def test_meter_errors_name_the_events_that_were_lost():
    sample = {"request": {"identifier": "test:cpu:1"}}
    kinds = [
        {"code": "no_customer", "error_count": 2, "sample_errors": [sample, {"request": None}]},
        {"code": "late", "error_count": 1, "sample_errors": []},
    ]
    wire = {"data": {"reason": {"error_count": 3, "error_types": kinds}}}
    errors = StripeMeterErrorsData.model_validate(wire)
    assert errors.error_count == 3
    identifiers = [s.identifier for kind in errors.error_types for s in kind.sample_errors]
    assert identifiers == ["test:cpu:1", ""]


def test_a_count_of_stripes_reads_as_an_exact_number():
    wire = {"start_time": NOVEMBER, "end_time": DECEMBER, "aggregated_value": 12.0}
    assert StripeMeterSummaryData.model_validate(wire).value == 12


def test_a_checkout_of_a_plan_and_one_of_credit():
    plan = {"id": "cs_1", "mode": "subscription", "subscription": "sub_1", "amount_total": None}
    session = StripeCheckoutSessionData.model_validate(plan)
    assert (session.subscription, session.payment_intent) == ("sub_1", "")
    paid = {"id": "cs_2", "mode": "payment", "payment_intent": {"id": "pi_1"}, "metadata": None}
    session = StripeCheckoutSessionData.model_validate(paid)
    assert (session.payment_intent, session.metadata) == ("pi_1", {})


def test_an_endpoint_without_a_version_follows_the_account():
    wire = {"url": "https://x.test/", "enabled_events": ["*"], "api_version": None}
    endpoint = StripeWebhookEndpointData.model_validate(wire)
    assert (endpoint.api_version, endpoint.enabled_events) == (None, {"*"})


def test_values_do_not_change_afterwards():
    refund = StripeRefundData.model_validate({"id": "re_1", "amount": 5})
    with pytest.raises(ValidationError):
        refund.amount_cents = 6
