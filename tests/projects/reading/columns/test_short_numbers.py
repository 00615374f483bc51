"""Numbers in human notation, as a person chose to read them: exact values, and what stays text."""

# ruff: noqa: E501 - tables of cases, one to a line.

import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from projects.reading.columns.column import parse_reading
from tests.projects.conftest import rows_of, types_of


@pytest.fixture
def chosen(read):
    """The values of a column of these cells under a reading, and its type."""

    def read_as(cells, reading, separator=","):
        lines = ["x" + separator + "v", *(f'r{n}{separator}"{one}"' for n, one in enumerate(cells))]
        table = read("\n".join(lines).encode(), columns={"v": reading})
        return [row[1] for row in rows_of(table)], types_of(table)[1]

    return read_as


@pytest.fixture
def asked(read):
    """The readings that are offered for a column of these cells."""

    def ask(cells, separator=","):
        lines = ["x" + separator + "v", *(f'r{n}{separator}"{one}"' for n, one in enumerate(cells))]
        found = read("\n".join(lines).encode()).questions
        return [one["name"] for question in found for one in question["readings"]]

    return ask


@pytest.mark.parametrize(
    ("cells", "reading", "values"),
    [
        (["1.5K", "3M", "950", "2.3B", "0.1t"], "number:1234.5K", [1500, 3_000_000, 950, 2_300_000_000, 100_000_000_000]),
        (["1.1K", "2.3M", "8.7m"], "number:1234.5K", [1100, 2_300_000, 8_700_000]),
        (["$1,200.5K", "-$3M", "($2 bn)"], "number:1,234.5K", [1_200_500, -3_000_000, -2_000_000_000]),
        (["1,2 Mio. €", "850 Tsd. €", "2,1 Mrd. €"], "number:1234,5K", [1_200_000, 850_000, 2_100_000_000]),
        (["1.234,5 Mio.", "3 Mio."], "number:1.234,5K", [1_234_500_000, 3_000_000]),
        (["1.5万", "3亿", "8000", "2千", "1.2万元"], "number:1234.5K", [15_000, 300_000_000, 8000, 2000, 12_000]),
        (["1.15 Cr", "72 Lac", "5 lakhs"], "number:1234.5K", [11_500_000, 7_200_000, 500_000]),
        (["1 234,5 тыс.", "2 млн"], "number:1 234,5K", [1_234_500, 2_000_000]),
        (["1,200.50 CR", "3.25 DR", "7 Dr."], "number:1,234.5 -DR", [1200.5, -3.25, -7.0]),
        (["1,200.50 CR", "3.25 DR"], "number:1,234.5 -CR", [-1200.5, 3.25]),
        (["45.10", "100.00CR"], "number:1234.5 -CR", [45.1, -100.0]),
        (["1.234,50 S", "12,00 H"], "number:1.234,5 -DR", [-1234.5, 12.0]),
        (["4:13", "1:02:33", "0:45", "75:00", "-0:30"], "duration:h:mm:ss", [253, 3753, 45, 4500, -30]),
        (["10:30", "23:59", "0:05"], "duration:h:mm", [37_800, 86_340, 300]),
        (["1:23.456", "0:59.5"], "duration:h:mm:ss", [83.456, 59.5]),
        (["1 days 02:03:04", "-1 days +23:00:00", "1 day, 0:00:01"], "duration:h:mm:ss", [93_784, -3600, 86_401]),
        (["26:15:00"], "duration:h:mm:ss", [94_500]),
    ],
)  # fmt: skip
def test_a_chosen_reading_gives_exact_values(chosen, cells, reading, values):
    separator = ";" if "," in "".join(cells) else ","
    found, kind = chosen(cells, reading, separator)
    assert found == values
    assert kind == ("integer" if all(isinstance(one, int) for one in values) else "number")


@pytest.mark.parametrize(
    ("cells", "reading"),
    [
        (["1.5K", "XL"], "number:1234.5K"),
        (["1.5Q"], "number:1234.5K"),
        (["12 XR"], "number:1234.5 -DR"),
        (["1:75"], "duration:h:mm:ss"),
        (["1:75:00"], "duration:h:mm:ss"),
        (["1:02:33"], "duration:h:mm"),
    ],
)
def test_cells_that_do_not_fit_leave_the_column_text(chosen, cells, reading):
    assert chosen(cells, reading) == (cells, "text")


@pytest.mark.parametrize(
    ("cells", "offered"),
    [
        (["1.5K", "3M", "950"], ["number:1234.5K", "text"]),
        (["5M", "7M", "12M"], ["number:1234.5K", "number:1234.5 M", "text"]),
        (["1.250K", "3.500M"], ["number:1234.5K", "number:1.234,5K", "text"]),
        (["1.5K", "NA", "3M"], ["number:1234.5K+missing", "text"]),
        (["10 CR", "12 DR"], ["number:1234.5 -DR", "number:1234.5 -CR", "text"]),
        (["10.00", "12.00 DR"], ["number:1234.5 -DR", "text"]),
        (["10:30", "09:15"], ["duration:h:mm:ss", "duration:h:mm", "text"]),
        (["1:10:30", "9:15"], ["duration:h:mm:ss", "text"]),
        (["10:30", "26:75"], []),
        (["2B", "3A"], []),
        (["M1", "M2"], []),
        (["007M", "010K"], []),
        (["10 CR", "12 DR", "5"], []),
    ],
)
def test_what_is_offered_for_a_column(asked, cells, offered):
    found = asked(cells * 10)
    assert sorted(found) == sorted(offered)
    assert all(parse_reading(name) is not None for name in found)


def test_a_few_letters_behind_house_numbers_are_no_billions(asked):
    offered = asked([f"{n}{'B' if n % 12 == 0 else ''}" for n in range(1, 60)])
    assert not any("K" in name for name in offered)


@pytest.mark.parametrize(
    ("reading", "expected", "kind"),
    [
        ("date:y-m-d BE", datetime.date(2024, 1, 1), "date"),
        ("date:y-m-d", datetime.date(2567, 1, 1), "date"),
        ("text", "2567-01-01", "text"),
        (None, "2567-01-01", "text"),
    ],
)
def test_thai_years_in_parquet_are_read_as_chosen(read, tmp_path, reading, expected, kind):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"day": [datetime.date(2567, 1, n) for n in range(1, 20)]}), path)
    table = read(path, path.name, columns={"day": reading} if reading else {})
    assert (rows_of(table)[0][0], types_of(table)) == (expected, [kind])
    assert bool(table.questions) == (reading is None)
