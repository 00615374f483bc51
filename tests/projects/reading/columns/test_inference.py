"""Columns of text become types that keep every value, or a question, or stay text."""

import datetime
import random
from dataclasses import dataclass

import duckdb
import pyarrow as pa
import pytest

from projects.reading.columns.inference import Column, infer_columns


@dataclass
class Inferred:
    column: Column
    values: list


def infer(*columns: list[str], separator: str = ",", chosen: dict | None = None) -> list[Inferred]:
    """Each column inferred in one table, with its typed values."""
    longest = max(map(len, columns))
    arrays = {
        f"c{number}": pa.array(cells + [None] * (longest - len(cells)), pa.large_string())
        for number, cells in enumerate(columns)
    }
    connection = duckdb.connect()
    connection.register("cells", pa.table(arrays))
    names = [(f"column {number}", f"column {number}") for number in range(len(columns))]
    inferred = infer_columns(
        connection, "cells", names, native_types={}, chosen=chosen or {}, separator=separator
    )
    result = []
    for column, cells in zip(inferred, columns, strict=True):
        rows = connection.execute(f"SELECT {column.expression} FROM cells").fetchall()
        result.append(Inferred(column, [row[0] for row in rows[: len(cells)]]))
    return result


def one(cells: list[str], **options) -> Inferred:
    return infer(cells, **options)[0]


@pytest.mark.parametrize(
    ("cells", "separator", "values"),
    [
        (["675", "1,150", "1,625"], ",", [675, 1150, 1625]),
        (["203,000", "148,000"], ",", [203000, 148000]),
        (["1,150.25", "99"], "\t", [1150.25, 99]),
        (["148.300,00", "92.100,50"], ";", [148300, 92100.5]),
        (["45,5", "82,15"], ";", [45.5, 82.15]),
        (["203 000,50", "5,5"], ";", [203000.5, 5.5]),
        (["203\u202f000", "5\u00a0500"], ";", [203000, 5500]),
        (["203'000", "148\u2019000.5"], ",", [203000, 148000.5]),
        (["1,50,000", "12,34,567.50"], ",", [150000, 1234567.5]),
        (["$142,000.00", "-$5.10", "$7"], ",", [142000, -5.1, 7]),
        (["12,50 \u20ac", "3,00 \u20ac"], ";", [12.5, 3]),
        (["CHF 1'200.50", "CHF 80"], ",", [1200.5, 80]),
        (["\uffe51,200.00", "\uffe599.00"], ",", [1200, 99]),
        (["16.2%", "17%", "5.4 %"], ",", [16.2, 17, 5.4]),
        (["(1,200.50)", "300", "15.25-"], ",", [-1200.5, 300, -15.25]),
        (["\u22125.5", "3.25"], ",", [-5.5, 3.25]),
        (["1e+05", "2.5", "1e-03"], ",", [100000, 2.5, 0.001]),
        (["1.5", "2e3"], ",", [1.5, 2000]),
        (["0.125", "12.500", "3.250"], ",", [0.125, 12.5, 3.25]),
        ([".5", "0.25", "-.75"], ",", [0.5, 0.25, -0.75]),
        (["3.50", "2.75", "1.00"], ",", [3.5, 2.75, 1]),
        (["5.0", "5.25", "10.0"], ",", [5, 5.25, 10]),
        (["12.50", "120.5", "3"], ",", [12.5, 120.5, 3]),
        (["0.30000000000000004", "1e-05", "2.5"], ",", [0.1 + 0.2, 1e-05, 2.5]),
        (["3.000000000000000444e-01", "5.000000000000000000e-01"], ",", [0.1 + 0.2, 0.5]),
        (["1.0", "2.0", "5.0"], ",", [1, 2, 5]),
        (["0", "-17", "+4"], ",", [0, -17, 4]),
    ],
)
def test_numbers_are_read_as_their_column_writes_them(cells, separator, values):
    inferred = one(cells, separator=separator)
    assert inferred.column.question is None
    assert inferred.values == pytest.approx(values)
    assert inferred.column.type == (
        "integer" if all(isinstance(v, int) for v in values) and "." not in cells[0] else "number"
    )


