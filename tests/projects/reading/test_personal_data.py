"""What counts as personal data, on labelled texts; masking changes exactly what is found."""

import json

import duckdb
import pytest

from projects.profiling.table_profile import profile_table
from projects.reading import personal_data
from projects.reading.tables import connect_duckdb
from tests.projects.conftest import rows_of, types_of

PERSONAL = [
    ("e-mail", "ann.lee+x@mail.example.co.uk"),
    ("e-mail", "a@b.io"),
    ("iban", "DE89 3704 0044 0532 0130 00"),
    ("iban", "GB29NWBK60161331926819"),
    ("card", "4111 1111 1111 1111"),
    ("card", "5555-5555-5555-4444"),
    ("card", "378282246310005"),
    ("card", "3782 822463 10005"),
    ("card", "6011111111111117"),
    ("card", "30569309025904"),
    ("card", "3530111333300000"),
    ("ip", "192.168.0.17"),
    ("phone", "+44 20 7946 0123"),
    ("phone", "+442079460123"),
    ("phone", "+1 (212) 555-0123"),
    ("phone", "(212) 555-0123"),
    ("phone", "212-555-0123"),
    ("phone", "1-212-555-0123"),
    ("phone", "020 7946 0123"),
    ("phone", "030 901820"),
    ("phone", "0151 23456789"),
    ("phone", "01 42 68 53 00"),
    ("phone", "01.42.68.53.00"),
    ("phone", "91 123 45 67"),
    ("phone", "612 345 678"),
    ("phone", "138 1234 5678"),
    ("phone", "98765 43210"),
    ("phone", "(11) 91234-5678"),
    ("phone", "0412 345 678"),
]
HARMLESS = [
    "4111 1111 1111 1112",  # Fails the Luhn check.
    "1700000000000",  # A timestamp in milliseconds.
    "1700000000000004",  # In microseconds; passes the Luhn check.
    "1234567890123452",  # An order number that passes it.
    "0000 0000 0000 0000",
    "DE89 3704 0044 0532 0130 01",  # Fails the mod-97 check.
    "2024-01-15 10:30:00",
    "2024-01-15T10:30:00+02:00",
    "01.02.2024 10:30",
    "01-02-2024",
    "2024 0115 1030",
    "1234-5678-9012",
    "ORD-212-555-0123-7",
    "SKU 4111111111111111-B",
    "4815162342",
    "555-123",
    "version 10.20.300",
    "1.2.3.4.5555",
    "999.1.1.1",
    "550e8400-e29b-41d4-a716-446655440000",
    "3.14159265358979",
    "me@here",
    "+1 2",
]


@pytest.mark.parametrize(("kind", "text"), PERSONAL)
def test_what_points_to_a_person_is_found_and_masked_in_its_place(kind, text):
    sentence = f"Before {text}, behind."
    matches = list(personal_data.find_matches(sentence))
    assert [(match.kind, sentence[match.start : match.end]) for match in matches] == [(kind, text)]
    assert personal_data.mask(sentence) == f"Before <{kind}>, behind."


@pytest.mark.parametrize("text", HARMLESS)
def test_numbers_that_only_look_alike_survive(text):
    sentence = f"Before {text}, behind."
    assert list(personal_data.find_matches(sentence)) == []
    assert personal_data.mask(sentence) == sentence


def test_several_in_one_text_are_all_masked():
    text = "a@b.io or c@d.io, 4111111111111111; call +442079460123 from 10.0.0.1"
    assert personal_data.mask(text) == "<e-mail> or <e-mail>, <card>; call <phone> from <ip>"


def test_of_a_wrong_and_a_right_card_in_one_cell_the_right_one_is_found(read):
    table = read(b"text\nnot 4111111111111112 but 4111111111111111\nx\n", mask=["text"])
    assert rows_of(table)[0] == ["not 4111111111111112 but <card>"]


@pytest.mark.parametrize(("kind", "text"), PERSONAL)
def test_the_first_pattern_of_the_database_lets_through_what_the_check_accepts(kind, text):
    with duckdb.connect() as connection:
        row = connection.execute(
            "SELECT regexp_matches(?, ?)", [text, personal_data.PATTERNS[kind]]
        ).fetchall()
    assert row == [(True,)]


