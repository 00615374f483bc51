"""The trials of a search: which dials to try next, what came of them, kept as a JSON file.

Optuna proposes and prunes. Its study is built anew from the kept trials, and its sampler is seeded
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

from engine import catalog, optimizing
from engine.checkpoints import fingerprint
from engine.events import Trial
from engine.spec import JobSpec
from engine.spec.searching import Choices, Range

STUDY = "study.json"
TRIALS_BEFORE_PRUNING = 3  # The median of fewer says little.
TRIALS_AT_RANDOM = 5
Parameters = dict[str, Any]
State = Literal["finished", "pruned", "stopped", "failed"]
OPTUNA_STATES: dict[State, TrialState] = {
    "finished": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "stopped": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}

optuna.logging.set_verbosity(optuna.logging.WARNING)


@dataclass(frozen=True)
class TrialRecord:
    """One trial that is over."""

    number: int
    state: State
    parameters: Parameters
    score_name: str
    higher_is_better: bool
    scores: list[float]
    seconds: float

    @property
    def score(self) -> float | None:
        """That of its best epoch, which is the one it would keep."""
        best = max if self.higher_is_better else min
        return best(self.scores) if self.scores else None

    def event(self, *, is_best: bool) -> Trial:
        facts = asdict(self) | {"score": self.score, "is_best": is_best}
        return Trial(**facts)


@dataclass
class Study:
    """All trials that are over, and the ranges to look in."""

    space: dict[str, BaseDistribution]
    own: Parameters  # The dials as given, which the first trial takes.
    seed: int
    identity: str
    records: list[TrialRecord] = field(default_factory=list)

    @property
    def best(self) -> TrialRecord | None:
        """The finished trial with the best validation score; the earlier of equals."""
        finished = [one for one in self.records if one.state == "finished"]
        scored = [one for one in finished if one.score is not None]
        if not scored:
            return None
        sign = 1 if scored[0].higher_is_better else -1
        return max(scored, key=lambda one: (sign * (one.score or 0.0), -one.number))

    @property
    def seconds(self) -> float:
        return sum(one.seconds for one in self.records)

    @property
    def longest_seconds(self) -> float:
        return max((one.seconds for one in self.records), default=0.0)

    def ask(self, *, higher_is_better: bool) -> optuna.trial.Trial:
        """The next proposal; the first is the dials as given."""
        study = optuna.create_study(
            direction="maximize" if higher_is_better else "minimize",
            sampler=optuna.samplers.TPESampler(
                seed=self.seed + len(self.records), n_startup_trials=TRIALS_AT_RANDOM
            ),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=TRIALS_BEFORE_PRUNING),
        )
        for record in self.records:
            study.add_trial(self._frozen(record))
        if not self.records:
            study.enqueue_trial(self.own)
        return study.ask(self.space)

    def _frozen(self, record: TrialRecord) -> optuna.trial.FrozenTrial:
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
        (folder / STUDY).write_text(json.dumps(content, indent=2))

    def load(self, folder: Path) -> bool:
        """Take over the trials kept there; false when there are none of this very search."""
        try:
            content = json.loads((folder / STUDY).read_text())
            if content["identity"] != self.identity:
                return False
            self.records = [TrialRecord(**record) for record in content["trials"]]
        except (OSError, ValueError, KeyError, TypeError):
            return False
        return True


def study_of(spec: JobSpec) -> Study:
    """An empty study of the ranges that this job's search asks for."""
    assert spec.search is not None
    dials = spec.hyperparameters
    names = spec.search.parameters or list(dials.search_space)
    own = {name: _own_value(spec, name) for name in names}
    space = {name: _distribution(dials.search_space[name], own[name]) for name in names}
    identity = fingerprint(
        spec.base_model,
        dials.model_dump(),
        spec.split.model_dump(),
        spec.search.parameters,
        spec.data.stat().st_size,
    )
    return Study(space=space, own=own, seed=dials.seed, identity=identity)


def _own_value(spec: JobSpec, name: str) -> Any:
    """What the dial stands at, an automatic learning rate decided."""
    dials = spec.hyperparameters
    if name != "learning_rate":
        value = getattr(dials, name)
        return _four_digits(value) if isinstance(value, float) else value
    entry = catalog.find(spec.base_model)
    rows = pq.read_metadata(spec.data).num_rows
    held_out = spec.split.validation_fraction + spec.split.test_fraction
    factor = dials.rate_factor(
        from_scratch=entry.source.kind == "scratch", train_rows=int(rows * (1 - held_out))
    )
    return _four_digits(optimizing.automatic_rate(dials, entry.learning_rate * factor))


def _distribution(space: Range | Choices, own: Any) -> BaseDistribution:
    """Wide enough for the dial's own value, and with bounds that rounding cannot leave."""
    if isinstance(space, Choices):
        options = space.options if own in space.options else (*space.options, own)
        return CategoricalDistribution(options)
    scale = own if space.is_relative else 1.0
    low, high = _four_digits(space.low * scale), _four_digits(space.high * scale)
    return FloatDistribution(min(low, own), max(high, own), log=space.is_log and low > 0)


def rounded(parameters: Parameters) -> Parameters:
    """To four digits, as people read them; what is trained with is what is shown."""
    return {
        name: _four_digits(value) if isinstance(value, float) else value
        for name, value in parameters.items()
    }


def _four_digits(value: float) -> float:
    return float(f"{value:.4g}")
