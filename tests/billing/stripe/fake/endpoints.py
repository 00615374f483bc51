"""What each address of the fake Stripe does to its world. Parameters were checked before."""

import json
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from tests.billing.stripe.fake.params import Unacceptable
from tests.billing.stripe.fake.world import DAY, Endpoint, Thing, World, refuse


@dataclass(frozen=True)
class Call:
    """One request, its form decoded."""

    method: str
    path: str
    params: dict[str, Any]

    @property
    def fingerprint(self) -> str:
        return f"{self.method} {self.path} {json.dumps(self.params, sort_keys=True)}"


def listed(call: Call, rows: list[Thing]) -> Thing:
    """A page of rows, newest first."""
    rows = sorted(rows, key=lambda row: (row["created"], row["id"]), reverse=True)
    if after := call.params.get("starting_after"):
        ids = [row["id"] for row in rows]
        rows = rows[ids.index(after) + 1 :]
    limit = int(call.params.get("limit", 10))
    if not 1 <= limit <= 100:
        refuse("Invalid limit", "limit", "parameter_invalid_integer")
    more = len(rows) > limit
    return {"object": "list", "url": call.path, "has_more": more, "data": rows[:limit]}


def metadata(call: Call) -> dict[str, str]:
    """Its limits are Stripe's."""
    given: dict[str, str] = call.params.get("metadata") or {}
    for key, value in given.items():
        if len(key) > 40 or len(value) > 500 or len(given) > 50:
            refuse(f"Metadata {key} is too long", "metadata")
    return given


# --- Customers and account --------------------------------------------------------------------


def account(world: World, call: Call) -> Thing:
    return {"id": world.account, "object": "account", "country": "US", "charges_enabled": True}


def create_customer(world: World, call: Call) -> Thing:
    return world.new(
        "customer", "cus", name=call.params.get("name"), email=call.params.get("email"),
        metadata=metadata(call), currency=None, delinquent=False,
    )  # fmt: skip


def get_customer(world: World, call: Call, customer_id: str) -> Thing:
    customer = world.get("customer", customer_id)
    if customer.get("deleted"):
        return {"id": customer_id, "object": "customer", "deleted": True}
    return customer


def delete_customer(world: World, call: Call, customer_id: str) -> Thing:
    customer = world.get("customer", customer_id)
    for subscription in world.kind("subscription").values():
        if subscription["customer"] == customer_id and subscription["status"] != "canceled":
            world.end_subscription(subscription["id"])
    world.happened("customer.deleted", customer)
    customer["deleted"] = True
    return {"id": customer_id, "object": "customer", "deleted": True}


# --- Catalog ------------------------------------------------------------------------------------


def create_product(world: World, call: Call) -> Thing:
    product_id = call.params.get("id")
    if product_id in world.kind("product"):
        refuse("Product already exists.", "id", "resource_already_exists")
    return world.new("product", "prod", id=product_id, name=call.params["name"], active=True,
                     metadata=metadata(call))  # fmt: skip


def get_product(world: World, call: Call, product_id: str) -> Thing:
    return world.get("product", product_id)


def list_products(world: World, call: Call) -> Thing:
    ids = call.params.get("ids")
    return listed(call, [p for p in world.kind("product").values() if not ids or p["id"] in ids])


def create_price(world: World, call: Call) -> Thing:
    params = call.params
    world.need("product", params["product"], "product")
    recurring = {"interval": "month", "interval_count": 1, "usage_type": "licensed", "meter": None}
    recurring |= params.get("recurring") or {}
    if recurring["usage_type"] == "metered":
        if not recurring["meter"]:
            refuse("Metered prices need a meter.", "recurring[meter]")
        world.need("billing.meter", recurring["meter"], "recurring[meter]")
    text = params.get("unit_amount_decimal") or params.get("unit_amount")
    if text is None or not str(text).replace(".", "", 1).isdigit():
        refuse(f"Invalid decimal: {text}", "unit_amount_decimal")
    if len(str(text).partition(".")[2]) > 12:
        refuse("unit_amount_decimal has at most 12 decimal places", "unit_amount_decimal")
    cents = Decimal(str(text))
    _free_lookup_key(world, params)
    return world.new(
        "price", "price", product=params["product"], currency=params["currency"], active=True,
        lookup_key=params.get("lookup_key"), metadata=metadata(call), unit_amount_decimal=str(text),
        unit_amount=int(cents) if cents == int(cents) else None, type="recurring",
        recurring=recurring if params.get("recurring") else None,
    )  # fmt: skip


