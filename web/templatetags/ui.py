"""How numbers, times and states look on every page. A builtin: no template loads it."""

from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, TypeGuard

from django import template
from django.template.defaultfilters import filesizeformat
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import localtime, now

register = template.Library()

NOTHING = "\N{EM DASH}"
MINUS = "\N{MINUS SIGN}"
MICRO = 1_000_000  # Micro-USD in a dollar.

# The colour of the dot, by family of status. Anything unknown is neutral.
TONES = {
    "running": "live",
    "importing": "live",
    "loading": "live",
    "active": "good",
    "ready": "good",
    "succeeded": "good",
    "delivered": "good",
    "enabled": "good",
    "retrying": "wait",
    "disabled": "bad",
    "live": "good",
    "open": "live",
    "queued": "wait",
    "uploading": "wait",
    "pending": "wait",
    "paused": "wait",
    "expired": "wait",
    "paid": "good",
    "trialing": "good",
    "past_due": "bad",
    "unpaid": "bad",
    "failed": "bad",
    "frozen": "bad",
}


@register.filter
def money(micro: int | None) -> str:
    """Micro-USD for reading: "$1.82", and more digits where cents would say nothing: "$0.0042"."""
    if micro is None:
        return NOTHING
    size = abs(micro)
    places = 2 if size >= MICRO // 10 or size == 0 else 4 if size >= MICRO // 100 else 6
    return _signed(micro, _dollars(size, places))


@register.filter
def exact_money(micro: int | None) -> str:
    """Micro-USD to the last digit, so that a column of them adds up by hand: "$1.820416"."""
    if micro is None:
        return NOTHING
    dollars, rest = divmod(abs(micro), MICRO)
    return _signed(micro, f"{dollars:,}.{rest:06d}")


@register.filter
def cents(amount: int | None) -> str:
    """Whole cents as an invoice prints them: 490000 → "$4,900.00"."""
    if amount is None:
        return NOTHING
    dollars, rest = divmod(abs(amount), 100)
    return _signed(amount, f"{dollars:,}.{rest:02d}")


def _dollars(size: int, places: int) -> str:
    exact = Decimal(size) / MICRO
    text = f"{exact.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP):,}"
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction.rstrip('0').ljust(2, '0')}"


def _signed(micro: int, digits: str) -> str:
    return f"{MINUS if micro < 0 else ''}${digits}"


def _is_number(given: object) -> TypeGuard[float]:
    """A template passes an empty text for a key that is not there: no more than None a number."""
    return isinstance(given, int | float | Decimal)


@register.filter
def duration(seconds: float | None) -> str:
    """Seconds as people say them: "3.2s", "42s", "4m 12s", "1h 03m", "2d 4h"."""
    if not _is_number(seconds):
        return NOTHING
    if 0 < seconds < 10 and seconds != int(seconds):
        return f"{seconds:.1f}s"
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    if whole < 86_400:
        return f"{whole // 3600}h {whole % 3600 // 60:02d}m"
    return f"{whole // 86_400}d {whole % 86_400 // 3600}h"


@register.filter
def ms_duration(milliseconds: float | None) -> str:
    """Milliseconds likewise; below one second they stay milliseconds."""
    if not _is_number(milliseconds):
        return NOTHING
    if 0 < milliseconds < 1000:
        return f"{milliseconds:.3g} ms"
    return duration(milliseconds / 1000)


@register.filter
def count(number: int | float | None) -> str:
    """1234 → "1,234"."""
    return f"{number:,.0f}" if _is_number(number) else NOTHING


@register.filter
def percent(share: float | None) -> str:
    """0.897 → "89.7%"."""
    return f"{share * 100:.1f}%" if _is_number(share) else NOTHING


@register.filter
def filesize_(size: int | None) -> str:
    """Bytes as "1.2 MB"."""
    return filesizeformat(size) if _is_number(size) else NOTHING


@register.filter
def ago(moment: datetime | None) -> SafeString | str:
    """A <time> that reads "4 min ago" and shows the exact moment on hover."""
    if moment is None:
        return NOTHING
    exact = localtime(moment)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        exact.isoformat(timespec="seconds"),
        exact.strftime("%Y-%m-%d %H:%M:%S %Z"),
        _distance((now() - moment).total_seconds()),
    )


def _distance(seconds: float) -> str:
    past, size = seconds >= 0, abs(seconds)
    if size < 45:
        return "just now" if past else "in a moment"
    for limit, unit, name in (
        (3600, 60, "min"),
        (86_400, 3600, "h"),
        (30 * 86_400, 86_400, "d"),
        (365 * 86_400, 30 * 86_400, "mo"),
    ):
        if size < limit:
            words = f"{max(1, round(size / unit))} {name}"
            break
    else:
        words = f"{size / (365 * 86_400):.1f} y"
    return f"{words} ago" if past else f"in {words}"


@register.filter
def moment(when: datetime | None) -> SafeString | str:
    """A <time> that reads "2026-11-22 04:10:09 UTC"."""
    if when is None:
        return NOTHING
    exact = localtime(when)
    return format_html(
        '<time datetime="{}">{}</time>',
        exact.isoformat(timespec="seconds"),
        exact.strftime("%Y-%m-%d %H:%M:%S %Z"),
    )


@register.filter
def status_badge(status: str | None) -> SafeString | str:
    """A badge with a coloured dot; the word is always there, colour never says it alone."""
    if not status:
        return NOTHING
    word = str(getattr(status, "label", "") or status).replace("_", " ").replace("-", " ")
    return format_html(
        '<span class="badge status" data-variant="secondary"><span class="dot" data-tone="{}" '
        'aria-hidden="true"></span>{}</span>',
        TONES.get(str(status).lower(), "none"),
        word[:1].upper() + word[1:],
    )


@register.simple_tag(takes_context=True)
def nav_link(context: template.Context, url: str, label: str, views: str = "") -> SafeString | str:
    """A sidebar entry, marked current on the named views (space-separated). No URL, no entry."""
    if not url:
        return ""
    request = context.get("request")
    match = getattr(request, "resolver_match", None)
    current = match is not None and match.view_name in views.split()
    mark = SafeString(' aria-current="page"') if current else ""
    return format_html('<li><a href="{}"{}><span>{}</span></a></li>', url, mark, label)


@register.filter
def words(value: Any) -> Any:
    """A list as words with commas; anything else unchanged."""
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value


@register.filter
def at_least_zero(number: int) -> int:
    """Bars have no negative height: a day of refunds shows as empty."""
    return max(0, number)


@register.filter
def get(mapping: Any, key: Any) -> Any:
    """A mapping's value for a key held in a variable; None when absent."""
    return mapping.get(key) if hasattr(mapping, "get") else None
