"""The messy files of real life. The numbers below are what the importer reaches today."""

import csv
import json

import pyarrow.parquet as pq
import pytest

from projects.reading.results import UnreadableFile
from tests.projects.conftest import rows_of, types_of

POLLOCK_EXACT = 11  # Of 16; each of the other five names the row it rejected or changed.
POLLOCK_REAL_EXACT = 6  # Of 8; the other two tell of blank rows and preambles.


def _means(value, text):
    """Typed values mean the same as the text they came from; missing means empty."""
    shown = "" if value is None else str(value)
    if " ".join(shown.split()) == " ".join(text.split()):
        return True
    try:
        return float(shown) == float(text)
    except ValueError:
        return False


def _equals_clean(table, clean_path):
    with open(clean_path, newline="", encoding="utf-8") as file:
        clean = list(csv.reader(file))
    want = clean[table.dialect["header_rows"] > 0 :]
    rows = rows_of(table)
    return len(rows) == len(want) and all(
        len(row) == len(line) and all(map(_means, row, line))
        for row, line in zip(rows, want, strict=True)
    )


def _score(folder, read):
    exact, unexplained = [], []
    for path in sorted((folder / "csv").iterdir()):
        try:
            typed = read(path, path.name)
            # The clean files are text: typed dates and amounts would be written another way.
            names = {column.name: "text" for column in typed.columns}
            table = read(path, path.name, columns=names)
        except UnreadableFile as refusal:
            if (
                refusal.sentence
                and len((folder / "clean" / path.name).read_text().splitlines()) <= 1
            ):
                exact.append(path.name)  # There is indeed no row in it.
            continue
        if _equals_clean(table, folder / "clean" / path.name):
            exact.append(path.name)
        elif not table.issues:
            unexplained.append(path.name)
    return exact, unexplained


@pytest.mark.slow
def test_polluted_files_give_the_clean_table_or_say_why_not(shared, read):
    exact, unexplained = _score(shared / "data/messy_csv/pollock", read)
    assert len(exact) >= POLLOCK_EXACT, exact
    assert not unexplained


@pytest.mark.slow
def test_public_bodies_files_give_the_clean_table_or_say_why_not(shared, read):
    exact, unexplained = _score(shared / "data/messy_csv/pollock_real", read)
    assert len(exact) >= POLLOCK_REAL_EXACT, exact
    assert not unexplained


def test_three_header_rows_can_be_set_by_hand(shared, read):
    path = shared / "data/messy_csv/pollock_real/csv/survey_004.csv"
    assert read(path, path.name, header_rows=3, skip_lines=0).rows == 10


def test_csv_spectrum_is_read_exactly(shared, read):
    folder = shared / "data/messy_csv/csv_spectrum"
    for path in sorted((folder / "csvs").iterdir()):
        want = json.loads((folder / "json" / f"{path.stem}.json").read_text())
        want = want if isinstance(want, list) else [want]
        table = read(path, path.name)
        found = pq.read_table(table.data).to_pylist()
        if path.stem == "location_coordinates":  # Its JSON holds another phone number than its CSV.
            want[0]["Contact Phone Number"] = "2095257564"
        assert [list(row) for row in found] == [list(row) for row in want]
        for row, expected in zip(found, want, strict=True):
            for name, value in expected.items():
                shown = "" if row[name] is None else str(row[name])
                assert shown.replace("\r\n", "\n") == value.replace("\r\n", "\n"), path.name


def test_banking77_keeps_all_rows_and_line_breaks(shared, read):
    path = shared / "data/banking77/train.csv"
    table = read(path, path.name)
    with open(path, newline="", encoding="utf-8") as file:
        want = list(csv.reader(file))[1:]
    assert (table.rows, table.rejected_rows) == (10_003, 0)
    assert rows_of(table) == want
    assert any("\n" in text for text, _ in want)


@pytest.mark.parametrize("name", ["amazon_cells", "imdb", "yelp"])
def test_thousand_labelled_lines_are_thousand_rows(shared, read, name):
    table = read(shared / f"data/sentiment_sentences/{name}_labelled.txt", f"{name}.txt")
    assert table.rows == 1_000
    assert types_of(table) == ["text", "integer"]


def test_naughty_strings_survive_as_cells_and_as_names(shared, read, tmp_path):
    strings = json.loads((shared / "data/naughty_strings/blns.json").read_text())
    assert len(strings) >= 500
    path = tmp_path / "naughty.csv"
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(["text", "label"])
        writer.writerows([text, f"label {number % 3}"] for number, text in enumerate(strings))
    table = read(path, path.name)
    found = [row[0] or "" for row in rows_of(table)]
    cells = [text.replace("\0", "").removeprefix("\ufeff") for text in strings]
    assert found == [text if text.strip(" ") else "" for text in cells]


def test_naughty_strings_survive_as_column_names(shared, read, tmp_path):
    strings = json.loads((shared / "data/naughty_strings/blns.json").read_text())
    path = tmp_path / "names.csv"
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(strings)
        writer.writerow([f"value {number}" for number in range(len(strings))])
    table = read(path, path.name, header_rows=1, skip_lines=0)
    names = [column.name for column in table.columns]
    assert len(names) == len(strings)
    assert len({name.casefold() for name in names}) == len(names)
    assert rows_of(table) == [[f"value {number}" for number in range(len(strings))]]


@pytest.mark.parametrize(
    ("name", "rows", "columns"),
    [
        ("toy_chat_fine_tuning.jsonl", 5, ["messages"]),
        ("support_dialogues_300.jsonl", 300, ["messages"]),
        ("gsm8k_train_300.jsonl", 300, ["prompt", "completion"]),
        ("seed_tasks_alpaca.json", 175, ["instruction", "input", "output"]),
        ("cdc_faq.csv", 111, ["question", "answer", "category"]),
    ],
)
def test_chat_and_instruction_files_keep_every_row(shared, read, name, rows, columns):
    table = read(shared / "data/sft_chat" / name, name)
    assert table.rows == rows
    assert [column.name for column in table.columns] == columns
