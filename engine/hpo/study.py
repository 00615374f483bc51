"""The trials of a search: which hyperparameters to try next and the scores so far, as a JSON file.

Optuna proposes and prunes. Its study is built anew from the saved trials and its sampler is seeded
by the trial's number, so that an interrupted search proposes what an uninterrupted one would have.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import optuna
import pyarrow.parquet as pq
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
)
from optuna.trial import TrialState, create_trial

from engine import catalog
from engine.events import TrialUpdated
from engine.loop import optimizers
from engine.loop.checkpoints import fingerprint
from engine.spec import JobSpec
from engine.spec.searching import Choices, Range

STUDY_FILE = "study.json"
TRIALS_BEFORE_PRUNING = 3  # The median of fewer says little.
RANDOM_TRIALS = 5
Parameters = dict[str, Any]
TrialOutcome = Literal["finished", "pruned", "stopped", "failed"]
OPTUNA_STATES: dict[TrialOutcome, TrialState] = {
    "finished": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "stopped": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}

optuna.logging.set_verbosity(optuna.logging.WARNING)


@dataclass(frozen=True)
class TrialRecord:
    """One trial that has ended."""

    number: int
    state: TrialOutcome
    parameters: Parameters
    score_name: str
    higher_is_better: bool
    scores: list[float]
    seconds: float

    @property
    def score(self) -> float | None:
        """The score of its best epoch, whose weights it would keep."""
        best = max if self.higher_is_better else min
        return best(self.scores) if self.scores else None

    def event(self, *, is_best: bool) -> TrialUpdated:
        return TrialUpdated(**asdict(self), score=self.score, is_best=is_best)


@dataclass
class Study:
    """All trials that have ended, and the ranges to search."""

    space: dict[str, BaseDistribution]
    initial_parameters: Parameters  # The job's own settings, which the first trial takes.
    seed: int
    identity: str
    records: list[TrialRecord] = field(default_factory=list)

    @property
    def best(self) -> TrialRecord | None:
        """The finished trial with the best validation score; the earlier of equals."""
        scored = [
            record
            for record in self.records
            if record.state == "finished" and record.score is not None
        ]
        if not scored:
            return None
        sign = 1 if scored[0].higher_is_better else -1
        return max(scored, key=lambda record: (sign * (record.score or 0.0), -record.number))

    @property
    def seconds(self) -> float:
        return sum(record.seconds for record in self.records)

    @property
    def longest_seconds(self) -> float:
        return max((record.seconds for record in self.records), default=0.0)

    def ask(self, *, higher_is_better: bool) -> optuna.trial.Trial:
        """The next proposal; the first is the job's own settings."""
        study = optuna.create_study(
            direction="maximize" if higher_is_better else "minimize",
            sampler=optuna.samplers.TPESampler(
                seed=self.seed + len(self.records), n_startup_trials=RANDOM_TRIALS
            ),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=TRIALS_BEFORE_PRUNING),
        )
        for record in self.records:
            study.add_trial(self._to_frozen_trial(record))
        if not self.records:
            study.enqueue_trial(self.initial_parameters)
        return study.ask(self.space)

    def _to_frozen_trial(self, record: TrialRecord) -> optuna.trial.FrozenTrial:
        state = OPTUNA_STATES[record.state]
        return create_trial(
            state=state,
            params=record.parameters,
            distributions=self.space,
            value=record.score if state == TrialState.COMPLETE else None,
            intermediate_values=dict(enumerate(record.scores)),
        )

    def save(self, folder: Path) -> None:
        content = {
            "identity": self.identity,
            "trials": [asdict(record) for record in self.records],
        }
        (folder / STUDY_FILE).write_text(json.dumps(content, indent=2))

    def load(self, folder: Path) -> bool:
        """Load the trials saved there; False if there are none or they are of another search."""
        try:
            content = json.loads((folder / STUDY_FILE).read_text())
            if content["identity"] != self.identity:
                return False
            self.records = [TrialRecord(**record) for record in content["trials"]]
        except (OSError, ValueError, KeyError, TypeError):
            return False
        return True


def create_study(spec: JobSpec) -> Study:
    """An empty study of the ranges that this job's search asks for."""
    assert spec.search is not None
    hyperparameters = spec.hyperparameters
    ranges = hyperparameters.search_space
    names = spec.search.parameters or list(ranges)
    initial = {name: _initial_value(spec, name) for name in names}
    space = {name: _make_distribution(ranges[name], initial[name]) for name in names}
    identity = fingerprint(
        spec.base_model,
        hyperparameters.model_dump(),
        spec.split.model_dump(),
        spec.search.parameters,
        spec.data.stat().st_size,
    )
    return Study(
        space=space, initial_parameters=initial, seed=hyperparameters.seed, identity=identity
    )


def _initial_value(spec: JobSpec, name: str) -> Any:
    """The job's own value; for an automatic learning rate, the one that it would choose."""
    hyperparameters = spec.hyperparameters
    if name != "learning_rate":
        value = getattr(hyperparameters, name)
        return _round_to_four_digits(value) if isinstance(value, float) else value
    entry = catalog.get_base_model(spec.base_model)
    rows = pq.read_metadata(spec.data).num_rows
    held_out = spec.split.validation_fraction + spec.split.test_fraction
    factor = hyperparameters.rate_factor(
        from_scratch=entry.source.kind == "scratch", train_rows=int(rows * (1 - held_out))
    )
    return _round_to_four_digits(
        optimizers.resolve_learning_rate(hyperparameters, entry.learning_rate * factor)
    )


def _make_distribution(space: Range | Choices, initial: Any) -> BaseDistribution:
    """Includes the initial value; its bounds are rounded, so that rounded values stay inside."""
    if isinstance(space, Choices):
        options = space.options if initial in space.options else (*space.options, initial)
        return CategoricalDistribution(options)
    scale = initial if space.is_relative else 1.0
    low, high = _round_to_four_digits(space.low * scale), _round_to_four_digits(space.high * scale)
    return FloatDistribution(min(low, initial), max(high, initial), log=space.is_log and low > 0)


def round_parameters(parameters: Parameters) -> Parameters:
    """Rounded to four digits: training uses exactly the values that people are shown."""
    return {
        name: _round_to_four_digits(value) if isinstance(value, float) else value
        for name, value in parameters.items()
    }


def _round_to_four_digits(value: float) -> float:
    return float(f"{value:.4g}")
