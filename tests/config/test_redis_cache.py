import contextvars
import os
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import caches
from django.test import override_settings
from django.urls import reverse
from redis import Redis
from redis.exceptions import RedisError

from config import redis_cache as ours
from web.rate_limits.counter import increment

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


@pytest.fixture(params=["refused", "silent"])
def away(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A cache whose server is not there, and one whose server does not answer."""
    monkeypatch.setattr(ours, "TIMEOUT_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        if request.param == "refused":
            listener.close()
        place = {"default": {**CACHES["default"], "LOCATION": f"redis://127.0.0.1:{port}/0"}}
        with override_settings(CACHES=place):
            yield caches["default"]


def test_a_cache_that_is_away_holds_nothing_and_fails_nobody(away: Any) -> None:
    began = time.monotonic()
    away.set("figure", 1)
    assert (away.get("figure"), away.get("figure", "none"), away.get_many(["figure"])) == (
        None,
        "none",
        {},
    )
    assert away.get_or_set("figure", lambda: 7) == 7
    assert "figure" not in away
    assert not away.delete("figure")
    assert time.monotonic() - began < 10


def test_who_counts_is_told_that_the_cache_is_away(away: Any) -> None:
    with pytest.raises(RedisError):
        away.incr("count")
    assert increment("count", 60) == 0


@pytest.mark.django_db
def test_pages_come_and_people_sign_in_while_the_cache_is_away(
    away: Any, client: Any, things: Any, alice: Any
) -> None:
    password = "correct horse battery staple"
    alice.set_password(password)
    alice.save()
    form = {"login": alice.email, "password": password}
    assert client.post("/accounts/login/", form).status_code == 302
    slug, assistant = things["slug"], things["assistant"]
    for address in (
        reverse("projects:overview", args=[slug]),  # Needs, kept for a while.
        reverse("billing:usage", args=[slug]),
        reverse("projects:dataset", args=[things["dataset"]]),
        reverse("assistants:monitor", args=[assistant]),
        "/status/",
    ):
        assert client.get(address).status_code == 200, address
