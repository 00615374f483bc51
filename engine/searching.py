"""A search for better hyperparameters inside one job: trials on train and validation rows only.

Each trial is an ordinary training whose reports go to the search, which may end it: for doing
badly, or when the budget is spent. The best is then trained as the job's model by the job itself.
"""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import optuna

from engine.artifact import write_json
from engine.checkpoints import NETWORK
from engine.errors import BadTrainingData, Diverged
from engine.events import CheckpointSaved, Event, Metric, PhaseName, Progress, Reporter, Trial
from engine.progress import JobClock
from engine.spec import JobSpec, SearchSpec
from engine.stopping import StopSignal
from engine.study import Parameters, State, Study, TrialRecord, rounded, study_of
from engine.tasks import Task

FOLDER_MANIFEST = "manifest.json"
TRIAL_PHASES: tuple[PhaseName, ...] = ("loading", "training")


@dataclass(frozen=True)
class Found:
    """What the job trains with after the search, and what to write into its manifest."""

    prepared: Any
    report: Reporter
    summary: dict[str, Any]


class _TrialEnded(Exception):
    """Raised through the training loop to end a trial early."""

    def __init__(self, state: State) -> None:
        self.state = state


class _TrialReporter(Reporter):
    """Takes a trial's reports: scores go to the pruner, progress to the job, the rest nowhere."""

    def __init__(
        self,
        asked: optuna.trial.Trial,
        deadline: float | None,
        advance: Callable[[float], None],
        tell: Callable[["_TrialReporter"], None],
    ) -> None:
        super().__init__(lambda _line: None)
        self._asked, self._deadline, self._advance, self._tell = asked, deadline, advance, tell
        self.name, self.rises = "", True
        self.scores: list[float] = []

    def __call__(self, event: Event) -> None:
        if self._deadline is not None and time.monotonic() > self._deadline:
            raise _TrialEnded("stopped")
        if isinstance(event, Progress):
            self._advance(event.fraction)

    def scored(self, name: str, value: float, *, higher_is_better: bool) -> None:
        self.name, self.rises = name, higher_is_better
        self._asked.report(value, len(self.scores))
        self.scores.append(value)
        self._tell(self)
        if self._asked.should_prune():
            raise _TrialEnded("pruned")


class _FinalReporter(Reporter):
    """Reports of the final training: steps go on from the trials', checkpoints carry the study."""

    def __init__(self, outer: Reporter, study: Study) -> None:
        super().__init__(lambda _line: None)
        self._outer, self._study, self._before = outer, study, len(study.records)

    def __call__(self, event: Event) -> None:
        if isinstance(event, CheckpointSaved):
            self._study.save(Path(event.path))
        if isinstance(event, CheckpointSaved | Metric | Progress):
            event = event.model_copy(update={"step": event.step + self._before})
        if isinstance(event, Progress) and event.total_steps:
            total = event.total_steps + self._before
            event = event.model_copy(update={"total_steps": total})
        self._outer(event)


def search(
    task: Task[Any, Any], prepared: Any, clock: JobClock, report: Reporter, stop: StopSignal
) -> Found:
    """Run the trials that are not over yet. Raises BadTrainingData when nothing can be searched."""
    spec: JobSpec = prepared.spec
    if problem := spec.search_problem():
        raise BadTrainingData("bad_spec", f"Search: {problem}")
    running = _Search(task, prepared, clock, report, stop)
    running.take_up()
    while running.may_start():
        running.run_next()
    return running.conclude()


