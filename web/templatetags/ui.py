"""How numbers, times and states look on every page, and the markup that pages share.

A builtin: no template loads it. Filters come first, then tags: crumbs, page heads, cards, tables,
stat tiles, empty states, and links between the pages of a list.
"""

import re
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from django import template
from django.core.paginator import Page
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from web.language.sentences import translated
from web.templatetags.icons import icon
from web.templatetags.times import EMPTY_VALUE, is_number

register = template.Library()

MINUS_SIGN = "\N{MINUS SIGN}"
MICRO_PER_DOLLAR = 1_000_000  # Micro-USD in a dollar.

# The colour of the dot, by family of status. Anything unknown is neutral.
STATUS_TONES = {
    "running": "live",
    "importing": "wait",
    "loading": "wait",
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
def money(micro: int | float | None) -> str:
    """Micro-USD for reading: "$1.82", and more digits where cents would say nothing: "$0.0042".
    Only nothing is "$0.00": an average may be a part of a millionth."""
    if micro is None:
        return EMPTY_VALUE
    size = Decimal(str(abs(micro)))
    places = (
        2
        if size >= MICRO_PER_DOLLAR // 10 or size == 0
        else 4
        if size >= MICRO_PER_DOLLAR // 100
        else 6
        if size >= 1
        else 1 - (size / MICRO_PER_DOLLAR).adjusted()  # Two digits that count.
    )
    exact = size / MICRO_PER_DOLLAR
    text = f"{exact.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP):,f}"
    whole, _, fraction = text.partition(".")
    return _with_sign(micro, f"{whole}.{fraction.rstrip('0').ljust(2, '0')}")


@register.filter
def exact_money(micro: int | None) -> str:
    """Micro-USD to the last digit, so that a column of them adds up by hand: "$1.820416"."""
    if micro is None:
        return EMPTY_VALUE
    dollars, rest = divmod(abs(micro), MICRO_PER_DOLLAR)
    return _with_sign(micro, f"{dollars:,}.{rest:06d}")


@register.filter
def cents(amount: int | None) -> str:
    """Whole cents as an invoice prints them: 490000 → "$4,900.00"."""
    if amount is None:
        return EMPTY_VALUE
    dollars, rest = divmod(abs(amount), 100)
    return _with_sign(amount, f"{dollars:,}.{rest:02d}")


@register.filter
def round_size(size: int) -> str:
    """A limit in bytes as people set it: "10 GB" where filesizeformat says "10.0 GB"."""
    return re.sub(r"[.,]0(?=\D)", "", filesizeformat(size))


def _with_sign(micro: int | float, digits: str) -> str:
    return f"{MINUS_SIGN if micro < 0 else ''}${digits}"


@register.filter
def count(number: int | float | None) -> str:
    """1234 → "1,234"."""
    return f"{number:,.0f}" if is_number(number) else EMPTY_VALUE


@register.filter
def percent(share: float | None) -> str:
    """0.897 → "89.7%"."""
    return f"{share * 100:.1f}%" if is_number(share) else EMPTY_VALUE


@register.filter
def filesize_(size: int | None) -> str:
    """Bytes as "1.2 MB"."""
    return filesizeformat(size) if is_number(size) else EMPTY_VALUE


@register.filter
def status_badge(status: str | None) -> SafeString | str:
    """A badge with a coloured dot and the status as a word, which colour-blind people need."""
    if not status:
        return EMPTY_VALUE
    word = str(getattr(status, "label", "") or status).replace("_", " ").replace("-", " ")
    return format_html(
        '<span class="badge status" data-variant="secondary"><span class="dot" data-tone="{}" '
        'aria-hidden="true"></span>{}</span>',
        STATUS_TONES.get(str(status).lower(), "none"),
        translated(word[:1].upper() + word[1:]),
    )


@register.simple_tag(takes_context=True)
def nav_link(
    context: template.Context, url: str, label: str, views: str = "", icon_name: str = ""
) -> SafeString | str:
    """A sidebar entry, marked current on the named views (space-separated). No URL, no entry."""
    if not url:
        return ""
    request = context.get("request")
    match = getattr(request, "resolver_match", None)
    current = match is not None and match.view_name in views.split()
    mark = SafeString(' aria-current="page"') if current else ""
    picture = icon(icon_name) if icon_name else ""
    return format_html('<li><a href="{}"{}>{}<span>{}</span></a></li>', url, mark, picture, label)


@register.filter
def words(value: Any) -> Any:
    """A list as words with commas; anything else unchanged."""
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value


@register.filter
def plain(name: object) -> str:
    """A name of ours as words: "text-classification" → "text classification"."""
    return translated(str(name or "").replace("-", " ").replace("_", " "))


@register.filter
def at_least_zero(number: int) -> int:
    """Bars have no negative height: a day of refunds shows as empty."""
    return max(0, number)


@register.filter
def get(mapping: Any, key: Any) -> Any:
    """A mapping's value for a key held in a variable; None when absent."""
    return mapping.get(key) if hasattr(mapping, "get") else None


@register.simple_tag
def crumb(label: str, view: str = "", *args: object) -> SafeString:
    """A step of the breadcrumbs before the last one, linked when it names a view."""
    step = format_html('<a href="{}">{}</a>', reverse(view, args=args), label) if view else None
    return format_html('{} <span aria-hidden="true">/</span>', step or _span(label))


@register.simple_tag
def current_crumb(label: str) -> SafeString:
    """The last step of the breadcrumbs: this page."""
    return format_html('<span aria-current="page">{}</span>', label)


def _span(text: object, css_class: str = "") -> SafeString:
    return format_html("<span{}>{}</span>", html_attribute("class", css_class), text)


def html_attribute(name: str, value: object) -> SafeString:
    """name="value" with a space before it; nothing when the value is empty."""
    return format_html(' {}="{}"', name, value) if value else SafeString("")


@register.simple_block_tag
def page_head(content: str, title: str, sentence: str = "") -> SafeString:
    """The head of a page: its title, a sentence below it, and on the right what can be done."""
    heading = format_html("<h1>{}</h1>", title)
    if sentence:
        heading = format_html('<div>{}<p class="muted">{}</p></div>', heading, sentence)
    return format_html('<div class="page-head">{}{}</div>', heading, content)


@register.simple_block_tag
def card(
    content: str,
    title: str = "",
    sentence: str = "",
    *,
    id: str = "",
    body: str = "",
    extra_class: str = "",
) -> SafeString:
    """A card; `body` is the class of the part below its title, "stack" for several things in it."""
    header = SafeString("")
    if title:
        below = format_html("<p>{}</p>", sentence) if sentence else ""
        header = format_html("<header><h2>{}</h2>{}</header>", title, below)
    return format_html(
        '<section class="{}"{}>{}<section{}>{}</section></section>',
        f"card {extra_class}".rstrip(),
        html_attribute("id", id),
        header,
        html_attribute("class", body),
        content,
    )


@register.simple_block_tag
def table(
    content: str,
    *columns: str,
    cards: bool = False,
    long: bool = False,
    fixed: bool = False,
) -> SafeString:
    """A table with these column titles and the rows inside the tag.

    A title may end in its class: "Cost:num" is set to the right, "Actions:sr-only" is only read
    aloud. `cards` shows each row as a card on a phone, where cells carry `data-label`; `long`
    scrolls within the page; `fixed` does what `cards` does, and gives columns the widths of their
    classes, whatever the rows hold.
    """
    return format_html(
        '<div class="table-container{}"><table class="table{}{}"><thead><tr>{}</tr></thead>'
        "<tbody>{}</tbody></table></div>",
        " long" if long else "",
        " cards" if cards or fixed else "",
        " fixed" if fixed else "",
        format_html_join("", "{}", ((_column_title(column),) for column in columns)),
        content,
    )


def _column_title(column: str) -> SafeString:
    title, colon, css_class = column.rpartition(":")
    if not colon:
        return format_html('<th scope="col">{}</th>', _title(column))
    mark = SafeString if isinstance(column, SafeString) else str  # Slicing loses the mark.
    title = _title(mark(title))
    if css_class == "sr-only":
        return format_html('<th scope="col">{}</th>', _span(mark(title), css_class))
    return format_html('<th scope="col" class="{}">{}</th>', css_class, mark(title))


def _title(words: str) -> str:
    """A template's literal, translated here since it may carry a class; it keeps its mark."""
    return SafeString(gettext(words)) if isinstance(words, SafeString) and words else words


@register.filter
def breakable(address: object) -> SafeString:
    """An e-mail address that a narrow column breaks after "@" and ".", not within a word."""
    parts = re.split(r"(?<=[@.])", str(address))
    return format_html_join(SafeString("<wbr>"), "{}", ((part,) for part in parts))


@register.simple_tag
def stat(label: str, value: object, note: str = "") -> SafeString:
    """A tile with one number, to stand inside `<div class="stats">`."""
    below = _span(note, "muted small") if note else ""
    return format_html(
        '<div class="stat"><span class="muted">{}</span><b>{}</b>{}</div>', label, value, below
    )


@register.simple_tag
def tab_bar(
    tabs: list[tuple[str, str]],
    current: str,
    prefix: str = "",
    counts: Mapping[str, int] | None = None,
) -> SafeString:
    """Tabs as links to this page with `?tab=`; `prefix` stays before it, "version=2&". `counts`
    says of how many things a tab tells."""
    links = (
        (
            prefix,
            key,
            SafeString(' aria-current="page"') if key == current else "",
            translated(words),
            _span(f" {counts[key]}", "muted") if counts and counts.get(key) else "",
        )
        for key, words in tabs
    )
    return format_html(
        '<nav class="tabbar no-print" aria-label="{}">{}</nav>',
        gettext("Sections"),
        format_html_join("", '<a href="?{}tab={}"{}>{}{}</a>', links),
    )


@register.simple_tag
def empty_state(title: str, sentence: str) -> SafeString:
    """What a list shows before anything is in it."""
    return format_html(
        '<div class="empty"><header><h2>{}</h2><p>{}</p></header></div>', title, sentence
    )


@register.simple_tag
def page_links(
    page: Page[Any],
    chosen: Mapping[str, object] | None = None,
    *,
    spread: bool = False,
    **query: object,
) -> SafeString:
    """Links to the newer and the older page of a list; what was `chosen` and `query` stay in their
    addresses.

    `spread` sets the two at the ends of the line instead of beside each other.
    """
    if not page.has_other_pages():
        return SafeString("")
    query |= chosen or {}
    newer = page.previous_page_number() if page.has_previous() else None
    older = page.next_page_number() if page.has_next() else None
    return format_html(
        '<nav class="row{}" aria-label="{}">{} <span class="muted">{}</span> {}</nav>',
        " between" if spread else "",
        gettext("Pages"),
        _page_link(gettext("Newer"), newer, query) if newer or not spread else _span(""),
        gettext("Page {page} of {pages}").format(page=page.number, pages=page.paginator.num_pages),
        _page_link(gettext("Older"), older, query) if older or not spread else _span(""),
    )


def _page_link(word: str, number: int | None, query: dict[str, object]) -> SafeString:
    if number is None:
        return SafeString("")
    chosen = {key: str(value) for key, value in query.items() if value}
    address = urlencode({"page": str(number)} | chosen)
    return format_html(
        '<a class="btn" data-variant="outline" data-size="sm" href="?{}">{}</a>', address, word
    )
