"""Stripe over real sockets: v1's forms and idempotency layer, v2's JSON, and every way to fail.

`server.world` is the account (see stripe_world), `server.break_next(...)` makes calls fail before
or after their effect. Our own code reaches it through STRIPE_API_BASE.
"""

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import urlsplit

from stripe import WebhookSignature

from tests.billing.stripe.fake.endpoints import ROUTES, Call
from tests.billing.stripe.fake.params import Unacceptable, check, decode
from tests.billing.stripe.fake.world import DAY, VERSION, Missing, Thing, World

Fault = Literal[
    "drop-before",
    "drop-after",
    "500-before",
    "500-after",
    "429",
    "refuse",
    "hang-before",
    "hang-after",
]
KEY, LIVE_KEY = "sk_test_lathe", "sk_live_lathe"
RANDOM_KEY = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
# Repeating these does no harm, so they need no key of ours.
HARMLESS = re.compile(r".*/(expire|void|create_preview|billing_portal/sessions)$")


@dataclass
class Trap:
    """The next `times` calls that match fail in this way."""

    method: str
    path: re.Pattern[str]
    fault: Fault
    times: int


@dataclass(frozen=True)
class Saved:
    """An answer that the idempotency layer replays for a day."""

    fingerprint: str
    status: int
    body: Thing
    at: int


class StripeServer:
    """One account behind one address. Use `running()`."""

    def __init__(self) -> None:
        self.world = World()  # The account behind KEY.
        self.worlds = {KEY: self.world, LIVE_KEY: World("acct_live", livemode=True)}
        self.refusals: list[str] = []  # What Stripe's contract forbids or does not know.
        self.requests: list[tuple[str, str, dict[str, Any], str]] = []  # method, path, params, key
        self.traps: list[Trap] = []
        self.hang_seconds = 3.0
        self.meter_call_seconds = 0.0  # Makes overlapping calls of one customer and meter visible.
        self.lock = threading.RLock()
        self._saved: dict[str, Saved] = {}
        self._metering: set[tuple[str, str]] = set()
        self._http = ThreadingHTTPServer(
            ("127.0.0.1", 0), type("Handler", (Handler,), {"server_of": self})
        )
        self._http.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    @contextmanager
    def running(self) -> Iterator["StripeServer"]:
        thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._http.shutdown()
            self._http.server_close()
            thread.join()

    def break_next(self, method: str, path: str, fault: Fault, times: int = 1) -> None:
        """Remember that our library repeats a dropped connection and a 5xx twice by itself."""
        self.traps.append(Trap(method, re.compile(path), fault, times))

    def calls(self, method: str, path: str) -> list[tuple[str, str, dict[str, Any], str]]:
        return [call for call in self.requests if call[0] == method and re.search(path, call[1])]

    def sign(self, event: Thing, secret: str, *, at: int | None = None) -> tuple[bytes, str]:
        """The event as Stripe would post it: body and Stripe-Signature."""
        body = json.dumps(event)
        return body.encode(), WebhookSignature.generate_signature_header(body, secret, at)

    # --- One call -------------------------------------------------------------------------------

    def answer(self, call: Call, key: str, secret: str = KEY) -> tuple[int, Thing, bool]:
        """(status, body, is replayed). Raises Dropped where the line goes dead."""
        if call.method == "POST" and RANDOM_KEY.fullmatch(key) and not HARMLESS.match(call.path):
            self.refusals.append(f"{call.method} {call.path}: no idempotency key")
        if len(key) > 255:
            self.refusals.append(f"{call.method} {call.path}: idempotency key too long")
            return 400, problem("invalid_request_error", "Idempotency key too long"), False
        trap = self._trap(call)
        if trap == "429":
            return 429, problem("rate_limit_error", "Too many requests", code="rate_limit"), False
        if trap == "refuse":
            return 400, problem("invalid_request_error", "This is not acceptable."), False
        if trap in {"drop-before", "hang-before"}:
            self._go_dead(trap)
        if key and (replay := self._replay(call, secret + key)):
            if trap in {"drop-after", "hang-after"}:  # Replays are lost as easily.
                self._go_dead(trap)
            return replay
        status, body, is_saved = self._execute(call, trap, self.worlds[secret])
        if key and is_saved:
            self._saved[secret + key] = Saved(call.fingerprint, status, body, self.world.now())
        if trap in {"drop-after", "hang-after"}:
            self._go_dead(trap)
        return status, body, False

    def _trap(self, call: Call) -> Fault | None:
        with self.lock:
            for trap in self.traps:
                if trap.times and trap.method == call.method and trap.path.search(call.path):
                    trap.times -= 1
                    return trap.fault
        return None

    def _go_dead(self, fault: str) -> None:
        if fault.startswith("hang"):
            time.sleep(self.hang_seconds)
        raise Dropped

    def _replay(self, call: Call, key: str) -> tuple[int, Thing, bool] | None:
        saved = self._saved.get(key)
        if saved is None or saved.at < self.world.now() - DAY:
            return None
        if saved.fingerprint != call.fingerprint:
            message = "Keys for idempotent requests can only be used with the same parameters."
            self.refusals.append(f"{call.method} {call.path}: {message}")
            return 400, problem("idempotency_error", message), False
        return saved.status, saved.body, True

    def _execute(self, call: Call, trap: Fault | None, world: World) -> tuple[int, Thing, bool]:
        """(status, body, whether the idempotency layer keeps it)."""
        broken = problem("api_error", "Something went wrong on Stripe's end.")
        if trap == "500-before":
            return 500, broken, True
        try:
            with self._one_meter_call(call), self.lock:
                body = _route(call, world)
        except Busy:
            return (
                429,
                problem("rate_limit_error", "One call at a time", code="lock_timeout"),
                False,
            )
        except Unacceptable as error:
            self.refusals.append(f"{call.method} {call.path}: {error.message}")
            return (
                400,
                problem("invalid_request_error", error.message, error.param, error.code),
                False,
            )
        except Missing as error:
            self.refusals.append(f"{call.method} {call.path}: {error}")
            return (
                404,
                problem("invalid_request_error", str(error), "id", "resource_missing"),
                False,
            )
        return (500, broken, True) if trap == "500-after" else (200, public(body), True)

    @contextmanager
    def _one_meter_call(self, call: Call) -> Iterator[None]:
        """Stripe allows one call at a time per customer and meter."""
        if call.path != "/v1/billing/meter_events":
            yield
            return
        payload = call.params.get("payload") or {}
        one = (str(payload.get("stripe_customer_id")), str(call.params.get("event_name")))
        with self.lock:
            if one in self._metering:
                raise Busy
            self._metering.add(one)
        try:
            time.sleep(self.meter_call_seconds)
            yield
        finally:
            self._metering.discard(one)