def _free_lookup_key(world: World, params: dict[str, Any]) -> None:
    for other in world.kind("price").values():
        if other["lookup_key"] and other["lookup_key"] == params.get("lookup_key"):
            if params.get("transfer_lookup_key") != "true":
                refuse("A price already uses that lookup key.", "lookup_key")
            other["lookup_key"] = None


def list_prices(world: World, call: Call) -> Thing:
    keys = call.params.get("lookup_keys")
    if keys and len(keys) > 10:
        refuse("At most 10 lookup keys.", "lookup_keys")
    rows = [
        price for price in world.kind("price").values()
        if (not keys or price["lookup_key"] in keys)
        and ("active" not in call.params or str(price["active"]).lower() == call.params["active"])
    ]  # fmt: skip
    return listed(call, rows)


def create_meter(world: World, call: Call) -> Thing:
    name = call.params["event_name"]
    if len(name) > 100:
        refuse("event_name is too long", "event_name")
    if any(
        m["event_name"] == name and m["status"] == "active"
        for m in world.kind("billing.meter").values()
    ):
        refuse("An active meter already uses that event name.", "event_name")
    return world.new(
        "billing.meter", "mtr", display_name=call.params["display_name"], event_name=name,
        status="active", default_aggregation=call.params["default_aggregation"],
    )  # fmt: skip


def list_meters(world: World, call: Call) -> Thing:
    meters = world.kind("billing.meter").values()
    wanted = call.params.get("status")
    return listed(call, [meter for meter in meters if wanted in (None, meter["status"])])


# --- Usage --------------------------------------------------------------------------------------


def create_meter_event(world: World, call: Call) -> Thing:
    params, payload = call.params, call.params["payload"]
    identifier = params.get("identifier") or f"random-{world.now()}-{len(world.meter_events)}"
    if len(identifier) > 100:
        refuse("identifier is too long", "identifier")
    for event in world.meter_events:
        if event["identifier"] == identifier and event["_received"] > world.now() - DAY:
            refuse(f"An event already exists with identifier {identifier}.", "", "")
    moment = int(params.get("timestamp") or world.now())
    if moment < world.now() - 35 * DAY:
        refuse("The timestamp is too far in the past.", "timestamp", "timestamp_too_far_in_past")
    if moment > world.now() + 300:
        refuse("The timestamp is too far in the future.", "timestamp", "timestamp_in_future")
    value = str(payload.get("value", ""))
    if not value.removeprefix("-").isdigit():
        refuse("value must be a whole number", "payload[value]", "meter_event_invalid_value")
    if len(value.removeprefix("-")) > 15:
        refuse("Too many digits", "payload[value]", "meter_event_value_too_many_digits")
    event = {
        "object": "billing.meter_event", "created": world.now(), "livemode": False,
        "event_name": params["event_name"], "identifier": identifier, "payload": payload,
        "timestamp": moment, "_received": world.now(),
    }  # fmt: skip
    world.meter_events.append(event)
    return event


def adjust_meter_event(world: World, call: Call) -> Thing:
    identifier = call.params["cancel"]["identifier"]
    for event in world.meter_events:
        if event["identifier"] == identifier and event["_received"] > world.now() - DAY:
            world.cancelled_identifiers.add(identifier)
            return {"object": "billing.meter_event_adjustment", "status": "pending", **call.params}
    raise Unacceptable("No such event within 24 hours.", "cancel[identifier]", "")


