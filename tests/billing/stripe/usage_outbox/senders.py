"""Workers that heartbeat and misbehave: duplicates, reordering, partitions, zombies, sudden death.

A sender keeps its own account of what it worked, sent and was answered; the trial compares that
with what was booked. Also runs as a process of its own, which the trial kills with SIGKILL.
"""

import json
import os
import random
import sys
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

LEASE_SECONDS = 1.5
HEARTBEAT_SECONDS = 0.05
FATES = ("finish", "redelivered", "finish", "zombie")  # In turn, beginning anywhere.


@dataclass
class Account:
    """One run as its worker knows it, in milliseconds of billable work."""

    run_id: UUID
    sent_ms: int = 0  # The most that was ever sent.
    answered_ms: int = 0  # The most work answered with "go on", which says that it is paid for.
    fresh_at: datetime | None = None  # When the newest fresh heartbeat had been answered.
    end: str = "died"
    verdicts: list[str] = field(default_factory=list)


class Sender:
    """One worker at one source after the other, with faults drawn from seeded rng."""

    def __init__(self, team: Any, source: str, seed: int, log: Path | None = None) -> None:
        self.team, self.source, self.seed, self.log = team, source, seed, log
        self.rng = random.Random(seed)
        self.accounts: list[Account] = []

    def work_until(self, deadline: float) -> None:
        """Attempts, one after another, until the time is over or the money is."""
        from django.db import IntegrityError, transaction

        from billing.metering import runs
        from billing.metering.runs import CapReached

        while time.monotonic() < deadline:
            try:
                with transaction.atomic():
                    run = runs.open_run(self.team, self.source, "cpu")
            except IntegrityError:  # The attempt before still holds its lease.
                time.sleep(0.05)
            except CapReached:
                return
            else:
                self._attempt(run, deadline)

    def _attempt(self, run: Any, deadline: float) -> None:
        began = time.monotonic()
        account = Account(run.pk)
        self.accounts.append(account)
        beats, unbilled_ms, last_ms = self.rng.randint(4, 25), 0, 0
        kept_back: list[tuple[int, int, bool]] = []
        for _ in range(beats):
            time.sleep(self.rng.uniform(0.01, 0.07))
            uptime_ms = int((time.monotonic() - began) * 1000)
            is_free = self.rng.random() < 0.25
            if is_free:
                unbilled_ms += uptime_ms - last_ms
            last_ms = uptime_ms
            message = (uptime_ms - unbilled_ms, uptime_ms, is_free)
            if self.rng.random() < 0.1:  # This one is overtaken by the next.
                kept_back.append(message)
                continue
            if not self._deliver(run, account, message):
                return
            while kept_back:
                self._deliver(run, account, kept_back.pop())
            if self.rng.random() < 0.2:
                self._deliver(run, account, message)
        self._leave(run, account, message, deadline)

    def _leave(
        self, run: Any, account: Account, message: tuple[int, int, bool], deadline: float
    ) -> None:
        """Finish, die while a broker redelivers, or come back from a partition as a zombie."""
        from billing.metering import runs
        from billing.models import RunEndReason

        fate = FATES[(self.seed + len(self.accounts)) % len(FATES)]
        account.end = fate
        if fate == "finish":
            runs.end_run(run.pk, RunEndReason.FINISHED)
        elif fate == "redelivered":
            until = time.monotonic() + 1.6 * LEASE_SECONDS
            while time.monotonic() < until:
                self._deliver(run, account, message)
                time.sleep(0.1)
        else:
            time.sleep(1.3 * LEASE_SECONDS)
            lost_ms = int(1.3 * LEASE_SECONDS * 1000)
            run_ms, uptime_ms, _ = message
            self._deliver(run, account, (run_ms + lost_ms, uptime_ms + lost_ms, False))

    def _deliver(self, run: Any, account: Account, message: tuple[int, int, bool]) -> bool:
        """One heartbeat; False when the worker must stop."""
        from django.utils.timezone import now

        from billing.metering import runs
        from billing.metering.runs import LeaseDecision

        run_ms, uptime_ms, is_free = message
        account.sent_ms = max(account.sent_ms, run_ms)
        self._write(account)
        result = runs.heartbeat(run.pk, run.fence, run_ms, uptime_ms=uptime_ms, is_free=is_free)
        account.verdicts.append(str(result.decision))
        if result.decision in {LeaseDecision.CONTINUE, LeaseDecision.CAP_REACHED}:
            account.fresh_at = now()
        if (
            result.decision == LeaseDecision.CONTINUE and not is_free
        ):  # A free phase goes on without money.
            account.answered_ms = max(account.answered_ms, run_ms)
            self._write(account)
        if result.decision == LeaseDecision.CAP_REACHED:
            account.end = "capped"
            runs.end_run(run.pk, "cap")
        return result.decision in {LeaseDecision.CONTINUE, LeaseDecision.STALE}

    def _write(self, account: Account) -> None:
        """What a killed process knew, on disk before and after every call."""
        if self.log is not None:
            facts = [str(account.run_id), account.sent_ms, account.answered_ms]
            with self.log.open("a") as out:
                out.write(json.dumps(facts) + "\n")


def accounts_in(log: Path) -> list[Account]:
    """What a process wrote before it was killed; a torn last line is not counted."""
    found: dict[str, Account] = {}
    for line in log.read_text().splitlines() if log.exists() else ():
        try:
            run_id, sent_ms, answered_ms = json.loads(line)
        except ValueError:
            continue
        found[run_id] = Account(UUID(run_id), sent_ms, answered_ms)
    return list(found.values())


def main() -> None:
    """A process: team id, source, seed, log file."""
    import django

    django.setup()
    from django.conf import settings

    from accounts.models import Team

    settings.LEASE_SECONDS, settings.HEARTBEAT_SECONDS = LEASE_SECONDS, HEARTBEAT_SECONDS
    team_id, source, seed, log = sys.argv[1:5]
    sender = Sender(Team.objects.get(pk=team_id), source, int(seed), Path(log))
    sender.work_until(time.monotonic() + 60)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    main()
