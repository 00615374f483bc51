"""Bootstrap intervals: how often each row is drawn, many resamples at a time."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from engine.metrics.measures import NO_INTERVAL, Interval
from engine.metrics.shapes import Floats, Ints

RESAMPLES = 1000
RESAMPLES_AT_ONCE = 100
HOW = f"95% percentile bootstrap over rows, {RESAMPLES} resamples"


def row_weights(rows: int, seed: int, resamples: int = RESAMPLES) -> Iterator[Floats]:
    """How often each row is drawn, (up to RESAMPLES_AT_ONCE, rows), until all resamples came."""
    generator = np.random.default_rng(seed)
    for count in _portions(resamples):
        yield _weights_of(generator.integers(rows, size=(count, rows)), rows)


def stratified_weights(strata: Ints, seed: int, resamples: int = RESAMPLES) -> Iterator[Floats]:
    """The same, each stratum keeping its number of rows: no class is ever missing."""
    generator = np.random.default_rng(seed)
    order = np.argsort(strata, kind="stable")
    _, first, sizes = np.unique(strata[order], return_index=True, return_counts=True)
    begin, size = np.repeat(first, sizes), np.repeat(sizes, sizes)
    for count in _portions(resamples):
        within = (generator.random((count, len(strata))) * size).astype(np.int64)
        yield _weights_of(order[begin + within], len(strata))


def _portions(resamples: int) -> Iterator[int]:
    for start in range(0, resamples, RESAMPLES_AT_ONCE):
        yield min(RESAMPLES_AT_ONCE, resamples - start)


def _weights_of(drawn: Ints, rows: int) -> Floats:
    count = len(drawn)
    flat = (drawn + rows * np.arange(count)[:, None]).ravel()
    return np.bincount(flat, minlength=count * rows).reshape(count, rows).astype(np.float64)


def intervals(
    portions: Iterator[Floats], formulas: Callable[[Floats], Mapping[str, Floats]]
) -> dict[str, Interval]:
    """95% percentile interval of every value that `formulas` computes from row weights."""
    drawn: dict[str, list[Floats]] = {}
    for weights in portions:
        for name, values in formulas(weights).items():
            drawn.setdefault(name, []).append(values)
    return {name: percentiles(np.concatenate(values)) for name, values in drawn.items()}


def percentiles(values: Floats) -> Interval:
    known = values[np.isfinite(values)]
    if not len(known):
        return NO_INTERVAL
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


def ratio(above: Floats, below: Floats) -> Floats:
    """Element by element, 0 where the divisor is 0, as scikit-learn with zero_division=0."""
    return np.divide(above, below, out=np.zeros_like(above, dtype=np.float64), where=below > 0)
