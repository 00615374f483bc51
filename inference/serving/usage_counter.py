"""Counts usage in memory and writes it once a second, with a sampled log of requests.

Usage is counted before an answer leaves. A flush that fails is repeated with the same keys, which
billing counts once. A killed process (kill -9) loses at most what came since its last flush: about
a second of usage that is then not charged.
"""

import json
import logging
import random
import uuid
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db import DatabaseError, DataError, Error, IntegrityError, transaction
from django.db.models import Q
from django.utils.timezone import now

from accounts.authentication import LAST_USED_RESOLUTION
from accounts.models import ApiToken
from billing.metering.usage_events import UsageRecord, record_usage
from inference.models import RequestLog
from inference.models.request_log import MAX_LOGGED_CHARACTERS
from inference.serving.db_executor import DatabaseExecutor
from inference.serving.principals import Principal, ServedDeployment

logger = logging.getLogger(__name__)

FLUSH_SECONDS = 1.0
MAX_LOGS_PER_FLUSH = 20  # Of each deployment; the rest is counted but not kept.
MAX_LOGGED_ROWS = 5  # Of each request.
MAX_ASKED_CHARACTERS = 8_000  # Of a single row as JSON, which is kept whole or not at all.
MAX_PENDING_LOGS = 2_000  # While the database is away; the oldest are dropped.


@dataclass
class UsageCount:
    """Of one deployment by one token, since the last flush."""

    units: int = 0
    requests: int = 0


@dataclass
class UsageBatch:
    """What one flush writes. Its keys never change, so that it can be written again."""

    records: list[UsageRecord]
    token_ids: set[UUID]
    at: datetime = field(default_factory=now)


@dataclass(frozen=True, slots=True)
class ShadowAnswer:
    """What a shadow model answered to the same request."""

    answers: list[str]
    seconds: float


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """What the sampled log keeps of one request."""

    status: int
    texts: list[str]
    tokens: int = 0
    answers: list[str] = field(default_factory=list)
    shadow: ShadowAnswer | None = None
    asked: object = None  # The one row as it was asked, where it was one.

    def as_log_entry(
        self, principal: Principal, deployment: ServedDeployment, request_id: str, seconds: float
    ) -> RequestLog:
        """An unsaved row; long texts and all but the first rows are cut off."""
        assert deployment.deployment_id is not None  # The log belongs to deployments.
        return RequestLog(
            request_id=request_id,
            deployment_id=deployment.deployment_id,
            token_prefix=principal.prefix,
            rows=len(self.texts),
            tokens=self.tokens,
            latency_ms=round(seconds * 1000, 3),
            status=self.status,
            at=now(),
            # PostgreSQL's jsonb refuses the NUL character.
            inputs=[
                text[:MAX_LOGGED_CHARACTERS].replace("\0", "\N{REPLACEMENT CHARACTER}")
                for text in self.texts[:MAX_LOGGED_ROWS]
            ],
            answers=self.answers,
            asked=_kept_whole(self.asked),
            model_key=deployment.model_key,
            shadow_answers=self.shadow.answers if self.shadow else None,
            shadow_latency_ms=round(self.shadow.seconds * 1000, 3) if self.shadow else None,
        )