def profile(table):
    with connect_duckdb(table.data.parent) as connection:
        return profile_table(connection, table.data, [column.info for column in table.columns])


def test_order_numbers_and_timestamps_beside_cards_come_through_masking_unchanged(read):
    content = b"note,at\norder 1234567890123452 by 4111 1111 1111 1111,1700000000000\n"
    table = read(content, mask=["note", "at"])
    assert rows_of(table) == [["order 1234567890123452 by <card>", "1700000000000"]]


def test_a_masked_column_of_numbers_is_text_and_can_be_profiled(read):
    content = b"card,n\n" + b"378282246310005,1\n" * 3 + b"123456789012345,2\n"
    plain = read(content)
    assert types_of(plain) == ["integer", "integer"]
    finding = profile(plain)["personal_data"][0]
    assert (finding["column"], finding["kind"], finding["count"]) == ("card", "card", 3)
    masked = read(content, mask=["card"])
    assert types_of(masked) == ["text", "integer"]
    assert [row[0] for row in rows_of(masked)] == ["<card>"] * 3 + ["123456789012345"]
    assert profile(masked)["personal_data"] == []


def test_masked_json_stays_json(read):
    value = {
        "messages": [{"role": "user", "content": "Mail a@b.io"}],
        "card": 4111111111111111,
        "order": 1234567890123456,
        "yes": True,
        "score": 0.5,
        "a@b.io": None,
    }
    line = json.dumps({"chat": [value]})
    table = read(f"{line}\n{line}\n".encode(), "x.jsonl", mask=["chat"])
    assert json.loads(rows_of(table)[0][0])[0] == {
        "messages": [{"role": "user", "content": "Mail <e-mail>"}],
        "card": "<card>",
        "order": 1234567890123456,
        "yes": True,
        "score": 0.5,
        "<e-mail>": None,
    }


def test_json_without_personal_data_keeps_its_very_letters():
    document = '{"b":1.0,  "a": "\\u00e9"}'
    assert personal_data.mask_json(document) == document


def test_what_is_no_json_is_masked_as_text():
    assert personal_data.mask_json("{a@b.io") == "{<e-mail>"
    assert personal_data.mask_json("[" * 100_000) == "[" * 100_000


def test_a_column_of_dates_masked_by_hand_is_hidden_whole(read):
    table = read(b"day,x\n2024-01-15,1\n,2\n", mask=["day"])
    assert types_of(table) == ["text", "integer"]
    assert [row[0] for row in rows_of(table)] == ["<date>", None]


def test_examples_hide_their_middle(read):
    (finding,) = profile(read(b"text\nwrite to ann.lee@mail.example now\n"))["personal_data"]
    assert finding["example"] == "an" + "•" * 12 + "le"
    (finding,) = profile(read(b"text\nwrite a@b.io\n"))["personal_data"]
    assert finding["example"] == "a@•••io"


class CountingConnection:
    """A connection that counts its queries."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection, self.queries = connection, 0

    def execute(self, *arguments: object) -> object:
        self.queries += 1
        return self.connection.execute(*arguments)


def test_many_columns_of_integers_cost_few_queries(tmp_path):
    """And each is still judged by its own largest value, an empty one among them."""
    names = [f'number "{number}"' for number in range(450)]
    cards = {names[7], names[449]}
    values = ", ".join(
        f"""{"4111111111111111" if name in cards else "NULL" if name == names[8] else "12"}::BIGINT
        AS {personal_data.quote_identifier(name)}"""
        for name in names
    )
    with connect_duckdb(tmp_path) as connection:
        connection.execute(f"CREATE TABLE wide AS SELECT {values}")
        counting = CountingConnection(connection)
        columns = [{"name": name, "type": "integer", "original_name": name} for name in names]
        found = personal_data.find_personal_data(counting, "wide", columns)
    assert {one["column"] for one in found} == cards
    assert counting.queries < 20
