"""Rows over the API: pages, search, filters, order, and files that spreadsheets open safely."""

import csv
import io
import json

import pyarrow.parquet as pq
import pytest

from projects.errors import BadRowQuery
from projects.queries import rows as row_queries
from projects.queries.rows import RowQuery, load_rows, matching_numbers, read_rows
from projects.reading.fixes.conditions import RowFilter

pytestmark = pytest.mark.django_db
ROWS = 60
TABLE = "text,label,n,day\n" + "".join(
    f'"Line {n} of the {"Quick" if n % 3 else "slow"} fox",{"ab"[n % 2]},'
    f"{'' if n % 10 == 9 else (n * 37) % 101},2024-01-{n % 28 + 1:02}\n"
    for n in range(ROWS)
)


@pytest.fixture
def rows(bring_in, api, token):
    version = bring_in(TABLE.encode())

    def get(**asked):
        if "filters" in asked:
            asked["filters"] = json.dumps(asked["filters"])
        return api(token).get(f"/api/v1/datasets/{version.dataset_id}/rows", asked)

    return get


def numbers(answer):
    return [row["number"] for row in answer.json()["data"]]


def test_pages_give_every_row_once_in_the_order_of_the_file(rows):
    seen = []
    for page in range(1, 4):
        answer = rows(limit=25, page=page)
        assert answer.json()["total"] == ROWS
        assert answer.json()["has_more"] is (page < 3)
        seen += numbers(answer)
    assert seen == list(range(ROWS))
    first = rows(limit=1).json()["data"][0]
    assert first == {
        "object": "dataset.row",
        "number": 0,
        "values": {"text": "Line 0 of the slow fox", "label": "a", "n": 0, "day": "2024-01-01"},
    }


def test_search_looks_into_text_in_any_case(rows):
    answer = rows(search="QUICK", limit=200)
    assert numbers(answer) == [n for n in range(ROWS) if n % 3]
    assert answer.json()["total"] == 40
    assert numbers(rows(search="100%_")) == []


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ([("label", "is", "b")], lambda n: n % 2),
        ([("label", "is_not", "b"), ("text", "contains", "quick")], lambda n: not n % 2 and n % 3),
        ([("n", "missing", "")], lambda n: n % 10 == 9),
        ([("n", "filled", ""), ("n", "less", "10.5")], lambda n: n % 10 < 9 and n * 37 % 101 < 11),
        ([("day", "more", "2024-01-20")], lambda n: n % 28 + 1 > 20),
        ([("n", "is", "37")], lambda n: n * 37 % 101 == 37 and n % 10 != 9),
    ],
)  # fmt: skip
def test_filters_hold_together(rows, filters, expected):
    sent = [dict(zip(("column", "operator", "value"), one, strict=True)) for one in filters]
    assert numbers(rows(filters=sent, limit=200)) == [n for n in range(ROWS) if expected(n)]


