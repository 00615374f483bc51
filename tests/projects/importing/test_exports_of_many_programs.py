"""Files as help desks, banks, survey tools, statistics programs and messengers export them: right,
or asked, or refused. Through the real upload, as their neighbours are."""

# ruff: noqa: E501 - a table of cases, one to a line.

import datetime
import json

import pytest

from tests.projects.importing.test_files_of_many_hands import (
    PAIRS,
    cycle,
    lines,
    semicolons,
    sheet,
    three,
)
from tests.projects.importing.test_kinds_of_files import (
    EVEN,
    LABELS,
    PLAIN,
    ROWS,
    TEXTS,
    Expected,
    import_and_check,
    table,
)

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
REPORT = "Kontoumsätze;DE89 3704 0044\nZeitraum;01.01.2024 - 31.01.2024\n"
BOOKINGS = "Buchungstag;Zweck;Betrag;Währung\n" + "\n".join(
    f"{n % 28 + 1:02}.01.2024;Miete {n};-1.{100 + n},00;EUR" for n in range(40)
)
MESSAGES = [
    {"id": n, "from": "Ada", "date": "2024-01-05T10:00:00", "text": text}
    for n, text in enumerate(TEXTS)
]
CONVERSATIONS = [
    {"id": str(n), "subject": text, "topic": label} for n, (text, label) in enumerate(PAIRS)
]
IDS = '"{""ImportId"":""QID1""}","{""ImportId"":""QID2""}","{""ImportId"":""QID3""}"\n'


def formatted(number_format, value=2139):
    def fill(book):
        for row in book.active.iter_rows(min_row=2):
            row[1].number_format = number_format

    return sheet(
        [("x", "v", "kind"), *((f"x{n}", value + n, "ab"[n % 2]) for n in range(40))], fill
    )


def filtered(book):
    book.active.auto_filter.ref = "A1:B37"
    for n in range(2, 14):
        book.active.row_dimensions[n].hidden = True


def hide(*columns):
    def change(book):
        for column in columns:
            book.active.column_dimensions[column].hidden = True

    return change


def dated(cells):
    return sheet(
        [("x", "v", "kind"), *((f"x{n}", cell, "ab"[n % 2]) for n, cell in enumerate(cells))]
    )


def moments(write):
    return three([f'"{write(n % 28 + 1, n)}"' for n in range(40)])


def in_march(day):
    return datetime.datetime(2024, 3, day)


def swapped(day, month):
    """3 April, typed day first where Excel takes the month first, is 4 March, and 25 April a text."""
    return datetime.datetime(2024, day, month) if day <= 12 else f"{day}/{month:02}/2024"


def titled_groups():
    def merge(book):
        book.active.merge_cells("B3:C3")
        book.active.merge_cells("A3:A4")

    names = [("Report of 2024",), (), ("Region", "2023", None, "2024"), (None, "Q1", "Q2", "Q1")]
    return sheet([*names, *((f"R{n}", n, n + 1, n + 2) for n in range(30))], merge)


