"""A large file whose columns a sample decided comes out as one whose every cell was counted."""

import random

import pyarrow.parquet as pq
import pytest

from projects.reading import tables
from projects.reading.columns import shapes
from projects.reading.csv import vectorized
from projects.reading.tables import import_table

SAMPLE, ROWS = 40, 400
DAYS = [f"2024-{n % 12 + 1:02}-{n % 28 + 1:02}" for n in range(ROWS)]
COLUMNS = {
    "whole": [str(n) for n in range(ROWS)],
    "negative": [str(n - 200) for n in range(ROWS)],
    "money": [f"{n}.{n % 100:02}" for n in range(ROWS)],
    "shares": [f"0.{n}1" for n in range(ROWS)],
    "three digits": [f"{n % 9 + 1}.{n % 900 + 100}" for n in range(ROWS)],
    "days": DAYS,
    "moments": [f"{day} 10:{n % 60:02}:00" for n, day in enumerate(DAYS)],
    "gaps": [str(n) if n % 3 else "" for n in range(ROWS)],
    "texts": [f"word {n}" for n in range(ROWS)],
    "codes": [f"{n:04}" for n in range(ROWS)],
    "long": [str(10**17 + n) for n in range(ROWS)],
    "printed": [repr(0.1 * n + 0.2) for n in range(ROWS)],
    "tenths": [f"{n % 90}.{n % 9 + 1}" for n in range(ROWS)],
}
LATE = ["N/A", "", " ", "007", "3.10", "1,200", "2024-02-31", "1e5", "-", "12345678901234567",
        "2024-01-01", "0.5", "+5", "5.", ".5", "NaN", "inf", "5 ", "1_000", "x",
        "0.12345678901234567891", "1234567890123456.5", "9.90", "1.5e400"]  # fmt: skip


@pytest.fixture(autouse=True)
def read_small_files_in_bulk(monkeypatch):
    monkeypatch.setattr(vectorized, "MIN_BYTES", 0)
    monkeypatch.setattr(shapes, "SAMPLE_ROWS", SAMPLE)


def read_three_ways(tmp_path, columns, monkeypatch):
    """By a sample, by counting in bulk, and record by record: all that is said of a table."""
    lines = [",".join(columns), *(map(",".join, zip(*columns.values(), strict=True)))]
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    found = []
    for way in ("sample", "bulk", "records"):
        if way == "bulk":
            monkeypatch.setattr(shapes, "expect_shapes", lambda _, sample: sample)
        if way == "records":
            monkeypatch.setattr(vectorized, "MIN_BYTES", 10**9)
        folder = tmp_path / way
        folder.mkdir()
        made = import_table(tmp_path / "t.csv", "t.csv", folder, {})
        types = [(one.name, one.type, one.reading, one.notes) for one in made.columns]
        cells = pq.read_table(made.data).to_pylist()
        found.append((types, repr(cells), made.questions, made.issues, made.rows))
    return found


def test_plain_columns_come_out_alike_three_ways(tmp_path, monkeypatch):
    sample, bulk, records = read_three_ways(tmp_path, COLUMNS, monkeypatch)
    assert sample == bulk == records


@pytest.mark.parametrize("seed", range(12))
def test_a_late_cell_of_another_kind_counts_as_much_as_an_early_one(tmp_path, monkeypatch, seed):
    dice = random.Random(seed)
    columns = {name: [*cells] for name, cells in COLUMNS.items()}
    for cells in dice.sample([*columns.values()], 3):
        for place in dice.sample(range(SAMPLE + 1, ROWS), 2):
            cells[place] = dice.choice(LATE).replace(",", ";")
    sample, bulk, records = read_three_ways(tmp_path, columns, monkeypatch)
    assert sample == bulk == records


def test_a_plain_file_is_read_once_and_by_no_record(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "_import_records", None)
    monkeypatch.setattr(shapes, "_count_plain_shapes", None)
    columns = {name: COLUMNS[name] for name in ("whole", "money", "days", "moments", "texts")}
    lines = [",".join(columns), *(map(",".join, zip(*columns.values(), strict=True)))]
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    made = import_table(tmp_path / "t.csv", "t.csv", tmp_path, {})
    assert [one.type for one in made.columns] == ["integer", "number", "date", "datetime", "text"]
    assert made.rows == ROWS
