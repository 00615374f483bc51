"""How much of the whole job is done and how long the rest takes, over phases of different work.

Each phase has an expected duration on a reference machine. Once training has run for a few seconds,
the ratio of measured to expected time corrects the estimate of everything still to come.
"""

import time
from dataclasses import dataclass, field

from engine.events import PhaseName, PhaseStarted, Progress, Reporter

MIN_SECONDS_FOR_ETA = 3.0


@dataclass
class ProgressTracker:
    report: Reporter
    phase_seconds: dict[PhaseName, float]  # Expected, on the reference machine.
    epochs: int = 0
    total_steps: int = 0
    step: int = 0
    epoch: int = 0
    rows_per_second: float | None = None
    _phase: PhaseName = "loading"
    _phase_started_at: float = field(default_factory=time.monotonic)
    _fraction_at_start: float = 0.0
    _finished_phases: set[PhaseName] = field(default_factory=set)
    _speed_ratio: float | None = None
    _max_fraction: float = 0.0

    def start_phase(self, phase: PhaseName, already_done: float = 0.0) -> None:
        """Start a phase; `already_done` is the share of it that an earlier attempt finished."""
        if phase != self._phase:
            self._finished_phases.add(self._phase)
        self._phase, self._phase_started_at = phase, time.monotonic()
        self._fraction_at_start = already_done
        self.report(PhaseStarted(phase=phase))
        self.advance(already_done)

    def advance(self, share: float) -> None:
        """Report that this share (0..1) of the current phase is done."""
        share = min(1.0, max(0.0, share))
        elapsed = time.monotonic() - self._phase_started_at
        progressed = share - self._fraction_at_start
        is_measurable = self._phase in ("searching", "training") and progressed > 0
        if is_measurable and elapsed >= MIN_SECONDS_FOR_ETA:
            self._speed_ratio = elapsed / (progressed * self.phase_seconds[self._phase])
        total = sum(self.phase_seconds.values())
        done = sum(self.phase_seconds.get(phase, 0.0) for phase in self._finished_phases)
        done += share * self.phase_seconds.get(self._phase, 0.0)
        self._max_fraction = max(self._max_fraction, min(1.0, done / total))
        eta = (total - done) * self._speed_ratio if self._speed_ratio is not None else None
        self.report(self._make_event(eta))

    def _make_event(self, eta_seconds: float | None) -> Progress:
        return Progress(
            step=self.step,
            total_steps=self.total_steps,
            epoch=self.epoch,
            epochs=self.epochs,
            fraction=self._max_fraction,
            eta_seconds=eta_seconds,
            rows_per_second=self.rows_per_second,
        )

    def finish(self) -> None:
        self._max_fraction = 1.0
        self.report(self._make_event(0.0))
