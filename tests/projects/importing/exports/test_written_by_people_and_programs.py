"""Numbers as people write them, times as programs count them, chats as models are taught them, and
what labelling tools and messengers export: right, or asked, or refused. Through the real upload."""

# ruff: noqa: E501 - a table of cases, one to a line.

import json

import pytest

from tests.pictures import photos, zipped
from tests.projects.importing.test_kinds_of_files import (
    EVEN,
    LABELS,
    TEXTS,
    Expected,
    import_and_check,
    lines,
    workbook,
)

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


def measured(cell, name="value", separator=","):
    """A table of 36 rows whose second column is written in some way."""
    rows = (f"s{n}{separator}{cell(n)}{separator}{LABELS[n]}" for n in range(36))
    return "\n".join([separator.join(["sample", name, "kind"]), *rows])


def one_of(*cells):
    return lambda n: cells[n % len(cells)]


def taught(turn):
    return lines({"text": turn(n)} for n in range(36))


def day(channel, number):
    messages = [
        {
            "type": "message",
            "user": f"U{n % 3}",
            "text": TEXTS[(number * 5 + n) % 36],
            "ts": f"17{number:02}{n:04}.01",
        }
        for n in range(5)
    ]
    messages[number % 5]["reactions"] = [{"name": "+1", "count": 2}]
    return {f"{channel}/2024-01-{number:02}.json": json.dumps(messages).encode()}


def slack():
    days = {}
    for number in range(1, 9):
        days |= day("general", number) | day("support", number)
    return zipped(days | {"users.json": b'[{"id": "U1", "name": "a"}]', "channels.json": b"[]"})


def pictures_with(name, content):
    files = {f"images/{n}.jpg": one for n, one in enumerate(photos(24, ("red",), "JPEG").values())}
    return zipped(files | {name: content.encode()})


def coco():
    images = [{"id": n, "file_name": f"{n}.jpg"} for n in range(24)]
    boxes = [
        {"id": n, "image_id": n, "category_id": n % 2, "bbox": [1, 2, 9, 9]} for n in range(24)
    ]
    names = [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}]
    return json.dumps({"images": images, "annotations": boxes, "categories": names})


def argilla(*others):
    """Two annotators, of whom the second differs in every fourth record."""
    return lines(
        {"id": str(n), "fields": {"text": text}, "suggestions": {}, "responses": {"label": [
            {"value": LABELS[n], "user_id": "a", "status": "submitted"},
            {"value": LABELS[n - (n % 4 == 0)], "user_id": "b", "status": "submitted"}, *(
                {"value": LABELS[n], "user_id": "c", "status": other} for other in others)]}}
        for n, text in enumerate(TEXTS)
    )  # fmt: skip


def labelbox(n):
    answer = {"name": "topic", "radio_answer": {"name": LABELS[n]}}
    label = {"annotations": {"objects": [], "classifications": [answer]}}
    return {
        "data_row": {"id": f"x{n}", "row_data": TEXTS[n]},
        "projects": {"p": {"name": "P", "labels": [label]}},
    }


def span(n):
    value = {"start": 0, "end": 9, "text": "a", "labels": [["PER", "ORG"][n % 2]]}
    return {"id": n, "data": {"text": TEXTS[n]}, "annotations": [{"result": [
        {"from_name": "label", "to_name": "text", "type": "labels", "value": value}]}]}  # fmt: skip


def splits(*names):
    cells = [[text, label] for text, label in zip(TEXTS, LABELS, strict=True)]
    size = 36 // len(names)
    return json.dumps({name: cells[n * size : (n + 1) * size] for n, name in enumerate(names)})


