"""Bootstrap intervals: how often each row is drawn, many resamples at a time."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from engine.metrics.measures import NO_INTERVAL, Interval
from engine.metrics.shapes import Floats, Ints

RESAMPLES = 1000
# Models of a cross-validation share most of their training rows, and the deployed one differs from
# each: an interval as if their answers were of one model on so many rows is too narrow (Nadeau and
# Bengio 2003; Bates, Hastie and Tibshirani 2023). Measured on made data sets of 40 to 300 rows and
# three kinds of model, this factor of the variance lets 95% intervals cover the deployed model.
CROSS_VALIDATED_VARIANCE = 1.5
RESAMPLE_BATCH_SIZE = 100
BOOTSTRAP_METHOD = f"95% percentile bootstrap over rows, {RESAMPLES} resamples"
CROSS_VALIDATED_METHOD = (
    f"{BOOTSTRAP_METHOD} of {1 / CROSS_VALIDATED_VARIANCE:.2f} of the rows, for the models of a"
    " cross-validation share rows"
)


def describe_bootstrap(repeats: int) -> str:
    """The method of the intervals of predictions with so many `repeats`."""
    return CROSS_VALIDATED_METHOD if repeats else BOOTSTRAP_METHOD


def effective_rows(rows: int, repeats: int) -> float:
    """How many rows of a single test say as much as these."""
    return rows / (repeats * CROSS_VALIDATED_VARIANCE) if repeats else float(rows)


def bootstrap_weights(
    rows: int, seed: int, resamples: int = RESAMPLES, repeats: int = 0
) -> Iterator[Floats]:
    """How often each row is drawn: arrays (up to RESAMPLE_BATCH_SIZE, rows) for all resamples.

    Blocks of a cross-validation are drawn together, and fewer rows of them, each with more weight
    (Bickel, Götze and van Zwet 1997: m out of n), so that weights always add up to `rows`.
    """
    generator, distinct = np.random.default_rng(seed), rows // max(1, repeats)
    drawn = max(1, round(effective_rows(rows, repeats)))
    for count in _batch_sizes(resamples):
        weights = _count_draws(generator.integers(distinct, size=(count, drawn)), distinct)
        yield np.tile(weights * (distinct / drawn), max(1, repeats))


def stratified_bootstrap_weights(
    strata: Ints, seed: int, resamples: int = RESAMPLES, repeats: int = 0
) -> Iterator[Floats]:
    """The same, with each stratum's share of the rows kept, so that no class is ever missing."""
    generator = np.random.default_rng(seed)
    strata = strata[: len(strata) // max(1, repeats)]
    order = np.argsort(strata, kind="stable")
    _, first, sizes = np.unique(strata[order], return_index=True, return_counts=True)
    draws = np.ceil(sizes / CROSS_VALIDATED_VARIANCE).astype(np.int64) if repeats else sizes
    begin, size = np.repeat(first, draws), np.repeat(sizes, draws)
    weight_of_draw = np.empty(len(strata))
    weight_of_draw[order] = np.repeat(sizes / draws, sizes)
    for count in _batch_sizes(resamples):
        within = (generator.random((count, len(size))) * size).astype(np.int64)
        weights = _count_draws(order[begin + within], len(strata)) * weight_of_draw
        yield np.tile(weights, max(1, repeats))


def _batch_sizes(resamples: int) -> Iterator[int]:
    for start in range(0, resamples, RESAMPLE_BATCH_SIZE):
        yield min(RESAMPLE_BATCH_SIZE, resamples - start)


def _count_draws(drawn: Ints, rows: int) -> Floats:
    count = len(drawn)
    flat = (drawn + rows * np.arange(count)[:, None]).ravel()
    return np.bincount(flat, minlength=count * rows).reshape(count, rows).astype(np.float64)


def bootstrap_intervals(
    weight_batches: Iterator[Floats], formulas: Callable[[Floats], Mapping[str, Floats]]
) -> dict[str, Interval]:
    """95% percentile interval of every value that `formulas` computes from row weights."""
    drawn: dict[str, list[Floats]] = {}
    for weights in weight_batches:
        for name, values in formulas(weights).items():
            drawn.setdefault(name, []).append(values)
    return {name: percentile_interval(np.concatenate(values)) for name, values in drawn.items()}


def percentile_interval(values: Floats) -> Interval:
    known = values[np.isfinite(values)]
    if not len(known):
        return NO_INTERVAL
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


def safe_divide(above: Floats, below: Floats) -> Floats:
    """Element by element, 0 where the divisor is 0, as scikit-learn with zero_division=0."""
    return np.divide(above, below, out=np.zeros_like(above, dtype=np.float64), where=below > 0)
