"""JSON Lines, JSON, Parquet and Excel; and what is refused."""

import datetime
import json
import zipfile

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from projects.reading.results import UnreadableFile
from tests.projects.conftest import names_of, rows_of, types_of


def test_chat_messages_stay_json_text(read):
    line = {"messages": [{"role": "user", "content": "Hé"}], "weight": 1}
    table = read(json.dumps(line).encode() + b"\n", "chat.jsonl")
    assert types_of(table) == ["json", "integer"]
    assert json.loads(rows_of(table)[0][0]) == line["messages"]


def test_bad_json_lines_are_rejected_with_their_line(read):
    table = read(b'{"a": 1}\n{"a": \n\n[1]\n{"a": 2, "b": true}\n', "x.jsonl")
    assert rows_of(table) == [[1, None], [2, True]]
    assert [issue["line"] for issue in table.issues] == [2, 4]


def test_json_strings_that_look_like_numbers_stay_text(read):
    table = read(b'{"id": "007", "n": "12"}\n{"id": "8", "n": "13"}\n', "x.jsonl")
    assert types_of(table) == ["text", "text"]


def test_half_a_surrogate_and_deep_nesting_do_no_harm(read):
    deep = b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n"
    table = read(b'{"a": "\\ud800 x"}\n' + deep, "x.jsonl")
    assert (table.rows, table.rejected_rows) == (1, 1)


def test_an_array_of_objects_is_a_table_and_anything_else_is_not(read):
    assert rows_of(read(b'[{"a": 1.5}, {"a": null}]', "x.json")) == [[1.5], [None]]
    with pytest.raises(UnreadableFile, match="JSON object"):
        read(b'["a", "b"]', "x.json")
    with pytest.raises(UnreadableFile, match="not valid JSON"):
        read(b'[{"a": 1}, {"a"', "x.json")


def test_parquet_keeps_its_types(read, tmp_path):
    source = pa.table(
        {
            "text": ["a", "b\0", None],
            "n": pa.array([1, 2, None], pa.int32()),
            "x": [0.5, None, 2.0],
            "day": [datetime.date(2026, 1, 1)] * 3,
            "tags": [["p"], [], None],
        }
    )
    pq.write_table(source, tmp_path / "x.parquet")
    table = read(tmp_path / "x.parquet", "x.parquet")
    assert types_of(table) == ["text", "integer", "number", "date", "json"]
    assert rows_of(table)[1][0] == "b"


def test_damaged_parquet_is_refused(read):
    with pytest.raises(UnreadableFile, match="damaged"):
        read(b"PAR1" + b"nonsense" * 100 + b"PAR1", "x.parquet")


def test_excel_gives_the_first_filled_sheet(read, tmp_path):
    book = openpyxl.Workbook()
    book.create_sheet("Data")
    sheet = book["Data"]
    for row in [
        ["Report"],
        [],
        ["text", "label", "when", "n"],
        ["hello there", 1, datetime.date(2026, 1, 2), 1.5],
        ["good bye", 0, datetime.date(2026, 1, 3), None],
    ]:
        sheet.append(row)
    book.save(tmp_path / "x.xlsx")
    table = read(tmp_path / "x.xlsx", "x.xlsx")
    assert names_of(table) == ["text", "label", "when", "n"]
    assert types_of(table) == ["text", "integer", "date", "number"]
    assert table.rows == 2
    assert table.dialect["sheet"] == "Data"


def test_a_workbook_that_unpacks_to_gigabytes_is_refused(read, tmp_path, monkeypatch):
    monkeypatch.setattr("projects.reading.excel.MAX_UNPACKED_BYTES", 1000)
    with zipfile.ZipFile(tmp_path / "x.xlsx", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", "0" * 100_000)
    with pytest.raises(UnreadableFile, match="unpacks"):
        read(tmp_path / "x.xlsx", "x.xlsx")


def test_a_damaged_workbook_is_refused(read, tmp_path):
    with zipfile.ZipFile(tmp_path / "x.xlsx", "w") as archive:
        archive.writestr("xl/workbook.xml", "<nonsense")
    with pytest.raises(UnreadableFile, match="damaged"):
        read(tmp_path / "x.xlsx", "x.xlsx")


@pytest.mark.parametrize(
    "start",
    [
        b"%PDF-1.7",
        b"\x1f\x8b\x08",
        b"\x89PNG\r\n",
        b"PK\x03\x04junk",
        b"\xd0\xcf\x11\xe0",
        b"\x7fELF",
    ],
)
def test_what_is_no_table_is_refused_by_name(read, start):
    with pytest.raises(UnreadableFile, match="Lathe reads|damaged"):
        read(start + bytes(range(256)) * 20, "x.csv")


def test_binary_noise_is_refused(read):
    with pytest.raises(UnreadableFile):
        read(bytes(range(32)) * 500, "x.csv")
