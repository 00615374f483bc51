"""Bins in which the training data and the requests are counted alike."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from statistics import quantiles
from typing import Literal, NamedTuple

from web.language.sentences import AsWritten

MAX_VALUES = 20  # Of a category: the most frequent ones; the rest is counted together.
NUMBER_BINS = 10
OTHER, MISSING = "another value", "no value"

Kind = Literal["number", "category"]
Unit = Literal["", "share", "day"]
Value = float | str | None


@dataclass
class Bins:
    """Bins of one measure and the counts of the reference in them.

    Numbers: `edges` ascend; a bin holds what is above the edge before it, up to its own, and the
    last but one what is above all. Categories: one bin for each of `values`, then one for others.
    Missing values have the last bin.
    """

    kind: Kind
    edges: list[float] = field(default_factory=list)
    unit: Unit = ""  # Of numbers: shares of 1, or days since 1970.
    values: list[str] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)

    @property
    def size(self) -> int:
        return len(self.edges if self.kind == "number" else self.values) + 2

    def count(self, values: Iterable[Value]) -> list[int]:
        counts = [0] * self.size
        for value in values:
            counts[self._bin_of(value)] += 1
        return counts

    def _bin_of(self, value: Value) -> int:
        if value is None:
            return self.size - 1
        if self.kind == "number":
            return bisect_left(self.edges, float(value))
        text = str(value)
        return self.values.index(text) if text in self.values else len(self.values)

    def name(self, place: int) -> "BinName":
        """What a bin holds."""
        if place == self.size - 1:
            return BinName(MISSING)
        if self.kind == "category":
            is_other = place == len(self.values)
            return BinName(OTHER if is_other else AsWritten(self.values[place]))
        low = self._format(self.edges[place - 1]) if place > 0 else ""
        high = self._format(self.edges[place]) if place < len(self.edges) else ""
        return BinName(low=low, high=high)

    def _format(self, edge: float) -> str:
        if self.unit == "day":
            return (date(1970, 1, 1) + timedelta(days=edge)).isoformat()
        if self.unit == "share":
            return f"{edge:.0%}"
        return f"{edge:,.0f}" if abs(edge) >= 1000 else f"{edge:.4g}"


class BinName(NamedTuple):
    """A value, or the numbers above `low` up to `high`, each of which may be missing."""

    value: str = ""
    low: str = ""
    high: str = ""

    def __str__(self) -> str:
        if self.low and self.high:
            return f"from {self.low} to {self.high}"
        return (
            f"above {self.low}" if self.low else f"up to {self.high}" if self.high else self.value
        )


def number_bins(
    values: Sequence[float | None],
    edges: Sequence[float] | None = None,
    *,
    unit: Unit = "",
) -> Bins:
    """Bins at these edges, or of about as many reference values each, and their counts."""
    numbers = [value for value in values if value is not None]
    if edges is None:
        has_spread = len(numbers) > 1
        edges = quantiles(numbers, n=NUMBER_BINS, method="inclusive") if has_spread else numbers
    bins = Bins("number", edges=sorted(set(edges)), unit=unit)
    bins.counts = bins.count(values)
    return bins


def category_bins(values: Sequence[str | None]) -> Bins:
    """A bin for each of the most frequent reference values, and the counts."""
    frequent = Counter(value for value in values if value is not None).most_common(MAX_VALUES)
    bins = Bins("category", values=[value for value, _ in frequent])
    bins.counts = bins.count(values)
    return bins
