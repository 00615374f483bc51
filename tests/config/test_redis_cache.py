import contextvars
from typing import Any

from django.core.cache import caches
from django.test import override_settings

ADDRESS = "redis://127.0.0.1:1/0"  # Nothing is asked of it.
CACHES = {"default": {"BACKEND": "config.redis_cache.SharedRedisCache", "LOCATION": ADDRESS}}


def test_requests_share_one_pool_of_connections() -> None:
    """Each request runs in a context of its own, where Django makes the cache anew."""

    def open_client() -> tuple[Any, Any]:
        backend: Any = caches["default"]
        return backend, backend._cache.get_client(write=True)

    with override_settings(CACHES=CACHES):
        (first, client), (second, same_client) = (
            contextvars.Context().run(open_client) for _ in range(2)
        )
    assert first is not second
    assert client is same_client
