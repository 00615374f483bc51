"""A hyperparameter search inside one job: trials on train and validation rows only.

Each trial is an ordinary training that reports to the search, which may end it because it does
badly or because the time budget is spent. The job then trains its model with the best settings.
"""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypedDict

import optuna

from engine.artifact import write_json
from engine.errors import BadTrainingData, Diverged
from engine.events import (
    CheckpointSaved,
    Event,
    Metric,
    PhaseName,
    Progress,
    Reporter,
    TrialUpdated,
)
from engine.hpo.study import (
    Parameters,
    Study,
    TrialOutcome,
    TrialRecord,
    create_study,
    round_parameters,
)
from engine.loop.checkpoints import NETWORK_FILE
from engine.progress import ProgressTracker
from engine.spec import JobSpec, SearchSpec
from engine.stop_signal import StopSignal
from engine.tasks import Task

MANIFEST_FILE = "manifest.json"
TRIAL_PHASES: tuple[PhaseName, ...] = ("loading", "training")


class SearchSummary(TypedDict):
    """The manifest's `training.search`."""

    trials: int
    states: dict[str, int]
    seconds: float
    budget_seconds: float | None
    searched: list[str]
    winner: int | None
    score_name: str | None
    score: float | None
    score_as_given: float | None
    parameters: Parameters


@dataclass(frozen=True)
class SearchResult:
    """The prepared rows with the best settings, and the summary for the manifest."""

    prepared: Any
    report: Reporter
    summary: SearchSummary


class _TrialEnded(Exception):
    """Raised through the training loop to end a trial early."""

    def __init__(self, state: TrialOutcome) -> None:
        self.state = state


class _TrialReporter(Reporter):
    """Passes a trial's scores to the pruner and its progress to the job; drops all other events."""

    def __init__(
        self,
        optuna_trial: optuna.trial.Trial,
        deadline: float | None,
        on_progress: Callable[[float], None],
        on_score: Callable[["_TrialReporter"], None],
    ) -> None:
        super().__init__(lambda _line: None)
        self._optuna_trial, self._deadline = optuna_trial, deadline
        self._on_progress, self._on_score = on_progress, on_score
        self.score_name, self.higher_is_better = "", True
        self.scores: list[float] = []

    def __call__(self, event: Event) -> None:
        if self._deadline is not None and time.monotonic() > self._deadline:
            raise _TrialEnded("stopped")
        if isinstance(event, Progress):
            self._on_progress(event.fraction)

    def report_score(self, name: str, value: float, *, higher_is_better: bool) -> None:
        self.score_name, self.higher_is_better = name, higher_is_better
        self._optuna_trial.report(value, len(self.scores))
        self.scores.append(value)
        self._on_score(self)
        if self._optuna_trial.should_prune():
            raise _TrialEnded("pruned")


class _FinalReporter(Reporter):
    """Reports of the final training: steps are counted on from the trials, and every checkpoint
    holds the study too."""

    def __init__(self, outer: Reporter, study: Study) -> None:
        super().__init__(lambda _line: None)
        self._reporter, self._study, self._step_offset = outer, study, len(study.records)

    def __call__(self, event: Event) -> None:
        if isinstance(event, CheckpointSaved):
            self._study.save(Path(event.path))
        if isinstance(event, CheckpointSaved | Metric | Progress):
            event = event.model_copy(update={"step": event.step + self._step_offset})
        if isinstance(event, Progress) and event.total_steps:
            total = event.total_steps + self._step_offset
            event = event.model_copy(update={"total_steps": total})
        self._reporter(event)


def search_hyperparameters(
    task: Task[Any, Any],
    prepared: Any,
    progress: ProgressTracker,
    report: Reporter,
    stop: StopSignal,
) -> SearchResult:
    """Run the trials that are left. Raises BadTrainingData when nothing can be searched."""
    spec: JobSpec = prepared.spec
    if problem := spec.search_problem():
        raise BadTrainingData("bad_spec", f"Search: {problem}")
    running = _HyperparameterSearch(task, prepared, progress, report, stop)
    running.resume()
    while running.can_start_trial():
        running.run_next_trial()
    return running.make_result()


