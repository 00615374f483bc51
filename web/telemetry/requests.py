"""Counts and times every request that reaches Django, and logs a line about each."""

import logging
import time

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from prometheus_client import Counter, Histogram

from web.front.middleware import SynchronousMiddleware
from web.telemetry.registry import REGISTRY

logger = logging.getLogger("web.access")

METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
# Asked every few seconds by machines, by the address of this process and not by a host's name.
PROBES = {"/healthz", "/readyz", "/metrics"}
BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # Seconds.

REQUESTS = Counter(
    "lathe_web_requests",
    "Answered requests.",
    ["route", "method", "status"],
    registry=REGISTRY,
)
SECONDS = Histogram(
    "lathe_web_request_seconds",
    "Time until the answer begins.",
    ["route"],
    buckets=BUCKETS,
    registry=REGISTRY,
)


class RequestMetricsMiddleware(SynchronousMiddleware):
    """Behind RequestIdMiddleware, so that its lines carry the request's id."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        began = time.perf_counter()
        if request.path in PROBES:  # Nothing that they answer depends on the name: any is allowed.
            request.get_host = lambda: "localhost"  # type: ignore[method-assign]
        response = self.get_response(request)
        _observe(request, response, time.perf_counter() - began)
        return response


def _observe(request: HttpRequest, response: HttpResponseBase, seconds: float) -> None:
    # The pattern, not the path: there are few of them, and no id of anybody's is in it.
    route = request.resolver_match.route if request.resolver_match else "other"
    method = request.method if request.method in METHODS else "other"
    REQUESTS.labels(route, method, str(response.status_code)).inc()
    SECONDS.labels(route).observe(seconds)
    if request.path not in PROBES:
        facts = (method, request.path, response.status_code, 1000 * seconds)
        logger.info("%s %s %d %.0f ms", *facts)
