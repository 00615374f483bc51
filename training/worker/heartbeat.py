"""A running attempt's heartbeat: bills, renews the lease, and learns when to stop."""

import logging
import threading
import time
from dataclasses import dataclass
from enum import StrEnum

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection
from django.utils.timezone import now

from billing.metering import runs
from billing.metering.runs import LeaseDecision
from training.estimates.announced_cost import TimeBudget
from training.models import Attempt, Status
from training.worker import shutdown
from web.log_context import job_id

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0  # How soon a cancel or pause is noticed.
LEASE_MARGIN_SECONDS = 5.0  # Stop by ourselves this long before a lease we cannot renew ends.


class StopReason(StrEnum):
    """Why the engine must stop."""

    ENDED = "ended"  # The row said so: cancelled, paused or fenced off.
    CAP = "cap"
    COST = "announced_cost"  # It needs a good deal more than was announced.
    LEAVING = "leaving"  # The worker is shutting down; the job goes back to the queue.
    TIME_LIMIT = "time_limit"
    OUT_OF_TOUCH = "out_of_touch"  # The database could not be reached until the lease ran low.


NO_LEASE_NEEDED = {StopReason.ENDED, StopReason.OUT_OF_TOUCH}  # Nothing is left to renew.


@dataclass(eq=False)
class BillableClock:
    """Billable milliseconds of this attempt: the engine's running time less free phases."""

    _total_seconds: float = 0.0
    _running_since: float | None = None

    def start(self) -> None:
        if self._running_since is None:
            self._running_since = time.monotonic()

    @property
    def is_unbilled(self) -> bool:
        """Whether the attempt is in a phase that is not billed."""
        return self._running_since is None

    def pause(self) -> None:
        self._total_seconds = self.seconds()
        self._running_since = None

    def seconds(self) -> float:
        since = self._running_since
        return self._total_seconds + (time.monotonic() - since if since is not None else 0.0)

    def milliseconds(self) -> int:
        return int(self.seconds() * 1000)


class HeartbeatThread(threading.Thread):
    """Renews the lease until `stop` is called; `stop_reason` says why the engine must stop.

    While a finished artifact is being stored (`is_publishing`), the attempt's row says so too:
    from then on even a spent cap takes nothing more, and the job must succeed.
    """

    def __init__(
        self,
        attempt: Attempt,
        meter: BillableClock,
        left_ms: int,
        budget: TimeBudget | None = None,
    ) -> None:
        super().__init__(daemon=True, name=f"heart-{attempt.pk}")
        self.stop_reason: StopReason | None = None
        self.is_publishing = False
        self._remaining_ms = left_ms
        self._budget = budget
        self._attempt = attempt
        self._clock = meter
        self._stop_requested = threading.Event()
        self._send_lock = threading.Lock()
        self._started_at = time.monotonic()
        self._lease_ends_at = self._started_at + settings.LEASE_SECONDS

    def stop(self) -> None:
        """Send no more heartbeats; returns when the last one has ended."""
        self._stop_requested.set()
        self.join()

    def run(self) -> None:
        job_id.set(str(self._attempt.job_id))  # A thread starts without context variables.
        next_beat_at = time.monotonic() + settings.HEARTBEAT_SECONDS
        try:
            while self._needs_lease() and not self._stop_requested.wait(POLL_SECONDS):
                is_due = time.monotonic() >= next_beat_at
                self._check_once(beats=is_due)
                if is_due:
                    next_beat_at = time.monotonic() + settings.HEARTBEAT_SECONDS
        finally:
            connection.close()

    def _needs_lease(self) -> bool:
        """The lease is still needed while the state or the artifact is being stored."""
        return self.stop_reason not in NO_LEASE_NEEDED or self.is_publishing

    def _check_once(self, *, beats: bool) -> None:
        try:
            if not Attempt.objects.filter(
                pk=self._attempt.pk, ended_at=None, job__status=Status.RUNNING
            ).exists():
                self.stop_reason = StopReason.ENDED
            elif shutdown.is_requested():
                self.stop_reason = self.stop_reason or StopReason.LEAVING
            elif self._clock.milliseconds() >= self._remaining_ms:
                self.stop_reason = self.stop_reason or StopReason.TIME_LIMIT
            elif self._budget and self._clock.milliseconds() >= self._budget.pause_ms:
                self.stop_reason = self.stop_reason or StopReason.COST
            if beats and self._needs_lease():
                self.renew_lease()
        except DatabaseError as error:
            logger.warning("Heartbeat of attempt %s failed: %s", self._attempt.pk, error)
            connection.close()  # Else it is kept: a new one each second costs more than all else.
            if time.monotonic() > self._lease_ends_at - LEASE_MARGIN_SECONDS:
                self.stop_reason = StopReason.OUT_OF_TOUCH

    def mark_checkpointed(self) -> None:
        """A checkpoint is safe: bill up to now, and never refund that."""
        with self._send_lock:
            run = self._attempt.run
            self._send_heartbeat()
            runs.mark_checkpointed(run.pk, run.fence)

    def renew_lease(self) -> None:
        """Bill up to now and renew the lease."""
        with self._send_lock:
            if self.is_publishing:
                Attempt.objects.filter(pk=self._attempt.pk).update(publishing_at=now())
            self._send_heartbeat()

    def _send_heartbeat(self) -> None:
        sent_at = time.monotonic()
        run = self._attempt.run
        uptime_ms = int((sent_at - self._started_at) * 1000)
        is_free, run_ms = self._clock.is_unbilled, self._clock.milliseconds()
        if self._budget and run_ms >= self._budget.billable_ms:
            is_free, run_ms = True, self._budget.billable_ms
        pulse = runs.heartbeat(run.pk, run.fence, run_ms, uptime_ms=uptime_ms, is_free=is_free)
        if pulse.decision == LeaseDecision.CAP_REACHED:
            self.stop_reason = StopReason.CAP
        elif pulse.decision == LeaseDecision.FENCED:
            self.stop_reason = StopReason.ENDED
        elif pulse.decision == LeaseDecision.CONTINUE:
            self._lease_ends_at = sent_at + pulse.lease_seconds
