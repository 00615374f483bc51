"""What a Stripe account holds and does: enough of its objects to bill for, and no more.

Amounts are cents, moments whole seconds of the world's own clock, which a test may move.
"""

import json
import time
from calendar import monthrange
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from tests.billing.stripe.fake.params import Unacceptable

VERSION = "2026-10-28.endive"
DAY = 24 * 3600
Thing = dict[str, Any]


def refuse(message: str, param: str = "", code: str = "") -> None:
    raise Unacceptable(message, param, code)


class Missing(Exception):
    """No such object (404)."""


def month_later(moment: int) -> int:
    at = datetime.fromtimestamp(moment, UTC)
    year, month = (at.year + 1, 1) if at.month == 12 else (at.year, at.month + 1)
    return int(
        at.replace(year=year, month=month, day=min(at.day, monthrange(year, month)[1])).timestamp()
    )


def asked(line: Thing) -> int:
    """Cents of an invoice's line, without what coupons take off."""
    cents: int = line["amount"] - sum(each["amount"] for each in line["discount_amounts"])
    return cents


class World:
    """Every object of one account by kind and id."""

    def __init__(self, account: str = "acct_test", *, livemode: bool = False) -> None:
        self.account, self.livemode = account, livemode
        self.offset = 0
        self.things: dict[str, dict[str, Thing]] = {}
        self.events: list[Thing] = []
        self.meter_events: list[Thing] = []  # What was accepted, in order of arrival.
        self.cancelled_identifiers: set[str] = set()
        self.pending: list[Thing] = []  # Invoice items that wait for the next invoice.
        self._number = 0

    # --- Clock and store ------------------------------------------------------------------------

    def now(self) -> int:
        return int(time.time()) + self.offset

    def advance(self, seconds: int) -> None:
        """Move the account's clock. Ours stays."""
        self.offset += seconds

    def kind(self, kind: str) -> dict[str, Thing]:
        return self.things.setdefault(kind, {})

    def new(self, kind: str, prefix: str, **facts: Any) -> Thing:
        self._number += 1
        thing = {
            "id": facts.pop("id", None) or f"{prefix}_{'live' * self.livemode}{self._number:06d}",
            "object": kind, "created": self.now(), "livemode": self.livemode, "metadata": {},
        } | facts  # fmt: skip
        self.kind(kind)[thing["id"]] = thing
        return thing

    def get(self, kind: str, thing_id: str) -> Thing:
        if thing_id not in self.kind(kind):
            raise Missing(f"No such {kind}: '{thing_id}'")
        return self.kind(kind)[thing_id]

    def need(self, kind: str, thing_id: str, param: str) -> Thing:
        """An object that a parameter names: its absence, or deletion, is a 400."""
        if thing_id not in self.kind(kind) or self.kind(kind)[thing_id].get("deleted"):
            raise Unacceptable(f"No such {kind}: '{thing_id}'", param, "resource_missing")
        return self.kind(kind)[thing_id]

    def happened(self, type_: str, thing: Thing) -> Thing:
        """An event with a snapshot of the thing."""
        self._number += 1
        event = {
            "id": f"evt_{self._number:06d}", "object": "event", "api_version": VERSION,
            "created": self.now(), "type": type_, "livemode": self.livemode, "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
            "data": {"object": json.loads(json.dumps(thing, default=str))},
        }  # fmt: skip
        self.events.append(event)
        return event

    # --- Paying ---------------------------------------------------------------------------------

    def pay(self, session_id: str, *, is_paid: bool = True) -> Thing:
        """The customer completes a Checkout session; a delayed payment method is not paid yet."""
        session = self.get("checkout.session", session_id)
        assert session["status"] == "open", session["status"]
        session |= {"status": "complete", "url": None}
        session["payment_status"] = "paid" if is_paid else "unpaid"
        if session["mode"] == "payment":
            intent = self.new(
                "payment_intent", "pi", amount=session["amount_total"],
                customer=session["customer"], metadata=session["_payment_metadata"], currency="usd",
                status="succeeded" if is_paid else "processing",
            )  # fmt: skip
            session["payment_intent"] = intent["id"]
        else:
            session["subscription"] = self._subscribe(session)["id"]
        self.get("customer", session["customer"])["currency"] = "usd"
        self.happened("checkout.session.completed", session)
        return session

    def settle(self, session_id: str, *, succeeds: bool = True) -> Thing:
        """A delayed payment arrives, or does not."""
        session = self.get("checkout.session", session_id)
        word = "succeeded" if succeeds else "failed"
        session["payment_status"] = "paid" if succeeds else "unpaid"
        self.happened(f"checkout.session.async_payment_{word}", session)
        return session

    def _subscribe(self, session: Thing) -> Thing:
        start, end = self.now(), month_later(self.now())
        subscription = self.new(
            "subscription", "sub", customer=session["customer"], status="active",
            cancel_at=None, cancel_at_period_end=False, canceled_at=None, ended_at=None,
            currency="usd", metadata=session["_subscription_metadata"], latest_invoice=None,
            items={"object": "list", "has_more": False, "url": "/v1/items", "data": []},
        )  # fmt: skip
        for line in session["_lines"]:
            self.add_item(subscription, line, start, end)
        self.happened("customer.subscription.created", subscription)
        invoice = self.make_invoice(subscription, "subscription_create", start, start, ahead=True)
        self.finalize(invoice["id"])
        self.collect(invoice["id"])
        return subscription

    def add_item(self, subscription: Thing, line: Thing, start: int, end: int) -> Thing:
        price = self.need("price", line["price"], "items[price]")
        is_metered = price["recurring"]["usage_type"] == "metered"
        if is_metered and "quantity" in line:
            refuse("Quantity should not be specified where usage_type is `metered`.", "quantity")
        self._number += 1
        item = {
            "id": f"si_{self._number:06d}", "object": "subscription_item", "price": price,
            "subscription": subscription["id"], "created": self.now(), "metadata": {},
            "current_period_start": start, "current_period_end": end,
        }  # fmt: skip
        if not is_metered:
            item["quantity"] = int(line.get("quantity", 1))
        subscription["items"]["data"].append(item)
        return item

    # --- Usage ----------------------------------------------------------------------------------

    def used(self, customer: str, meter: Thing, start: int, end: int) -> Decimal:
        """What the meter counted for the customer in [start, end)."""
        return sum(
            (
                Decimal(event["payload"]["value"])
                for event in self.meter_events
                if event["event_name"] == meter["event_name"]
                and event["payload"].get("stripe_customer_id") == customer
                and start <= event["timestamp"] < end
                and event["identifier"] not in self.cancelled_identifiers
            ),
            Decimal(0),
        )

    # --- Invoices -------------------------------------------------------------------------------

    def make_invoice(
        self, subscription: Thing, reason: str, start: int, end: int, *, ahead: bool = False
    ) -> Thing:
        """A draft: fees ahead for the period that begins, usage of the one that ended."""
        invoice = self.draft(subscription["customer"], reason, start, end)
        invoice["parent"] = {
            "type": "subscription_details", "quote_details": None,
            "subscription_details": {"subscription": subscription["id"], "metadata": {}},
        }  # fmt: skip
        invoice["_usage"] = [] if ahead else [
            (item["price"]["id"], start, end) for item in subscription["items"]["data"]
            if item["price"]["recurring"]["usage_type"] == "metered"
        ]  # fmt: skip
        invoice["_fees"] = [
            (item["price"]["id"], item["quantity"], item["current_period_start"],
             item["current_period_end"])
            for item in subscription["items"]["data"] if "quantity" in item
        ]  # fmt: skip
        invoice["_items"] = [
            item for item in self.pending if item["customer"] == invoice["customer"]
        ]
        self.pending = [item for item in self.pending if item not in invoice["_items"]]
        subscription["latest_invoice"] = invoice["id"]
        self.price(invoice)
        self.happened("invoice.created", invoice)
        return invoice

    def draft(self, customer: str, reason: str, start: int, end: int) -> Thing:
        return self.new(
            "invoice", "in", customer=customer, status="draft", billing_reason=reason,
            currency="usd", number=None, hosted_invoice_url=None, invoice_pdf=None, parent=None,
            next_payment_attempt=None, period_start=start, period_end=end, amount_paid=0,
            status_transitions={"finalized_at": None, "paid_at": None}, total=0, amount_due=0,
            last_finalization_error=None, _usage=[], _fees=[], _items=[],
            lines={"object": "list", "has_more": False, "url": "/v1/lines", "data": []},
        )  # fmt: skip

    def price(self, invoice: Thing) -> None:
        """Count the usage as it is known now and add everything up."""
        lines = [self._item_line(item) for item in invoice["_items"]]
        for price_id, quantity, start, end in invoice["_fees"]:
            price = self.get("price", price_id)
            amount = quantity * int(price["unit_amount"])
            lines.append(self._line(price, quantity, amount, start, end))
        for price_id, start, end in invoice["_usage"]:
            price = self.get("price", price_id)
            meter = self.get("billing.meter", price["recurring"]["meter"])
            units = max(Decimal(0), self.used(invoice["customer"], meter, start, end))
            cents = units * Decimal(price["unit_amount_decimal"])
            amount = int(cents.quantize(Decimal(1), ROUND_HALF_UP))
            lines.append(self._line(price, int(units), amount, start, end))
        for line in lines:  # By a coupon that somebody gives in the dashboard.
            off = line["amount"] * invoice.get("_percent_off", 0) // 100
            line["discount_amounts"] = [{"amount": off, "discount": "di_1"}] if off else []
        invoice["_lines"] = lines
        invoice["lines"] |= {"data": lines[:10], "has_more": len(lines) > 10}
        total = sum(map(asked, lines))
        invoice |= {"total": total, "amount_due": max(0, total), "amount_remaining": max(0, total)}

    def _line(self, price: Thing, quantity: int, amount: int, start: int, end: int) -> Thing:
        self._number += 1
        name = self.get("product", price["product"])["name"]
        return {
            "id": f"il_{self._number:06d}", "object": "line_item", "amount": amount,
            "currency": "usd", "description": f"{quantity} × {name}", "quantity": quantity,
            "period": {"start": start, "end": end}, "metadata": {}, "pricing": self._pricing(price),
        }  # fmt: skip

    def _item_line(self, item: Thing) -> Thing:
        """Of an item by hand or a proration, which names the price that it is of."""
        self._number += 1
        return {
            "id": f"il_{self._number:06d}", "object": "line_item", "amount": item["amount"],
            "currency": "usd", "description": item.get("description") or "", "quantity": 1,
            "period": item["period"], "metadata": item["metadata"],
            "pricing": self._pricing(item["_price"]) if "_price" in item else None,
        }  # fmt: skip

    def _pricing(self, price: Thing) -> Thing:
        details = {"price": price["id"], "product": price["product"]}
        return {"type": "price_details", "price_details": details}

    def close_period(self, subscription_id: str) -> Thing:
        """Time passes to the end of the subscription's period: a draft invoice for it."""
        subscription = self.get("subscription", subscription_id)
        items = subscription["items"]["data"]
        start, end = items[0]["current_period_start"], items[0]["current_period_end"]
        self.offset += max(0, end - self.now())
        if subscription["cancel_at_period_end"]:
            subscription["_final"] = True
        for item in items:
            item |= {"current_period_start": end, "current_period_end": month_later(end)}
        invoice = self.make_invoice(subscription, "subscription_cycle", start, end)
        self.happened("customer.subscription.updated", subscription)
        return invoice

    def finalize(self, invoice_id: str) -> Thing:
        """Usage is counted for the last time, credit is taken off, the number is given."""
        invoice = self.get("invoice", invoice_id)
        self.price(invoice)
        metered = sum(asked(line) for line in invoice["_lines"] if self.is_metered(line))
        credit = sum(self._burn(invoice, metered).values())
        invoice["total"] -= credit
        invoice["total_pretax_credit_amounts"] = [
            {"amount": credit, "type": "credit_balance_transaction"}
        ]
        invoice["amount_due"] = invoice["amount_remaining"] = max(0, invoice["total"])
        invoice |= {
            "status": "open", "number": f"LATHE-{invoice_id[-4:]}",
            "hosted_invoice_url": f"https://invoice.stripe.com/i/{invoice_id}",
            "invoice_pdf": f"https://pay.stripe.com/invoice/{invoice_id}/pdf",
        }  # fmt: skip
        invoice["status_transitions"]["finalized_at"] = self.now()
        self.happened("invoice.finalized", invoice)
        return invoice

    def is_metered(self, line: Thing) -> bool:
        pricing = line["pricing"]
        if not pricing:
            return False
        price = self.get("price", pricing["price_details"]["price"])
        return price["recurring"]["usage_type"] == "metered"

    def _burn(self, invoice: Thing, wanted: int) -> dict[str, int]:
        """Cents by grant."""
        burned: dict[str, int] = {}
        invoice["_burned"] = burned
        grants = [
            g for g in self.kind("billing.credit_grant").values()
            if g["customer"] == invoice["customer"]
        ]  # fmt: skip
        for grant in sorted(grants, key=lambda g: (g["priority"], g["expires_at"] or 10**12)):
            if grant["voided_at"] or (grant["expires_at"] or 10**12) <= self.now():
                continue
            part = min(wanted - sum(burned.values()), grant["_left"])
            grant["_left"] -= part
            burned[grant["id"]] = part
            if part:
                entry = self.new(
                    "billing.credit_balance_transaction", "cbtxn", credit_grant=grant["id"]
                )
                self.happened("billing.credit_balance_transaction.created", entry)
        return burned

    def collect(self, invoice_id: str, *, succeeds: bool = True) -> Thing:
        """The card is charged for a finalized invoice."""
        invoice = self.get("invoice", invoice_id)
        subscription_id = ((invoice["parent"] or {}).get("subscription_details") or {}).get(
            "subscription"
        )
        if succeeds:
            invoice |= {
                "status": "paid", "amount_paid": invoice["amount_due"], "amount_remaining": 0,
            }  # fmt: skip
            self.happened("invoice.paid", invoice)
        else:
            invoice["next_payment_attempt"] = self.now() + 3 * DAY
            self.happened("invoice.payment_failed", invoice)
        if subscription_id:
            subscription = self.get("subscription", subscription_id)
            subscription["status"] = "active" if succeeds else "past_due"
            self.happened("customer.subscription.updated", subscription)
        return invoice

    def void(self, invoice_id: str) -> Thing:
        """Nobody is to pay it, and the credit that it took off is there again."""
        invoice = self.get("invoice", invoice_id)
        invoice |= {"status": "void", "next_payment_attempt": None}
        for grant_id, cents in invoice.pop("_burned").items():
            self.get("billing.credit_grant", grant_id)["_left"] += cents
        self.happened("invoice.voided", invoice)
        return invoice

    def credit_note(self, invoice_id: str, cents: int) -> Thing:
        """The seller takes back a part of what an open invoice asks for."""
        invoice = self.get("invoice", invoice_id)
        invoice["amount_remaining"] -= cents
        note = self.new("credit_note", "cn", invoice=invoice_id, amount=cents, currency="usd")
        self.happened("credit_note.created", note)
        return note

    def give_up(self, subscription_id: str) -> Thing:
        """Stripe has tried the card often enough, and the account keeps the subscription."""
        subscription = self.get("subscription", subscription_id)
        subscription["status"] = "unpaid"
        self.happened("customer.subscription.updated", subscription)
        return subscription

    def end_subscription(self, subscription_id: str) -> Thing:
        subscription = self.get("subscription", subscription_id)
        subscription |= {"status": "canceled", "canceled_at": self.now(), "ended_at": self.now()}
        self.happened("customer.subscription.deleted", subscription)
        return subscription

    # --- Money going back -----------------------------------------------------------------------

    def refund(self, payment_intent: str, amount: int | None = None) -> Thing:
        intent = self.get("payment_intent", payment_intent)
        refund = self.new(
            "refund", "re", payment_intent=payment_intent, currency="usd", status="succeeded",
            amount=amount or intent["amount"], charge=None, reason=None,
        )  # fmt: skip
        self.happened("refund.created", refund)
        return refund

    def dispute(self, payment_intent: str, amount: int | None = None) -> Thing:
        intent = self.get("payment_intent", payment_intent)
        dispute = self.new(
            "dispute", "dp", payment_intent=payment_intent, currency="usd",
            status="needs_response", amount=amount or intent["amount"], reason="fraudulent",
        )  # fmt: skip
        self.happened("charge.dispute.created", dispute)
        return dispute

    def close_dispute(self, dispute_id: str, status: str) -> Thing:
        dispute = self.get("dispute", dispute_id)
        dispute["status"] = status
        self.happened("charge.dispute.closed", dispute)
        return dispute

    def meter_error(self, identifiers: list[str], code: str = "meter_event_invalid_value") -> Thing:
        """A thin event saying that accepted meter events were not counted after all."""
        self._number += 1
        moment = datetime.fromtimestamp(self.now(), UTC).isoformat().replace("+00:00", "Z")
        event = {
            "id": f"evt_thin_{self._number:06d}", "object": "v2.core.event", "created": moment,
            "type": "v1.billing.meter.error_report_triggered", "livemode": False, "context": None,
            "related_object": {"id": "mtr_1", "type": "billing.meter", "url": "/v1/billing/meters"},
            "data": {
                "developer_message_summary": "There is 1 invalid event",
                "validation_start": moment, "validation_end": moment,
                "reason": {"error_count": len(identifiers), "error_types": [{
                    "code": code, "error_count": len(identifiers),
                    "sample_errors": [
                        {"error_message": f"{code}: {name}", "request": {"identifier": name}}
                        for name in identifiers
                    ],
                }]},
            },
        }  # fmt: skip
        self.kind("v2.core.event")[event["id"]] = event
        return event


Endpoint = Callable[..., Thing]