def list_summaries(world: World, call: Call, meter_id: str) -> Thing:
    meter = world.get("billing.meter", meter_id)
    start, end = int(call.params["start_time"]), int(call.params["end_time"])
    window = {"hour": 3600, "day": DAY}.get(call.params.get("value_grouping_window", ""), 0)
    if start % (window or 60) or end % (window or 60):
        refuse("Times must be aligned with the window", "start_time")
    step = window or end - start
    rows = []
    for at in range(start, end, step):
        value = world.used(call.params["customer"], meter, at, at + step)
        if value or not window:
            rows.append({
                "id": f"mtrusg_{at}", "object": "billing.meter_event_summary", "created": at,
                "aggregated_value": float(value), "start_time": at, "end_time": at + step,
                "meter": meter_id, "livemode": False,
            })  # fmt: skip
    return listed(call, rows)


# --- Paying -------------------------------------------------------------------------------------


def create_session(world: World, call: Call) -> Thing:
    params, mode = call.params, call.params.get("mode")
    world.need("customer", params.get("customer", ""), "customer")
    if len(params.get("client_reference_id", "")) > 200:
        refuse("client_reference_id is too long", "client_reference_id")
    total, recurring = 0, 0
    for number, line in enumerate(params.get("line_items") or []):
        place = f"line_items[{number}]"
        if "price" in line:
            price = world.need("price", line["price"], f"{place}[price]")
            recurring += bool(price["recurring"])
            metered = price["recurring"] and price["recurring"]["usage_type"] == "metered"
            if metered and "quantity" in line:
                refuse("Quantity should not be specified where usage_type is `metered`.", place)
            if not metered and "quantity" not in line:
                refuse("Quantity is required.", f"{place}[quantity]", "parameter_missing")
            total += 0 if metered else int(price["unit_amount"]) * int(line["quantity"])
        else:
            if int(line["price_data"]["unit_amount"]) < 50:
                refuse("The amount must be at least $0.50 usd", "line_items", "amount_too_small")
            total += int(line["price_data"]["unit_amount"]) * int(line.get("quantity", 1))
    if mode == "subscription" and not recurring:
        refuse("`subscription` mode needs at least one recurring price.", "mode")
    if mode == "payment" and recurring:
        refuse("You specified `payment` mode but passed a recurring price.", "mode")
    if recurring > 20:
        refuse("At most 20 recurring lines.", "line_items")
    return _open_session(world, call, total)


def _open_session(world: World, call: Call, total: int) -> Thing:
    params = call.params
    session = world.new(
        "checkout.session", "cs_test", mode=params["mode"], status="open", payment_status="unpaid",
        customer=params["customer"], amount_total=total, currency="usd", metadata=metadata(call),
        client_reference_id=params.get("client_reference_id"), subscription=None,
        payment_intent=None, success_url=params.get("success_url"),
        _lines=params["line_items"],
        _payment_metadata=(params.get("payment_intent_data") or {}).get("metadata") or {},
        _subscription_metadata=(params.get("subscription_data") or {}).get("metadata") or {},
    )  # fmt: skip
    session["url"] = f"https://checkout.stripe.com/c/pay/{session['id']}"
    return session


def get_session(world: World, call: Call, session_id: str) -> Thing:
    return world.get("checkout.session", session_id)


def expire_session(world: World, call: Call, session_id: str) -> Thing:
    session = world.get("checkout.session", session_id)
    if session["status"] != "open":
        refuse('Only Checkout Sessions with a status in ["open"] can be expired.', "session")
    session |= {"status": "expired", "url": None}
    world.happened("checkout.session.expired", session)
    return session


def open_portal(world: World, call: Call) -> Thing:
    world.need("customer", call.params["customer"], "customer")
    return world.new(
        "billing_portal.session", "bps", customer=call.params["customer"],
        return_url=call.params.get("return_url"), url="https://billing.stripe.com/p/session/test",
    )  # fmt: skip


def create_refund(world: World, call: Call) -> Thing:
    return world.refund(call.params["payment_intent"], int(call.params.get("amount", 0)) or None)


