"""A running attempt's heartbeat: bills, renews the lease, and learns when to stop."""

import logging
import threading
import time
from enum import StrEnum

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection
from django.utils.timezone import now

from billing import metering
from billing.metering import Verdict
from training import leaving
from training.models import Attempt, Status

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0  # How soon a cancel or pause is noticed.
LEASE_MARGIN_SECONDS = 5.0  # Stop by ourselves this long before a lease we cannot renew ends.


class Stop(StrEnum):
    """Why the engine must stop."""

    ENDED = "ended"  # The row said so: cancelled, paused or fenced off.
    CAP = "cap"
    LEAVING = "leaving"  # The worker is shutting down; the job goes back to the queue.
    TIME_LIMIT = "time_limit"
    OUT_OF_TOUCH = "out_of_touch"  # The database could not be reached until the lease ran low.


LEASELESS = {Stop.ENDED, Stop.OUT_OF_TOUCH}  # Nothing is left to renew.


class Meter:
    """Billable milliseconds of this attempt: the engine's running time less free phases."""

    def __init__(self) -> None:
        self._total_seconds = 0.0
        self._running_since: float | None = None

    def run(self) -> None:
        if self._running_since is None:
            self._running_since = time.monotonic()

    @property
    def is_free(self) -> bool:
        """Whether the attempt is in a phase that is not billed."""
        return self._running_since is None

    def hold(self) -> None:
        self._total_seconds = self.seconds()
        self._running_since = None

    def seconds(self) -> float:
        since = self._running_since
        return self._total_seconds + (time.monotonic() - since if since is not None else 0.0)

    def milliseconds(self) -> int:
        return int(self.seconds() * 1000)


class Heart(threading.Thread):
    """Beats until told to rest; `stop` is set to the reason once the engine must stop.

    While a finished artifact is being stored (`is_publishing`) it also says so on the attempt, for
    then even a spent cap takes nothing more and the job must succeed.
    """

    def __init__(self, attempt: Attempt, meter: Meter, left_ms: int) -> None:
        super().__init__(daemon=True, name=f"heart-{attempt.pk}")
        self.stop: Stop | None = None
        self.is_publishing = False
        self._left_ms = left_ms
        self._attempt = attempt
        self._meter = meter
        self._resting = threading.Event()
        self._beating = threading.Lock()
        self._started_at = time.monotonic()
        self._lease_ends_at = self._started_at + settings.LEASE_SECONDS

    def rest(self) -> None:
        """No more beats; returns when the last one is over."""
        self._resting.set()
        self.join()

    def run(self) -> None:
        next_beat_at = time.monotonic() + settings.HEARTBEAT_SECONDS
        try:
            while self._goes_on() and not self._resting.wait(LOOK_SECONDS):
                is_due = time.monotonic() >= next_beat_at
                self._try_once(beats=is_due)
                if is_due:
                    next_beat_at = time.monotonic() + settings.HEARTBEAT_SECONDS
        finally:
            connection.close()

    def _goes_on(self) -> bool:
        """The lease is still needed while the state or the artifact is being stored."""
        return self.stop not in LEASELESS or self.is_publishing

    def _try_once(self, *, beats: bool) -> None:
        try:
            if not _is_still_ours(self._attempt):
                self.stop = Stop.ENDED
            elif leaving.is_requested():
                self.stop = self.stop or Stop.LEAVING
            elif self._meter.milliseconds() >= self._left_ms:
                self.stop = self.stop or Stop.TIME_LIMIT
            if beats and self._goes_on():
                self.beat()
        except DatabaseError as error:
            logger.warning("Heartbeat of attempt %s failed: %s", self._attempt.pk, error)
            connection.close()  # Else it is kept: a new one each second costs more than all else.
            if time.monotonic() > self._lease_ends_at - LEASE_MARGIN_SECONDS:
                self.stop = Stop.OUT_OF_TOUCH

    def keep(self) -> None:
        """A checkpoint is safe: bill up to now, and never refund that."""
        with self._beating:
            run = self._attempt.run
            self._send()
            metering.keep(run.pk, run.fence)

    def beat(self) -> None:
        """Bill up to now and renew the lease."""
        with self._beating:
            if self.is_publishing:
                Attempt.objects.filter(pk=self._attempt.pk).update(publishing_at=now())
            self._send()

    def _send(self) -> None:
        sent_at = time.monotonic()
        run = self._attempt.run
        alive_ms = int((sent_at - self._started_at) * 1000)
        is_free = self._meter.is_free
        pulse = metering.heartbeat(
            run.pk, run.fence, self._meter.milliseconds(), alive_ms=alive_ms, is_free=is_free
        )
        if pulse.verdict == Verdict.CAP:
            self.stop = Stop.CAP
        elif pulse.verdict == Verdict.FENCED:
            self.stop = Stop.ENDED
        elif pulse.verdict == Verdict.GO_ON:
            self._lease_ends_at = sent_at + pulse.lease_seconds


def _is_still_ours(attempt: Attempt) -> bool:
    return Attempt.objects.filter(pk=attempt.pk, ended_at=None, job__status=Status.RUNNING).exists()