class Dropped(Exception):
    """The connection ends without an answer."""


class Busy(Exception):
    """Another call for the same customer and meter is under way."""


def problem(type_: str, message: str, param: str = "", code: str = "") -> Thing:
    return {
        "error": {"type": type_, "message": message, "param": param or None, "code": code or None}
    }


def public(thing: Any) -> Any:
    """Without what only the fake remembers."""
    if isinstance(thing, dict):
        return {key: public(value) for key, value in thing.items() if not key.startswith("_")}
    if isinstance(thing, list):
        return [public(item) for item in thing]
    return thing


def _route(call: Call, world: World) -> Thing:
    for method, pattern, types, endpoint in ROUTES:
        match = re.fullmatch(pattern, call.path)
        if method == call.method and match:
            if types:
                check(call.params, *types)
            return endpoint(world, call, *match.groups())
    raise Missing(f"Unrecognized request URL ({call.method}: {call.path}).")


class Handler(BaseHTTPRequestHandler):
    """HTTP around StripeServer.answer."""

    protocol_version = "HTTP/1.1"
    # Head and body are two writes: on a kept-alive connection the second would wait for the
    # client's delayed acknowledgement, 40 ms a call.
    disable_nagle_algorithm = True
    server_of: StripeServer

    def log_message(self, *_: object) -> None:
        """Silence: tests read `requests` instead."""

    def _take(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        parts = urlsplit(self.path)
        is_json = parts.path.startswith("/v2/")
        params = json.loads(body or "{}") if is_json and body else decode(body or parts.query)
        call = Call(self.command, parts.path, params)
        key = self.headers.get("Idempotency-Key", "") if self.command == "POST" else ""
        server = self.server_of
        with server.lock:
            server.requests.append((call.method, call.path, params, key))
        if refused := self._refusal():
            self._send(*refused)
            return
        try:
            secret = self.headers["Authorization"].removeprefix("Bearer ")
            status, answer, is_replayed = server.answer(call, key, secret)
        except Dropped:
            self.close_connection = True
            return
        self._send(status, answer, is_replayed)

    def _refusal(self) -> tuple[int, Thing] | None:
        known = {f"Bearer {key}" for key in self.server_of.worlds}
        if self.headers.get("Authorization") not in known:
            return 401, problem("invalid_request_error", "Invalid API Key provided")
        if self.headers.get("Stripe-Version") != VERSION:
            return 400, problem("invalid_request_error", "Invalid Stripe API version")
        return None

    def _send(self, status: int, answer: Thing, is_replayed: bool = False) -> None:
        text = json.dumps(answer, default=str).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Request-Id", "req_test")
        if is_replayed:
            self.send_header("Idempotent-Replayed", "true")
        if status == 400:
            self.send_header("Stripe-Should-Retry", "false")
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_DELETE = _take
