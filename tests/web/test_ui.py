"""How numbers, times and states look."""

from datetime import timedelta

import pytest
from django.template import Context, Template
from django.utils.timezone import now

from web.templatetags import ui


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
    ("seconds", "shown"),
    [(0, "0s"), (3.2, "3.2s"), (42, "42s"), (252, "4m 12s"), (3780, "1h 03m"), (187_200, "2d 4h")],
)
def test_durations_read_as_people_say_them(seconds, shown):
    assert ui.duration(seconds) == shown


@pytest.mark.parametrize("shown", ["count", "percent", "duration", "ms_duration", "filesize_"])
def test_what_a_report_does_not_say_shows_as_a_dash(shown):
    page = Template(f"{{{{ report.nothing|{shown} }}}}")
    assert page.render(Context({"report": {}})) == "—"


def test_small_durations_stay_milliseconds():
    assert ui.ms_duration(840) == "840 ms"
    assert ui.ms_duration(252_000) == "4m 12s"


def test_counts_shares_and_sizes():
    assert ui.count(1234) == "1,234"
    assert ui.percent(0.897) == "89.7%"
    assert ui.filesize_(1_258_291).replace("\xa0", " ") == "1.2 MB"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(5, "just now"), (240, "4 min ago"), (7300, "2 h ago"), (-7200, "in 2 h")],
)
def test_times_read_as_distances_and_carry_the_exact_moment(seconds, words):
    html = ui.ago(now() - timedelta(seconds=seconds))
    assert words in html
    assert "datetime=" in html


def test_a_badge_says_its_status_in_words_and_escapes_it():
    assert "Running" in ui.status_badge("running")
    assert "<b>" not in ui.status_badge("<b>")
    assert ui.status_badge(None) == "—"