@pytest.mark.parametrize(
    "cells",
    [
        ["007", "012", "120"],
        ["01067", "10115"],
        ["11898508762506083287", "11898508762506083288"],
        ["+491701234567", "+8613812345678"],
        ["1E3", "2E5", "100"],
        ["192.168.0.1", "10.0.0.7"],
        ["1-2", "3-4"],
        ["12:30", "7:75"],
        ["1.2.3", "1.2.4"],
        ["TRUE", "FALSE"],
        ["NA", "EU"],
        ["None", "null", "high"],
        ["2024-13-45", "2024-01-01"],
        ["31.02.2024", "01.03.2024"],
        ["1,2,3", "4,5"],
        ["", ""],
    ],
)
def test_what_is_no_quantity_stays_text_letter_by_letter(cells):
    inferred = one(cells)
    assert (inferred.column.type, inferred.column.question) == ("text", None)
    assert inferred.values == [cell or None for cell in cells]


@pytest.mark.parametrize(
    ("cells", "separator", "code", "readings"),
    [
        (["1,150", "2,300"], "\t", "number_format", ["number:1234,5", "number:1,234.5", "text"]),
        (["1.150", "2.300"], ";", "number_format", ["number:1234.5", "number:1.234,5", "text"]),
        (["7", "12,7", "18"], ",", "comma_pairs", ["number:1234,5", "text"]),
        (["3.9", "3.10", "3.1"], ",", "trailing_zeros", ["text", "number:1234.5"]),
        (["3.8", "3.9", "3.10"], ",", "versions", ["text", "number:1234.5"]),
        (["1.1", "1.20", "2"], ";", "versions", ["text", "number:1234.5"]),
        (["1234567890123456.78", "5.5"], ",", "long_numbers", ["text", "number:1234.5"]),
        (["12,345,678,901,234,567", "1,000"], ",", "long_numbers", ["text", "number:1,234.5"]),
        (["0,12345678901234567891", "5,5"], ";", "long_numbers", ["text", "number:1234,5"]),
        (["1", "2", "3", "none"], ",", "missing_markers", ["text", "number:1234.5+missing"]),
        (["1", "2", "-", "1"], ",", "missing_markers", ["text", "number:1234.5+missing"]),
        (
            ["<1.0", *["16.5"] * 20],
            ",",
            "limits",
            ["number:<1234.5", "number:1234.5+missing", "text"],
        ),
        (["$5", "\u20ac6"], ",", "units", ["number:1234.5", "text"]),
        (["01/02/2024", "03/04/2024"], ",", "date_order", ["date:d/m/y", "date:m/d/y", "text"]),
        (["1-2-2024", "3-4-2024"], ",", "date_order", ["date:d-m-y", "date:m-d-y", "text"]),
    ],
)
def test_two_plausible_readings_become_a_question_and_stay_text(cells, separator, code, readings):
    inferred = one(cells, separator=separator)
    question = inferred.column.question
    assert inferred.column.type == "text"
    assert inferred.values == cells
    assert question.code == code
    assert [reading.name for reading in question.readings] == readings


@pytest.mark.parametrize(
    ("cells", "kind"), [(["16.5"] * 20, "numbers"), (["2024-03-01"] * 20, "dates")]
)
def test_one_stray_cell_is_asked_about_in_the_singular(cells, kind):
    sentence = one([*cells, "total"]).column.question.sentence
    assert sentence == (
        f"All cells of 'column 0' but one are {kind}; that one is 'total'. Keep the column as text,"
        " or read that cell as missing?"
    )