def list_refunds(world: World, call: Call) -> Thing:
    rows = [
        one for one in world.kind("refund").values()
        if call.params.get("payment_intent") in {None, one["payment_intent"]}
    ]  # fmt: skip
    return listed(call, rows)


def get_refund(world: World, call: Call, refund_id: str) -> Thing:
    return world.get("refund", refund_id)


def get_payment(world: World, call: Call, payment_id: str) -> Thing:
    return world.get("payment_intent", payment_id)


def get_dispute(world: World, call: Call, dispute_id: str) -> Thing:
    return world.get("dispute", dispute_id)


# --- Subscriptions and invoices -------------------------------------------------------------------


def get_subscription(world: World, call: Call, subscription_id: str) -> Thing:
    return world.get("subscription", subscription_id)


def list_subscriptions(world: World, call: Call) -> Thing:
    rows = [
        one for one in world.kind("subscription").values()
        if call.params.get("customer") in {None, one["customer"]} and one["status"] != "canceled"
    ]  # fmt: skip
    return listed(call, rows)


def update_subscription(world: World, call: Call, subscription_id: str) -> Thing:
    subscription = world.get("subscription", subscription_id)
    if subscription["status"] == "canceled":
        refuse("A canceled subscription can only update its cancellation_details.", "")
    if call.params.get("items"):
        changed = _changed_items(world, subscription, call.params["items"])
        if call.params.get("proration_behavior") != "none":
            world.pending += _prorations(world, subscription, changed)
        subscription["items"]["data"] = changed
    if "cancel_at_period_end" in call.params:
        is_ending = call.params["cancel_at_period_end"] == "true"
        end = max(item["current_period_end"] for item in subscription["items"]["data"])
        subscription |= {"cancel_at_period_end": is_ending, "cancel_at": end if is_ending else None}
    subscription["metadata"] |= metadata(call)
    world.happened("customer.subscription.updated", subscription)
    return subscription


def _changed_items(world: World, subscription: Thing, changes: list[Thing]) -> list[Thing]:
    """The items as they would be: nothing is stored."""
    items = [dict(item) for item in subscription["items"]["data"]]
    start = min(item["current_period_start"] for item in items)
    end = max(item["current_period_end"] for item in items)
    for change in changes:
        if "id" not in change:
            scratch = {"id": subscription["id"], "items": {"data": items}}
            world.add_item(scratch, change, start, end)
            continue
        item = next((one for one in items if one["id"] == change["id"]), None)
        if item is None:
            raise Unacceptable(
                f"No such subscription item: {change['id']}", "items", "resource_missing"
            )
        if change.get("deleted") == "true":
            items.remove(item)
        elif "price" in change:
            item["price"] = world.need("price", change["price"], "items[price]")
            if "quantity" in change:
                item["quantity"] = int(change["quantity"])
    if not items:
        refuse("A subscription must have at least one item.", "items")
    return items


def _prorations(world: World, subscription: Thing, changed: list[Thing]) -> list[Thing]:
    """What the rest of the period is worth before and after."""
    lines = []
    for sign, items, word in (
        (-1, subscription["items"]["data"], "Unused time"), (1, changed, "Remaining time")
    ):  # fmt: skip
        other = changed if sign < 0 else subscription["items"]["data"]
        kept = {(item["id"], item["price"]["id"]) for item in other}
        for item in items:
            if "quantity" not in item or (item["id"], item["price"]["id"]) in kept:
                continue
            start, end = item["current_period_start"], item["current_period_end"]
            share = Decimal(max(0, end - world.now())) / (end - start)
            amount = sign * int(share * int(item["price"]["unit_amount"]) * item["quantity"])
            name = world.get("product", item["price"]["product"])["name"]
            lines.append({
                "customer": subscription["customer"], "amount": amount, "metadata": {},
                "description": f"{word} on {name}", "period": {"start": world.now(), "end": end},
                "_price": item["price"],
            })  # fmt: skip
    return lines


def cancel_subscription(world: World, call: Call, subscription_id: str) -> Thing:
    subscription = world.get("subscription", subscription_id)
    if call.params.get("prorate") == "true":
        world.pending += _prorations(world, subscription, [])
    return world.end_subscription(subscription_id)


