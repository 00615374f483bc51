"""Where log lines go, and which libraries are quiet."""

from django.core.exceptions import ImproperlyConfigured

from config import env
from web.log_context import LOG_FORMAT

FORMATTERS = {
    "plain": {"format": LOG_FORMAT},
    "json": {"()": "web.telemetry.json_logs.JsonFormatter"},
}
_formatter = env.optional("LOG_FORMAT", "plain")
if _formatter not in FORMATTERS:
    raise ImproperlyConfigured(f"LOG_FORMAT must be plain or json, not {_formatter!r}.")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": FORMATTERS,
    # The request and the job that a line is about: see web.log_context.
    "filters": {"context": {"()": "web.log_context.LogContextFilter"}},
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": _formatter,
            "filters": ["context"],
        }
    },
    "root": {"handlers": ["console"], "level": env.optional("LOG_LEVEL", "INFO")},
    # Celery would log every periodic task; what a task does is logged by the code that does it.
    "loggers": {
        name: {"level": "WARNING"}
        for name in (
            "httpx",
            "psycopg.pool",
            "stripe",
            "csp",
            "kombu",
            "celery.beat",
            "celery.app.trace",
            "celery.worker.strategy",
        )
    }
    # A line for every 404 would push the banner off the screen; web.access has them at INFO.
    | {"django.request": {"level": "ERROR"}},
}
