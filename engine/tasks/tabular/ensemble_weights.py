"""The weight of each member in a table model's ensemble."""

from collections.abc import Mapping

import numpy as np

from engine.tasks.tabular.ensemble_members import EncodedRows, Floats, loss

ROUNDS = 30
# With so many validation rows each member starts with a count of 1, with fewer rows with more:
# then the even mean is steadier than a choice by so few rows.
ROWS_TO_TRUST = 600
MIN_WEIGHT = 0.08  # A member with less is not worth its seconds.


def fit_ensemble_weights(
    outputs: Mapping[str, Floats], validation: EncodedRows
) -> dict[str, float]:
    """Weights of the members worth keeping, which sum to 1; even ones without validation rows.

    Ensemble selection with replacement (Caruana et al. 2004): in each round the member is added
    that lowers the loss of the mean most; how often each was added is its weight.
    """
    names = list(outputs)
    rows = len(validation.matrix)
    if not rows:
        return dict.fromkeys(names, 1 / len(names))
    counts = dict.fromkeys(names, max(1, round(ROWS_TO_TRUST / rows)))
    total: Floats = np.sum([outputs[name] * counts[name] for name in names], axis=0)
    for _ in range(ROUNDS):
        size = sum(counts.values()) + 1
        losses = {name: loss((total + outputs[name]) / size, validation) for name in names}
        best = min(names, key=losses.__getitem__)
        counts[best] += 1
        total = total + outputs[best]
    fewest = MIN_WEIGHT * sum(counts.values())
    kept = {name: count for name, count in counts.items() if count >= fewest}
    return {name: count / sum(kept.values()) for name, count in kept.items()}


def weighted_mean(outputs: Mapping[str, Floats], weights: Mapping[str, float]) -> Floats:
    """The weighted mean (rows, outputs) of the members with a weight."""
    parts = [outputs[name] * weight for name, weight in weights.items()]
    return np.asarray(np.sum(parts, axis=0))
