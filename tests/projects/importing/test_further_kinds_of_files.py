"""Files of the kinds that people have, in other locales, orders, names and sizes than elsewhere:
right, or asked, or refused. Through the real upload, as their neighbours are."""

# ruff: noqa: E501 - a table of cases, one to a line.

import io
import json
import zipfile
from decimal import Decimal

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.pictures import photos, zipped
from tests.projects.importing.test_kinds_of_files import (
    EVEN,
    LABELS,
    PLAIN,
    ROWS,
    TEXTS,
    Expected,
    chats,
    import_and_check,
    lines,
    table,
    workbook,
)

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
CHINESE = [{"文本": f"第{n}条投诉说明文字很长", "标签": ["物流", "退款"][n % 2]} for n in range(36)]
HALVES = {"物流": 18, "退款": 18}
COMBINED = [["物流", "退款"], ["退款"], ["账号", "物流"]]
SEVERAL = Expected(labels={"物流": 24, "退款": 24, "账号": 12})
CHATS = Expected(task="text-generation")
ROUNDED = ["1.250", "950", "12.300", "2.400"]


def rows(header, cell, separator=","):
    return "\n".join(
        [header, *(f"x{n}{separator}{cell(n)}{separator}{'ab'[n % 2]}" for n in range(40))]
    )


def labelled(notation):
    cells = [notation(COMBINED[n % 3]).replace('"', '""') for n in range(36)]
    return "文本,标签\n" + "\n".join(
        f'第{n}条投诉说明文字,"{cell}"' for n, cell in enumerate(cells)
    )


def parquet(**columns):
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def book(fill):
    found = openpyxl.Workbook()
    fill(found)
    sink = io.BytesIO()
    found.save(sink)
    return sink.getvalue()


def two_titled_sheets(found):
    for row in [("ACME GmbH",), ("text", "label"), *zip(TEXTS, LABELS, strict=True)]:
        found.active.append(row)
    for row in [("ACME GmbH",), ("Kunde", "Ort"), *[(f"k{n}", "Ulm") for n in range(20)]]:
        found.create_sheet("B").append(row) if "B" not in found.sheetnames else found["B"].append(
            row
        )


def train_and_test_sheets(found):
    found.active.title = "train"
    test = found.create_sheet("test")
    for sheet in (found.active, test):
        sheet.append(("text", "label"))
    for n, row in enumerate(zip(TEXTS, LABELS, strict=True)):
        (test if n > 26 else found.active).append(row)


def two_level_header(found):
    found.active.append(("Umsatz", None, "Ziel", None))
    found.active.append(("alt", "neu", "alt", "neu"))
    for n in range(30):
        found.active.append((n, n + 1, n + 2, n % 3))
    found.active.merge_cells("A1:B1")
    found.active.merge_cells("C1:D1")


def names_of_windows(files, encoding):
    """A zip whose names are in an encoding of old Windows, without the mark of UTF-8."""
    raw = [name.encode(encoding) for name in files]
    stand_ins = [f"{n:0{len(name)}d}" for n, name in enumerate(raw)]
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for stand_in, content in zip(stand_ins, files.values(), strict=True):
            archive.writestr(zipfile.ZipInfo(stand_in), content)
    packed = sink.getvalue()
    for stand_in, name in zip(stand_ins, raw, strict=True):
        packed = packed.replace(stand_in.encode(), name)
    return packed


