"""Bootstrap intervals: how often each row is drawn, many resamples at a time."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from engine.metrics.measures import NO_INTERVAL, Interval
from engine.metrics.shapes import Floats, Ints

RESAMPLES = 1000
RESAMPLE_BATCH_SIZE = 100
BOOTSTRAP_METHOD = f"95% percentile bootstrap over rows, {RESAMPLES} resamples"


def bootstrap_weights(rows: int, seed: int, resamples: int = RESAMPLES) -> Iterator[Floats]:
    """How often each row is drawn: arrays (up to RESAMPLE_BATCH_SIZE, rows) for all resamples."""
    generator = np.random.default_rng(seed)
    for count in _batch_sizes(resamples):
        yield _count_draws(generator.integers(rows, size=(count, rows)), rows)


def stratified_bootstrap_weights(
    strata: Ints, seed: int, resamples: int = RESAMPLES
) -> Iterator[Floats]:
    """The same, with each stratum's number of rows kept, so that no class is ever missing."""
    generator = np.random.default_rng(seed)
    order = np.argsort(strata, kind="stable")
    _, first, sizes = np.unique(strata[order], return_index=True, return_counts=True)
    begin, size = np.repeat(first, sizes), np.repeat(sizes, sizes)
    for count in _batch_sizes(resamples):
        within = (generator.random((count, len(strata))) * size).astype(np.int64)
        yield _count_draws(order[begin + within], len(strata))


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
