"""The rows of a dataset's page: pages, search, filter, order."""

import re

import pytest


def rows_of(page: str) -> list[str]:
    """The text of each row's first data cell."""
    return [cell.strip() for cell in re.findall(r'<td class="wrap">\s*(.*?)\s*</td>', page, re.S)][
        ::2
    ]


@pytest.fixture
def show(client_of, alice, dataset_version):
    def get(**asked):
        answer = client_of(alice).get(f"/datasets/{dataset_version.dataset_id}/", asked)
        assert answer.status_code == 200
        return answer.content.decode()

    return get


def test_rows_come_fifty_at_a_time_with_links_that_keep_the_question(show):
    first, second = show(), show(page=2, q="card")
    assert "200 rows · page 1 of 4" in first
    assert len(rows_of(first)) == 50
    assert "q=card" in re.search(r'href="\?([^"]*)">Next', show(q="card"))[1]
    assert "100 rows · page 2 of 2" in second


def test_a_column_is_filtered_and_sorted_both_ways(show):
    only = show(column="label", operator="is", value="transfer")
    assert "100 rows" in only
    up, down = rows_of(show(sort="text")), rows_of(show(sort="-text"))
    assert up == sorted(up)
    assert down == sorted(down, reverse=True)
    assert 'aria-sort="descending"' in show(sort="-text")


@pytest.mark.parametrize(
    "asked",
    [
        {"column": "label", "operator": "less", "value": "3"},
        {"sort": "no-such-column"},
        {"page": "0"},
        {"page": "x"},
        {"column": "nothing", "operator": "is", "value": "1"},
        {"column": "label", "operator": "like", "value": "1"},
    ],
)
def test_a_question_that_makes_no_sense_is_refused_beside_its_form(show, asked):
    page = show(**asked)
    assert 'role="alert"' in page
    assert 'name="q"' in page


def test_what_nothing_matches_says_so(show):
    assert "No row matches" in show(q="zebra crossing")


def test_matches_that_were_not_counted_are_said_to_be_more(show, monkeypatch):
    monkeypatch.setattr("projects.queries.rows.LONG_TABLE_ROWS", 100)
    monkeypatch.setattr("projects.queries.rows.COUNTED_ROWS", 60)
    first, last = show(q="card"), show(q="card", page=2)
    assert "Over 60 rows · page 1" in first
    assert ">Next</a>" in first
    assert '<option value="matching">in all that match</option>' in first
    assert "100 rows · page 2 of 2" in last
    assert '<option value="matching">' in last


def test_moments_may_break_between_day_and_time(bring_in, alice, client_of):
    lines = [
        f"2026-01-{day:02}T08:44:00,Text number T{day},{'ab'[day % 2]}" for day in range(1, 29)
    ]
    version = bring_in("\n".join(["sent_at,message,topic", *lines, ",T0 T1,a"]).encode())
    page = client_of(alice).get(f"/datasets/{version.dataset_id}/").content.decode()
    assert "2026-01-05 08:44:00" in page
    assert "2026-01-05T" not in page
    assert "Text number T5" in page
    assert "T0 T1" in page
