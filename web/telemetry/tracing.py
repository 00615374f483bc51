"""Spans of an ASGI application that has no Django in front."""

from django.conf import settings
from starlette.types import ASGIApp


def traced(app: ASGIApp) -> ASGIApp:
    """The application with a span around each request, where OpenTelemetry is configured
    (config.observability.reporting)."""
    if not settings.OTEL_EXPORTER_OTLP_ENDPOINT:
        return app
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware

    inside: ASGIApp = OpenTelemetryMiddleware(app)
    return inside
