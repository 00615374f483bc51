"""How numbers, times and states look."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.paginator import Paginator
from django.template import Context, Template
from django.urls import NoReverseMatch
from django.utils.timezone import now

from web.templatetags import times, ui
from web.templatetags.language import sentence_case

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("micro", "shown", "exact"),
    [
        (0, "$0.00", "$0.000000"),
        (1_820_416, "$1.82", "$1.820416"),
        (140_000, "$0.14", "$0.140000"),
        (14_200, "$0.0142", "$0.014200"),
        (4_200, "$0.0042", "$0.004200"),
        (42, "$0.000042", "$0.000042"),
        (-140_000, "−$0.14", "−$0.140000"),
        (1_234_567_890, "$1,234.57", "$1,234.567890"),
        (None, "—", "—"),
    ],
)
def test_money_shows_as_many_digits_as_say_something(micro, shown, exact):
    assert ui.money(micro) == shown
    assert ui.exact_money(micro) == exact


@pytest.mark.parametrize(
    ("micro", "shown"),
    [(400, "$0.0004"), (0.4, "$0.0000004"), (0.0123, "$0.000000012"), (-0.5, "−$0.0000005"),
     (1.25, "$0.000001"), (6_666.67, "$0.006667"), (99_999.9, "$0.10"), (0.0, "$0.00")],
)  # fmt: skip
def test_an_average_below_a_millionth_is_not_nothing(micro, shown):
    assert ui.money(micro) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0s"), (3.2, "3.2s"), (42, "42s"), (252, "4m 12s"), (3780, "1h 03m"), (187_200, "2d 4h")],
)
def test_durations_read_as_people_say_them(seconds, shown):
    assert times.duration(seconds) == shown


@pytest.mark.parametrize("shown", ["count", "percent", "duration", "ms_duration", "filesize_"])
def test_what_a_report_does_not_say_shows_as_a_dash(shown):
    page = Template(f"{{{{ report.nothing|{shown} }}}}")
    assert page.render(Context({"report": {}})) == "—"


def test_small_durations_stay_milliseconds():
    assert times.ms_duration(840) == "840 ms"
    assert times.ms_duration(252_000) == "4m 12s"


def test_counts_shares_and_sizes():
    assert ui.count(1234) == "1,234"
    assert ui.percent(0.897) == "89.7%"
    assert ui.filesize_(1_258_291).replace("\xa0", " ") == "1.2 MB"


@pytest.mark.parametrize(
    ("size", "shown"),
    [(10 * 2**30, "10 GB"), (2 * 2**40, "2 TB"), (5 * 2**29, "2.5 GB"), (0, "0 bytes")],
)
def test_a_limit_is_said_without_an_empty_decimal(size, shown):
    assert ui.round_size(size).replace("\xa0", " ") == shown


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(5, "just now"), (240, "4 min ago"), (7300, "2 h ago"), (-7200, "in 2 h")],
)
def test_times_read_as_distances_and_carry_the_exact_moment(seconds, words):
    html = times.ago(now() - timedelta(seconds=seconds))
    assert words in html
    assert "datetime=" in html


def test_a_badge_says_its_status_in_words_and_escapes_it():
    assert "Running" in ui.status_badge("running")
    assert "<b>" not in ui.status_badge("<b>")
    assert ui.status_badge(None) == "—"


def render(source, **context):
    return Template(source).render(Context(context))


def test_crumbs_link_all_steps_but_the_page_itself():
    html = render('{% crumb name "billing:pricing" %}{% current_crumb "Here" %}', name="<Team>")
    assert html == (
        '<a href="/pricing/">&lt;Team&gt;</a> <span aria-hidden="true">/</span>'
        '<span aria-current="page">Here</span>'
    )
    assert render('{% crumb "Team" %}').startswith("<span>Team</span> ")


def test_a_crumb_to_a_view_that_does_not_exist_fails_loudly():
    with pytest.raises(NoReverseMatch):
        render('{% crumb "Nowhere" "projects:nowhere" %}')


def test_a_page_head_holds_title_sentence_and_actions():
    html = render(
        '{% page_head title "A <i>safe</i> text" %}<b>act</b>{% endpage_head %}', title="<T>"
    )
    assert html == (
        '<div class="page-head"><div><h1>&lt;T&gt;</h1><p class="muted">A <i>safe</i> text</p>'
        "</div><b>act</b></div>"
    )
    assert (
        render('{% page_head "T" %}{% endpage_head %}') == '<div class="page-head"><h1>T</h1></div>'
    )


def test_a_card_without_title_has_no_header():
    assert render("{% card %}x{% endcard %}") == (
        '<section class="card"><section>x</section></section>'
    )


def test_a_card_escapes_what_people_wrote_and_keeps_the_markup_inside():
    html = render(
        '{% card name why id="a" body="stack" extra_class="no-print" %}'
        "<p>{{ name }}</p>{% endcard %}",
        name="<b>",
        why="1 < 2",
    )
    assert html == (
        '<section class="card no-print" id="a"><header><h2>&lt;b&gt;</h2><p>1 &lt; 2</p></header>'
        '<section class="stack"><p>&lt;b&gt;</p></section></section>'
    )


def test_a_table_titles_its_columns():
    html = render(
        '{% table "A &amp; B" "Cost:num" "Acts:sr-only" name cards=True long=True %}'
        "<tr/>{% endtable %}",
        name="<n>",
    )
    assert html == (
        '<div class="table-container long"><table class="table cards"><thead><tr>'
        '<th scope="col">A &amp; B</th><th scope="col" class="num">Cost</th>'
        '<th scope="col"><span class="sr-only">Acts</span></th><th scope="col">&lt;n&gt;</th>'
        "</tr></thead><tbody><tr/></tbody></table></div>"
    )


def test_a_column_title_that_people_wrote_stays_escaped_when_it_has_a_class():
    assert "&lt;script&gt;" in render("{% table name %}{% endtable %}", name="<script>:num")


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("demo@lathe.local", "demo@<wbr>lathe.<wbr>local"),
        ("<b>@x", "&lt;b&gt;@<wbr>x"),
        ("", ""),
    ],
)
def test_an_address_breaks_between_its_parts(address, shown):
    assert ui.breakable(address) == shown


def test_a_stat_may_have_a_note():
    assert render('{% stat "Spent" micro|money note="so far" %}', micro=1_820_416) == (
        '<div class="stat"><span class="muted">Spent</span><b>$1.82</b>'
        '<span class="muted small">so far</span></div>'
    )
    assert "small" not in render('{% stat "Spent" 1 %}')


def test_a_stat_of_nothing_shows_zero_not_emptiness():
    assert "<b>0</b>" in render('{% stat "Rows" rows %}', rows=0)


def test_an_empty_state_says_what_will_be_here():
    assert render('{% empty_state "Nothing" text %}', text="a & b") == (
        '<div class="empty"><header><h2>Nothing</h2><p>a &amp; b</p></header></div>'
    )


def test_a_post_button_carries_the_token_of_the_request():
    html = render(
        '{% post_button "Stop" "account_logout" variant="outline" size="sm" %}', csrf_token="t<k"
    )
    html = re.sub('<input type="hidden" name="idempotency_key" value="[0-9a-f]{32}">', "", html)
    assert html == (
        '<form method="post" action="/accounts/logout/">'
        '<input type="hidden" name="csrfmiddlewaretoken" value="t&lt;k">'
        '<button class="btn" data-variant="outline" data-size="sm" type="submit">Stop</button>'
        "</form>"
    )
    assert "data-" not in render('{% post_button "Stop" "account_logout" %}')


def page_of(number, items=5):
    return Paginator(list(range(items)), 2).page(number)


def test_one_page_needs_no_links():
    assert render("{% page_links page %}", page=page_of(1, items=2)) == ""


@pytest.mark.parametrize(
    ("number", "newer", "older"), [(1, False, True), (2, True, True), (3, True, False)]
)
def test_a_list_links_to_the_pages_beside(number, newer, older):
    html = render("{% page_links page %}", page=page_of(number))
    assert (f'href="?page={number - 1}"' in html) is newer
    assert (f'href="?page={number + 1}"' in html) is older
    assert f"Page {number} of 3" in html


def test_links_between_pages_keep_what_was_chosen_and_escape_it():
    html = render('{% page_links page sort=sort group="" %}', page=page_of(1), sort='a&b="c"')
    assert 'href="?page=2&amp;sort=a%26b%3D%22c%22"' in html
    assert "group" not in html


def test_spread_links_leave_a_gap_where_there_is_no_page():
    html = render("{% page_links page spread=True %}", page=page_of(1))
    assert html.startswith('<nav class="row between" aria-label="Pages"><span></span> <span')


def test_grids_above_the_fold_do_not_count_their_children():
    """A page painted before its end would move what `auto-fit` has placed as the rest arrives.

    Within a report, below its verdict and tabs, a lone picture may take the whole width.
    """
    sheets = [path for path in Path("static/css").glob("*.css") if path.name != "report.css"]
    counting = [path.name for path in sheets if "repeat(auto-fit" in path.read_text()]
    assert counting == ["operators.css"]  # The admin's home stands in one piece.


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("Change Password", "Change password"),
        ("Two-Factor Authentication", "Two-factor authentication"),
        ("Sign In Via Google", "Sign in via Google"),
        ("Connect GitHub", "Connect GitHub"),
        ("更改密码", "更改密码"),
    ],
)
def test_titles_of_libraries_are_written_as_ours(title, shown):
    assert sentence_case(title) == shown


def test_pages_number_rows_from_one():
    """The engine and the API count from 0; a row shown so would be its neighbour on other pages."""
    shown = re.compile(r"\b\w+\.row(\|count)?\s*(%\}|\}\})|=\w+\.row\|count")
    sent = re.compile(r"thumb|picture|for |include")  # Addresses of pictures, not what is read.
    result = [
        f"{path}: {line.strip()}"
        for path in Path("templates/training").glob("*.html")
        for line in path.read_text().splitlines()
        if shown.search(line) and not sent.search(line)
    ]
    assert result == []


def test_every_icon_that_a_template_names_is_drawn():
    drawn = set(re.findall(r'id="([\w-]+)"', (ROOT / "static/img/icons.svg").read_text()))
    named = {
        name
        for template in (ROOT / "templates").rglob("*.html")
        for name in re.findall(r'\{% icon "([\w-]+)"|icon_name="([\w-]+)"', template.read_text())
    }
    assert len(named) > 20
    assert {one or other for one, other in named} - drawn == set()
