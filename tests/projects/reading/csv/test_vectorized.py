"""The bulk reader makes the table that the record reader makes, or leaves the file to it."""

import csv
import io
import random

import duckdb
import pytest

from projects.reading.csv import vectorized
from projects.reading.csv.source import open_csv
from projects.reading.csv.vectorized import IrregularFile
from projects.reading.results import RejectedRow
from projects.reading.tables import connect_duckdb

PIECES = [
    "word", "two words", "", "1,5", "a;b", "x\ty", 'say "hi"', "line\nbreak", "cr\r\nlf", "  x ",
    "Ünïcödé", "漢字", "\u2028", "'single'", "-", "0", "3.10", "NULL", "#", "\\", '"', "=1+1", "…",
]  # fmt: skip


@pytest.fixture(autouse=True)
def read_small_files_in_bulk(monkeypatch):
    monkeypatch.setattr(vectorized, "MIN_BYTES", 0)


def both_ways(tmp_path, content):
    """The rows of the record reader, those of the bulk reader or None, and the issues' codes."""
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    source = open_csv(path, {})
    rows = [row for row in source.rows if not isinstance(row, RejectedRow)]
    codes = sorted({issue["code"] for issue in source.issues.entries})
    again = open_csv(path, {}, tmp_path)
    if again.bulk is None:
        return rows, None, codes, []
    with connect_duckdb(tmp_path) as connection:
        try:
            table = again.bulk.open(connection)
            found = connection.execute(f"FROM {table}").fetchall()
            odd = f"SELECT 1 FROM {table} WHERE NOT {again.bulk.row_check}"
            if connection.execute(odd).fetchone():
                return rows, None, codes, []
            again.bulk.check_rows(connection, len(found))
        except (duckdb.Error, UnicodeDecodeError, IrregularFile):
            return rows, None, codes, []
        again.bulk.keep(connection, tmp_path / "kept.parquet")
        assert connection.execute(f"FROM {table}").fetchall() == found
    codes_of_bulk = sorted({issue["code"] for issue in again.issues.entries})
    return rows, [list(row) for row in found], codes, codes_of_bulk


def written(rows, **dialect):
    sink = io.StringIO()
    csv.writer(sink, **dialect).writerows(rows)
    return sink.getvalue().encode()


@pytest.mark.parametrize("seed", range(40))
def test_written_tables_come_out_alike(tmp_path, seed):
    dice = random.Random(seed)
    dialect = {
        "delimiter": dice.choice(",;\t|"),
        "lineterminator": dice.choice(["\n", "\r\n"]),
        "quoting": dice.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    }
    width = dice.randint(2, 6)
    pieces = PIECES if seed % 2 else [piece for piece in PIECES if "\n" not in piece]
    rows = [[f"name{n}" for n in range(width)]]
    rows += [[dice.choice(pieces) for _ in range(width)] for _ in range(200)]
    slow, quick, codes, quick_codes = both_ways(tmp_path, written(rows, **dialect))
    if quick is not None:
        assert quick == slow
        assert quick_codes == codes


def test_a_plain_large_table_is_read_in_bulk(tmp_path):
    rows = [["text", "label"], *([f'some "quoted", text {n}', "ab"[n % 2]] for n in range(500))]
    slow, quick, _, _ = both_ways(tmp_path, written(rows))
    assert quick == slow == rows[1:]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "gb18030", "cp1252"])
def test_other_encodings_are_read_in_bulk_too(tmp_path, encoding):
    text = "我的订单" if encoding == "gb18030" else "café, “Größe”"
    rows = [["text", "label"], *([f"{text} {n}", "ab"[n % 2]] for n in range(300))]
    content = written(rows).decode().encode(encoding)
    slow, quick, codes, quick_codes = both_ways(tmp_path, content)
    assert quick == slow == rows[1:]
    assert quick_codes == codes


def test_broken_characters_are_read_in_bulk_with_their_issue(tmp_path):
    content = b"text,label\n" + "Größe 漢字,a\n".encode() * 300 + b"\xff\xff,b\n"
    slow, quick, codes, quick_codes = both_ways(tmp_path, content)
    assert quick == slow
    assert quick_codes == codes == ["broken_characters"]


