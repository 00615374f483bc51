"""One timer for all bodies that are awaited: a timer for each would cost every request."""

import asyncio
from dataclasses import dataclass, field
from typing import Protocol

CHECK_SECONDS = 0.25
MAX_LAG_SECONDS = 0.1  # A loop that is later than that is busy: what it waits for may be there.
SETTLED_CHECKS = 2  # So often in a row on time, before slowness is taken for the client's.


class Timed(Protocol):
    """A body whose next part is awaited."""

    def check(self, now: float, *, is_loop_settled: bool) -> None:
        """End the wait if it has lasted too long; `now` is the time of the loop's clock."""


@dataclass(eq=False)
class Deadlines:
    """Checks each watched body every CHECK_SECONDS; idle while there is none."""

    _watched: dict[int, Timed] = field(default_factory=dict)
    _timer: asyncio.TimerHandle | None = None
    _checks_on_time: int = 0

    def watch(self, body: Timed) -> None:
        self._watched[id(body)] = body
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(CHECK_SECONDS, self._check_all)

    def forget(self, body: Timed) -> None:
        self._watched.pop(id(body), None)

    def _check_all(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        is_late = self._timer is not None and now - self._timer.when() > MAX_LAG_SECONDS
        self._checks_on_time = 0 if is_late else self._checks_on_time + 1
        is_settled = self._checks_on_time >= SETTLED_CHECKS
        for body in list(self._watched.values()):
            body.check(now, is_loop_settled=is_settled)
        self._timer = loop.call_later(CHECK_SECONDS, self._check_all) if self._watched else None