def preview_invoice(world: World, call: Call) -> Thing:
    subscription = world.get("subscription", call.params["subscription"])
    details = call.params.get("subscription_details") or {}
    items = subscription["items"]["data"]
    extra: list[Thing] = []
    if details.get("items"):
        items = _changed_items(world, subscription, details["items"])
        extra = _prorations(world, subscription, items)
    start, end = items[0]["current_period_start"], items[0]["current_period_end"]
    invoice = world.draft(subscription["customer"], "upcoming", start, end)
    del world.kind("invoice")[invoice["id"]]
    mine = [item for item in world.pending if item["customer"] == subscription["customer"]]
    invoice |= {
        "id": f"upcoming_{invoice['id']}", "_items": mine + extra,
        "_fees": [(i["price"]["id"], i["quantity"], end, end) for i in items if "quantity" in i],
        "_usage": [(i["price"]["id"], start, end) for i in items if "quantity" not in i],
    }  # fmt: skip
    world.price(invoice)
    return invoice


def get_invoice(world: World, call: Call, invoice_id: str) -> Thing:
    return world.get("invoice", invoice_id)


def list_invoices(world: World, call: Call) -> Thing:
    rows = [
        one for one in world.kind("invoice").values()
        if call.params.get("customer") in {None, one["customer"]}
        and call.params.get("subscription") in {None, _subscription_of(one)}
    ]  # fmt: skip
    return listed(call, rows)


def _subscription_of(invoice: Thing) -> str | None:
    parent = invoice["parent"] or {}
    return (parent.get("subscription_details") or {}).get("subscription")


def list_invoice_lines(world: World, call: Call, invoice_id: str) -> Thing:
    """In the order of the invoice."""
    lines = world.get("invoice", invoice_id)["_lines"]
    ids = [line["id"] for line in lines]
    start = ids.index(call.params["starting_after"]) + 1 if "starting_after" in call.params else 0
    end = start + int(call.params.get("limit", 10))
    return {
        "object": "list", "url": call.path, "has_more": len(lines) > end, "data": lines[start:end],
    }  # fmt: skip


def create_invoice_item(world: World, call: Call) -> Thing:
    params = call.params
    world.need("customer", params["customer"], "customer")
    amount = int(params.get("amount") or params.get("unit_amount_decimal") or 0)
    period = params.get("period") or {"start": world.now(), "end": world.now()}
    item = world.new(
        "invoiceitem", "ii", customer=params["customer"], amount=amount, metadata=metadata(call),
        description=params.get("description"), invoice=params.get("invoice"), currency="usd",
        period={"start": int(period["start"]), "end": int(period["end"])},
    )  # fmt: skip
    if params.get("invoice"):
        invoice = world.need("invoice", params["invoice"], "invoice")
        if invoice["status"] != "draft":
            refuse("Invoice items can only be added to a draft.", "invoice")
        invoice["_items"].append(item)
        world.price(invoice)
    else:
        world.pending.append(item)
    return item


def list_invoice_items(world: World, call: Call) -> Thing:
    rows = [
        item for item in world.kind("invoiceitem").values()
        if call.params.get("customer") in {None, item["customer"]}
    ]  # fmt: skip
    return listed(call, rows)


# --- Credit -------------------------------------------------------------------------------------


def create_grant(world: World, call: Call) -> Thing:
    params = call.params
    world.need("customer", params["customer"], "customer")
    if len(params.get("name", "")) > 100:
        refuse("name is too long", "name")
    scope = params["applicability_config"]["scope"]
    if ("price_type" in scope) == ("prices" in scope):
        refuse("Give price_type or prices, not both.", "applicability_config[scope]")
    value = int(params["amount"]["monetary"]["value"])
    if value <= 0:
        refuse("The amount must be positive.", "amount[monetary][value]")
    grant = world.new(
        "billing.credit_grant", "credgr", customer=params["customer"], name=params.get("name"),
        amount={"type": "monetary", "monetary": {"currency": "usd", "value": value}},
        category=params.get("category"), priority=int(params.get("priority", 50)),
        expires_at=int(params["expires_at"]) if params.get("expires_at") else None,
        voided_at=None, metadata=metadata(call), _left=value,
    )  # fmt: skip
    world.happened("billing.credit_grant.created", grant)
    return grant


