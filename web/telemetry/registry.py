"""The figures of this process, for Prometheus; each module that counts adds its own to REGISTRY."""

from django.conf import settings
from django.utils.crypto import constant_time_compare
from prometheus_client import GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.registry import CollectorRegistry

# Processor seconds, memory, open files and threads come with it.
REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)


def may_read(authorization: str) -> bool:
    """Whether this Authorization header carries METRICS_TOKEN; without a token set, nobody may."""
    token = settings.METRICS_TOKEN
    return bool(token) and constant_time_compare(authorization, f"Bearer {token}")