def test_rows_are_sorted_with_missing_cells_last(rows):
    filled = [n for n in range(ROWS) if n % 10 != 9]
    missing = [n for n in range(ROWS) if n % 10 == 9]
    upwards = sorted(filled, key=lambda n: n * 37 % 101)
    assert numbers(rows(sort="n", limit=200)) == [*upwards, *missing]
    assert numbers(rows(sort="-n", limit=200)) == [*upwards[::-1], *missing]
    assert numbers(rows(sort="-n", limit=10, page=3)) == upwards[::-1][20:30]


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"limit": 0}, "page_size"),
        ({"limit": 201}, "page_size"),
        ({"page": "x"}, "page"),
        ({"page": 0}, "page"),
        ({"sort": "nothing"}, "sort"),
        ({"filters": [{"column": "nothing", "operator": "is", "value": "x"}]}, "filters"),
        ({"filters": [{"column": "n", "operator": "like", "value": "x"}]}, "filters"),
        ({"filters": [{"column": "n", "operator": "less", "value": "x"}]}, "filters"),
        ({"filters": [{"column": "text", "operator": "less", "value": "x"}]}, "filters"),
        ({"filters": ["label"]}, "filters"),
        ({"filters": 3}, "filters"),
        ({"version": "x"}, "version"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(rows, asked, param):
    answer = rows(**asked)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


def test_a_search_with_marks_of_sql_finds_only_what_it_says(rows):
    for text in ("' OR 1=1 --", '"', "%", "_", "\\"):
        assert rows(search=text).status_code == 200
        assert numbers(rows(search=text)) == []


def test_strangers_see_no_rows(rows, api, mallory_token, bring_in):
    version = bring_in(b"a,b\n1,2\n3,4\n")
    for path in ("rows", "export"):
        answer = api(mallory_token).get(f"/api/v1/datasets/{version.dataset_id}/{path}")
        assert answer.status_code == 404


def test_rows_come_from_any_row_group_in_the_order_asked(tmp_path):
    import pyarrow as pa

    pq.write_table(pa.table({"n": list(range(1000))}), tmp_path / "x.parquet", row_group_size=64)
    asked = [999, 0, 63, 64, 500, 0]
    assert [row.cells[0] for row in read_rows(tmp_path / "x.parquet", asked, ["n"])] == asked


FORMULAS = 'text,note\n"=1+1",a\n"+cmd",b\n"-2+3",c\n"@x",d\n"plain, ""quoted""",e\n'


def export(api, token, version, kind):
    answer = api(token).get(f"/api/v1/datasets/{version.dataset_id}/export", {"file_format": kind})
    assert answer.status_code == 200
    return b"".join(answer)


def test_a_csv_runs_nothing_in_a_spreadsheet(bring_in, api, token):
    version = bring_in(FORMULAS.encode())
    text = export(api, token, version, "csv").decode("utf-8-sig")
    read = list(csv.reader(io.StringIO(text)))
    assert read[0] == ["text", "note"]
    assert [row[0] for row in read[1:]] == ["'=1+1", "'+cmd", "'-2+3", "'@x", 'plain, "quoted"']


def test_exports_hold_every_row_with_its_types(bring_in, api, token):
    version = bring_in(TABLE.encode())
    lines = export(api, token, version, "jsonl").decode().splitlines()
    assert len(lines) == ROWS
    assert json.loads(lines[1]) == {
        "text": "Line 1 of the Quick fox", "label": "b", "n": 37, "day": "2024-01-02",
    }  # fmt: skip
    result = pq.read_table(io.BytesIO(export(api, token, version, "parquet")))
    assert result.num_rows == ROWS
    page = load_rows(version, RowQuery(page_size=ROWS))
    assert [row.cells[2] for row in page.rows] == result["n"].to_pylist()
    answer = api(token).get(f"/api/v1/datasets/{version.dataset_id}/export", {"file_format": "exe"})
    assert answer.json()["error"]["param"] == "file_format"


def test_a_page_that_shows_all_that_matches_needs_no_count(bring_in, monkeypatch):
    version = bring_in(b"text,label\n" + b"".join(b"word %d,a\n" % n for n in range(30)))
    monkeypatch.setattr(row_queries, "_count_matching", lambda *_: 10)
    found = [
        load_rows(version, RowQuery(search="word 1", page=page, page_size=10)) for page in (1, 2, 3)
    ]
    assert [(len(one.rows), one.matching) for one in found] == [(10, 10), (1, 11), (0, 10)]


LIKE_PATTERNS = ["DEAR K", "r kI", "mass", "a.B (c)", "^E$ GO", "e$ gone", "[D] ^e", "ar k"]


@pytest.mark.slow
def test_a_search_finds_what_comparing_in_lower_case_finds(bring_in):
    cells = [
        "The Zebra", "zEBRA", "ZEBRA crossing", "zeb ra", "Kelvin", "kelvin", "İzmir", "izmir",
        "Straße 5", "STRASSE", "a-b-c", "Ab", "AB", "Été", "q", "100%", "x_y", "'s",
        "Dear Kim", "DEAR Kıd", "Maſs", "MASS", "a.b (c) [d] ^e$ go", "axb (c) [d] ^e$ gone",
    ]  # fmt: skip
    table = "text,n\n" + "".join(f'"{cell}",{n}\n' for n, cell in enumerate(cells))
    version = bring_in(table.encode())
    with row_queries.connect() as connection:
        for wanted in [
            *cells,
            "zeb",
            "EBR",
            "ss",
            "b",
            "z",
            "%",
            "_",
            "ab",
            "-b-",
            "ra c",
            "éT",
            *LIKE_PATTERNS,
        ]:
            page = load_rows(version, RowQuery(search=wanted)).rows
            filters = [RowFilter(column="text", operator="contains", value=wanted)]
            filtered = load_rows(version, RowQuery(filters=filters)).rows
            lowered = "SELECT contains(lower(?), lower(?))"
            right = [
                n
                for n, cell in enumerate(cells)
                if connection.execute(lowered, [cell, wanted.strip()]).fetchone()[0]
            ]
            assert [row.number for row in page] == right
            assert [row.number for row in filtered] == right


@pytest.fixture(params=[4, 10, 12, 16], ids="the beginning has {} rows".format)
def long_table(bring_in, monkeypatch, request):
    monkeypatch.setattr(row_queries, "LONG_TABLE_ROWS", 20)
    monkeypatch.setattr(row_queries, "COUNTED_ROWS", 15)
    monkeypatch.setattr(row_queries, "BEGINNING_ROWS", request.param)
    return bring_in(TABLE.encode())


@pytest.mark.parametrize(
    ("page", "shown", "matching", "is_counted", "has_more"),
    [
        (1, range(10), 15, False, True),
        (2, range(10, 20), 20, False, True),
        (5, range(40, 50), 50, False, True),
        (6, range(50, 60), 60, True, False),
        (7, [], 60, True, False),
    ],
)
def test_a_search_through_a_long_table_counts_no_further_than_its_page_needs(
    long_table, page, shown, matching, is_counted, has_more
):
    found = load_rows(long_table, RowQuery(search="FOX", page=page, page_size=10))
    assert [row.number for row in found.rows] == [*shown]
    assert (found.is_counted, found.has_more) == (is_counted, has_more)
    # A page that lies in the beginning needs no more than that, and counts what matches there.
    holds_page = 10 * page < row_queries.BEGINNING_ROWS < 15
    assert found.matching == (row_queries.BEGINNING_ROWS if holds_page else matching)


def test_a_rare_word_in_a_long_table_is_counted(long_table):
    page = load_rows(long_table, RowQuery(search="line 7 ", page_size=10))
    assert ([row.number for row in page.rows], page.matching) == ([7], 1)
    assert page.is_counted
    assert not page.has_more


@pytest.mark.parametrize("sort", ["n", "label"])
def test_a_sorted_search_counts_in_the_same_reading(long_table, monkeypatch, sort):
    query = RowQuery(search="quick", sort=sort, is_descending=True, page=2, page_size=7)
    everything = load_rows(long_table, RowQuery(page_size=ROWS)).rows
    quick = [row for row in everything if "Quick" in row.cells[0]]
    place = {"n": 2, "label": 1}[sort]
    filled = [row for row in quick if row.cells[place] is not None]
    ordered = sorted(filled, key=lambda row: row.cells[place], reverse=True)
    page = load_rows(long_table, query)
    assert [row.number for row in page.rows] == [row.number for row in ordered[7:14]]
    assert (page.matching, page.is_counted) == (len(quick), True)
    beyond = load_rows(long_table, RowQuery(search="quick", sort=sort, page=90, page_size=7))
    assert (len(beyond.rows), beyond.matching) == (0, len(quick))


def test_what_was_not_counted_is_said_and_not_changed_at_once(long_table, api, token):
    answer = api(token).get(
        f"/api/v1/datasets/{long_table.dataset_id}/rows", {"search": "fox", "limit": 10}
    )
    body = answer.json()
    assert (body["total"], body["is_total_exact"], body["has_more"]) == (
        12 if row_queries.BEGINNING_ROWS == 12 else 15, False, True
    )  # fmt: skip
    with pytest.raises(BadRowQuery, match="Over 15 rows match; at most 12 are changed at once"):
        matching_numbers(long_table, RowQuery(search="fox"), 12)
