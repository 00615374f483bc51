"""Uneven files read by way of a straightened copy come out as the reader of records makes them."""

import random

import duckdb
import pytest

from projects.reading import tables
from projects.reading.csv import straightened, vectorized
from projects.reading.csv.straightened import open_straightened


def cells(dice, number):
    text = " ".join(dice.choices(["card", "lost", "grüße", "我的卡", "x"], k=6))
    return [str(number), text, dice.choice(["a", "b"]), f"{number}.5"]


def short(dice, row):
    return ",".join(row[:-1] if dice.random() < 0.3 else row)


def long(dice, row):
    return ",".join(row) + ("," if dice.random() < 0.3 else "")


def wrong(dice, row):
    return ",".join(row) + (",one,more" if dice.random() < 0.05 else "")


def blank(dice, row):
    return ",".join(row) + dice.choice(
        ["", "", "\n,,,", "\n \u3000,,\u00a0,", "\n", "\n---,---,---,---"]
    )


def quoted(dice, row):
    row[1] = f'"{row[1]}, and ""more"""' if dice.random() < 0.4 else row[1]
    return ",".join(row[:-1] if dice.random() < 0.3 else row)


def broken(dice, row):
    row[1] = f'"{row[1]}\nbelow, it"' if dice.random() < 0.2 else row[1]
    return wrong(dice, row)


def stray(dice, row):
    row[1] = f'{row[1]} 5" wide' if dice.random() < 0.1 else row[1]
    return wrong(dice, row)


def open_at_end(dice, row):
    return wrong(dice, row) if row[0] != "399" else '7,"never closed'


def read(tmp_path, monkeypatch, content, name, is_straight):
    folder = tmp_path / name
    folder.mkdir()
    (folder / "t.csv").write_bytes(content)
    used = []

    def opened(*given):
        made = open_straightened(*given) if is_straight else None
        used.append(made)
        return made

    monkeypatch.setattr("projects.reading.csv.source.open_straightened", opened)
    made = tables.import_table(folder / "t.csv", "t.csv", folder, {})
    rows = duckdb.sql(f"SELECT * FROM read_parquet('{made.data}')").fetchall()
    told = (made.rows, made.rejected_rows, made.columns, made.issues, made.questions, made.dialect)
    return (rows, told, made.rejects.read_bytes()), used != [None]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("chunk", [700, 1 << 23])
@pytest.mark.parametrize("make", [short, long, wrong, blank, quoted, broken, stray, open_at_end])
def test_both_ways_read_the_same(tmp_path, monkeypatch, make, chunk, end):
    monkeypatch.setattr(vectorized, "MIN_BYTES", 1)
    monkeypatch.setattr(straightened, "CHUNK_BYTES", chunk)
    monkeypatch.setattr(straightened, "MAX_ODD_SHARE", 1.0)
    dice = random.Random(7)
    rows = [make(dice, cells(dice, number)) for number in range(400)]
    content = "\n".join(["id,text,kind,score", *rows]).replace("\n", end).encode()
    straight, is_used = read(tmp_path, monkeypatch, content, "straight", True)
    records, _ = read(tmp_path, monkeypatch, content, "records", False)
    assert straight == records
    may_be_straight = make not in (stray, open_at_end, broken) and not (
        make is blank and end == "\r\n"
    )
    assert is_used or not may_be_straight
