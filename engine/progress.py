"""How far the whole job is and how long it still takes, across phases of different kinds of work.

Each phase is given an expected cost in reference seconds. Once training has run for a moment, its
measured speed against that expectation corrects the estimate for everything still to come.
"""

import time
from dataclasses import dataclass, field

from engine.events import Phase as PhaseEvent
from engine.events import PhaseName, Progress, Reporter

SECONDS_BEFORE_ESTIMATING = 3.0


@dataclass
class JobClock:
    report: Reporter
    costs: dict[PhaseName, float]  # Expected seconds of each phase on the reference machine.
    epochs: int = 0
    total_steps: int = 0
    step: int = 0
    epoch: int = 0
    rows_per_second: float | None = None
    _phase: PhaseName = "loading"
    _phase_started_at: float = field(default_factory=time.monotonic)
    _fraction_at_start: float = 0.0
    _done: set[PhaseName] = field(default_factory=set)
    _slowness: float | None = None
    _highest: float = 0.0

    def enter(self, phase: PhaseName, already_done: float = 0.0) -> None:
        """Start a phase; `already_done` is the share of it an earlier attempt finished."""
        if phase != self._phase:
            self._done.add(self._phase)
        self._phase, self._phase_started_at = phase, time.monotonic()
        self._fraction_at_start = already_done
        self.report(PhaseEvent(phase=phase))
        self.advance(already_done)

    def advance(self, share: float) -> None:
        """Say that this share (0..1) of the current phase is done."""
        share = min(1.0, max(0.0, share))
        self._learn_speed(share)
        total = sum(self.costs.values())
        done = sum(self.costs.get(phase, 0.0) for phase in self._done)
        done += share * self.costs.get(self._phase, 0.0)
        self._highest = max(self._highest, min(1.0, done / total))
        eta = (total - done) * self._slowness if self._slowness is not None else None
        self.report(self._event(eta))

    def _learn_speed(self, share: float) -> None:
        elapsed = time.monotonic() - self._phase_started_at
        progressed = share - self._fraction_at_start
        if (
            self._phase not in ("searching", "training")
            or elapsed < SECONDS_BEFORE_ESTIMATING
            or progressed <= 0
        ):
            return
        self._slowness = elapsed / (progressed * self.costs[self._phase])

    def _event(self, eta_seconds: float | None) -> Progress:
        return Progress(
            step=self.step,
            total_steps=self.total_steps,
            epoch=self.epoch,
            epochs=self.epochs,
            fraction=self._highest,
            eta_seconds=eta_seconds,
            rows_per_second=self.rows_per_second,
        )

    def finish(self) -> None:
        self._highest = 1.0
        self.report(self._event(0.0))
