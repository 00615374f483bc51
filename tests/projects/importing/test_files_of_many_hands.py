"""Files as offices, databases, labelling tools and other programs write them: right, or asked, or
refused. Through the real upload, as their neighbours are."""

# ruff: noqa: E501 - a table of cases, one to a line.

import csv
import datetime
import io
import json

import openpyxl
import pyarrow as pa
import pytest
from openpyxl.cell.rich_text import CellRichText, TextBlock
from openpyxl.cell.text import InlineFont
from openpyxl.utils.datetime import CALENDAR_MAC_1904

from tests.pictures import photos, zipped
from tests.projects.importing.test_further_kinds_of_files import book, parquet
from tests.projects.importing.test_kinds_of_files import (
    EVEN,
    LABELS,
    LISTS,
    PLAIN,
    ROWS,
    TEXTS,
    TWO,
    Expected,
    chats,
    import_and_check,
    lines,
    table,
    workbook,
)

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
PAIRS = list(zip(TEXTS, LABELS, strict=True))
DOUBLED = dict.fromkeys(EVEN, 24)
PHOTOS = photos(5)
COLOURS = {"red": 5, "green": 5, "blue": 5}
IMAGES = {f"images/{one}{n}.png": content for (one, n), content in PHOTOS.items()}
GARBAGE = bytes(range(256)) * 8


def three(cells, header="x,v,kind", separator=","):
    rows = (f"x{n}{separator}{cell}{separator}{'ab'[n % 2]}" for n, cell in enumerate(cells))
    return "\n".join([header, *rows])


def semicolons(cells):
    return three(cells, "x;v;kind", ";")


def cycle(*cells):
    return [cells[n % len(cells)] for n in range(40)]


def sheet(rows, change=lambda book: None):
    def fill(found):
        for row in rows:
            found.active.append(list(row))
        change(found)

    return book(fill)


def hide_lists(found, state="hidden"):
    lists = found.create_sheet("lists")
    for n in range(300):
        lists.append((f"name {n}", n, n * 2, n * 3))
    lists.sheet_state = state


def format_cells(found):
    formats = ["0.0%", '"$"#,##0.00', "dd/mm/yyyy"]
    for row in found.active.iter_rows(min_row=2):
        for cell, number_format in zip(row[1:4], formats, strict=True):
            cell.number_format = number_format


def write_bold(found):
    for row, text in zip(found.active.iter_rows(min_row=2), TEXTS, strict=True):
        row[0].value = CellRichText("very ", TextBlock(InlineFont(b=True), "urgent"), f" {text}")


def merge_years(found):
    for row in [("2023", None, "2024", None, "kind"), ("Q1", "Q2", "Q1", "Q2", None)]:
        found.active.append(row)
    for n in range(30):
        found.active.append((n, n + 1, n + 2, n + 3, "ab"[n % 2]))
    for cells in ("A1:B1", "C1:D1", "E1:E2"):
        found.active.merge_cells(cells)


def merge_cities(found):
    found.active.append(("city", "text", "label"))
    for n, pair in enumerate(PAIRS):
        found.active.append((f"c{n // 6}" if n % 6 == 0 else None, *pair))
    for n in range(6):
        found.active.merge_cells(f"A{2 + 6 * n}:A{7 + 6 * n}")


def of_a_mac():
    found = openpyxl.Workbook()
    found.epoch = CALENDAR_MAC_1904
    for row in [
        ("x", "day", "kind"),
        *((f"x{n}", datetime.date(2024, 1, 5), "ab"[n % 2]) for n in range(36)),
    ]:
        found.active.append(row)
    sink = io.BytesIO()
    found.save(sink)
    return sink.getvalue()


def chats_in_csv(write):
    sink = io.StringIO()
    writer = csv.writer(sink)
    writer.writerow(["id", "messages"])
    for n, chat in enumerate(chats({})):
        writer.writerow([n, write(chat["messages"])])
    return sink.getvalue()


