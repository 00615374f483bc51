"""Sentry and OpenTelemetry: started only where their address is set.

Their packages are in requirements-observability.txt, which nothing else needs.
"""

import os
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from web.log_context import job_id, request_id

if TYPE_CHECKING:
    from sentry_sdk.types import Event, Hint

_HINT = "pip install -r requirements-observability.txt"


def start() -> None:
    """Raises ImproperlyConfigured when something is configured whose package is not installed."""
    if settings.SENTRY_DSN:
        _start_sentry()
    if settings.OTEL_EXPORTER_OTLP_ENDPOINT:
        _start_open_telemetry()


def _start_sentry() -> None:
    try:
        import sentry_sdk
    except ImportError:
        raise ImproperlyConfigured(f"SENTRY_DSN is set, but Sentry is not here: {_HINT}") from None
    sentry_sdk.init(
        dsn=settings.SENTRY_DSN,
        release=settings.VERSION,
        environment=settings.SENTRY_ENVIRONMENT,
        before_send=_name_request_and_job,
        send_default_pii=False,
        max_request_body_size="never",  # Customers' rows are in them.
        include_local_variables=False,
        traces_sample_rate=0.0,  # Traces are OpenTelemetry's.
    )


def _name_request_and_job(event: "Event", hint: "Hint") -> "Event":
    """The same ids as in the log lines and on error pages."""
    ids = {"request_id": request_id.get(), "job_id": job_id.get()}
    tags = event.setdefault("tags", {})
    tags.update({name: value for name, value in ids.items() if value})
    return event


def _start_open_telemetry() -> None:
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.instrumentation.celery import CeleryInstrumentor
        from opentelemetry.instrumentation.django import DjangoInstrumentor
        from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ImproperlyConfigured(
            f"OTEL_EXPORTER_OTLP_ENDPOINT is set, but OpenTelemetry is not here ({error}): {_HINT}"
        ) from None
    name = os.environ.get("OTEL_SERVICE_NAME", "lathe")
    resource = Resource.create({"service.name": name, "service.version": settings.VERSION})
    provider = TracerProvider(resource=resource)  # OTEL_TRACES_SAMPLER and its kind are heeded.
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    # Inside of what names a request, and lets probes ask by any host name.
    place = settings.MIDDLEWARE.index("web.telemetry.requests.RequestMetricsMiddleware") + 1
    os.environ.setdefault("OTEL_PYTHON_DJANGO_MIDDLEWARE_POSITION", str(place))
    DjangoInstrumentor().instrument(request_hook=_tag_span)
    CeleryInstrumentor().instrument()  # type: ignore[no-untyped-call]
    PsycopgInstrumentor().instrument()


def _tag_span(span: object, request: object) -> None:
    if value := request_id.get():
        span.set_attribute("lathe.request_id", value)  # type: ignore[attr-defined]
