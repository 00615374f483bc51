"""How much each member counts in the answer of a table's model."""

from collections.abc import Mapping

import numpy as np

from engine.tabular.members import Floats, Rows, loss

ROUNDS = 30
# With so many validation rows a member counts once from the start; with fewer, more often:
# then the even mean is steadier than what the rows seem to say.
ROWS_TO_TRUST = 600
LEAST_SHARE = 0.08  # A member that counts less is not worth its seconds.


def shares_of(outputs: Mapping[str, Floats], validation: Rows) -> dict[str, float]:
    """Shares, which sum to 1, of the members worth keeping; even ones without validation rows.

    Ensemble selection with replacement (Caruana et al. 2004): again and again the member joins
    that lowers the loss of the mean most; how often each has joined is its weight.
    """
    names = list(outputs)
    rows = len(validation.matrix)
    if not rows:
        return dict.fromkeys(names, 1 / len(names))
    times = dict.fromkeys(names, max(1, round(ROWS_TO_TRUST / rows)))
    total: Floats = np.sum([outputs[name] * times[name] for name in names], axis=0)
    for _ in range(ROUNDS):
        count = sum(times.values()) + 1
        losses = {name: loss((total + outputs[name]) / count, validation) for name in names}
        best = min(names, key=losses.__getitem__)
        times[best] += 1
        total = total + outputs[best]
    least = LEAST_SHARE * sum(times.values())
    counted = {name: one for name, one in times.items() if one >= least}
    return {name: one / sum(counted.values()) for name, one in counted.items()}


def mixed(outputs: Mapping[str, Floats], shares: Mapping[str, float]) -> Floats:
    """The weighted mean (rows, outputs) of the members that count."""
    parts = [outputs[name] * share for name, share in shares.items()]
    return np.asarray(np.sum(parts, axis=0))
