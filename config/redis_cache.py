"""The Redis cache with one client, and so one pool of connections, a process.

It is best effort: while Redis is away or does not answer, it holds nothing, and what is asked is
found out anew. Only `incr` raises, because who counts must know; `web.rate_limits` then lets
everybody through, as allauth does with sign-ins, whose passwords only so many threads verify at
once. The other way round a cache that is away would stop every user and the operator as well.

Django keeps its cache objects by context, and each request has a context of its own: its own
backend would open a connection for each request, which costs more than what the request asks.
"""

import logging
from collections.abc import Callable
from functools import cache, cached_property, wraps
from typing import Any, TypeVar

from django.core.cache.backends.redis import RedisCache, RedisCacheClient
from redis import ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

logger = logging.getLogger(__name__)
Method = TypeVar("Method", bound=Callable[..., Any])
# More than threads ask at once. By default a pool refuses the hundred-and-first instead of waiting.
MAX_CONNECTIONS = 1000
TIMEOUT_SECONDS = 1.0  # To connect, and for an answer: pages wait for it.


class SharedRedisCacheClient(RedisCacheClient):
    """May be used by several threads at once."""

    def get_client(self, key: Any = None, *, write: bool = False) -> Any:
        pool = self._get_connection_pool(write)  # type: ignore[attr-defined]  # The stubs lack it.
        return _open_client(pool)


@cache
def _open_client(pool: ConnectionPool) -> Redis:
    return Redis(connection_pool=pool)


@cache
def _open_cache_client(servers: tuple[str, ...]) -> SharedRedisCacheClient:
    return SharedRedisCacheClient(
        list(servers),
        max_connections=MAX_CONNECTIONS,
        socket_timeout=TIMEOUT_SECONDS,
        # A connection that a restarted server has closed is opened anew.
        retry=Retry(NoBackoff(), 1),
    )


def _otherwise(find_answer: Callable[..., Any]) -> Callable[[Method], Method]:
    """While Redis is away, what a method answers instead, from the method's own arguments."""

    def decorate(method: Method) -> Method:
        @wraps(method)
        def call(self: Any, *args: Any, **options: Any) -> Any:
            try:
                return method(self, *args, **options)
            except RedisError as problem:
                logger.warning("The cache is away: %s", problem)
                return find_answer(*args, **options)

        return call  # type: ignore[return-value]

    return decorate


class SharedRedisCache(RedisCache):
    # `add` is also how a lock is taken: nobody else holds one where nobody can.
    get = _otherwise(lambda key, default=None, version=None: default)(RedisCache.get)
    get_many = _otherwise(lambda *_, **__: {})(RedisCache.get_many)
    has_key = _otherwise(lambda *_, **__: False)(RedisCache.has_key)
    add = _otherwise(lambda *_, **__: True)(RedisCache.add)
    set = _otherwise(lambda *_, **__: None)(RedisCache.set)
    set_many = _otherwise(lambda *_, **__: [])(RedisCache.set_many)
    touch = _otherwise(lambda *_, **__: False)(RedisCache.touch)
    delete = _otherwise(lambda *_, **__: False)(RedisCache.delete)
    delete_many = _otherwise(lambda *_, **__: None)(RedisCache.delete_many)

    @cached_property
    def _cache(self) -> SharedRedisCacheClient:
        return _open_cache_client(tuple(self._servers))  # type: ignore[attr-defined]  # As above.
