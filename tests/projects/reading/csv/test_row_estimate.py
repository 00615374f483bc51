"""Files of far too many rows are refused from their size and pieces of them; others never are."""

import pytest

from projects.reading.csv import row_estimate
from projects.reading.results import UnreadableFile

LINE = "some text,12,label\n"


@pytest.fixture(autouse=True)
def small_limits(monkeypatch):
    monkeypatch.setattr(row_estimate, "MAX_ROWS", 1_000)
    monkeypatch.setattr(row_estimate, "PIECE_BYTES", 2_000)


def csv_of(line, rows, header="text,n,label\n"):
    return (header + line * rows).encode()


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (csv_of(LINE, 3_000), "t.csv"),
        (csv_of('"some, text",12,label\n', 3_000), "t.csv"),
        (csv_of('"a ""text""";12;label\r\n', 3_000, "text;n;label\r\n"), "t.csv"),
        (b'{"text": "a", "label": "b"}\n' * 3_000, "t.jsonl"),
    ],
    ids=["plain", "quoted", "semicolons", "lines of JSON"],
)
def test_three_times_too_many_rows_are_refused_as_an_estimate(read, content, name):
    with pytest.raises(UnreadableFile, match="This table has about") as refusal:
        read(content, name)
    assert refusal.value.code == "too_many_rows"
    assert "by an estimate" in refusal.value.sentence


@pytest.mark.parametrize(
    "content",
    [
        csv_of(LINE, 900),  # Within the limit.
        csv_of(LINE, 1_200),  # Too many, but an estimate could be wrong by as much.
        csv_of('"a text\n' + "of many, many, lines\n" * 50 + '",12,label\n', 60),
        csv_of('"two\nlines",label\n', 1_000, "text,label\n"),
        b"\xff\xfe" + (LINE * 500).encode("utf-16-le"),
        csv_of(LINE, 100) + b"\n" * 40_000,
    ],
    ids=lambda content: content[:12].hex(),
)
def test_a_file_that_may_be_within_the_limit_is_never_refused_by_an_estimate(read, content):
    assert read(content, "t.csv").rows <= 1_201
