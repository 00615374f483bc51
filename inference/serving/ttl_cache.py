"""A small cache of database reads: short-lived, bounded, one read per key at a time."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class SingleFlightTtlCache(Generic[Key, Value]):
    """Values no older than `seconds`, read by `load`. A read that was invalidated meanwhile is not
    stored."""

    def __init__(
        self, load: Callable[[Key], Awaitable[Value]], seconds: float, max_entries: int = 10_000
    ) -> None:
        self.ttl_seconds = seconds
        self._load = load
        self._max_entries = max_entries
        self._entries: OrderedDict[Key, tuple[float, Value]] = OrderedDict()
        self._loading: dict[Key, asyncio.Task[Value]] = {}

    async def get(self, key: Key, *, max_age_seconds: float | None = None) -> Value:
        """The value, at most `max_age_seconds` old (else this cache's own limit)."""
        limit = self.ttl_seconds if max_age_seconds is None else max_age_seconds
        if (entry := self._entries.get(key)) and time.monotonic() - entry[0] <= limit:
            return entry[1]
        task = self._loading.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._load_and_store(key))
            self._loading[key] = task
        return await asyncio.shield(task)  # A cancelled caller does not fail the others.

    def invalidate(self, key: Key) -> None:
        """Read the key again next time; a read under way is not stored, it may be old."""
        self._entries.pop(key, None)
        self._loading.pop(key, None)

    def clear(self) -> None:
        self._entries.clear()
        self._loading.clear()

    async def _load_and_store(self, key: Key) -> Value:
        started = time.monotonic()
        task = asyncio.current_task()
        try:
            value = await self._load(key)
            if self._loading.get(key) is task:
                self._entries[key] = (started, value)
                self._entries.move_to_end(key)
                while len(self._entries) > self._max_entries:
                    self._entries.popitem(last=False)
            return value
        finally:
            if self._loading.get(key) is task:
                del self._loading[key]
