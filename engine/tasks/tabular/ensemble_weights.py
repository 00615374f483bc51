"""The weight of each member in a table model's ensemble."""

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np
from sklearn.model_selection import KFold, StratifiedKFold

from engine.tasks.tabular.encoder import Matrix
from engine.tasks.tabular.ensemble_members import EncodedRows, Floats, loss

ROUNDS = 30
# With so many validation rows each member starts with a count of 1, with fewer rows with more:
# then the even mean is steadier than a choice by so few rows.
ROWS_TO_TRUST = 600
MIN_WEIGHT = 0.08  # A member with less is not worth its seconds.
FOLDS, MIN_ROWS_PER_FOLD = 5, 8
MEMBER_NAMES = {
    "network": "the network",
    "trees": "boosted trees",
    "absolute_trees": "boosted trees of absolute errors",
    "log_trees": "boosted trees of the logarithm",
    "random_trees": "extremely randomised trees",
    "linear": "the linear model",
}


class FittedMember(Protocol):
    def outputs(self, matrix: Matrix) -> Floats: ...


FitMember = Callable[[EncodedRows], FittedMember]


def is_few(validation: EncodedRows) -> bool:
    """Whether so few validation rows choose that members start with more than a count of 1."""
    return 0 < len(validation.matrix) < ROWS_TO_TRUST / 1.5


def cross_validate_weights(
    fitters: Mapping[str, FitMember], rows: EncodedRows, seed: int
) -> dict[str, float] | None:
    """Weights by answers to all these rows, each by members that did not see it: what few
    validation rows cannot tell. None where a label has too few rows to be in every fold."""
    is_label = rows.targets.dtype.kind == "i"
    if len(rows.targets) < MIN_ROWS_PER_FOLD * FOLDS or len(fitters) < 2:
        return None
    if is_label and np.unique(rows.targets, return_counts=True)[1].min() < FOLDS:
        return None
    splitter = (StratifiedKFold if is_label else KFold)(
        FOLDS, shuffle=True, random_state=seed % 2**32
    )
    folds = list(splitter.split(rows.matrix, rows.targets))
    outputs: dict[str, Floats] = {}
    for name, fit in fitters.items():
        parts = [fit(rows.take(train)).outputs(rows.matrix[test]) for train, test in folds]
        outputs[name] = np.zeros((len(rows.matrix), parts[0].shape[1]))
        for (_, test), part in zip(folds, parts, strict=True):
            outputs[name][test] = part
    return fit_ensemble_weights(outputs, rows)


def fit_ensemble_weights(
    outputs: Mapping[str, Floats],
    validation: EncodedRows,
    known: Mapping[str, float] | None = None,
) -> dict[str, float]:
    """Weights of the members worth keeping, which sum to 1; even ones without validation rows.

    Ensemble selection with replacement (Caruana et al. 2004): in each round the member is added
    that lowers the loss of the mean most; how often each was added is its weight. `known` are
    weights of some members among each other, which they start with instead of even ones.
    """
    rows = len(validation.matrix)
    if not rows:
        return dict.fromkeys(outputs, 1 / len(outputs))
    counts = _count_at_start(list(outputs), rows, known)
    names = list(counts)
    total: Floats = np.sum([outputs[name] * counts[name] for name in names], axis=0)
    for _ in range(ROUNDS):
        size = sum(counts.values()) + 1
        losses = {name: loss((total + outputs[name]) / size, validation) for name in names}
        best = min(names, key=losses.__getitem__)
        counts[best] += 1
        total = total + outputs[best]
    fewest = MIN_WEIGHT * sum(counts.values())
    large_enough = {name: count for name, count in counts.items() if count >= fewest}
    return {name: count / sum(large_enough.values()) for name, count in large_enough.items()}


def _count_at_start(
    names: list[str], rows: int, known: Mapping[str, float] | None
) -> dict[str, float]:
    count = max(1.0, round(ROWS_TO_TRUST / rows))
    if known is None:
        return dict.fromkeys(names, count)
    others = [name for name in names if name not in known]
    tried = len(names) - len(others)
    weighed = {name: count * tried * weight for name, weight in known.items()}
    return {name: each for name in names if (each := weighed.get(name, count)) > 0}


def weighted_mean(outputs: Mapping[str, Floats], weights: Mapping[str, float]) -> Floats:
    """The weighted mean (rows, outputs) of the members with a weight."""
    parts = [outputs[name] * weight for name, weight in weights.items()]
    return np.asarray(np.sum(parts, axis=0))


def describe_choice(weights: Mapping[str, float]) -> str:
    """Which members answer, as a sentence."""
    if len(weights) == 1:
        member_words = MEMBER_NAMES[next(iter(weights))]
        return f"On validation rows {member_words} did best alone and was kept."
    ordered = sorted(weights, key=lambda name: -weights[name])
    parts = [f"{MEMBER_NAMES[name]} ({weights[name]:.0%})" for name in ordered]
    member_words = f"{', '.join(parts[:-1])} and {parts[-1]}"
    return f"On validation rows {member_words} did best together: their weighted mean answers."