def get_grant(world: World, call: Call, grant_id: str) -> Thing:
    return world.get("billing.credit_grant", grant_id)


def list_grants(world: World, call: Call) -> Thing:
    rows = [
        one for one in world.kind("billing.credit_grant").values()
        if call.params.get("customer") in {None, one["customer"]}
    ]  # fmt: skip
    return listed(call, rows)


def void_grant(world: World, call: Call, grant_id: str) -> Thing:
    grant = world.get("billing.credit_grant", grant_id)
    if grant["_left"] < grant["amount"]["monetary"]["value"]:
        refuse("This credit grant was applied to an invoice and cannot be voided.", "id")
    grant["voided_at"], grant["_left"] = world.now(), 0
    world.happened("billing.credit_grant.updated", grant)
    return grant


def expire_grant(world: World, call: Call, grant_id: str) -> Thing:
    grant = world.get("billing.credit_grant", grant_id)
    grant["expires_at"], grant["_left"] = world.now(), 0
    world.happened("billing.credit_grant.updated", grant)
    return grant


def credit_balance(world: World, call: Call) -> Thing:
    world.need("customer", call.params["customer"], "customer")
    only = call.params["filter"].get("credit_grant")
    left = sum(
        one["_left"] for one in world.kind("billing.credit_grant").values()
        if one["customer"] == call.params["customer"] and not one["voided_at"]
        and only in {None, one["id"]}
    )  # fmt: skip
    money = {"type": "monetary", "monetary": {"currency": "usd", "value": left}}
    balance = {"available_balance": money, "ledger_balance": money}
    return {
        "object": "billing.credit_balance_summary", "customer": call.params["customer"],
        "balances": [balance], "livemode": False,
    }  # fmt: skip


# --- Events -------------------------------------------------------------------------------------


def list_events(world: World, call: Call) -> Thing:
    types, since = call.params.get("types"), int((call.params.get("created") or {}).get("gte", 0))
    if types and len(types) > 20:
        refuse("At most 20 types.", "types")
    rows = [
        event for event in world.events
        if event["created"] >= max(since, world.now() - 30 * DAY)
        and (not types or event["type"] in types)
    ]  # fmt: skip
    return listed(call, rows)


def list_thin_events(world: World, call: Call) -> Thing:
    types = call.params["types"]
    if len(types) > 20:
        refuse("At most 20 types.", "types")
    since = datetime.fromisoformat(call.params["created"]["gte"])
    rows = [
        {key: value for key, value in event.items() if key != "data"}
        for event in world.kind("v2.core.event").values()
        if event["type"] in types and datetime.fromisoformat(event["created"]) >= since
    ]
    return {"data": rows, "next_page_url": None, "previous_page_url": None}


def get_thin_event(world: World, call: Call, event_id: str) -> Thing:
    return world.get("v2.core.event", event_id)


def list_endpoints(world: World, call: Call) -> Thing:
    return listed(call, list(world.kind("webhook_endpoint").values()))


