"""Files of every kind that people have, from the HTTP upload through the import's own process to
the profile: right, or asked, or refused. Nothing here is read by a reader alone."""

# ruff: noqa: E501 - a table of cases, one to a line.

import io
import json
from dataclasses import dataclass, field

import openpyxl
import pyarrow as pa
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from projects.importing import imports
from projects.models import DatasetVersion
from tests.pictures import photos, zipped

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
TOPICS = ["delivery", "payment", "account"]
TEXTS = [f"a question about my {TOPICS[n % 3]} with the number {n} please" for n in range(36)]
LABELS = [TOPICS[n % 3] for n in range(36)]
EVEN = dict.fromkeys(TOPICS, 12)
ROWS = [{"text": text, "label": label} for text, label in zip(TEXTS, LABELS, strict=True)]


@dataclass(frozen=True)
class Expected:
    """What the API must say once the import has ended; None and empty are not looked at."""

    rows: int | None = None
    types: dict[str, str] = field(default_factory=dict)
    task: str = ""
    target: str | list[str] = ""
    labels: dict[str, int] = field(default_factory=dict)
    asked: tuple[str, ...] = ()
    unasked: tuple[str, ...] = ()
    issue: str = ""
    refused: str = ""  # Of the import as a whole.
    untrainable: str = ""  # Of a training with the suggested columns.
    encoding: str = ""
    cells: dict[str, list[object]] = field(default_factory=dict)  # Of the first rows.
    rejected: int | None = None
    said: str = ""  # By an issue, a finding or what training would warn of.
    unsaid: str = ""


def table(texts=TEXTS, labels=LABELS, header="text,label", separator=",", quote='"'):
    lines = [header] if header else []
    lines += [
        f"{quote}{text}{quote}{separator}{label}" for text, label in zip(texts, labels, strict=True)
    ]
    return "\n".join(lines)


def numbers(cells, header="size;rooms;price", separator=";"):
    rows = (f"{20 + n}{separator}{n % 5}{separator}{cell}" for n, cell in enumerate(cells))
    return "\n".join([header, *rows])


def lines(rows):
    return "\n".join(map(json.dumps, rows))


def workbook(rows):
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(list(row))
    sink = io.BytesIO()
    book.save(sink)
    return sink.getvalue()


def arrow():
    table = pa.table({"text": TEXTS, "label": pa.array(LABELS).dictionary_encode()})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def chats(*answers, role="assistant", ask="user"):
    return [
        {"messages": [{"role": ask, "content": f"question {n}"},
                      *({"role": role, "content": f"answer {n}"} | one for one in answers)]}
        for n in range(24)
    ]  # fmt: skip


