"""Cross-validation of a text job: as many more models, each tested on rows it never saw."""

from dataclasses import replace

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from engine import baselines
from engine.events import Reporter
from engine.goals.outline import Rows
from engine.progress import JobClock
from engine.splitting import text_key
from engine.stopping import StopSignal
from engine.tasks.text_embedding import Features, predict
from engine.tasks.text_fitting import start_from_probe, teach
from engine.tasks.text_learning import Lesson
from engine.tasks.text_preparation import Prepared, goal_for


def cross_validate(
    prepared: Prepared, features: Features, clock: JobClock, report: Reporter, stop: StopSignal
) -> list[dict[str, float]]:
    """Metrics of each fold, over the training and validation rows; the test rows stay untouched.

    Fold models stop at the planned epochs: no rows are left to choose an earlier one by.
    """
    count = prepared.spec.hyperparameters.folds
    if not count:
        return []
    clock.enter("cross-validating")
    found = []
    for number, (train, held_out) in enumerate(_folds(prepared, count)):
        stop.raise_if_requested()
        found.append(_one(prepared, features, train, held_out, number, stop))
        clock.advance((number + 1) / count)
    name = prepared.goal.score.name.removeprefix("validation_")
    values = [fold[name] for fold in found]
    report.info(
        f"{count}-fold cross-validation: {name.replace('_', ' ')} {np.mean(values):.4g}"
        f" ± {np.std(values, ddof=1):.2g}"
    )
    return found


def _folds(prepared: Prepared, count: int) -> list[tuple[Rows, Rows]]:
    rows = np.sort(np.concatenate([prepared.split.train, prepared.split.validation]))
    strata = np.asarray(prepared.examples.strata)[rows]
    keys = [text_key(prepared.examples.texts[row]) for row in rows]
    _, groups = np.unique(keys, return_inverse=True)
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=prepared.spec.split.seed)
    return [
        (rows[train], rows[held])
        for train, held in splitter.split(rows, strata, groups)
        if len(held)
    ]


def _one(
    prepared: Prepared,
    features: Features,
    train: Rows,
    held_out: Rows,
    number: int,
    stop: StopSignal,
) -> dict[str, float]:
    dials, seed = prepared.spec.hyperparameters, prepared.spec.split.seed
    goal = goal_for(prepared.examples.truth, train, dials)
    sample = baselines.sample_rows(train, seed)
    probe = goal.fit_probe(features.of(sample), sample)
    if prepared.method == "probe":
        outputs = probe.outputs(features.of(held_out))
    else:
        network = prepared.new_network().to(prepared.device.name)
        if prepared.base_folder is not None:
            start_from_probe(network, probe)
        lesson = Lesson(network, goal, train, held_out[:0])
        silent = Reporter(lambda _line: None)
        clock = JobClock(silent, {"training": 1.0})
        teach(prepared, lesson, features, clock, silent, stop, fold=number)
        network.to(prepared.device.name)
        outputs = predict(replace(prepared), network, held_out)
    metrics = goal.validation(outputs, held_out)
    return {name.removeprefix("validation_"): value for name, value in metrics.items()}
