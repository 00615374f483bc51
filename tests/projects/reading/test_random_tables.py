"""Random tables, written as pandas, Excel, LibreOffice in five locales and R write them, come back
with equal values and types, or with a question about the column."""

import csv
import datetime
import io
import random
from dataclasses import dataclass

import openpyxl
import pandas
import pyarrow.parquet as pq
import pytest

WORDS = "card order box refund door invoice courier account login fee Zürich naïve 訂單".split()  # noqa: SIM905
FIRST_DAY = datetime.date(2019, 1, 1)


@dataclass(frozen=True)
class Locale:
    """How a spreadsheet of a country writes CSV."""

    separator: str
    decimal: str
    group: str
    date: str


LOCALES = {
    "en_US": Locale(",", ".", ",", "%m/%d/%Y"),
    "de_DE": Locale(";", ",", ".", "%d.%m.%Y"),
    "fr_FR": Locale(";", ",", "\u202f", "%d/%m/%Y"),
    "de_CH": Locale(";", ".", "’", "%d.%m.%Y"),
    "sv_SE": Locale(";", ",", "\u00a0", "%Y-%m-%d"),
}
KINDS = ["integer", "large", "money", "number", "date", "text", "label", "code", "version", "flag"]
TYPES = {"large": "integer", "money": "number", "label": "text", "code": "text", "version": "text"}


def make_column(dice, kind, rows):
    make = {
        "integer": lambda n: dice.randint(-50, 5000),
        "large": lambda n: dice.randint(10_000, 9_999_999),
        "money": lambda n: round(dice.uniform(1, 90_000), 2),
        "number": lambda n: dice.uniform(-3, 3),
        "date": lambda n: FIRST_DAY + datetime.timedelta(days=dice.randint(0, 2000)),
        "text": lambda n: " ".join(dice.choices(WORDS, k=dice.randint(3, 9))) + f" {n}",
        "label": lambda n: dice.choice(WORDS[:5]),
        "code": lambda n: f"{dice.randint(0, 99_999):05}",
        "version": lambda n: f"{dice.randint(1, 3)}.{dice.randint(0, 3)}0",
        "flag": lambda n: n % 3 == 0,
    }[kind]
    values = [make(n) for n in range(rows)]
    if kind == "code":
        values[0] = "00417"
    if kind == "version":
        values[:2] = ["1.10", "1.1"]
    if kind in ("integer", "money", "date", "text") and dice.random() < 0.3:
        values[dice.randrange(rows)] = None
    return values


def make_table(seed):
    dice = random.Random(seed)
    rows = dice.randint(15, 60)
    kinds = ["text", *dice.sample(KINDS, dice.randint(1, 5))]
    columns = {f"{kind} {place}": make_column(dice, kind, rows) for place, kind in enumerate(kinds)}
    return dice, columns, rows


def write_pandas(dice, columns, rows):
    frame = pandas.DataFrame(columns, dtype=object)
    options = {
        "sep": dice.choice([",", ";", "\t", "|"]),
        "index": False,
        "quoting": dice.choice([csv.QUOTE_MINIMAL, csv.QUOTE_NONNUMERIC, csv.QUOTE_ALL]),
        "lineterminator": dice.choice(["\n", "\r\n"]),
    }
    return frame.to_csv(**options).encode(dice.choice(["utf-8", "utf-8-sig", "utf-16"])), "t.csv"


def write_excel(dice, columns, rows):
    book = openpyxl.Workbook()
    book.active.append(list(columns))
    for row in zip(*columns.values(), strict=True):
        book.active.append(list(row))
    sink = io.BytesIO()
    book.save(sink)
    return sink.getvalue(), "t.xlsx"


def write_libreoffice(dice, columns, rows):
    locale = LOCALES[dice.choice(list(LOCALES))]
    sink = io.StringIO()
    writer = csv.writer(sink, delimiter=locale.separator, lineterminator="\n")
    writer.writerow(columns)
    kinds = [name.split()[0] for name in columns]
    for row in zip(*columns.values(), strict=True):
        writer.writerow(map(locale_cell, row, kinds, [locale] * len(kinds)))
    return sink.getvalue().encode(), "t.csv"


def locale_cell(value, kind, locale):
    if value is None:
        return ""
    if kind == "flag":
        return "TRUE" if value else "FALSE"
    if kind == "date":
        return value.strftime(locale.date)
    if kind in ("large", "money"):
        text = f"{value:,.2f}" if kind == "money" else f"{value:,}"
        return text.replace(",", "G").replace(".", locale.decimal).replace("G", locale.group)
    return repr(value).replace(".", locale.decimal) if kind == "number" else str(value)


def write_r(dice, columns, rows):
    """write.csv with its row names, its quotes around text, and NA for what is missing."""
    lines = [",".join(['""', *(f'"{name}"' for name in columns)])]
    for number, row in enumerate(zip(*columns.values(), strict=True), 1):
        cells = ["NA" if value is None else r_cell(value) for value in row]
        lines.append(",".join([f'"{number}"', *cells]))
    return "\n".join(lines).encode(), "t.csv"


def r_cell(value):
    if isinstance(value, bool):
        return str(value).upper()
    return repr(value) if isinstance(value, int | float) else f'"{value}"'


WRITERS = {"pandas": write_pandas, "excel": write_excel, "office": write_libreoffice, "r": write_r}


def problems(read, seed, writer):
    """What came back otherwise than it was written, without a question."""
    dice, columns, rows = make_table(seed)
    content, name = WRITERS[writer](dice, columns, rows)
    table = read(content, name)
    asked = {question["column"] for question in table.questions}
    found = pq.read_table(table.data).to_pydict()
    types = {column.name: column.type for column in table.columns}
    if "" in asked:
        return []
    missing = set(columns) - set(found)
    return [f"no column {one}" for one in missing] + [
        f"{column}: {types[column]} {found[column][:4]} for {values[:4]}"
        for column, values in columns.items()
        if column in found and column not in asked
        and not is_equal(found[column], types[column], values, column.split()[0])
    ]  # fmt: skip


def is_equal(found, kind, values, written):
    if len(found) != len(values):
        return False
    if written == "flag":
        words = {True: "true", False: "false"}
        return [str(cell).casefold() for cell in found] == [words[value] for value in values]
    if kind != TYPES.get(written, written) and not (written == "number" and kind == "integer"):
        return False
    return all(
        cell == value or (isinstance(value, float) and abs(cell - value) <= 1e-9 * abs(value))
        for cell, value in zip(found, values, strict=True)
    )


@pytest.mark.parametrize("writer", WRITERS)
def test_a_few_random_tables_come_back(read, writer):
    for seed in range(6):
        assert problems(read, seed, writer) == [], seed


@pytest.mark.nightly
@pytest.mark.parametrize("writer", WRITERS)
def test_a_thousand_random_tables_come_back(read, writer):
    for seed in range(250):
        assert problems(read, seed, writer) == [], seed
