"""The Redis cache with one client, and so one pool of connections, a process.

Django keeps its cache objects by context, and each request has a context of its own: its own
backend would open a connection for each request, which costs more than what the request asks.
"""

from functools import cache, cached_property
from typing import Any

from django.core.cache.backends.redis import RedisCache, RedisCacheClient
from redis import ConnectionPool, Redis

# More than threads ask at once. By default a pool refuses the hundred-and-first instead of waiting.
MAX_CONNECTIONS = 1000


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
    return SharedRedisCacheClient(list(servers), max_connections=MAX_CONNECTIONS)


class SharedRedisCache(RedisCache):
    @cached_property
    def _cache(self) -> SharedRedisCacheClient:
        return _open_cache_client(tuple(self._servers))  # type: ignore[attr-defined]  # As above.
