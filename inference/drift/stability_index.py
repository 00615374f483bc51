"""The population stability index, and how large it becomes by chance.

The index is sum((p - q) * ln(p / q)) over the bins of two distributions p and q (S. Kullback and
R. Leibler 1951, symmetrised; the bounds 0.1 and 0.25 are those of credit scoring, N. Siddiqi 2006,
"Credit Risk Scorecards", chapter 7). Without any drift, n and m draws make it about (1/n + 1/m)
times a chi-squared variable with as many degrees of freedom as bins less one (B. Yurdakul 2018,
"Statistical Properties of Population Stability Index").
"""

import math
from collections.abc import Sequence
from statistics import NormalDist

SMOOTHING = 0.5  # Added to each count, so that a bin that one side lacks has a finite weight.


def contributions(reference: Sequence[int], observed: Sequence[int]) -> list[float]:
    """What each bin adds to the index, none below 0. Both sequences count the same bins."""
    bins = len(reference)
    before = [(count + SMOOTHING) / (sum(reference) + SMOOTHING * bins) for count in reference]
    after = [(count + SMOOTHING) / (sum(observed) + SMOOTHING * bins) for count in observed]
    return [(q - p) * math.log(q / p) for p, q in zip(before, after, strict=True)]


def bound_by_chance(reference: Sequence[int], observed: Sequence[int], chance: float) -> float:
    """The index that draws of one distribution exceed with this probability.

    The quantile of chi-squared is Wilson and Hilferty's (1931), right to 1 % from 2 degrees of
    freedom on.
    """
    used = sum(1 for p, q in zip(reference, observed, strict=True) if p or q)
    freedom = max(1, used - 1)
    spread = 2 / (9 * freedom)
    root = 1 - spread + NormalDist().inv_cdf(1 - chance) * math.sqrt(spread)
    return freedom * root**3 * (1 / max(1, sum(reference)) + 1 / max(1, sum(observed)))
