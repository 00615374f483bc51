"""Tables in archives and compressed files: read, joined, asked about, or refused by name."""

import bz2
import gzip
import io
import json
import lzma
import zipfile

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from projects.reading.packed import compressed
from projects.reading.results import UnreadableFile
from tests.pictures import zipped
from tests.projects.conftest import names_of, rows_of

ROWS = [(f"text number {n}", "ab"[n % 2]) for n in range(12)]
CSV = "\n".join(["text,label", *(f"{text},{label}" for text, label in ROWS)]).encode()
OTHER = CSV.replace(b"text number", b"another")
JSONL = "\n".join(json.dumps({"text": text, "label": label}) for text, label in ROWS).encode()
TWELVE = [list(row) for row in ROWS]


def parquet(**columns):
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def workbook():
    book = openpyxl.Workbook()
    for row in [("text", "label"), *ROWS]:
        book.active.append(row)
    sink = io.BytesIO()
    book.save(sink)
    return sink.getvalue()


def zstandard(content):
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as packed:
        packed.write(content)
    return sink.getvalue().to_pybytes()


PARQUET = parquet(text=[text for text, _ in ROWS], label=[label for _, label in ROWS])
SYSTEM = {
    "__MACOSX/._data.csv": b"\0\5\x16\7 x", ".DS_Store": b"\0\0Bud1", "README.md": b"# Read me",
    "LICENSE": b"MIT", "data/readme.txt": b"text,label",
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("data.csv", CSV),
        ("folder/data.CSV", CSV),
        ("data.jsonl", JSONL),
        ("data.xlsx", workbook()),
        ("data.parquet", PARQUET),
        ("SMSCollection", CSV.replace(b",", b"\t")),
        ("iris.data", CSV),
    ],
    # Workbooks hold the time, so that processes would call the tests differently.
    ids=["CSV", "in a folder", "JSON", "Excel", "Parquet", "without an ending", "data"],
)
def test_one_table_is_read_whatever_lies_beside_it(read, name, content):
    table = read(zipped(SYSTEM | {name: content}, zipfile.ZIP_DEFLATED), "export.zip")
    assert rows_of(table) == TWELVE
    assert names_of(table) == ["text", "label"]
    assert (table.dialect["packed"], table.dialect["file"]) == ("zip", name)
    assert table.questions == []


@pytest.mark.parametrize(
    ("name", "pack"),
    [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress), ("zst", zstandard)],
)
def test_a_compressed_file_is_read_by_its_bytes(read, name, pack):
    table = read(pack(CSV), f"data.csv.{name}")
    assert (rows_of(table), table.dialect["file"]) == (TWELVE, "data.csv")
    assert rows_of(read(pack(PARQUET), "upload")) == TWELVE
    with pytest.raises(UnreadableFile, match="damaged or cut short"):
        read(pack(CSV)[:-12], f"data.csv.{name}")


@pytest.mark.parametrize(
    ("first", "second"),
    [("train.csv", "test.csv"), ("d/train-0.csv", "d/val-0.csv"), ("dev/a.csv", "train/a.csv")],
)  # fmt: skip
def test_splits_of_the_same_columns_are_joined(read, first, second):
    table = read(zipped({first: CSV, second: OTHER}), "data.zip")
    assert names_of(table) == ["text", "label", "split"]
    splits = {"train": "train", "test": "test", "val": "validation", "dev": "validation"}
    expected = [next(splits[one] for one in splits if one in name) for name in (first, second)]
    assert [row[2] for row in rows_of(table)] == [expected[0]] * 12 + [expected[1]] * 12
    assert any("were joined" in issue["sentence"] for issue in table.issues)
    assert table.questions == []


def test_columns_in_another_order_and_other_formats_are_joined_by_name(read):
    turned = "\n".join(["label,text", *(f"{label},{text}" for text, label in ROWS)]).encode()
    table = read(zipped({"train.csv": CSV, "test.csv": turned}), "data.zip")
    assert [row[:2] for row in rows_of(table)] == TWELVE * 2
    table = read(zipped({"train.jsonl": JSONL, "test.csv": turned}), "data.zip")
    assert [row[:2] for row in rows_of(table)] == TWELVE * 2