PLAIN = Expected(rows=36, task="text-classification", target="label", labels=EVEN)
TWO = [["delivery", "payment"], ["payment"], ["account", "delivery"]]
LISTS = {"delivery": 24, "payment": 24, "account": 12}
ACCENTED = [f"café number {n}, “Größe” – naïve" for n in range(36)]
KINDS: dict[str, tuple[str | bytes, str, Expected]] = {
    # Encodings and line ends.
    "UTF-8": (table(), "t.csv", PLAIN),
    "UTF-8 with a mark": (table().encode("utf-8-sig"), "t.csv", PLAIN),
    "UTF-16": (table().encode("utf-16"), "t.txt", PLAIN),
    "Windows": (table(ACCENTED).encode("cp1252"), "t.csv", Expected(rows=36, encoding="cp1252")),
    "Mac": (table(ACCENTED).encode("mac_roman"), "t.csv", Expected(rows=36, encoding="mac_roman")),
    "Chinese": (table([f"我的订单第{n}号还没有到，请帮我看看" for n in range(36)]).encode("gb18030"), "t.csv",
                Expected(rows=36, encoding="gb18030", labels=EVEN)),
    "Japanese": (table([f"注文番号{n}がまだ届いていません" for n in range(36)]).encode("cp932"), "t.csv",
                 Expected(rows=36, encoding="cp932", labels=EVEN)),
    "old Mac lines": (table().replace("\n", "\r"), "t.csv", PLAIN),
    "separators of lines in cells": (table([f"a\u2028b\x0b{t}" for t in TEXTS]), "t.csv", PLAIN),
    # Numbers, codes, dates.
    "decimal commas": (numbers([f"{n}.300,00" for n in range(100, 140)]), "t.csv",
                       Expected(types={"price": "number"}, task="tabular-regression")),
    "thousands": (numbers([f'"{n},500"' for n in range(1, 41)], "a,b,price", ","), "t.csv",
                  Expected(types={"price": "integer"}, target="price")),
    "leading zeros": (table(labels=[["007", "012", "120"][n % 3] for n in range(36)]), "t.csv",
                      Expected(labels={"007": 12, "012": 12, "120": 12})),
    "versions": (table(labels=[["3.1", "3.10", "3.9"][n % 3] for n in range(36)]), "t.csv",
                 Expected(labels={"3.1": 12, "3.10": 12, "3.9": 12}, asked=("label",))),
    "none among digits": (table(labels=[["1", "2", "none"][n % 3] for n in range(36)]), "t.csv",
                          Expected(labels={"1": 12, "2": 12, "none": 12}, asked=("label",))),
    "NA as a label": (table(labels=[["NA", "EU", "null"][n % 3] for n in range(36)]), "t.csv",
                      Expected(labels={"NA": 12, "EU": 12, "null": 12})),
    "German dates": ("text;day\n" + "\n".join(f"visit {n};{n % 28 + 1:02}.01.2024" for n in range(40)),
                     "t.csv", Expected(types={"day": "date"})),
    "dates without a day above 12": (
        "text,day\n" + "\n".join(f"visit {n},0{n % 9 + 1}/0{n % 7 + 1}/2024" for n in range(40)),
        "t.csv", Expected(asked=("day",))),
    # Headers.
    "no header": (table(header=""), "t.csv", Expected(rows=36, labels=EVEN)),
    "years as names": ("country,kind,2019,2020\n" + "\n".join(f"C{n},{'ab'[n % 2]},{n},{n * 2}" for n in range(40)),
                       "t.csv", Expected(rows=40, types={"2019": "integer"})),
    "many labels without a header": (
        table([f"how do I reset my thing number {n} please" for n in range(144)],
              [f"reset_{n % 36}" for n in range(144)], header=""),
        "t.csv", Expected(rows=144)),
    "survey items": ("who,1,2,3,happy\n" + "\n".join(f"R{n},{n % 5},3,{n % 4},{'yn'[n % 2]}" for n in range(40)),
                     "t.csv", Expected(rows=40, asked=("",))),
    # Labels.
    "booleans": (lines({"text": t, "label": n % 2 == 0} for n, t in enumerate(TEXTS)), "t.jsonl",
                 Expected(labels={"true": 18, "false": 18})),
    "blanks around labels": (table(labels=[f" {one} " for one in LABELS]), "t.csv", PLAIN),
    "lists of JSON": (lines({"text": t, "tags": TWO[n % 3]} for n, t in enumerate(TEXTS)), "t.jsonl",
                      Expected(target="tags", labels=LISTS)),
    "lists of Python": (table(labels=[f'"{TWO[n % 3]}"' for n in range(36)], header="text,tags"), "t.csv",
                        Expected(target="tags", labels=LISTS)),
    "columns of marks": ("text,late,rude\n" + "\n".join(f"{t},{n % 2},{int(n % 3 == 0)}" for n, t in enumerate(TEXTS)),
                         "t.csv", Expected(target=["late", "rude"], labels={"late": 18, "rude": 12})),
    "one label": (table(labels=["only"] * 36), "t.csv", Expected(untrainable="same label, 'only'")),
    "four rows": (table(TEXTS[:4], LABELS[:4]), "t.csv", Expected(rows=4, untrainable="Only 4 rows")),
    "a split of its own": ("text,label,split\n" + "\n".join(
        f"{t},{one},{['train', 'train', 'test'][n // 3 % 3]}" for n, (t, one) in enumerate(zip(TEXTS, LABELS, strict=True))),
        "t.csv", PLAIN),
    # JSON.
    "wrapped": (json.dumps({"version": 1, "data": ROWS}), "t.json", PLAIN),
    "columns of pandas": (json.dumps({"text": TEXTS, "label": LABELS}), "t.json", PLAIN),
    "broken lines": (lines(ROWS) + '\n{"text": "cut', "t.jsonl", Expected(rows=36, labels=EVEN)),
    "nested": (lines({"ticket": {"body": t}, "label": one} for t, one in zip(TEXTS, LABELS, strict=True)),
               "t.jsonl", Expected(rows=36, target="label", labels=EVEN)),
    "Label Studio": (json.dumps([
        {"id": n, "data": {"text": t}, "annotations": [{"result": [
            {"from_name": "topic", "to_name": "text", "type": "choices", "value": {"choices": [LABELS[n]]}}]}]}
        for n, t in enumerate(TEXTS)]), "t.json", Expected(rows=36, target="topic", labels=EVEN)),
    # Chats.
    "messages": (lines(chats({})), "t.jsonl", Expected(rows=24, task="text-generation")),
    "ShareGPT": (json.dumps([[{"from": "human", "value": f"q {n}"}, {"from": "gpt", "value": "a"}] for n in range(24)]),
                 "t.json", Expected(rows=24, task="text-generation")),
    "bots": (lines(chats({}, role="bot", ask="human")), "t.jsonl", Expected(task="text-generation")),
    "weights": (lines(chats({"weight": 0}, {"weight": 1})), "t.jsonl", Expected(task="text-generation")),
    "nothing to learn": (lines(chats({"weight": 0})), "t.jsonl", Expected(untrainable="the weight 0")),
    "a weight of a half": (lines(chats({"weight": 0.5})), "t.jsonl", Expected(untrainable="weight 0.5")),
    "tools": (lines(chats({"tool_calls": [{"id": "x"}]})), "t.jsonl", Expected(untrainable="calls a tool")),
    "pictures in chats": (lines(chats({"content": [{"type": "image_url"}]})), "t.jsonl",
                          Expected(untrainable="'image_url'")),
    "Alpaca": (json.dumps([{"instruction": f"do {n}", "input": "", "output": "done", "system": "Be brief."}
                           for n in range(24)]), "t.json", Expected(task="text-generation", target="output")),
    "preferences": (lines({"prompt": f"p {n}", "chosen": f"good {n}", "rejected": f"bad {n}"} for n in range(24)),
                    "t.jsonl", Expected(task="text-generation", target="chosen")),
    # Other containers.
    "Excel": (workbook([("text", "label"), *zip(TEXTS, LABELS, strict=True)]), "t.xlsx", PLAIN),
    "Excel under another name": (workbook([("text", "label"), *zip(TEXTS, LABELS, strict=True)]), "t.csv", PLAIN),
    "picture folders": (zipped({f"{one}/{n}.png": c for (one, n), c in photos(5).items()}), "p.zip",
                        Expected(rows=15, task="image-classification", labels={"red": 5, "green": 5, "blue": 5})),
    "a table of pictures": (zipped(
        {f"images/{one}{n}.png": c for (one, n), c in photos(5).items()}
        | {"labels.csv": "\n".join(["image_id,label", *(f"{one}{n},{one}" for one, n in photos(5))]).encode()}),
        "p.zip", Expected(rows=15, labels={"red": 5, "green": 5, "blue": 5})),
    "pictures without labels": (zipped(
        {f"images/{n}.png": c for n, c in enumerate(photos(5).values())} | {"labels.csv": b"x,y\na,b\nc,d\n"}),
        "p.zip", Expected(refused="names the pictures")),
    "Arrow": (arrow(), "t.arrow", PLAIN),
    "a single value": ("3", "t.json", Expected(refused="single value")),
    "a program": (b"\x7fELF" + b"\0" * 2000, "t.csv", Expected(refused="program")),
    "nothing but a header": ("a,b\n", "t.csv", Expected(refused="no rows")),
}  # fmt: skip


