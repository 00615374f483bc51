"""Small histograms of columns, drawn from their profiles, above columns and in lists."""

from dataclasses import dataclass

from projects.profiling.profile import ColumnProfile

BOX_WIDTH, BOX_HEIGHT = 60, 16
MIN_SHARE_SHOWN = 0.3  # Of the rows that the most frequent values hold, for a picture of them.


@dataclass(frozen=True)
class Bar:
    """One bar of a small histogram, in a box of 60 by 16."""

    x: float
    y: float
    width: float
    height: float
    title: str


def column_bars(profile: ColumnProfile, rows: int) -> tuple[list[Bar], str]:
    """Bars of a number's histogram, or of a column's most frequent values, with words on what they
    show; no bars where these values hold less than MIN_SHARE_SHOWN of the rows."""
    if steps := profile.get("histogram"):
        words = f"{format_number(profile.get('min'))} – {format_number(profile.get('max'))}"
        titles = ["1 row" if count == 1 else f"{count:,} rows" for count in steps]
        return draw_bars(steps, titles), words
    top = profile.get("top_values") or []
    sign = "≈ " if profile.get("unique_is_estimate") else ""
    unique = f"{sign}{profile.get('unique', 0):,}"
    if len(top) < 2 or sum(entry["count"] for entry in top) < MIN_SHARE_SHOWN * rows:
        return [], f"{unique} different" if profile.get("unique") else ""
    titles = [title_of_bar(entry["value"], entry["count"]) for entry in top]
    return draw_bars([entry["count"] for entry in top], titles), f"{unique} values"


def title_of_bar(value: object, count: int) -> str:
    """The title of a bar: its value and the number of rows that have it."""
    return f"{value}: {'1 row' if count == 1 else f'{count:,} rows'}"


def draw_bars(counts: list[int], titles: list[str]) -> list[Bar]:
    width, highest = BOX_WIDTH / len(counts), max(counts) or 1
    return [
        Bar(
            x=round(place * width, 2),
            y=round(BOX_HEIGHT - BOX_HEIGHT * count / highest, 2),
            width=round(width - 1, 2),
            height=round(BOX_HEIGHT * count / highest, 2),
            title=title,
        )
        for place, (count, title) in enumerate(zip(counts, titles, strict=True))
    ]


def format_number(value: object) -> str:
    return f"{value:,.4g}" if isinstance(value, int | float) else "?"