GA4 = "# ----\n# Traffic\n#\n# Start date: 20240301\nSource,Users,Rate\n" + "\n".join(
    f"s{n},{n * 10},0.{n:04}" for n in range(40)
)
DATES, UTC = Expected(types={"v": "datetime"}, unasked=("v",)), "given in UTC"
KINDS: dict[str, tuple[str | bytes, str, Expected]] = {
    # Amounts.
    "notes in brackets": (three(cycle("(1)", "(2)", "(3)")), "t.csv", Expected(types={"v": "text"}, asked=("v",))),
    "losses beside gains": (three(cycle("(100)", "200", "(50)")), "t.csv", Expected(cells={"v": [-100, 200, -50]}, said="read as losses")),
    "items of a list": (three(cycle("1)", "2)", "3)")), "t.csv", Expected(cells={"v": ["1)", "2)", "3)"]})),
    "no cents": (semicolons(cycle("12,-", "13,-", "9,50")), "t.csv", Expected(types={"v": "text"})),
    "a minus behind": (semicolons(cycle("1.234,56-", "2.000,00", "12,50-")), "t.csv", Expected(cells={"v": [-1234.56, 2000.0, -12.5]})),
    "lakh": (three([f'"{one}"' for one in cycle("1,23,456.50", "12,34,567.00", "999.50")]), "t.csv", Expected(cells={"v": [123456.5, 1234567.0, 999.5]})),
    # Reports.
    "an account above its bookings": (REPORT + BOOKINGS, "t.csv", Expected(rows=40, types={"Buchungstag": "date", "Betrag": "number"}, cells={"Betrag": [-1100.0]})),
    "an account and a blank line": (REPORT + "\n" + BOOKINGS, "t.csv", Expected(rows=40, types={"Betrag": "number"})),
    "questions below names": ('Q1,Q2,Q3\n"How, on a scale?","Why?","Team"\n' + IDS + "\n".join(f'{n % 5 + 1},"{text}",{label}' for n, (text, label) in enumerate(PAIRS)), "t.csv",
                              Expected(rows=36, types={"Q1": "integer"}, labels=EVEN, said="How, on a scale?")),
    "R's tables": ('"text" "label"\n' + "\n".join(f'"{n}" "{text}" "{label}"' for n, (text, label) in enumerate(PAIRS, 1)), "t.txt", Expected(rows=36, labels=EVEN)),
    "R's tables without names of rows": ('"text" "score"\n' + "\n".join(f'"{text}" {n}.5' for n, text in enumerate(TEXTS)), "t.txt", Expected(rows=36, types={"score": "number"})),
    "marks inside cells": (table(labels=["\ufeff" * (n % 2) + one for n, one in enumerate(LABELS)]), "t.csv", PLAIN),
    "Arabic semicolons": (table([f"لم تصل الطلبية رقم {n}" for n in range(36)], [["شكوى", "مدح"][n % 2] for n in range(36)], "النص؛التصنيف", "؛", ""), "t.csv",
                          Expected(rows=36, labels={"شكوى": 18, "مدح": 18})),
    "tags of Stack Overflow": (table(labels=[["<python><pandas>", "<java>", "<python>"][n % 3] for n in range(36)]), "t.csv", Expected(labels={"python": 24, "pandas": 12, "java": 12})),
    # JSON.
    "messages of many people": (json.dumps({"name": "Chat", "messages": MESSAGES}), "t.json", Expected(rows=36, said="found in 'messages'")),
    "conversations of a help desk": (json.dumps({"type": "list", "conversations": CONVERSATIONS}), "t.json", Expected(rows=36, target="topic", labels=EVEN)),
    "one chat": (json.dumps({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}), "t.json", Expected(rows=1)),
    "lines out of a list": (lines(ROWS).replace("}\n", "},\n"), "t.jsonl", PLAIN),
    # Workbooks.
    "postcodes by their format": (formatted("00000"), "t.xlsx", Expected(types={"v": "text"}, cells={"v": ["02139"]})),
    "numbers of people by their format": (formatted("000\\-00\\-0000", 12345678), "t.xlsx", Expected(types={"v": "text"}, cells={"v": ["012-34-5678"]})),
    "amounts by their format": (formatted("#,##0.00"), "t.xlsx", Expected(types={"v": "integer"}, cells={"v": [2139]})),
    "rows that a filter hides": (sheet([("text", "label"), *PAIRS], filtered), "t.xlsx", Expected(rows=36, labels=EVEN, said="12 rows are hidden")),
    # No tables.
    "WhatsApp": ("\n".join(f"[05.01.24, 10:{n:02}:00] Ada: {text}" for n, text in enumerate(TEXTS)), "t.txt", Expected(refused="WhatsApp")),
    "WhatsApp in America": ("\n".join(f"1/5/24, 10:{n:02} AM - Ada: {text}, ok" for n, text in enumerate(TEXTS)), "t.txt", Expected(refused="WhatsApp")),
    "dates before colons": ("day,note\n" + "\n".join(f"05.01.2024,10:{n:02} - Ada said {n}: yes" for n in range(36)), "t.csv", Expected(rows=36)),
    "SubRip": ("\n".join(f"{n}\n00:00:{n:02},000 --> 00:00:{n:02},900\n{text}\n" for n, text in enumerate(TEXTS, 1)), "t.srt", Expected(refused="SubRip")),
    "WebVTT": ("WEBVTT\n\n" + "\n".join(f"00:{n:02}.000 --> 00:{n:02}.900\n{text}\n" for n, text in enumerate(TEXTS)), "t.vtt", Expected(refused="WebVTT")),
    "a mailbox": ("\n".join(f"From a@x.org Fri Jan  5 10:00:00 2024\nSubject: {n}\n\n{text}\n" for n, text in enumerate(TEXTS)), "t.mbox", Expected(refused="mbox")),
    "settings": ("\n".join(f"[part{n}]\nkey = value, {n}" for n in range(20)), "t.ini", Expected(refused="settings")),
    "tagged words": ("EU B-ORG\nrejects O\nGerman B-MISC\n\n" * 20, "t.txt", Expected(refused="CoNLL")),
    # Workbooks: what somebody hid, and what Excel took for dates.
    "a hidden column": (sheet([("text", "note", "label"), *((text, n, label) for n, (text, label) in enumerate(PAIRS))], hide("B")), "t.xlsx", Expected(rows=36, types={"note": "integer"}, said="note is hidden in the workbook")),
    "hidden columns further right": (sheet([(None, "text", "a", "b", "label"), *((None, text, n, n * 2, label) for n, (text, label) in enumerate(PAIRS))], hide("C", "D")), "t.xlsx", Expected(rows=36, said="a, b are hidden in the workbook")),
    "no hidden column": (sheet([("text", "label"), *PAIRS]), "t.xlsx", Expected(rows=36, unsaid="hidden")),
    "dates beside texts": (dated([in_march(n % 28 + 1) if n % 5 else f"{n % 28 + 1:02}/03/2024" for n in range(40)]), "t.xlsx", Expected(types={"v": "text"}, said="The column was read as text")),
    "days for months": (dated([swapped(n % 28 + 1, 3) for n in range(40)]), "t.xlsx", Expected(types={"v": "text"}, said="taken days for months")),
    "genes that are dates": (dated([in_march(1) if n % 9 == 0 else f"GENE{n}" for n in range(40)]), "t.xlsx", Expected(types={"v": "text"}, said="Excel makes dates of what looks like one")),
    "ranges that are dates": (dated([["6-10", "11-20", in_march(5)][n % 3] for n in range(40)]), "t.xlsx", Expected(said="Excel makes dates")),
    "a word for no date": (dated(["open" if n % 5 == 0 else in_march(n % 28 + 1) for n in range(40)]), "t.xlsx", Expected(unsaid="Excel makes dates")),
    "groups below a title": (titled_groups(), "t.xlsx", Expected(rows=30, types={"Region": "text", "2023 Q1": "integer", "2023 Q2": "integer", "2024 Q1": "integer"})),
    "Google Analytics": (GA4, "t.csv", Expected(rows=40, types={"Source": "text", "Users": "integer", "Rate": "number"})),
    # Moments of e-mail, Unix and places.
    "e-mail": (moments(lambda day, n: f"Fri, {day:02} Mar 2024 10:{n:02}:00 +0100"), "t.csv", Expected(types={"v": "datetime"}, cells={"v": ["2024-03-01T10:00:00"]})),
    "e-mail of many places": (moments(lambda day, n: f"Fri, {day} Mar 2024 10:{n:02}:00 {['+0100', '-0500'][n % 2]}"), "t.csv", Expected(cells={"v": ["2024-03-01T09:00:00", "2024-03-02T15:01:00"]}, said=UTC)),
    "Unix": (moments(lambda day, n: f"Fri Mar {day:2} 10:{n:02}:00 UTC 2024"), "t.csv", Expected(types={"v": "datetime"}, cells={"v": ["2024-03-01T10:00:00"]})),
    "Twitter": (moments(lambda day, n: f"Fri Mar {day:02} 10:{n:02}:00 +0000 2024"), "t.csv", DATES),
    "Unix of many places": (moments(lambda day, n: f"Fri Mar {day:02} 10:{n:02}:00 {['+0000', '+0100'][n % 2]} 2024"), "t.csv", Expected(cells={"v": ["2024-03-01T10:00:00", "2024-03-02T09:01:00"]}, said=UTC)),
    "a zone by its letters": (moments(lambda day, n: f"2024-03-{day:02} 10:{n:02}:00 EST"), "t.csv", Expected(types={"v": "datetime"}, cells={"v": ["2024-03-01T10:00:00"]}, said="without its zone (EST)")),
    "summer and winter": (moments(lambda day, n: f"3/{day}/2024 10:{n:02} {['PST', 'PDT'][n % 2]}"), "t.csv", Expected(types={"v": "datetime"}, said="without its zone (PDT, PST)")),
    "zones of two places": (moments(lambda day, n: f"2024-03-{day:02} 10:{n:02}:00 {['EST', 'CET'][n % 2]}"), "t.csv", Expected(types={"v": "text"}, said="several zones (CET, EST)")),
}  # fmt: skip
QUICK = (
    "a hidden column",
    "days for months",
    "e-mail of many places",
    "zones of two places",
    "notes in brackets",
    "an account above its bookings",
    "postcodes by their format",
    "one chat",
)


@pytest.mark.parametrize(
    "kind",
    [kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.nightly) for kind in KINDS],
)
def test_a_file_comes_out_right_or_asked_or_refused(kind, api, token, project):
    import_and_check(*KINDS[kind], api(token), project)