@pytest.mark.parametrize(
    ("choice", "cells", "values"),
    [
        ("number:1,234.5", ["1,150", "2,300"], [1150, 2300]),
        ("number:1234,5", ["1,150", "2,300"], [1.15, 2.3]),
        ("text", ["1", "2"], ["1", "2"]),
        ("number:1234.5", ["3.10", "3.1"], [3.1, 3.1]),
        ("number:1234.5", ["3", "many", "4"], ["3", "many", "4"]),
        ("date:d/m/y", ["01/02/2024", "2024"], ["01/02/2024", "2024"]),
        ("number:1234.5+missing", ["<1.0", "16.5"], [None, 16.5]),
        ("number:<1234.5", ["<1.0", "16.5", "10+"], [1.0, 16.5, 10.0]),
        ("number:1234.5K views", ["1.5M views", "2.3k views"], [1_500_000, 2_300]),
        ("number:1 1/2", ["1/2", "3 1/4", "2½", "4 / 5"], [0.5, 3.25, 2.5, 0.8]),
        ("date:d/m/y", ["01/02/2024"], [datetime.date(2024, 2, 1)]),
        ("date:m/d/y", ["01/02/2024"], [datetime.date(2024, 1, 2)]),
        ("nonsense", ["1", "2"], ["1", "2"]),
    ],
)
def test_what_a_person_chose_is_done(choice, cells, values):
    inferred = one(cells, chosen={"column 0": choice})
    assert inferred.values == values
    assert inferred.column.question is None


def test_a_choice_that_does_not_fit_every_cell_loses_none_without_a_word():
    """Forced numbers would silently empty the cells that are none."""
    kept = one(["3", "many", "4"], chosen={"column 0": "number:1234.5"}).column
    assert kept.type == "text"
    assert kept.notes == ["Cells that do not fit the chosen reading: 1. The column stays text."]
    emptied = one(["3", "many", "4"], chosen={"column 0": "number:1234.5+missing"}).column
    assert emptied.notes == ["Cells that do not fit the chosen reading and are missing now: 1."]


def test_whole_numbers_stay_whole_when_chosen():
    assert one(["1,150", "2,300"], chosen={"column 0": "number:1,234.5"}).column.type == "integer"
    assert one(["1,150", "2,300"], chosen={"column 0": "number:1234,5"}).column.type == "number"


@pytest.mark.parametrize("name", ["version", "python_version", "Release", "版本", "section no"])
def test_a_name_says_that_cells_are_versions(name):
    connection = duckdb.connect()
    connection.register("cells", pa.table({"c0": ["3.10", "3.11", "3.12"]}))
    (column,) = infer_columns(connection, "cells", [(name, name)], native_types={}, chosen={})
    assert (column.type, column.question.code) == ("text", "versions")


@pytest.mark.parametrize("name", ["price", "Unit Price", "total_usd", "体重 重量", "fee"])
@pytest.mark.parametrize("cells", [["2.50", "3.5", "4"], ["3.1", "3.10", "7.25"]])
def test_amounts_are_numbers_with_and_without_their_last_zero(name, cells):
    connection = duckdb.connect()
    connection.register("cells", pa.table({"c0": cells}))
    (column,) = infer_columns(connection, "cells", [(name, name)], native_types={}, chosen={})
    assert (column.type, column.question) == ("number", None)


def test_every_reading_of_a_question_can_be_chosen():
    for cells in (["1,150", "2,300"], ["01/02/2024"], ["1", "none"], ["3.1", "3.10"]):
        for reading in one(cells, separator="\t").column.question.readings:
            assert one(cells, chosen={"column 0": reading.name}).column.reading == reading.name


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["13/01/2024", "02/01/2024"], [datetime.date(2024, 1, 13), datetime.date(2024, 1, 2)]),
        (["01/13/2024", "2/1/2024"], [datetime.date(2024, 1, 13), datetime.date(2024, 2, 1)]),
        (["13.1.2024", "01.02.2024"], [datetime.date(2024, 1, 13), datetime.date(2024, 2, 1)]),
        (["2024/1/3", "2024/12/31"], [datetime.date(2024, 1, 3), datetime.date(2024, 12, 31)]),
        (["2024-01-03", "2024-02-29"], [datetime.date(2024, 1, 3), datetime.date(2024, 2, 29)]),
    ],
)
def test_dates_without_doubt_are_dates(cells, values):
    assert one(cells).values == values


