"""Asks shadow models beside the answers that callers get, never ahead of them."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from inference.serving.protocol.errors import ApiError
from inference.serving.usage_counter import ShadowAnswer

logger = logging.getLogger(__name__)
MAX_UNDER_WAY = 32  # More are left out: callers go first.


@dataclass(eq=False)
class Shadows:
    """Questions to shadow models that are under way."""

    skipped: int = 0
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def start(
        self,
        ask: Callable[[], Awaitable[list[str]]],
        log: Callable[[ShadowAnswer | None], None],
    ) -> None:
        """Ask in the background and log the request with what came; without it where too many
        are under way or it failed."""
        if len(self._tasks) >= MAX_UNDER_WAY:
            self.skipped += 1
            log(None)
            return
        task = asyncio.get_running_loop().create_task(_compare(ask, log))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def finish(self) -> None:
        """Wait for those that are under way."""
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _compare(
    ask: Callable[[], Awaitable[list[str]]], log: Callable[[ShadowAnswer | None], None]
) -> None:
    began = time.perf_counter()
    try:
        answers = await ask()
    except ApiError as refusal:
        answers = [f"error {refusal.status}: {refusal.code}"]
    except Exception:  # A shadow that breaks must not break anything else.
        logger.exception("A shadow model failed")
        answers = ["error"]
    log(ShadowAnswer(answers, time.perf_counter() - began))
