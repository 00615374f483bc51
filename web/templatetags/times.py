"""How times and durations look on every page, in the reader's language. A builtin."""

from datetime import datetime
from decimal import Decimal
from typing import Any, TypeGuard

from django import template
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import localtime, now
from django.utils.translation import gettext

register = template.Library()

EMPTY_VALUE = "\N{EM DASH}"

# Below so many seconds a distance in time is told in units of so many, in these words.
DISTANCES = (
    (3600, 60, "{n} min ago", "in {n} min"),
    (86_400, 3600, "{n} h ago", "in {n} h"),
    (30 * 86_400, 86_400, "{n} d ago", "in {n} d"),
    (365 * 86_400, 30 * 86_400, "{n} mo ago", "in {n} mo"),
)


def is_number(value: object) -> TypeGuard[float]:
    """False for None, and for the empty text that a template passes when a key is missing."""
    return isinstance(value, int | float | Decimal)


@register.filter
def duration(seconds: float | None) -> str:
    """Seconds in large units: "3.2s", "42s", "4m 12s", "1h 03m", "2d 4h"."""
    if not is_number(seconds):
        return EMPTY_VALUE
    if 0 < seconds < 10 and seconds != int(seconds):
        return gettext("{s}s").format(s=f"{seconds:.1f}")
    whole = int(seconds)
    if whole < 60:
        return gettext("{s}s").format(s=whole)
    if whole < 3600:
        return gettext("{m}m {s}s").format(m=whole // 60, s=f"{whole % 60:02d}")
    if whole < 86_400:
        return gettext("{h}h {m}m").format(h=whole // 3600, m=f"{whole % 3600 // 60:02d}")
    return gettext("{d}d {h}h").format(d=whole // 86_400, h=whole % 86_400 // 3600)


@register.filter
def ms_duration(milliseconds: float | None) -> str:
    """Milliseconds as a duration; below one second they stay milliseconds."""
    if not is_number(milliseconds):
        return EMPTY_VALUE
    if 0 < milliseconds < 1000:
        return gettext("{n} ms").format(n=f"{milliseconds:.3g}")
    return duration(milliseconds / 1000)


@register.filter
def ago(moment: datetime | None) -> SafeString | str:
    """A <time> that reads "4 min ago" and shows the exact moment on hover."""
    if moment is None:
        return EMPTY_VALUE
    exact = localtime(moment)
    return format_html(
        '<time datetime="{}" data-shown="ago" title="{}">{}</time>',
        exact.isoformat(timespec="seconds"),
        exact.strftime("%Y-%m-%d %H:%M:%S %Z"),
        _relative_time((now() - moment).total_seconds()),
    )


def _relative_time(seconds: float) -> str:
    past, size = seconds >= 0, abs(seconds)
    if size < 45:
        return gettext("just now") if past else gettext("in a moment")
    for limit, unit, ago_words, in_words in DISTANCES:
        if size < limit:
            number = str(max(1, round(size / unit)))
            return gettext(ago_words if past else in_words).format(n=number)
    years = f"{size / (365 * 86_400):.1f}"
    return gettext("{n} y ago" if past else "in {n} y").format(n=years)


@register.filter
def moment(when: datetime | None) -> SafeString | str:
    """A <time> that reads "2026-11-22 04:10:09 UTC"."""
    if when is None:
        return EMPTY_VALUE
    exact = localtime(when)
    return format_html(
        '<time datetime="{}" data-shown="exact">{}</time>',
        exact.isoformat(timespec="seconds"),
        exact.strftime("%Y-%m-%d %H:%M:%S %Z"),
    )


@register.filter
def month_name(month: Any) -> str:
    """A month, known by its first moment, as people write it: "November 2026"."""
    return date_format(month.start, "YEAR_MONTH_FORMAT") if month else ""
