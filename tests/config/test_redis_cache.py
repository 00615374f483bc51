import contextvars
import os
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import caches
from django.test import override_settings
from redis import Redis

SERVER = os.environ["REDIS_URL"]  # The tests' own.
CACHES = {"default": {"BACKEND": "config.redis_cache.SharedRedisCache", "LOCATION": SERVER}}


@pytest.fixture(autouse=True)
def redis_cache() -> Iterator[None]:
    with override_settings(CACHES=CACHES):
        yield


def open_cache() -> tuple[Any, Any]:
    """The cache of one request, which has a context of its own, and its client."""
    backend: Any = contextvars.Context().run(lambda: caches["default"])
    return backend, backend._cache.get_client(write=True)


def test_requests_share_one_client() -> None:
    (first, client), (second, same_client) = open_cache(), open_cache()
    assert first is not second
    assert client is same_client


def test_more_threads_than_redis_py_allows_by_default_find_a_connection() -> None:
    pool = open_cache()[1].connection_pool
    for connection in [pool.get_connection() for _ in range(150)]:
        pool.release(connection)
        connection.disconnect()


def test_a_connection_that_the_server_closed_is_opened_anew() -> None:
    """As after a restart of Redis, between two requests."""
    backend, client = open_cache()
    backend.set("kept", 1)
    Redis.from_url(SERVER).client_kill_filter(_id=client.client_id())
    assert backend.get("kept") == 1