class _HyperparameterSearch:
    def __init__(
        self,
        task: Task[Any, Any],
        prepared: Any,
        progress: ProgressTracker,
        report: Reporter,
        stop: StopSignal,
    ) -> None:
        self._task, self._prepared, self._progress = task, prepared, progress
        self._report, self._stop = report, stop
        self._spec: JobSpec = prepared.spec
        self._study = create_study(self._spec)
        self._phase_seconds = dict(progress.phase_seconds)

    @property
    def _search_spec(self) -> SearchSpec:
        assert self._spec.search is not None
        return self._spec.search

    def resume(self) -> None:
        """Go on after the trials of an earlier attempt, if there was one."""
        resumed, trials = self._spec.resume_from, self._search_spec.trials
        if resumed is not None and self._study.load(resumed):
            done = len(self._study.records)
            self._report.info(
                f"Going on after {'1 finished trial' if done == 1 else f'{done} finished trials'}"
            )
        elif resumed is not None:
            self._report.warn("The saved search is of another job: starting from the beginning.")
        best = self._study.best
        for record in self._study.records:
            self._report(record.event(is_best=record is best))
        self._progress.phase_seconds["searching"] = trials * self._phase_seconds.get(
            "training", 1.0
        )
        self._progress.start_phase("searching", len(self._study.records) / trials)

    def can_start_trial(self) -> bool:
        """Whether one more trial, and the final training after it, fit into the budget."""
        study, budget = self._study, self._search_spec.seconds
        if len(study.records) >= self._search_spec.trials:
            return False
        if budget is None or not study.records:
            return True
        if study.seconds + 2 * study.longest_seconds <= budget:
            return True
        self._report.info(
            f"The search ends after {len(study.records)} of {self._search_spec.trials} trials:"
            f" another would not fit into {budget:,.0f} seconds."
        )
        return False

    def run_next_trial(self) -> None:
        started_at = time.monotonic()
        records, trials = self._study.records, self._search_spec.trials
        # The direction is known from the first trial on.
        optuna_trial = self._study.ask(
            higher_is_better=all(record.higher_is_better for record in records)
        )
        number, parameters = optuna_trial.number, round_parameters(optuna_trial.params)
        report = _TrialReporter(
            optuna_trial,
            self._trial_deadline(started_at),
            lambda share: self._progress.advance((len(records) + share) / trials),
            lambda reporter: self._report_trial(number, parameters, reporter, started_at),
        )
        self._report_trial(number, parameters, report, started_at)
        state = self._run_trial(number, parameters, report)
        record = TrialRecord(
            number=number,
            state=state,
            parameters=parameters,
            score_name=report.score_name,
            higher_is_better=report.higher_is_better,
            scores=report.scores,
            seconds=time.monotonic() - started_at,
        )
        if record.state == "finished" and record.score is None:
            raise BadTrainingData(
                "nothing_to_search",
                "There is nothing to search: with this data the model is fitted at once, or no"
                " rows are set aside for validation. Launch it without a search.",
            )
        self._save_trial(record)

    def _trial_deadline(self, started_at: float) -> float | None:
        """When this trial must end, so that the final training still fits."""
        budget, study = self._search_spec.seconds, self._study
        if budget is None:
            return None
        reserve = study.longest_seconds if study.records else budget / 2
        return started_at + budget - study.seconds - reserve

    def _run_trial(
        self, number: int, parameters: Parameters, report: _TrialReporter
    ) -> TrialOutcome:
        """Train once with these hyperparameters, until the end or until the reporter stops it."""
        spec, work = self._spec, self._spec.work / f"trial-{number}"
        hyperparameters = spec.hyperparameters.model_copy(update=parameters).for_trial()
        spec = spec.model_copy(
            update={"hyperparameters": hyperparameters, "work": work, "resume_from": None}
        )
        phase_seconds = {phase: self._phase_seconds.get(phase, 1.0) for phase in TRIAL_PHASES}
        progress = ProgressTracker(report, phase_seconds)
        try:
            self._task.fit(replace(self._prepared, spec=spec), progress, report, self._stop)
        except _TrialEnded as ended:
            return ended.state
        except Diverged:
            return "failed"
        finally:
            shutil.rmtree(work, ignore_errors=True)
        return "finished"

    def _report_trial(
        self, number: int, parameters: Parameters, report: _TrialReporter, started_at: float
    ) -> None:
        best = max if report.higher_is_better else min
        self._report(
            TrialUpdated(
                number=number,
                state="running",
                parameters=parameters,
                score_name=report.score_name,
                higher_is_better=report.higher_is_better,
                scores=report.scores,
                score=best(report.scores) if report.scores else None,
                seconds=time.monotonic() - started_at,
            )
        )

    def _save_trial(self, record: TrialRecord) -> None:
        """Add the trial to the state from which a later attempt resumes."""
        self._study.records.append(record)
        self._report(record.event(is_best=record is self._study.best))
        folder = self._spec.work / "search" / f"trial-{record.number:03d}"
        folder.mkdir(parents=True, exist_ok=True)
        self._study.save(folder)
        write_json(folder / MANIFEST_FILE, {"format": 1, "trials": len(self._study.records)})
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

    def make_result(self) -> SearchResult:
        """The job's final training: with the winner's hyperparameters, and from a saved network if
        an earlier attempt had started it."""
        spec, best = self._spec, self._study.best
        parameters = best.parameters if best else {}
        resumed = spec.resume_from
        if resumed is not None and not (resumed / NETWORK_FILE).is_file():
            resumed = None
        hyperparameters = spec.hyperparameters.model_copy(update=parameters)
        spec = spec.model_copy(update={"hyperparameters": hyperparameters, "resume_from": resumed})
        self._report.info(self._format_sentence())
        report = _FinalReporter(self._report, self._study)
        self._progress.report = report
        return SearchResult(replace(self._prepared, spec=spec), report, self._make_summary())

    def _format_sentence(self) -> str:
        best, count = self._study.best, len(self._study.records)
        if best is None:
            return (
                "The only trial did not come to its end: training with the settings as given."
                if count == 1
                else f"None of {count} trials came to its end: training with the settings as given."
            )
        first = self._study.records[0].score
        text = f"Trial {best.number} of {count} did best: {best.score_name} {best.score:.4g}"
        if first is not None and best.number:
            text += f", {first:.4g} with the settings as given"
        return f"{text}. Training the model with its settings."

    def _make_summary(self) -> SearchSummary:
        records, best = self._study.records, self._study.best
        states: list[str] = [record.state for record in records]
        return {
            "trials": len(records),
            "states": {state: states.count(state) for state in sorted(set(states))},
            "seconds": self._study.seconds,
            "budget_seconds": self._search_spec.seconds,
            "searched": list(self._study.space),
            "winner": best.number if best else None,
            "score_name": best.score_name if best else None,
            "score": best.score if best else None,
            "score_as_given": records[0].score if records else None,
            "parameters": best.parameters if best else {},
        }
