"""What was used since the last flush, and the sampled log of requests.

Usage is counted before an answer leaves and flushed every second. A flush that fails is repeated
with the same keys, which billing counts once. A killed process (kill -9) loses at most what came
since its last flush: about a second of usage that is then not charged.
"""

import logging
import uuid
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import DatabaseError, DataError, Error, IntegrityError, transaction
from django.db.models import Q
from django.utils.timezone import now

from accounts.authentication import LAST_USE_GRAIN
from accounts.models import ApiToken
from billing.counting import CountedUse, record_uses
from inference.models import RequestLog
from inference.server.database import DatabaseThreads
from inference.server.directory import Caller, Target

logger = logging.getLogger(__name__)

FLUSH_SECONDS = 1.0
LOGGED_PER_FLUSH = 20  # Of each deployment; the rest is counted but not kept.
LOGGED_ROWS = 5  # Of each request.
LOGGED_CHARACTERS = 500  # Of each text.
MOST_WAITING_LOGS = 2_000  # While the database is away; the oldest are dropped.


@dataclass
class Count:
    units: int = 0
    requests: int = 0


@dataclass
class Batch:
    """What one flush books. Its keys never change, so that it can be sent again."""

    uses: list[CountedUse]
    token_ids: set[UUID]
    at: datetime = field(default_factory=now)


class Meter:
    """Counts in memory; writes from a database thread."""

    def __init__(self, threads: DatabaseThreads) -> None:
        self.process = uuid.uuid4()
        self.lost_logs = 0
        self._threads = threads
        self._flushes = 0
        self._counts: dict[tuple[UUID, UUID, str], Count] = {}
        self._token_ids: set[UUID] = set()
        self._unsent: deque[Batch] = deque()
        self._logs: deque[RequestLog] = deque()
        self._logged: dict[UUID, int] = {}

    @property
    def unflushed_tokens(self) -> int:
        waiting = sum(use.units for batch in self._unsent for use in batch.uses)
        return waiting + sum(count.units for count in self._counts.values())

    def count(self, caller: Caller, target: Target, tokens: int) -> None:
        """One answered request."""
        key = (caller.team_id, target.deployment_id, caller.prefix)
        count = self._counts.setdefault(key, Count())
        count.units += tokens
        count.requests += 1
        if caller.token_id is not None:
            self._token_ids.add(caller.token_id)

    def wants_log(self, target: Target) -> bool:
        """False once this deployment has had its share of this second."""
        return self._logged.get(target.deployment_id, 0) < LOGGED_PER_FLUSH

    def log(self, target: Target, entry: RequestLog) -> None:
        """Keep the request until the next flush."""
        self._logged[target.deployment_id] = self._logged.get(target.deployment_id, 0) + 1
        self._logs.append(entry)
        while len(self._logs) > MOST_WAITING_LOGS:
            self._logs.popleft()
            self.lost_logs += 1

    async def flush(self) -> None:
        """Write what is new. On failure nothing is forgotten: the next flush sends it again."""
        self._close_batch()
        try:
            while self._unsent:
                await self._threads.run(write_batch, self._unsent[0])
                self._unsent.popleft()
            await self._flush_logs()
        except Error as error:
            logger.warning("Usage could not be written and waits: %s", error)

    def _close_batch(self) -> None:
        if not self._counts and not self._token_ids:
            self._logged.clear()
            return
        self._flushes += 1
        uses = [
            CountedUse(
                team_id=team_id,
                source=f"deployment:{deployment_id}",
                event_key=f"{self.process}:{self._flushes}:{prefix}",
                token_prefix=prefix,
                units=count.units,
                requests=count.requests,
            )
            for (team_id, deployment_id, prefix), count in self._counts.items()
        ]
        self._unsent.append(Batch(uses, self._token_ids))
        self._counts, self._token_ids = {}, set()
        self._logged.clear()

    async def _flush_logs(self) -> None:
        """The log is a sample: entries the database refuses are dropped, never retried."""
        if not self._logs:
            return
        entries = list(self._logs)
        self._logs.clear()
        try:
            await self._threads.run(RequestLog.objects.bulk_create, entries, ignore_conflicts=True)
        except DatabaseError as error:
            self.lost_logs += len(entries)
            logger.warning("%s entries of the request log were dropped: %s", len(entries), error)


def write_batch(batch: Batch) -> None:
    """Book the uses, each once however often this is called, and note when tokens were used."""
    try:
        record_uses(batch.uses)
    except (IntegrityError, DataError):
        _write_one_by_one(batch.uses)
    stale = Q(last_used_at=None) | Q(last_used_at__lt=batch.at - LAST_USE_GRAIN)
    with transaction.atomic():
        ApiToken.objects.filter(stale, pk__in=batch.token_ids).update(last_used_at=batch.at)


def _write_one_by_one(uses: list[CountedUse]) -> None:
    """A use that can never be booked is set aside in the log, so that the others are."""
    for use in uses:
        try:
            record_uses([use])
        except (IntegrityError, DataError):
            logger.exception("This use cannot be booked and is not charged: %s", use)


def log_entry(
    caller: Caller, target: Target, *, request_id: str, status: int, latency_ms: float, **facts: Any
) -> RequestLog:
    """An unsaved log row. `facts`: texts, answers, rows and tokens, as far as they are known."""
    texts: list[str] = facts.get("texts", [])
    return RequestLog(
        request_id=request_id,
        deployment_id=target.deployment_id,
        token_prefix=caller.prefix,
        rows=len(texts),
        tokens=facts.get("tokens", 0),
        latency_ms=latency_ms,
        status=status,
        at=now(),
        inputs=[_storable(text) for text in texts[:LOGGED_ROWS]],
        answers=facts.get("answers", []),
    )


def _storable(text: str) -> str:
    """PostgreSQL's jsonb refuses the NUL character."""
    return text[:LOGGED_CHARACTERS].replace("\0", "\N{REPLACEMENT CHARACTER}")