def test_the_rest_of_the_file_decides_what_a_column_leaves_open():
    """A German file: one column shows the decimal comma, so the point of the other groups."""
    area, price = infer(["45,5", "82,15"], ["148.300", "92.100"], separator=";")
    assert area.values == [45.5, 82.15]
    assert price.values == [148300, 92100]


def test_contradicting_columns_decide_nothing():
    _, _, open_column = infer(
        ["45,5", "82,15"], ["1,200.50", "7"], ["1,150", "2,300"], separator=";"
    )
    assert open_column.column.question.code == "number_format"


def test_missing_markers_among_many_numbers_are_missing_and_counted():
    inferred = one([*map(str, range(100)), "N/A", "-"])
    assert inferred.values[-2:] == [None, None]
    assert inferred.column.missing_marker_count == 2


WRITERS = {
    "us": (",", lambda value: f"{value:,.2f}"),
    "plain": (",", lambda value: f"{value:.2f}"),
    "german": (";", lambda value: f"{value:,.2f}".translate(str.maketrans(",.", ".,"))),
    "french": (";", lambda value: f"{value:,.2f}".translate(str.maketrans(",.", "\u202f,"))),
    "swiss": (";", lambda value: f"{value:,.2f}".replace(",", "\u2019")),
}


@pytest.mark.parametrize("locale", WRITERS)
@pytest.mark.parametrize("seed", range(20))
def test_random_columns_of_five_locales_come_back_equal_or_with_a_question(locale, seed):
    generator = random.Random(f"{locale}{seed}")
    separator, write = WRITERS[locale]
    scale = 10 ** generator.randint(0, 7)
    values = [round(generator.uniform(-scale, scale), 2) for _ in range(generator.randint(3, 200))]
    inferred = one([write(value) for value in values], separator=separator)
    if inferred.column.question is None:
        assert inferred.values == pytest.approx(values, abs=1e-9)


def test_a_long_text_column_is_not_grouped_by_shape():
    cells = [f"ticket {number} about {'x' * (number % 50)}" for number in range(3000)]
    assert one(cells).column.type == "text"


@pytest.mark.parametrize(
    ("reading", "cells", "values"),
    [
        ("number:1234.5 kg", ["1 kg", "2.5 kg", "30kg"], [1.0, 2.5, 30.0]),
        ("number:1234,5 m²", ["20,5 m²", "7 m²", "8 m²"], [20.5, 7.0, 8.0]),
        ("number:1 234,5 km", ["1 200 km", "900 km", "35 km"], [1200, 900, 35]),
        ("number:1234.5 万元", ["60.5万元", "61.5万元", "62万元"], [60.5, 61.5, 62.0]),
    ],
)
def test_numbers_with_a_unit_behind_them_are_asked_about_and_read_as_chosen(reading, cells, values):
    asked = one(cells).column
    assert asked.type == "text"
    assert asked.question.code == "unit"
    assert reading in [each.name for each in asked.question.readings]
    assert one(cells, chosen={"column 0": reading}).values == values


@pytest.mark.parametrize(
    "cells",
    [["1 kg", "2 g", "3 kg"], ["12a", "12b", "13a"], ["A1", "A2", "A3"], ["5 kg", "x", "y"]],
)
def test_other_words_with_digits_stay_text_without_a_question(cells):
    found = one(cells).column
    assert (found.type, found.question) == ("text", None)