ROUTES: list[tuple[str, str, tuple[str, str] | None, Endpoint]] = [
    ("GET", "/v1/account", None, account),
    ("POST", "/v1/customers", ("_customer_create_params", "CustomerCreateParams"), create_customer),
    ("GET", r"/v1/customers/(\w+)", None, get_customer),
    ("DELETE", r"/v1/customers/(\w+)", None, delete_customer),
    ("POST", "/v1/products", ("_product_create_params", "ProductCreateParams"), create_product),
    ("GET", "/v1/products", ("_product_list_params", "ProductListParams"), list_products),
    ("GET", r"/v1/products/([\w-]+)", None, get_product),
    ("POST", "/v1/prices", ("_price_create_params", "PriceCreateParams"), create_price),
    ("GET", "/v1/prices", ("_price_list_params", "PriceListParams"), list_prices),
    ("POST", "/v1/billing/meters",
     ("billing._meter_create_params", "MeterCreateParams"), create_meter),
    ("GET", "/v1/billing/meters", ("billing._meter_list_params", "MeterListParams"), list_meters),
    ("POST", "/v1/billing/meter_events",
     ("billing._meter_event_create_params", "MeterEventCreateParams"), create_meter_event),
    ("POST", "/v1/billing/meter_event_adjustments",
     ("billing._meter_event_adjustment_create_params", "MeterEventAdjustmentCreateParams"),
     adjust_meter_event),
    ("GET", r"/v1/billing/meters/(\w+)/event_summaries",
     ("billing._meter_list_event_summaries_params", "MeterListEventSummariesParams"),
     list_summaries),
    ("POST", "/v1/checkout/sessions",
     ("checkout._session_create_params", "SessionCreateParams"), create_session),
    ("GET", r"/v1/checkout/sessions/(\w+)", None, get_session),
    ("POST", r"/v1/checkout/sessions/(\w+)/expire", None, expire_session),
    ("POST", "/v1/billing_portal/sessions",
     ("billing_portal._session_create_params", "SessionCreateParams"), open_portal),
    ("POST", "/v1/refunds", ("_refund_create_params", "RefundCreateParams"), create_refund),
    ("GET", "/v1/refunds", ("_refund_list_params", "RefundListParams"), list_refunds),
    ("GET", r"/v1/refunds/(\w+)", None, get_refund),
    ("GET", r"/v1/payment_intents/(\w+)", None, get_payment),
    ("GET", r"/v1/disputes/(\w+)", None, get_dispute),
    ("GET", "/v1/subscriptions", None, list_subscriptions),
    ("GET", r"/v1/subscriptions/(\w+)", None, get_subscription),
    ("POST", r"/v1/subscriptions/(\w+)",
     ("_subscription_update_params", "SubscriptionUpdateParams"), update_subscription),
    ("DELETE", r"/v1/subscriptions/(\w+)", None, cancel_subscription),
    ("POST", "/v1/invoices/create_preview",
     ("_invoice_create_preview_params", "InvoiceCreatePreviewParams"), preview_invoice),
    ("GET", "/v1/invoices", ("_invoice_list_params", "InvoiceListParams"), list_invoices),
    ("GET", r"/v1/invoices/(\w+)/lines",
     ("_invoice_line_item_list_params", "InvoiceLineItemListParams"), list_invoice_lines),
    ("GET", r"/v1/invoices/(\w+)", None, get_invoice),
    ("GET", "/v1/invoiceitems", ("_invoice_item_list_params", "InvoiceItemListParams"),
     list_invoice_items),
    ("POST", "/v1/invoiceitems",
     ("_invoice_item_create_params", "InvoiceItemCreateParams"), create_invoice_item),
    ("POST", "/v1/billing/credit_grants",
     ("billing._credit_grant_create_params", "CreditGrantCreateParams"), create_grant),
    ("GET", "/v1/billing/credit_grants", None, list_grants),
    ("GET", r"/v1/billing/credit_grants/(\w+)", None, get_grant),
    ("POST", r"/v1/billing/credit_grants/(\w+)/void", None, void_grant),
    ("POST", r"/v1/billing/credit_grants/(\w+)/expire", None, expire_grant),
    ("GET", "/v1/billing/credit_balance_summary",
     ("billing._credit_balance_summary_retrieve_params", "CreditBalanceSummaryRetrieveParams"),
     credit_balance),
    ("GET", "/v1/events", ("_event_list_params", "EventListParams"), list_events),
    ("GET", "/v2/core/events",
     ("v2.core._event_list_params", "EventListParams"), list_thin_events),
    ("GET", r"/v2/core/events/(\w+)", None, get_thin_event),
    ("GET", "/v1/webhook_endpoints", None, list_endpoints),
]  # fmt: skip
