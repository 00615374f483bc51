"""Days that stand for none: found, counted, and emptied by the fix that is offered."""

import pytest

from projects.importing.import_process import carry_out
from projects.reading.columns.sql import quote_literal
from projects.reading.tables import connect_duckdb


@pytest.fixture
def profile(tmp_path):
    """The warnings about a table of these days, and its days after edits."""

    def read(days, **overrides):
        upload = tmp_path / "upload"
        rows = (f"text {n},{day},{'ab'[n % 2]}" for n, day in enumerate(days))
        upload.write_text("\n".join(["text,day,label", *rows]))
        order = {"upload": str(upload), "filename": "t.csv", "overrides": overrides}
        table = carry_out(order, tmp_path)["table"]
        path = quote_literal(str(tmp_path / "data.parquet"))
        with connect_duckdb(tmp_path) as connection:
            found = connection.execute(f"SELECT day::VARCHAR FROM read_parquet({path})").fetchall()
        warnings = table["profile"]["warnings"]
        return [one for one in warnings if one.get("code") == "placeholder_dates"], [
            day for (day,) in found
        ]

    return read


def ordinary(count):
    return [f"2024-{n % 12 + 1:02}-{n % 28 + 1:02}" for n in range(count)]


@pytest.mark.parametrize(
    ("strange", "told"),
    [
        (["0001-01-01"], "1 cell of day holds 0001-01-01"),
        (["9999-12-31"] * 4, "4 cells of day hold days such as 9999-12-31"),
        (["1970-01-01"] * 3, "3 cells of day hold days such as 1970-01-01"),
        (["1900-01-01"] * 5, "5 cells of day hold days such as 1900-01-01"),
    ],
)
def test_days_that_stand_for_none_are_told_and_emptied(profile, strange, told):
    days = [*ordinary(20), *strange, *ordinary(10)]
    (warning,), found = profile(days)
    assert told in warning["sentence"]
    assert found == days
    after, emptied = profile(days, edits=warning["fix"]["edits"])
    assert after == []
    assert emptied == [None if day in strange else day for day in days]


@pytest.mark.parametrize(
    "days",
    [
        ordinary(40),
        [*ordinary(30), "1970-01-01", "1970-01-01"],
        [f"{1968 + n % 5}-01-01" for n in range(40)],
        [f"0{800 + n}-05-05" for n in range(40)],
    ],
)
def test_ordinary_birthdays_and_history_are_not(profile, days):
    assert profile(days)[0] == []