class UsageCounter:
    """Counts in memory; writes from a database thread."""

    def __init__(self, db_executor: DatabaseExecutor) -> None:
        self.process_id = uuid.uuid4()
        self.dropped_logs = 0
        self._db_executor = db_executor
        self._flushes = 0
        self._counts: dict[tuple[UUID, str, str], UsageCount] = {}
        self._keyed: dict[tuple[UUID, str, str], UsageRecord] = {}  # By team, source and key.
        self._token_ids: set[UUID] = set()
        self._unsent_batches: deque[UsageBatch] = deque()
        self._logs: deque[RequestLog] = deque()
        self._logged_counts: Counter[UUID] = Counter()

    @property
    def unflushed_tokens(self) -> int:
        waiting = sum(record.units for batch in self._unsent_batches for record in batch.records)
        keyed = sum(record.units for record in self._keyed.values())
        return waiting + keyed + sum(count.units for count in self._counts.values())

    def add_request(self, principal: Principal, deployment: ServedDeployment, tokens: int) -> None:
        """Count one answered request; one with a key once, however often it is asked."""
        if principal.token_id is not None:
            self._token_ids.add(principal.token_id)
        team_id, source = principal.team_id, principal.source or deployment.source
        if principal.usage_key is not None:
            record = UsageRecord(
                team_id=team_id,
                source=source,
                event_key=principal.usage_key,
                token_prefix=principal.prefix,
                units=tokens,
                requests=1,
            )
            self._keyed.setdefault((team_id, source, principal.usage_key), record)
            return
        count = self._counts.setdefault((team_id, source, principal.prefix), UsageCount())
        count.units += tokens
        count.requests += 1

    def should_log(self, deployment: ServedDeployment) -> bool:
        """By chance, where the deployment keeps one in several requests. False once
        MAX_LOGS_PER_FLUSH requests of this deployment wait for the next flush, and for base models:
        the log belongs to deployments."""
        if deployment.deployment_id is None or deployment.log_one_in == 0:
            return False
        if random.randrange(deployment.log_one_in):
            return False
        return self._logged_counts[deployment.deployment_id] < MAX_LOGS_PER_FLUSH

    def add_log_entry(self, deployment: ServedDeployment, entry: RequestLog) -> None:
        """Keep the entry until the next flush."""
        assert deployment.deployment_id is not None
        self._logged_counts[deployment.deployment_id] += 1
        self._logs.append(entry)
        while len(self._logs) > MAX_PENDING_LOGS:
            self._logs.popleft()
            self.dropped_logs += 1

    async def flush(self) -> None:
        """Write what is new. After a failure the next flush writes it again."""
        self._close_batch()
        try:
            while self._unsent_batches:
                await self._db_executor.run(write_batch, self._unsent_batches[0])
                self._unsent_batches.popleft()
            await self._flush_logs()
        except Error as error:
            logger.warning("Usage could not be written and waits: %s", error)

    def _close_batch(self) -> None:
        if not self._counts and not self._keyed and not self._token_ids:
            self._logged_counts.clear()
            return
        self._flushes += 1
        records = [
            UsageRecord(
                team_id=team_id,
                source=source,
                event_key=f"{self.process_id}:{self._flushes}:{prefix}",
                token_prefix=prefix,
                units=count.units,
                requests=count.requests,
            )
            for (team_id, source, prefix), count in self._counts.items()
        ]
        records += self._keyed.values()
        self._unsent_batches.append(UsageBatch(records, self._token_ids))
        self._counts, self._keyed, self._token_ids = {}, {}, set()
        self._logged_counts.clear()

    async def _flush_logs(self) -> None:
        """The log is a sample: entries the database refuses are dropped, never retried."""
        if not self._logs:
            return
        entries = list(self._logs)
        self._logs.clear()
        try:
            await self._db_executor.run(
                RequestLog.objects.bulk_create, entries, ignore_conflicts=True
            )
        except DatabaseError as error:
            self.dropped_logs += len(entries)
            logger.warning("%s entries of the request log were dropped: %s", len(entries), error)


def write_batch(batch: UsageBatch) -> None:
    """Post the usage, each record once however often this is called, and when tokens were used."""
    try:
        record_usage(batch.records)
    except (IntegrityError, DataError):
        # A record that can never be posted goes to the log, so that the others are posted.
        for record in batch.records:
            try:
                record_usage([record])
            except (IntegrityError, DataError):
                logger.exception("This use cannot be booked and is not charged: %s", record)
    stale = Q(last_used_at=None) | Q(last_used_at__lt=batch.at - LAST_USED_RESOLUTION)
    with transaction.atomic():
        ApiToken.objects.filter(stale, pk__in=batch.token_ids).update(last_used_at=batch.at)


def _kept_whole(row: object) -> object:
    """None for what jsonb refuses, too: it would take the entries beside it along."""
    if row is None:
        return None
    try:
        text = json.dumps(row, allow_nan=False, ensure_ascii=False)
        text.encode()
    except ValueError:  # NaN, infinity, or half of a surrogate pair, perhaps in an unused column.
        return None
    return row if len(text) <= MAX_ASKED_CHARACTERS and "\\u0000" not in text else None