ASKED = Expected(types={"value": "text"}, asked=("value",))
SIDE_BY_SIDE = [
    ["name", "score", None, "city", "pop"],
    *([f"n{n}", n * 3 % 17, None, f"c{n}", n] for n in range(30)),
]
CHAT = Expected(rows=36, task="text-generation")
TIMES = Expected(types={"created_at": "integer"}, asked=("created_at",))
KINDS: dict[str, tuple[str | bytes, str, Expected]] = {
    # Numbers in short, with a word behind each.
    "views": (measured(one_of("1.5M views", "2.3k views", "950 views")), "t.csv", ASKED),
    "million views": (measured(one_of("1.5 million views", "2 thousand views", "320 views")), "t.csv", ASKED),
    "billions of euros": (measured(one_of("€1.2bn", "€3.4m", "€950k")), "t.csv", ASKED),
    "euros behind": (measured(one_of("1.2bn euros", "3.4m euros", "950k euros")), "t.csv", ASKED),
    "Chinese views": (measured(one_of("1.5万次观看", "2300次观看", "3万次观看")), "t.csv", ASKED),
    "capital in yuan": (measured(lambda n: f"{n + 1}00万元人民币"), "t.csv", ASKED),
    "followers in German": (measured(one_of("1,5 Mio. Follower", "950 Follower", "2,3 Tsd. Follower"), separator=";"), "t.csv", ASKED),
    "models of cars": (measured(one_of("5M sport", "3k city", "xk sport")), "t.csv", Expected(types={"value": "text"}, unasked=("value",))),
    # Fractions.
    "inches": (measured(one_of("1/2", "3 1/4", "1-3/8", "2")), "t.csv", ASKED),
    "cups": (measured(one_of("½", "1½", "2 ¼", "2")), "t.csv", ASKED),
    "scores": (measured(lambda n: f"{n} / 100"), "t.csv", ASKED),
    "either or": (measured(one_of("a/b", "c/d", "1/b")), "t.csv", Expected(types={"value": "text"}, unasked=("value",))),
    # Limits.
    "what cannot be measured": (measured(one_of("<0.5", "1.2", "3.4", ">100", "45.1", "0.9", "≥ 3")), "t.csv", ASKED),
    "limits with decimal commas": (measured(lambda n: "<0,5" if n % 5 == 0 else f"{n},3", separator=";"), "t.csv", ASKED),
    "installs": (measured(one_of('"1,000+"', '"10,000+"', '"5,000,000+"')), "t.csv", ASKED),
    "groups of age": (measured(one_of("<18", "18-25", "26-40", ">40")), "t.csv", Expected(types={"value": "text"}, unasked=("value",))),
    # Times as programs count them.
    "days of a spreadsheet": (measured(lambda n: 44927 + n, "Order Date"), "t.csv", Expected(types={"Order Date": "integer"}, asked=("Order Date",))),
    "days with hours": (measured(lambda n: f"{44927 + n}.{n % 3 * 25 + 25}", "Datum"), "t.csv", Expected(types={"Datum": "number"}, asked=("Datum",))),
    "days beside dates": (measured(lambda n: 44927 + n if n % 2 else f"{n % 28 + 1:02}.01.2024", "date"), "t.csv", Expected(types={"date": "text"}, asked=("date",))),
    "days in a workbook": (workbook([["date", "n"], *([44927 + n, n] for n in range(36))]), "t.xlsx", Expected(types={"date": "integer"}, asked=("date",))),
    "numbers of orders": (measured(lambda n: 44927 + n, "order"), "t.csv", Expected(types={"order": "integer"}, unasked=("order",))),
    "updates": (measured(lambda n: 44927 + n, "update"), "t.csv", Expected(unasked=("update",))),
    "seconds": (measured(lambda n: 1704067200 + n * 3600, "created_at"), "t.csv", TIMES),
    "thousandths": (lines({"created_at": 1704067200000 + n, "text": text, "label": LABELS[n]} for n, text in enumerate(TEXTS)), "t.jsonl", TIMES),
    "months": (measured(lambda n: f"2024{n % 12 + 1:02}", "month"), "t.csv", Expected(types={"month": "integer"}, asked=("month",))),
    "telephones": (measured(lambda n: 1704067200 + n, "phone"), "t.csv", Expected(unasked=("phone",))),
    # Two tables on one sheet.
    "side by side": (workbook(SIDE_BY_SIDE), "t.xlsx", Expected(rows=30, said="An empty column stands between score and city")),
    "side by side in CSV": ("\n".join(",".join("" if cell is None else str(cell) for cell in row) for row in SIDE_BY_SIDE), "t.csv",
                            Expected(said="perhaps two tables stand side by side")),
    "empty columns at the end": (measured(lambda n: f"{n},,", "value,,"), "t.csv", Expected(unsaid="side by side")),
    # Chats in the templates of models; the first answers stand far behind.
    "Llama 3": (taught(lambda n: f"<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nYou help.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n{TEXTS[n] * 4}<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nanswer {n}<|eot_id|>"), "t.jsonl", CHAT),
    "Gemma": (taught(lambda n: f"<start_of_turn>user\n{TEXTS[n] * 4}<end_of_turn>\n<start_of_turn>model\nanswer {n}<end_of_turn>\n"), "t.jsonl", CHAT),
    "Mistral": (taught(lambda n: f"<s>[INST] {TEXTS[n] * 4} [/INST] answer {n}</s>"), "t.jsonl", CHAT),
    "Zephyr": (taught(lambda n: f"<|system|>\nYou help.</s>\n<|user|>\n{TEXTS[n]}</s>\n<|assistant|>\nanswer {n}</s>"), "t.jsonl", CHAT),
    "Guanaco": (taught(lambda n: f"### Human: {TEXTS[n]}### Assistant: answer {n}"), "t.jsonl", CHAT),
    "Vicuna": (taught(lambda n: f"USER: {TEXTS[n]} ASSISTANT: answer {n}</s>"), "t.jsonl", CHAT),
    "Alpaca": ("text\n" + "\n".join(f'"### Instruction:\n{text}\n\n### Response:\nanswer {n}"' for n, text in enumerate(TEXTS)), "t.csv", CHAT),
    "notes with a colon": (taught(lambda n: f"User: {TEXTS[n]}\nDevice: phone {n}"), "t.jsonl", Expected(rows=36, types={"text": "text"})),
    # Splits whose rows are lists, as in CLINC.
    "lists of pairs": (splits("train", "val", "test"), "data_full.json", Expected(rows=36, target="column_2", labels=EVEN, said="were joined")),
    "lists of pairs out of scope": (splits("oos_train", "train", "oos_val", "val"), "data_full.json", Expected(rows=36, target="column_2", labels=EVEN)),
    "lists of columns": (json.dumps({"text": TEXTS, "label": LABELS}), "t.json", Expected(rows=36, target="label", labels=EVEN)),
    # Exports of messengers and labelling tools.
    "Slack": (slack(), "Team export.zip", Expected(rows=80, rejected=0, types={"channel": "text", "text": "text"}, said="Messages of 16 days were joined")),
    "two annotators of Argilla": (argilla(), "t.jsonl", Expected(rows=27, rejected=9, target="label", said="Annotators disagree about 'label'")),
    "three annotators of Argilla": (argilla("submitted"), "t.jsonl", Expected(rows=36, rejected=0, target="label", labels=EVEN)),
    "a draft of Argilla": (argilla("draft"), "t.jsonl", Expected(rows=27, rejected=9)),
    "classes of Labelbox": (lines(map(labelbox, range(36))), "t.ndjson", Expected(rows=36, target="topic", labels=EVEN)),
    "spans of Label Studio": (json.dumps(list(map(span, range(36)))), "t.json", Expected(rows=36, untrainable="mark places in a text")),
    # Boxes in pictures.
    "boxes of COCO": (pictures_with("annotations.json", coco()), "t.zip", Expected(rows=24, task="image-classification", said="annotations.json marks places in the pictures")),
    "boxes in a table": (pictures_with("train.csv", "\n".join(["filename,width,class,xmin,ymin,xmax,ymax", *(f"{n}.jpg,48,{'ab'[n % 2]},1,2,10,12" for n in range(24))])), "t.zip",
                         Expected(rows=24, said="train.csv marks places in the pictures")),
    "whole pictures": (pictures_with("train.csv", "\n".join(["filename,class", *(f"{n}.jpg,{'ab'[n % 2]}" for n in range(24))])), "t.zip", Expected(rows=24, unsaid="marks places")),
    # Words that programs write for nothing.
    "nan as a label": (measured(lambda n: f"{n},{'nan' if n % 4 == 0 else 'xyz'[n % 3]}", "n,label"), "t.csv", Expected(said="9 cells of label hold 'nan'")),
    "none as a label": (measured(lambda n: f"{n},{'None' if n % 4 == 0 else 'xyz'[n % 3]}", "n,label"), "t.csv", Expected(unsaid="which programs write")),
}  # fmt: skip
# Each starts a process; the others come in the long run.
QUICK = (
    "views",
    "what cannot be measured",
    "days in a workbook",
    "Llama 3",
    "Slack",
    "boxes of COCO",
)


@pytest.mark.parametrize(
    "kind",
    [kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.nightly) for kind in KINDS],
)
def test_such_a_file_comes_out_right_or_asked_or_refused(kind, api, token, project):
    import_and_check(*KINDS[kind], api(token), project)
