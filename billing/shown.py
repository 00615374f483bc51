"""Long tables, shortened so that what is shown still adds up."""

from dataclasses import dataclass

from billing.usage import Cause

MOST_SHOWN = 50


@dataclass(frozen=True)
class Shown:
    """The most expensive rows, and the sum of those left out."""

    rows: list[Cause]
    left_out: int
    left_out_micro: int
    total_micro: int


def shorten(causes: list[Cause]) -> Shown:
    """Of causes sorted by cost, the first fifty."""
    rest = causes[MOST_SHOWN:]
    return Shown(
        rows=causes[:MOST_SHOWN],
        left_out=len(rest),
        left_out_micro=sum(cause.net_micro for cause in rest),
        total_micro=sum(cause.net_micro for cause in causes),
    )