PHOTOS = photos(5)
MESSAGE = {"role": "user", "content": "q"}
KINDS: dict[str, tuple[str | bytes, str, Expected]] = {
    # Numbers, codes and dates.
    "rounded thousands beside tabs": (rows("Ort\tMiete\tArt", lambda n: ROUNDED[n % 4], "\t"), "t.tsv", Expected(asked=("Miete",))),
    "rounded thousands beside commas": (rows("Ort,Miete,Art", lambda n: ROUNDED[n % 4]), "t.csv", Expected(asked=("Miete",))),
    "three decimals or thousands": (rows("Ort;kg;Art", lambda n: ["1,250", "950"][n % 2], ";"), "t.csv", Expected(asked=("kg",))),
    "three decimals of programs": (rows("p,lat,kind", lambda n: f"{48 + n / 100:.3f}"), "t.csv", Expected(types={"lat": "number"})),
    "lakhs": (rows("city,price,kind", lambda n: f'"₹{n % 9 + 1},{n:02},000"'), "t.csv", Expected(types={"price": "integer"})),
    "narrow blanks": (rows("ville;prix;type", lambda n: f"{n + 10}\u202f500,50 €", ";"), "t.csv", Expected(types={"prix": "number"})),
    "telephone numbers in groups": (rows("imię,telefon,grupa", lambda n: f"60{n % 10} {100 + n} {200 + n}"), "t.csv", Expected(asked=("telefon",))),
    "addresses of the internet": (rows("x;ip;kind", lambda n: f"192.168.{100 + n}.{200 + n}", ";"), "t.csv", Expected(asked=("ip",))),
    "a unit behind every number": (rows("x,面积,kind", lambda n: f"{n + 60}.5㎡"), "t.csv", Expected(asked=("面积",))),
    "several units": (rows("x,weight,kind", lambda n: f"{n} {['kg', 'g'][n % 2]}"), "t.csv", Expected(types={"weight": "text"})),
    "codes as formulas": (rows("x,zip,kind", lambda n: f'="{n:05}"'), "t.csv", Expected(types={"zip": "text"}, said="were read as 007")),
    "dates and a word": (rows("x,day,kind", lambda n: "none" if n == 7 else f"2024-03-{n % 28 + 1:02}"), "t.csv", Expected(asked=("day",))),
    "a total below": (rows("Monat;Umsatz;Art", str, ";") + "\nGesamt;780;", "t.csv", Expected(said="sums up")),
    "a Chinese total below": (rows("月份,销售额,类", str) + "\n合计,780,", "t.csv", Expected(said="sums up")),
    # Dialects and headers.
    "carets": (table(separator="^", header="text^label", quote=""), "t.csv", PLAIN),
    "Hive": (table(separator="\x01", header="text\x01label", quote=""), "t.csv", PLAIN),
    "full-width commas": (table(separator="，", header="text，label", quote=""), "t.csv", PLAIN),
    "prose with full-width commas": ("文本\n" + "\n".join(f"第{n}条，投诉说明，请处理" for n in range(36)), "t.csv", Expected(rows=36, types={"文本": "text"})),
    "MovieLens": (table(separator="::", header="text::label", quote=""), "t.dat", PLAIN),
    "double bars": (table(separator="||", header="text||label", quote=""), "t.txt", PLAIN),
    "colons": (table(separator=":", header="text:label", quote=""), "t.txt", Expected(said="Only one column")),
    "row names of R": ('"text","label"\n' + "\n".join(f'"{n}","{t}","{LABELS[n]}"' for n, t in enumerate(TEXTS)), "t.csv", PLAIN),
    "joined files": (table() + "\n\ufeff" + table(), "t.csv", Expected(rows=72, labels=dict.fromkeys(EVEN, 24), said="repeats the header")),
    "a table of Markdown": ("| text | label |\n|---|---|\n" + "\n".join(f"| {t} | {LABELS[n]} |" for n, t in enumerate(TEXTS)), "t.txt",
                            Expected(rows=36, labels=EVEN)),
    "months as names": (rows("store,01,02", str).replace("\n", "\n", 1), "t.csv", Expected(rows=40)),
    "a name that is a label": (table(labels=[["ja", "nein"][n % 2] for n in range(36)], header="t,ja"), "t.csv", Expected(asked=("",))),
    "fastText": ("\n".join(f"__label__{LABELS[n]} {t}" for n, t in enumerate(TEXTS)), "t.txt", PLAIN),
    "a web page": ("<html><body><table><tr><td>a</td></tr></table></body></html>", "t.xls", Expected(refused="HTML")),
    "XML": ('<?xml version="1.0"?>\n<rows><row>a, b</row></rows>', "t.xml", Expected(refused="XML")),
    "RTF": ("{\\rtf1\\ansi a, b\\par\n}", "t.csv", Expected(refused="RTF")),
    # Encodings of JSON, too.
    "Chinese lines of JSON": ("\n".join(json.dumps(row, ensure_ascii=False) for row in CHINESE).encode("gb18030"), "t.jsonl", Expected(labels=HALVES)),
    "a Chinese document of JSON": (json.dumps(CHINESE, ensure_ascii=False).encode("gbk"), "t.json", Expected(labels=HALVES)),
    "UTF-16 lines of JSON": ("\n".join(json.dumps(row, ensure_ascii=False) for row in CHINESE).encode("utf-16"), "t.jsonl", Expected(labels=HALVES)),
    "Polish": (table([f"zażółć gęślą jaźń numer {n}" for n in range(36)]).encode("cp1250"), "t.csv", Expected(encoding="cp1250")),
    "Greek": (table([f"πότε θα έρθει το δέμα μου {n}" for n in range(36)]).encode("cp1253"), "t.csv", Expected(encoding="cp1253")),
    # JSON.
    "a field twice": ("\n".join(f'{{"text": "a {t}", "label": "{LABELS[n]}", "text": "{t}"}}' for n, t in enumerate(TEXTS)), "t.jsonl",
                      Expected(labels=EVEN, said="twice")),
    "no numbers": ("\n".join(f'{{"x": NaN, "n": {n}, "label": "{LABELS[n]}"}}' for n in range(36)), "t.jsonl", Expected(said="no numbers")),
    "large integers beside fractions": (lines({"id": 2**53 + n if n % 2 else n + 0.5, "label": LABELS[n]} for n in range(36)), "t.jsonl",
                                        Expected(types={"id": "text"})),
    "rows of cells without names": (json.dumps([[row["text"], row["label"]] for row in ROWS]), "t.json", Expected(rows=36)),
    "annotators who disagree": (json.dumps([
        {"data": {"text": t}, "annotations": [
            {"result": [{"from_name": "topic", "type": "choices", "value": {"choices": [one]}}]} for one in (LABELS[n], "account")]}
        for n, t in enumerate(TEXTS)]), "t.json", Expected(labels=EVEN, said="disagree")),
    "lines of Label Studio": (lines(
        {"data": {"text": t}, "annotations": [{"result": [{"from_name": "topic", "type": "choices", "value": {"choices": [LABELS[n]]}}]}]}
        for n, t in enumerate(TEXTS)), "t.jsonl", Expected(target="topic", labels=EVEN)),
    # Labels.
    **{f"labels between {mark!r}": (labelled(mark.join), "t.csv", SEVERAL) for mark in ("、", "，", "；", "｜", "<br>", " + ", " & ")},
    "arrays of PostgreSQL": (labelled(lambda labels: "{" + ",".join(labels) + "}"), "t.csv", SEVERAL),
    "vectors of R": (labelled(lambda labels: "c(" + ", ".join(f'"{one}"' for one in labels) + ")"), "t.csv", SEVERAL),
    "tags of Weibo": (labelled(lambda labels: "".join(f"#{one}#" for one in labels)), "t.csv", SEVERAL),
    "words in quotes": (labelled(lambda labels: ", ".join(f'"{one}"' for one in labels)), "t.csv", SEVERAL),
    "tags of a kind unknown": (labelled(lambda labels: "".join(f"<l>{one}</l>" for one in labels)), "t.csv", Expected(said="notation")),
    "columns of yes in Chinese": ("内容,物流,退款\n" + "\n".join(f"第{n}条投诉说明文字,{'是否'[n % 2]},{'是否'[n % 3 > 0]}" for n in range(36)), "t.csv",
                                  Expected(target=["物流", "退款"])),
    "columns of yes in German": ("text;spät;teuer\n" + "\n".join(f"{t};{['ja', 'nein'][n % 2]};{['ja', 'nein'][n % 3 > 0]}" for n, t in enumerate(TEXTS)), "t.csv",
                                 Expected(target=["spät", "teuer"])),
    "labels that look alike": (table(labels=["good\u200b" if n % 9 == 0 else ["good", "bad"][n % 2] for n in range(36)]), "t.csv", Expected(said="look alike")),
    # Chats.
    "answers not to be learnt": (lines(chats({"train": False})), "t.jsonl", Expected(untrainable="the weight 0")),
    "thoughts beside answers": (lines(chats({"reasoning_content": "hm"})), "t.jsonl", Expected(task="text-generation", said="reasoning_content")),
    "Gemini": (lines({"contents": [{"role": "user", "parts": [{"text": f"q {n}"}]}, {"role": "model", "parts": [{"text": "a"}]}]} for n in range(24)), "t.jsonl", CHATS),
    "parts without text": (lines(chats({"content": [{"inline_data": "x"}]})), "t.jsonl", Expected(untrainable="part without text")),
    "chats under a Chinese name": (lines({"对话": row["messages"]} for row in chats({})), "t.jsonl", CHATS),
    "ChatML": (lines({"text": f"<|im_start|>user\nq {n}<|im_end|>\n<|im_start|>assistant\na<|im_end|>"} for n in range(24)), "t.jsonl", CHATS),
    "examples of KTO": (lines({"prompt": f"q {n}", "completion": "a", "label": n % 2 == 0} for n in range(24)), "t.jsonl",
                        Expected(task="text-generation", said="which answers are good")),
    "answers with a rating": (lines({"prompt": f"q {n}", "response": f"a {n}", "rating": n % 5} for n in range(24)), "t.jsonl",
                              Expected(task="text-generation", said="columns rating")),
    "a row for each turn": ("会话,角色,内容\n" + "\n".join(f"{n // 2},{['用户', '客服'][n % 2]},第{n}句话" for n in range(40)), "t.csv", Expected(said="one turn of a chat")),
    # Workbooks and Parquet.
    "sheets of one title": (book(two_titled_sheets), "t.xlsx", Expected(rows=36, labels=EVEN, said="'B'")),
    "sheets called train and test": (book(train_and_test_sheets), "t.xlsx", Expected(rows=36, labels=EVEN, said="sheet says which rows")),
    "groups of the same names": (book(two_level_header), "t.xlsx", Expected(rows=30, types={"Umsatz alt": "integer", "Ziel neu": "integer"})),
    "rows of zeros": (workbook([("a", "kind"), *[(0, None)] * 3, *[(n, "xy"[n % 2]) for n in range(30)]]), "t.xlsx", Expected(rows=33)),
    "long decimals": (parquet(id=pa.array([Decimal(12345678901234567890 + n) for n in range(36)], pa.decimal128(20, 0)), label=LABELS), "t.parquet",
                      Expected(types={"id": "text"})),
    "text without a type": (parquet(text=[f"größe {t}".encode() for t in TEXTS], label=LABELS), "t.parquet", PLAIN),
    "pictures in Parquet": (parquet(image=[{"bytes": b"\x89PNG", "path": "a.png"}] * 36, label=LABELS), "t.parquet", Expected(refused="pictures")),
    "an index of pandas": (parquet(text=TEXTS, label=LABELS, __index_level_0__=list(range(0, 72, 2))), "t.parquet", PLAIN),
    # Archives.
    "Chinese folders of Windows": (names_of_windows({f"{'红绿'[n % 2]}色/第{n:04}张照片.png": c for n, c in enumerate(PHOTOS.values())}, "gbk"), "p.zip",
                                   Expected(labels={"红色": 8, "绿色": 7})),
    "Japanese folders of Windows": (names_of_windows({f"{['ネコ', 'イヌ'][n % 2]}/写真{n:05}ファイル.png": c for n, c in enumerate(PHOTOS.values())}, "cp932"), "p.zip",
                                    Expected(labels={"ネコ": 8, "イヌ": 7})),
    "a workbook of labels": (zipped({f"p/{one}{n}.png": c for (one, n), c in PHOTOS.items()}
                                    | {"labels.xlsx": workbook([("file", "label"), *((f"{one}{n}.png", one) for one, n in PHOTOS)])}), "p.zip",
                             Expected(labels={"red": 5, "green": 5, "blue": 5})),
    "boxes of YOLO": (zipped({f"images/{one}{n}.png": c for (one, n), c in PHOTOS.items()}
                             | {f"labels/{one}{n}.txt": b"0 0.5 0.5 0.1 0.1" for one, n in PHOTOS}), "p.zip", Expected(refused="no other file is a table")),
    "slides": (zipped({"ppt/presentation.xml": b"<x/>"} | {f"ppt/media/{one}{n}.png": c for (one, n), c in PHOTOS.items()}), "p.pptx", Expected(refused="PowerPoint")),
}  # fmt: skip
# Each starts a process; the others come in the long run.
QUICK = (
    "rounded thousands beside tabs",
    "joined files",
    "Chinese lines of JSON",
    "answers not to be learnt",
)


@pytest.mark.parametrize(
    "kind",
    [kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.nightly) for kind in KINDS],
)
def test_a_further_file_comes_out_right_or_asked_or_refused(kind, api, token, project):
    import_and_check(*KINDS[kind], api(token), project)
