"""A small cache of what the database says: short-lived, bounded, each key asked once at a time."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class FreshCache(Generic[Key, Value]):
    """Values no older than `seconds`, read by `load`; what was forgotten meanwhile is not kept."""

    def __init__(
        self, load: Callable[[Key], Awaitable[Value]], seconds: float, most: int = 10_000
    ) -> None:
        self.seconds = seconds
        self._load = load
        self._most = most
        self._kept: OrderedDict[Key, tuple[float, Value]] = OrderedDict()
        self._loading: dict[Key, asyncio.Task[Value]] = {}

    async def get(self, key: Key, *, max_age_seconds: float | None = None) -> Value:
        """The value, at most `max_age_seconds` old (else this cache's own limit)."""
        limit = self.seconds if max_age_seconds is None else max_age_seconds
        if (kept := self._kept.get(key)) and time.monotonic() - kept[0] <= limit:
            return kept[1]
        task = self._loading.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._read(key))
            self._loading[key] = task
        return await asyncio.shield(task)  # One caller leaving does not fail the others.

    def forget(self, key: Key) -> None:
        """Read it anew next time; a read under way is not kept either, it may be too old."""
        self._kept.pop(key, None)
        self._loading.pop(key, None)

    def clear(self) -> None:
        self._kept.clear()
        self._loading.clear()

    async def _read(self, key: Key) -> Value:
        started = time.monotonic()
        task = asyncio.current_task()
        try:
            value = await self._load(key)
            if self._loading.get(key) is task:
                self._kept[key] = (started, value)
                self._kept.move_to_end(key)
                while len(self._kept) > self._most:
                    self._kept.popitem(last=False)
            return value
        finally:
            if self._loading.get(key) is task:
                del self._loading[key]