def test_parts_and_parquet_are_joined_and_say_their_file(read):
    files = {"part-1.parquet": PARQUET, "part-2.parquet": PARQUET}
    table = read(zipped(files), "data.zip")
    assert [row[2] for row in rows_of(table)] == [
        *["part-1.parquet"] * 12,
        *["part-2.parquet"] * 12,
    ]
    table = read(zipped({"train.parquet": PARQUET, "test.parquet": PARQUET}), "data.zip")
    assert names_of(table)[-1] == "split"
    own = parquet(file=["x"], label=["a"])
    table = read(zipped({"a1.parquet": own, "a2.parquet": own}), "data.zip")
    assert rows_of(table) == [["x", "a"]] * 2


def test_rejected_rows_name_their_file(read):
    table = read(zipped({"train.csv": CSV, "test.csv": OTHER + b"\na,b,c,d"}), "data.zip")
    assert table.rejected_rows == 1
    assert "test.csv: The row has 4 values" in table.rejects.read_text()


def test_other_columns_are_asked_about(read):
    files = {
        "train.csv": CSV,
        "test.csv": b"text\nx\ny\nz",
        "notes.csv": b"a,b,c\n" + b"1,2,3\n" * 900,
    }
    table = read(zipped(files), "data.zip")
    assert rows_of(table) == TWELVE
    (question,) = table.questions
    assert question["code"] == "archive_file"
    named = {reading["name"] for reading in question["readings"]}
    assert named == {"file:train.csv", "file:test.csv", "file:notes.csv"}
    assert "Of this archive only 'train.csv' was read" in table.issues[0]["sentence"]
    chosen = read(zipped(files), "data.zip", file="test.csv")
    assert (rows_of(chosen), chosen.questions) == ([["x"], ["y"], ["z"]], [])


def test_the_same_columns_under_names_that_say_nothing_are_asked_about(read):
    files = {"berlin.csv": CSV + b"\nmore,a", "paris.csv": OTHER}
    table = read(zipped(files), "data.zip")
    assert len(rows_of(table)) == 13
    assert table.questions[0]["readings"][0]["name"] == "file:*"
    joined = read(zipped(files), "data.zip", file="*")
    assert [row[2] for row in rows_of(joined)] == ["berlin.csv"] * 13 + ["paris.csv"] * 12


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"inner.zip": zipped({"a.csv": CSV})}, "holds another one, 'inner.zip'"),
        ({"train.csv.gz": gzip.compress(CSV)}, "holds another one, 'train.csv.gz'"),
        ({"data.csv": zipped({"a.csv": CSV})}, "is an archive itself"),
        ({"program.exe": b"MZ"}, "holds no table, pictures or labelled texts, but program.exe"),
        ({"../a.csv": CSV}, "points outside"),
        ({"empty.csv": b""}, "no file in it has any bytes"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(read, files, said):
    with pytest.raises(UnreadableFile, match=said):
        read(zipped(files), "data.zip")


def test_bombs_are_refused(read, monkeypatch):
    monkeypatch.setattr(compressed, "MIN_TABLE_RATIO_CHECK_BYTES", 100_000)
    zeros = b"0,1\n" * 500_000
    for content in (
        zipped({"a.csv": zeros}, zipfile.ZIP_DEFLATED), gzip.compress(zeros), lzma.compress(zeros),
    ):  # fmt: skip
        with pytest.raises(UnreadableFile, match="as zip bombs do"):
            read(content, "bomb")
    monkeypatch.setattr(compressed, "MAX_ARCHIVE_BYTES", 1_000)
    with pytest.raises(UnreadableFile, match="takes more than"):
        read(gzip.compress(bytes(range(256)) * 40), "large.gz")


def test_a_password_is_a_reason(read):
    content = bytearray(zipped({"data.csv": CSV}))
    content[6] |= 1
    content[content.find(b"PK\1\2") + 8] |= 1
    with pytest.raises(UnreadableFile, match="protected by a password"):
        read(bytes(content), "data.zip")