# One of each family; all the others in the long run. Each starts a process.
QUICK = (
    "UTF-16", "Mac", "Excel under another name", "decimal commas", "dates without a day above 12",
    "wrapped", "Arrow", "messages", "a weight of a half", "tools",
)  # fmt: skip


@pytest.mark.parametrize(
    "kind",
    [kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.nightly) for kind in KINDS],
)
def test_a_file_comes_out_right_or_asked_or_refused(kind, api, token, project):
    import_and_check(*KINDS[kind], api(token), project)


def import_and_check(content, name, expected, client, project):
    """Upload, import with the real child process, and compare what the API then says."""
    content = content.encode() if isinstance(content, str) else content
    body = {"project": str(project.pk), "file": SimpleUploadedFile(name, content)}
    accepted = client.post("/api/v1/datasets", body, format="multipart")
    assert accepted.status_code == 202
    imports.import_version(accepted.json()["version_id"])  # With its real child process.
    found = client.get(f"/api/v1/datasets/{accepted.json()['id']}").json()
    if expected.refused:
        assert found["status"] == "failed"
        assert expected.refused in found["failure"]["sentence"]
        return
    assert found["status"] == "ready", found["failure"]
    check_table(found, expected)
    check_cells(client, found["id"], expected)
    check_profile(found["profile"], expected)
    assert DatasetVersion.objects.get().rows == found["rows"]


def check_table(found, expected):
    said = " ".join(issue["sentence"] for issue in found["issues"])
    assert expected.said in said + str(found["profile"])
    assert not expected.unsaid or expected.unsaid not in said + str(found["profile"]["warnings"])
    if expected.rows is not None:
        assert found["rows"] == expected.rows
    if expected.rejected is not None:
        assert found["rejected_rows"] == expected.rejected
    types = {column["name"]: column["type"] for column in found["columns"]}
    assert {name: types[name] for name in expected.types} == expected.types
    if expected.encoding:
        assert found["dialect"]["encoding"] == expected.encoding


def check_cells(client, dataset_id, expected):
    if not expected.cells:
        return
    rows = client.get(f"/api/v1/datasets/{dataset_id}/rows").json()["data"]
    for column, cells in expected.cells.items():
        assert [row["values"][column] for row in rows[: len(cells)]] == cells


def check_profile(profile, expected):
    suggested = profile["suggested"]
    if expected.task:
        assert suggested["task"] == expected.task
    if expected.target:
        assert (suggested["target_column"] or suggested.get("target_columns")) == expected.target
    if expected.labels:
        shown = {entry["label"]: entry["count"] for entry in profile["class_balance"]}
        assert shown == expected.labels
    asked = {question["column"] for question in profile.get("questions", [])}
    assert set(expected.asked) <= asked
    assert not set(expected.unasked) & asked
    refusal = (profile.get("inspection") or {"result": {"refusal": None}})["result"]["refusal"]
    if expected.untrainable:
        assert expected.untrainable in refusal["sentence"]
    elif expected.labels or expected.task:
        assert refusal is None