def cvat(mark):
    images = "".join(
        f'<image id="{n}" name="{one}{n}.png"><{mark} label="{one}"/></image>' for one, n in PHOTOS
    )
    return zipped(
        IMAGES
        | {"annotations.xml": f'<?xml version="1.0"?><annotations>{images}</annotations>'.encode()}
    )


KINDS: dict[str, tuple[str | bytes, str, Expected]] = {
    # Codes and numbers.
    "Python 3.10": (three(cycle("3.8", "3.9", "3.10")), "t.csv", Expected(types={"v": "text"}, asked=("v",))),
    "versions by name": (three(cycle("3.10", "3.11", "3.12"), "x,python_version,kind"), "t.csv", Expected(asked=("python_version",))),
    "prices": (three(cycle("3.10", "3.25", "4.00")), "t.csv", Expected(types={"v": "number"})),
    "ids as Excel shows them": (three(cycle("4.11111E+15", "4.22222E+15")), "t.csv", Expected(said="last digits are lost")),
    "dashes for none": (three(["—" if n % 4 == 0 else n * 1.5 for n in range(40)]), "t.csv", Expected(types={"v": "text"}, asked=("v",))),
    "Chinese words for none": (three(["暂无" if n % 5 == 0 else n + 100 for n in range(40)]), "t.csv", Expected(asked=("v",))),
    "German words for none": (semicolons(["k.A." if n % 6 == 0 else f"{n},5" for n in range(40)]), "t.csv", Expected(asked=("v",))),
    "infinite": (three(["Inf"] * 6 + ["1.5"] * 34), "t.csv", Expected(types={"v": "text"}, asked=("v",))),
    "Euro before": (semicolons(["EUR 1.234,56"] * 40), "t.csv", Expected(cells={"v": [1234.56]})),
    "Złoty behind": (semicolons(["1 234,56 zł"] * 40), "t.csv", Expected(cells={"v": [1234.56]})),
    "Reais": (semicolons(["R$ 1.234,56"] * 40), "t.csv", Expected(cells={"v": [1234.56]})),
    "Swiss": (semicolons([f"{n + 1}’234.50" for n in range(40)]), "t.csv", Expected(cells={"v": [1234.5]})),
    "millions": (semicolons([f"1.{200 + n}.567" for n in range(40)]), "t.csv", Expected(cells={"v": [1200567]})),
    "narrow blanks": (semicolons([f"{n + 1}\u2009{234 + n}\u2009567" for n in range(40)]), "t.csv", Expected(cells={"v": [1234567]})),
    "losses in brackets": (three(cycle('"(1,234.00)"', '"2,000.00"')), "t.csv", Expected(cells={"v": [-1234.0, 2000.0]})),
    "ten thousands": (three([f"{n + 1}.5万" for n in range(40)]), "t.csv", Expected(asked=("v",))),
    "hexadecimal": (three(cycle("0x1F", "0x2A")), "t.csv", Expected(cells={"v": ["0x1F"]})),
    "underscores": (three(cycle("1_000", "2_000")), "t.csv", Expected(cells={"v": ["1_000"]})),
    "points alone": (three(cycle("1.", ".5", "2.25")), "t.csv", Expected(cells={"v": [1.0, 0.5, 2.25]})),
    # Moments.
    "one offset": (three([f"2024-01-05T10:{n:02}:00+08:00" for n in range(40)]), "t.csv", Expected(cells={"v": ["2024-01-05T10:00:00"]})),
    "different offsets": (three([f"2024-01-05T10:{n:02}:00+0{n % 2 + 1}:00" for n in range(40)]), "t.csv",
                          Expected(cells={"v": ["2024-01-05T09:00:00", "2024-01-05T08:01:00"]}, said="given in UTC")),
    "moments of a zone": (parquet(x=TEXTS, v=pa.array([datetime.datetime(2024, 1, 5, 2, n) for n in range(36)], pa.timestamp("us", tz="Asia/Shanghai"))), "t.parquet",
                          Expected(cells={"v": ["2024-01-05T02:00:00"]})),
    "parts of a microsecond": (parquet(x=TEXTS, v=pa.array(range(10**18, 10**18 + 36), pa.timestamp("ns"))), "t.parquet", Expected(types={"v": "text"}, said="millionth")),
    # Dialects.
    "comments above": ("# exported 2024\n# source: crm, team a\n" + table(), "t.csv", PLAIN),
    "names of numpy": ("# a,b,kind\n" + "\n".join(f"{n}.5,{n * 2}.25,{n % 2}" for n in range(40)), "t.csv", Expected(rows=40)),
    "hashtags": ("text,label\n" + "\n".join(f"#tag {text},{label}" for text, label in PAIRS), "t.csv", PLAIN),
    "a hash for a name": ("#,text,label\n" + "\n".join(f"{n},{text},{label}" for n, (text, label) in enumerate(PAIRS)), "t.csv", Expected(rows=36, labels=EVEN)),
    "a hint of Excel": ("\ufeffsep=;\r\n" + table(separator=";", header="text;label"), "t.csv", PLAIN),
    "a note of SQL Server": (table(separator="\t", header="text\tlabel") + "\n\n(36 rows affected)\n", "t.csv", Expected(rows=36, labels=EVEN, rejected=1)),
    "a row of units": ("time,speed,kind\ns,m/s,\n" + "\n".join(f"{n}.5,{n * 2}.25,{'ab'[n % 2]}" for n in range(40)), "t.csv", Expected(asked=("time", "speed"))),
    "the header again, with blanks": (table() + "\n text , label \n" + table(header=""), "t.csv", Expected(rows=72, labels=DOUBLED, rejected=1)),
    "two separators": ("text;label\n" + "\n".join(f"{text}{';,'[n % 2]}{label}" for n, (text, label) in enumerate(PAIRS)), "t.csv", Expected(rejected=18)),
    "backslashes before quotes": ("text,label\n" + "\n".join(f'"he said \\"hi, {n}\\" to me",{label}' for n, label in enumerate(LABELS)), "t.csv",
                                  Expected(labels=EVEN, cells={"text": ['he said "hi, 0" to me']})),
    "backslashes before commas": ("text,label\n" + "\n".join(f"hello\\, world {n},{label}" for n, label in enumerate(LABELS)), "t.csv",
                                  Expected(labels=EVEN, cells={"text": ["hello, world 0"]})),
    "backslashes of Windows": ("path,label\n" + "\n".join(f"C:\\new\\{n}\\,{label}" for n, label in enumerate(LABELS)), "t.csv", Expected(cells={"path": ["C:\\new\\0\\"]})),
    "none of MySQL": ("text\tlabel\tage\n" + "\n".join(f"{text}\t{label}\t{n if n % 3 else chr(92) + 'N'}" for n, (text, label) in enumerate(PAIRS)), "t.tsv",
                      Expected(labels=EVEN, types={"age": "integer"})),
    "curly quotes": ("“text”,“label”\n" + "\n".join(f"“{text}, x”,“{label}”" for text, label in PAIRS), "t.csv", Expected(rows=36, labels=EVEN)),
    "separators at the end": ("text,label\n" + "\n".join(f"{text},{label}," for text, label in PAIRS), "t.csv", Expected(rows=36, labels=EVEN)),
    "an end of DOS": (table() + "\r\n\x1a", "t.csv", Expected(rows=36, labels=EVEN)),
    "converted twice": (table([f"Ihr Paket für Köln {n} wäre schön".encode().decode("cp1252") for n in range(36)]), "t.csv", Expected(rows=36, said="twice")),
    "two tables": (table() + "\n\nKunde,Ort\n" + "\n".join(f"k{n},Ulm" for n in range(20)), "t.csv", Expected(said="Another table")),
    # Files of other programs.
    "YAML": ("nlu:\n- intent: greet\n  examples: |\n    - hello, you\n    - hey, there\n", "nlu.yml", Expected(refused="YAML")),
    "SQL": ("CREATE TABLE t (a text, b text);\nINSERT INTO t VALUES ('a','b'),('c','d');\n", "d.txt", Expected(refused="SQL")),
    "ARFF": ("% Weka\n@relation w\n@attribute o {a, b}\n@data\n" + "\n".join("a,1" for _ in range(40)), "w.arff", Expected(refused="ARFF")),
    "LIBSVM": ("\n".join(f"{[-1, 1][n % 2]} 1:{n}.5 3:{n * 2}.25" for n in range(40)), "w.txt", Expected(refused="LIBSVM")),
    "a pickle": (b"\x80\x04\x95\x10\0\0\0\0\0\0\0}\x94\x8c\x01a\x94K\x01s.", "d.csv", Expected(refused="pickle")),
    "numpy": (b"\x93NUMPY\x01\0" + GARBAGE, "d.npy", Expected(refused="numpy")),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + GARBAGE, "d.h5", Expected(refused="HDF5")),
    "SPSS": (b"$FL2@(#) SPSS DATA FILE" + GARBAGE, "d.sav", Expected(refused="SPSS")),
    "Stata": (b"<stata_dta><header>" + GARBAGE, "d.dta", Expected(refused="Stata")),
    "Avro": (b"Obj\x01" + GARBAGE, "d.avro", Expected(refused="Avro")),
    "ORC": (b"ORC" + GARBAGE, "d.orc", Expected(refused="ORC")),
    "a column called ORC": (table(header="ORC,label"), "t.csv", Expected(rows=36, labels=EVEN)),
    # JSON.
    "records by name": (json.dumps({f"id{n}x": row for n, row in enumerate(ROWS)}), "t.json", Expected(rows=36, labels=EVEN, cells={"key": ["id0x"]})),
    "lists, one a line": ("\n".join(json.dumps(row) for row in [["text", "label"], *map(list, PAIRS)]), "t.jsonl", Expected(rows=36, labels=EVEN)),
    "Elasticsearch": (lines({"_index": "a", "_id": str(n), "_source": row} for n, row in enumerate(ROWS)), "t.jsonl", Expected(target="_source.label", labels=EVEN)),
    "GeoJSON": (json.dumps({"type": "FeatureCollection", "features": [{"type": "Feature", "properties": row} for row in ROWS]}), "t.geojson", Expected(rows=36, target="properties.label")),
    "places of doccano": (lines({"text": text, "label": [[0, 5, "PER"], [6, 9, "ORG"]]} for text in TEXTS), "t.jsonl", Expected(untrainable="mark places")),
    "places of Label Studio": (lines({"text": text, "label": [{"start": 0, "end": 3, "labels": [["PER", "ORG"][n % 2]]}]} for n, text in enumerate(TEXTS)), "t.jsonl",
                               Expected(untrainable="mark places")),
    "labels of doccano": (lines({"text": text, "label": [label]} for text, label in PAIRS), "t.jsonl", Expected(target="label", labels=EVEN)),
    "Rasa": (json.dumps({"rasa_nlu_data": {"common_examples": [{"text": text, "intent": label} for text, label in PAIRS]}}), "t.json", Expected(target="intent", labels=EVEN)),
    "a numeral of no float": ("\n".join(f'{{"x": "x{n}", "v": {"1.5e400" if n == 3 else n + 0.5}, "kind": "{"ab"[n % 2]}"}}' for n in range(36)), "t.jsonl",
                              Expected(types={"v": "text"}, said="more digits")),
    # Chats.
    "chats of pandas": (chats_in_csv(str), "t.csv", Expected(rows=24, task="text-generation")),
    "chats in CSV": (chats_in_csv(json.dumps), "t.csv", Expected(rows=24, task="text-generation")),
    "calls of LLaMA-Factory": (json.dumps([{"conversations": [{"from": one, "value": f"{one} {n}"} for one in ("human", "function_call", "observation", "gpt")]} for n in range(24)]),
                               "t.json", Expected(untrainable="function_call")),
    "a weight in quotes": (lines(chats({"weight": "0"})), "t.jsonl", Expected(untrainable="weight")),
    # Workbooks.
    "a hidden sheet": (sheet([("text", "label"), *PAIRS], hide_lists), "t.xlsx", Expected(rows=36, labels=EVEN, said="'lists'")),
    "a very hidden sheet": (sheet([("text", "label"), *PAIRS], lambda found: hide_lists(found, "veryHidden")), "t.xlsx", Expected(rows=36, labels=EVEN)),
    "formats of cells": (sheet([("x", "share", "price", "day"), *((f"x{n}", 0.125, 1234.5 + n, 45000 + n) for n in range(36))], format_cells), "t.xlsx",
                         Expected(types={"day": "date"}, cells={"share": [0.125], "price": [1234.5], "day": ["2023-03-15"]})),
    "the calendar of 1904": (of_a_mac(), "t.xlsx", Expected(cells={"day": ["2024-01-05"]})),
    "bold words": (sheet([("text", "label"), *PAIRS], write_bold), "t.xlsx", Expected(cells={"text": [f"very urgent {TEXTS[0]}"]})),
    "a note below": (sheet([("text", "label"), *PAIRS, (), ("Source: CRM export",)]), "t.xlsx", Expected(rows=36, labels=EVEN, rejected=1)),
    "tables one below the other": (sheet([("text", "label"), *PAIRS, (), ("Kunde", "Ort"), *((f"k{n}", "Ulm") for n in range(20))]), "t.xlsx", Expected(said="Another table")),
    "years over quarters": (book(merge_years), "t.xlsx", Expected(rows=30, types={"2023 Q1": "integer", "2024 Q2": "integer"})),
    "cities over rows": (book(merge_cities), "t.xlsx", Expected(rows=36, cells={"city": ["c0"] * 6 + ["c1"]})),
    "a table in the middle": (sheet([(), (), (None, None, "text", "label"), *((None, None, *pair) for pair in PAIRS)]), "t.xlsx", PLAIN),
    "errors": (workbook([("x", "v", "kind"), *((f"x{n}", "#N/A" if n % 9 == 0 else n * 1.5, "ab"[n % 2]) for n in range(36))]), "t.xlsx", Expected(rows=36, said="#N/A")),
    # Parquet.
    "structures": (parquet(ticket=[{"body": text, "label": label} for text, label in PAIRS]), "t.parquet", Expected(target="ticket.label", labels=EVEN)),
    "numbers of 32 bits": (parquet(text=TEXTS, v=pa.array([0.1] * 36, pa.float32())), "t.parquet", Expected(cells={"v": [0.1]})),
    "infinite numbers": (parquet(x=TEXTS, v=[float("inf") if n == 3 else float(n) for n in range(36)]), "t.parquet", Expected(said="infinite")),
    "lists in Parquet": (parquet(text=TEXTS, tags=[TWO[n % 3] for n in range(36)]), "t.parquet", Expected(target="tags", labels=LISTS)),
    "chats in Parquet": (parquet(messages=[chat["messages"] for chat in chats({})]), "t.parquet", Expected(rows=24, task="text-generation")),
    # Archives.
    "tags of CVAT": (cvat("tag"), "c.zip", Expected(rows=15, labels=COLOURS)),
    "boxes of CVAT": (cvat("box"), "c.zip", Expected(rows=15, labels=COLOURS)),
}  # fmt: skip
# Each starts a process; the others come in the long run.
QUICK = ("Python 3.10", "backslashes before commas", "places of doccano", "a hidden sheet")


@pytest.mark.parametrize(
    "kind",
    [kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.nightly) for kind in KINDS],
)
def test_a_file_of_another_hand_comes_out_right_or_asked_or_refused(kind, api, token, project):
    import_and_check(*KINDS[kind], api(token), project)