def test_line_feeds_inside_cells_of_a_windows_file_are_kept(tmp_path):
    rows = [["text", "label"], *([f"one\ntwo {n}", "ab"[n % 2]] for n in range(300))]
    slow, quick, codes, quick_codes = both_ways(tmp_path, written(rows))
    assert quick == slow == rows[1:]
    assert quick_codes == codes == ["line_breaks"]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_blank_lines_are_counted_and_left_out(tmp_path, end):
    lines = ["text,label", "", *(f"some text {n},{'ab'[n % 2]}" for n in range(300)), "", ""]
    lines[40:40] = ["", "", ""]
    content = end.join([*lines, ""]).encode()
    slow, quick, codes, quick_codes = both_ways(tmp_path, content)
    assert quick == slow
    assert len(quick) == 300
    assert quick_codes == codes == ["blank_rows"]
    said = [
        next(one for one in each.issues.entries if one["code"] == "blank_rows")
        for each in all_read(tmp_path)
    ]
    assert said[0] == said[1]
    assert (said[0]["line"], said[0]["sentence"]) == (2, "6 empty rows were left out.")


def all_read(tmp_path):
    """The file read record by record, and in bulk."""
    slow, quick = open_csv(tmp_path / "t.csv", {}), open_csv(tmp_path / "t.csv", {}, tmp_path)
    assert sum(1 for _ in slow.rows)
    with connect_duckdb(tmp_path) as connection:
        found = connection.execute(f"FROM {quick.bulk.open(connection)}").fetchall()
        quick.bulk.check_rows(connection, len(found))
    return slow, quick


def test_blank_lines_inside_and_between_cells_are_left_to_the_reader_of_records(tmp_path):
    lines = ["text,label", *(f'"one{chr(10) * 3}two {n}",a' for n in range(50)), "", "x,b"]
    slow, quick, codes, _ = both_ways(tmp_path, "\n".join(lines).encode())
    assert (len(slow), quick) == (51, None)
    assert codes == ["blank_rows", "line_breaks"]


IRREGULAR = {
    "a short row": b"a,b\n1,2\n3\n4,5\n",
    "a long row": b"a,b\n1,2\n3,4,5\n6,7\n",
    "a stray quote": b'a,b\n"x"y,2\n3,4\n',
    "an open quote": b'a,b\n"x,2\n3,4\n',
    "a blank line": b"a,b\n1,2\n\n3,4\n",
    "a NUL": b"a,b\n1\0,2\n3,4\n",
    "old line ends": b"a,b\r1,2\r3,4\r",
    "mixed line ends": b"a,b\n1,2\r\n3,4\n",
    "a row of blanks": "a,b\n \u2028,\n3,4\n".encode(),
    "control codes": "a,b\nit\x92s,2\n3,4\n".encode(),
    "Latin letters": "a,b\né,2\n3,4\n".encode("latin-1"),
}


@pytest.mark.parametrize("case", IRREGULAR)
def test_irregular_files_are_left_to_the_reader_of_records(tmp_path, case):
    slow, quick, _, _ = both_ways(tmp_path, IRREGULAR[case] + b"5,6\n" * 40)
    assert quick is None or quick == slow


@pytest.mark.parametrize("seed", range(60))
def test_damaged_bytes_never_make_another_table(tmp_path, seed):
    dice = random.Random(seed)
    rows = [["text", "label", "n"]]
    rows += [[dice.choice(PIECES), dice.choice("ab"), n] for n in range(60)]
    content = bytearray(written(rows))
    for _ in range(dice.randint(1, 4)):
        place = dice.randrange(len(content))
        content[place : place + dice.randint(0, 2)] = dice.choice(
            [b'"', b",", b"\n", b"\r", b"\0", b"\xff", b"\xc2\x92", b"", b"''", b'""']
        )
    slow, quick, _, _ = both_ways(tmp_path, bytes(content))
    assert quick is None or quick == slow