class _Search:
    def __init__(
        self,
        task: Task[Any, Any],
        prepared: Any,
        clock: JobClock,
        report: Reporter,
        stop: StopSignal,
    ) -> None:
        self._task, self._prepared, self._clock = task, prepared, clock
        self._report, self._stop = report, stop
        self._spec: JobSpec = prepared.spec
        self._study = study_of(self._spec)
        self._costs = dict(clock.costs)

    @property
    def _wanted(self) -> SearchSpec:
        assert self._spec.search is not None
        return self._spec.search

    def take_up(self) -> None:
        """Go on after the trials of an earlier attempt, if there was one."""
        resumed, trials = self._spec.resume_from, self._wanted.trials
        if resumed is not None and self._study.load(resumed):
            self._report.info(f"Going on after {len(self._study.records)} finished trials")
        elif resumed is not None:
            self._report.warn("The saved search is of another job: starting from the beginning.")
        best = self._study.best
        for record in self._study.records:
            self._report(record.event(is_best=record is best))
        self._clock.costs["searching"] = trials * self._costs.get("training", 1.0)
        self._clock.enter("searching", len(self._study.records) / trials)

    def may_start(self) -> bool:
        """Whether one more trial, and the final training after it, fit into the budget."""
        study, budget = self._study, self._wanted.seconds
        if len(study.records) >= self._wanted.trials:
            return False
        if budget is None or not study.records:
            return True
        if study.seconds + 2 * study.longest_seconds <= budget:
            return True
        self._report.info(
            f"The search ends after {len(study.records)} of {self._wanted.trials} trials:"
            f" another would not fit into {budget:,.0f} seconds."
        )
        return False

    def run_next(self) -> None:
        started_at = time.monotonic()
        asked = self._study.ask(higher_is_better=self._rises)
        parameters = rounded(asked.params)
        report = _TrialReporter(
            asked,
            self._deadline(started_at),
            self._advance,
            lambda told: self._tell(asked.number, parameters, told, started_at),
        )
        self._tell(asked.number, parameters, report, started_at)
        state = self._carry(asked.number, parameters, report)
        record = TrialRecord(
            number=asked.number,
            state=state,
            parameters=parameters,
            score_name=report.name,
            higher_is_better=report.rises,
            scores=report.scores,
            seconds=time.monotonic() - started_at,
        )
        self._refuse_unscored(record)
        self._keep(record)

    @property
    def _rises(self) -> bool:
        """Which way the score is better, known from the first trial on."""
        return all(one.higher_is_better for one in self._study.records)

    def _deadline(self, started_at: float) -> float | None:
        """When this trial must end, so that the final training still fits."""
        budget, study = self._wanted.seconds, self._study
        if budget is None:
            return None
        reserve = study.longest_seconds if study.records else budget / 2
        return started_at + budget - study.seconds - reserve

    def _carry(self, number: int, parameters: Parameters, report: _TrialReporter) -> State:
        """Train once with these dials, as far as the reporter lets it."""
        spec, work = self._spec, self._spec.work / f"trial-{number}"
        dials = spec.hyperparameters.model_copy(update=parameters).for_trial()
        spec = spec.model_copy(update={"hyperparameters": dials, "work": work, "resume_from": None})
        costs = {phase: self._costs.get(phase, 1.0) for phase in TRIAL_PHASES}
        clock = JobClock(report, costs)
        try:
            self._task.fit(replace(self._prepared, spec=spec), clock, report, self._stop)
        except _TrialEnded as ended:
            return ended.state
        except Diverged:
            return "failed"
        finally:
            shutil.rmtree(work, ignore_errors=True)
        return "finished"

    def _advance(self, share: float) -> None:
        self._clock.advance((len(self._study.records) + share) / self._wanted.trials)

    def _tell(
        self, number: int, parameters: Parameters, report: _TrialReporter, started_at: float
    ) -> None:
        best = max if report.rises else min
        self._report(
            Trial(
                number=number,
                state="running",
                parameters=parameters,
                score_name=report.name,
                higher_is_better=report.rises,
                scores=report.scores,
                score=best(report.scores) if report.scores else None,
                seconds=time.monotonic() - started_at,
            )
        )

    def _refuse_unscored(self, record: TrialRecord) -> None:
        if record.state == "finished" and record.score is None:
            raise BadTrainingData(
                "nothing_to_search",
                "There is nothing to search: with this data the model is fitted at once, or no"
                " rows are set aside for validation. Launch it without a search.",
            )

    def _keep(self, record: TrialRecord) -> None:
        """Make the trial part of the state that a later attempt goes on from."""
        self._study.records.append(record)
        self._report(record.event(is_best=record is self._study.best))
        folder = self._spec.work / "search" / f"trial-{record.number:03d}"
        folder.mkdir(parents=True, exist_ok=True)
        self._study.save(folder)
        write_json(folder / FOLDER_MANIFEST, {"format": 1, "trials": len(self._study.records)})
        score = {} if record.score is None else {record.score_name: record.score}
        self._report(
            CheckpointSaved(
                step=len(self._study.records),
                epoch=0,
                path=str(folder),
                metrics=score,
                best=False,
            )
        )

    def conclude(self) -> Found:
        """The job as it goes on: with the winner's dials, from the saved state if it was there."""
        spec, best = self._spec, self._study.best
        parameters = best.parameters if best else {}
        resumed = spec.resume_from
        if resumed is not None and not (resumed / NETWORK).is_file():
            resumed = None
        dials = spec.hyperparameters.model_copy(update=parameters)
        spec = spec.model_copy(update={"hyperparameters": dials, "resume_from": resumed})
        self._report.info(self._sentence())
        report = _FinalReporter(self._report, self._study)
        self._clock.report = report
        return Found(replace(self._prepared, spec=spec), report, self._summary())

    def _sentence(self) -> str:
        best, count = self._study.best, len(self._study.records)
        if best is None:
            return f"None of {count} trials came to its end: training with the settings as given."
        first = self._study.records[0].score
        words = f"Trial {best.number} of {count} did best: {best.score_name} {best.score:.4g}"
        if first is not None and best.number:
            words += f", {first:.4g} with the settings as given"
        return f"{words}. Training the model with its settings."

    def _summary(self) -> dict[str, Any]:
        records, best = self._study.records, self._study.best
        states = [one.state for one in records]
        return {
            "trials": len(records),
            "states": {state: states.count(state) for state in sorted(set(states))},
            "seconds": self._study.seconds,
            "budget_seconds": self._wanted.seconds,
            "searched": list(self._study.space),
            "winner": best.number if best else None,
            "score_name": best.score_name if best else None,
            "score": best.score if best else None,
            "score_as_given": records[0].score if records else None,
            "parameters": best.parameters if best else {},
        }
