"""Exports of accounting, forms, trackers, forums and labelling tools, and numbers as people shorten
them: right, or asked, or refused. Through the real upload, as their neighbours are."""

# ruff: noqa: E501 - a table of cases, one to a line.

import copy
import datetime
import json

import pytest

from tests.projects.importing.test_files_of_many_hands import cycle, lines, semicolons, three
from tests.projects.importing.test_further_kinds_of_files import parquet
from tests.projects.importing.test_kinds_of_files import (
    EVEN,
    LABELS,
    LISTS,
    TEXTS,
    TWO,
    Expected,
    import_and_check,
    table,
)

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
ASKED, TEXT = (
    Expected(types={"v": "text"}, asked=("v",)),
    Expected(types={"v": "text"}, unasked=("v",)),
)
EXTF = '"EXTF";700;21;"Buchungsstapel";12;20240110120000000;;"RE";"Kim";"";1001;10001;20240101;4\n'
BOOKED = "Umsatz;Soll/Haben-Kennzeichen;Konto;Belegdatum\n" + "\n".join(
    f'{n + 1}234,50;"{"SH"[n % 2]}";{8400 + n % 3};{n % 28 + 1:02}01' for n in range(40)
)
LEDGER = "Acme Inc.,,,\nTransactions by date,,,\n,,,\nDate,Type,Name,Amount\n" + "\n".join(
    f'{n % 12 + 1:02}/{n % 28 + 1:02}/2024,{["Invoice", "Payment"][n % 2]},Customer {n},"1,{200 + n}.50"'
    for n in range(40)
)
BOXES = "#,What should we improve?,Website,Mobile app,Stars\n" + "\n".join(
    f"a{n}x,Please mend part {n},{'Website' if n % 2 else ''},{'Mobile app' if n % 3 else ''},{n % 5 + 1}"
    for n in range(40)
)
LEVELS = ",price,price,qty\n,mean,std,sum\ncity,,,\n" + "\n".join(
    f"c{n},{n}.5,0.{n + 1},{n * 3}" for n in range(30)
)
PRINTED = f"{'':4}{'word':>12}  {'label':>10}  score\n" + "\n".join(
    f"{n:<4}{'word' + str(n):>12}  {label:>10}  {n / 4:.2f}" for n, label in enumerate(LABELS)
)
MAIL = "Delivered-To: a@mail.example\nFrom: Bob <b@mail.example>\nSubject: Hello, there\nDate: Fri, 5 Jan 2024\n\nHello,\n\nbye.\n"
LOG = "\n".join(
    f'10.0.0.{n} - - [05/Jan/2024:10:{n:02}:00 +0000] "GET /p/{n} HTTP/1.1" 200 {n} "-" "M (X11, x)"'
    for n in range(40)
)
BRAT = "\n".join(
    f"T{n}\tORG {n * 10} {n * 10 + 5}\tSiemens\nR{n}\tworks Arg1:T{n} Arg2:T{n + 1}"
    for n in range(1, 20)
)
SQUAD = {"version": "1.1", "data": [{"title": f"City {n}", "paragraphs": [{"context": f"City {n} has {n + 2} rivers.", "qas": [
    {"id": f"{n}a", "question": f"What has city {n}?", "answers": [{"text": "rivers", "answer_start": 11}]},
    {"id": f"{n}b", "question": f"How many rivers has city {n}?", "answers": [{"text": f"{n + 2}", "answer_start": 11}, {"text": f"{n + 2} rivers", "answer_start": 11}]}]}]}
    for n in range(15)]}  # fmt: skip
SQUAD_2 = copy.deepcopy(SQUAD) | {"version": "v2.0"}
for article in SQUAD_2["data"]:
    article["paragraphs"][0]["qas"].append(
        {
            "id": article["title"],
            "question": f"Who founded {article['title']}?",
            "is_impossible": True,
            "answers": [],
            "plausible_answers": [{"text": "rivers"}],
        }
    )
PASSAGES = [passage for article in SQUAD["data"] for passage in article["paragraphs"]]
TELEGRAM = {"name": "Ann", "type": "personal_chat", "messages": [
    {"id": n, "type": "message", "date": f"2024-01-05T10:{n:02}:00", "date_unixtime": str(1704448800 + n), "from": "Ann",
     "text": text if n else ["see ", {"type": "link", "text": "https://x.example"}, " and call"], "text_entities": [{"type": "plain", "text": text}]}
    for n, text in enumerate(TEXTS)]}  # fmt: skip
MESSENGER = {"participants": [{"name": "Ann"}, {"name": "Bob"}], "messages": [
    {"sender_name": "Ann", "timestamp_ms": n, "content": f"Caf\u00c3\u00a9 {n}, d\u00e2\u0080\u0099accord"} for n in range(36)]}  # fmt: skip
STORE = {"feed": {"author": {"name": {"label": "x"}}, "link": [{"attributes": {"rel": "self"}}, {"attributes": {"rel": "next"}}], "entry": [
    {"im:rating": {"label": str(n % 5 + 1)}, "title": {"label": f"title {n}"}, "content": {"label": text, "attributes": {"type": "text"}}} for n, text in enumerate(TEXTS)]}}  # fmt: skip
JIRA = {"total": 36, "issues": [{"key": f"A-{n}", "fields": {
    "issuetype": {"name": ["Bug", "Story", "Task"][n % 3]}, "status": {"name": ["Done", "Open"][n % 2]}, "description": text, "summary": f"{LABELS[n]} broken {n}"}}
    for n, text in enumerate(TEXTS)]}  # fmt: skip
TALK = "\n".join(
    f"{['Customer', 'Agent'][n % 2]}: hello number {n}, how are you" for n in range(40)
)
PROGRAM = "\n".join(
    f"2024-01-05 10:00:{n:02},123 {['INFO', 'ERROR'][n % 2]} app: no file {n}, again"
    for n in range(40)
)
BIBTEX = "".join(
    f"@article{{key{n},\n  author = {{Lee, Ann}},\n  year = {{2024}}\n}}\n" for n in range(20)
)
QUARTERS = "Region,2023,,2024,\n,Q1,Q2,Q1,Q2\n" + "\n".join(
    f"R{n},{n},{n + 1},{n + 2},{n + 3}" for n in range(30)
)
DPO = lines(
    {
        "prompt": [{"role": "user", "content": f"q {n}"}],
        "chosen": [{"role": "assistant", "content": f"good {n}"}],
        "rejected": [{"role": "assistant", "content": "bad"}],
    }
    for n in range(24)
)
PAIRS = "qid1,qid2,question1,question2,is_duplicate\n" + "\n".join(
    f"{2 * n + 1},{2 * n + 2},How do I learn {n}?,What is the way to learn {n}?,{n * 7 % 3 % 2}"
    for n in range(60)
)


def in_quotes(text):
    return "\n".join('"' + line.replace('"', '""') + '"' for line in text.split("\n"))


SPANS = lines(
    {
        "text": text,
        "spans": [{"start": 0, "end": 5, "label": "ORG"}],
        "answer": "accept",
        "_input_hash": n,
    }
    for n, text in enumerate(TEXTS)
)


def days(of_row):
    return parquet(x=TEXTS, v=[datetime.date(*of_row(n)) for n in range(36)])


KINDS: dict[str, tuple[str | bytes, str, Expected]] = {
    # Numbers in short.
    "K and M": (three(cycle("1.5K", "3M", "950", "2.1B")), "t.csv", ASKED),
    "small letters": (three(cycle("1.5k", "3m", "2.1b")), "t.csv", ASKED),
    "dollars in short": (three(cycle("$1.5M", "$300K", "-")), "t.csv", ASKED),
    "Mio. and Mrd.": (semicolons(cycle("1,2 Mio. €", "3 Mrd. €", "850 Tsd. €")), "t.csv", ASKED),
    "Mio. throughout": (semicolons(cycle("1,2 Mio.", "3,5 Mio.")), "t.csv", ASKED),
    "万 and 亿": (three(cycle("1.5万", "3亿", "8000")), "t.csv", ASKED),
    "lakhs and crores": (three(cycle("1.15 Cr", "72 Lac", "45 Lac")), "t.csv", ASKED),
    "sizes of apps": (three([*cycle("19M", "8.7M", "201k"), *["Varies with device"] * 6]), "t.csv", ASKED),
    "sizes of clothes": (three(cycle("5M", "XL", "10M")), "t.csv", TEXT),
    "flats": (three(cycle("2B", "3A", "2C")), "t.csv", TEXT),
    "terms": (three(cycle("T1M", "T3M", "T12M")), "t.csv", TEXT),
    "sums with debits": (three([f'"{n + 1},200.50 {"CR" if n % 2 else "DR"}"' for n in range(40)]), "t.csv", ASKED),
    "payments to a card": (three([f"{n + 100}.50{' CR' if n % 3 == 0 else ''}" for n in range(40)]), "t.csv", ASKED),
    "Soll and Haben": (semicolons([f"{n + 100},50 {'SH'[n % 2]}" for n in range(40)]), "t.csv", ASKED),
    "rupiah": (semicolons([f"Rp. {n + 1}.234.567" for n in range(40)]), "t.csv", Expected(types={"v": "integer"}, cells={"v": [1234567]})),
    "dollars of Taiwan": (three([f'"NT${n + 1},234"' for n in range(40)]), "t.csv", Expected(cells={"v": [1234]})),
    "kroner": (semicolons([f"{n + 1}.345,50 kr." for n in range(40)]), "t.csv", Expected(cells={"v": [1345.5]})),
    "hours and seconds": (three([f"{n + 1} {'s' if n % 3 else 'h'}" for n in range(40)]), "t.csv", TEXT),
    "losses behind a currency": (three(cycle('"$(1,234.00)"', '"$2,000.00"', '"$ (5.00)"')), "t.csv", Expected(cells={"v": [-1234.0, 2000.0, -5.0]})),
    "lengths of videos": (three(cycle("4:13", "1:02:33", "0:45")), "t.csv", ASKED),
    "times of day": (three([f"{n % 24:02}:{n:02}" for n in range(40)]), "t.csv", ASKED),
    "spans of pandas": (three([f"0 days 00:{n:02}:33" for n in range(40)]), "t.csv", ASKED),
    "ratios": (three(cycle("16:90", "4:75")), "t.csv", TEXT),
    "errors of a spreadsheet": (three(["#DIV/0!" if n % 9 == 0 else n + 0.5 for n in range(40)]), "t.csv", Expected(types={"v": "number"}, cells={"v": [None, 1.5]}, said="#DIV/0!")),
    # Dates.
    "a blank before the offset": (three([f"2024-01-05 10:{n:02}:00 +0100" for n in range(40)]), "t.csv", Expected(cells={"v": ["2024-01-05T10:00:00"]})),
    "different offsets behind a blank": (three([f"2024-01-05 10:{n:02}:00 +0{n % 2 + 1}00" for n in range(40)]), "t.csv", Expected(cells={"v": ["2024-01-05T09:00:00", "2024-01-05T08:01:00"]})),
    "Buddhist years in Parquet": (days(lambda n: (2567, 1, n % 28 + 1)), "t.parquet", ASKED),
    "one Buddhist year in Parquet": (days(lambda n: (2567 if n == 4 else 2024, 1, n % 28 + 1)), "t.parquet", Expected(types={"v": "date"}, said="counted as in Thailand")),
    "no dates in Parquet": (days(lambda n: (1, 1, 1) if n == 3 else (9999, 12, 31) if n % 9 == 0 else (2024, 1, n % 28 + 1)), "t.parquet", Expected(types={"v": "date"}, said="where there is no date")),
    "no dates": (three([f"{'0001-01-01' if n % 9 == 0 else f'2024-01-{n % 28 + 1:02}'}" for n in range(40)]), "t.csv", Expected(said="5 cells of v hold days such as 0001-01-01")),
    "the ninth century": (three([f"0{800 + n}-01-05" for n in range(40)]), "t.csv", Expected(types={"v": "date"}, unsaid="where there is no date")),
    "the first second": (three([f"{'1970-01-01' if n % 9 == 0 else f'2024-01-{n % 28 + 1:02}'}" for n in range(40)]), "t.csv", Expected(said="5 cells of v hold days such as 1970-01-01")),
    "birthdays": (three([f"{1950 + n}-01-01" for n in range(40)]), "t.csv", Expected(types={"v": "date"}, unsaid="where there is no date")),
    # Questions about passages.
    "SQuAD": (json.dumps(SQUAD), "train.json", Expected(rows=30, task="text-generation", target="answer", cells={"answer": ["rivers", "2"], "question": ["What has city 0?"]}, said="several answers: 15")),
    "SQuAD 2": (json.dumps(SQUAD_2), "train.json", Expected(rows=45, task="text-generation", target="answer", cells={"answer": ["rivers", "2", None]}, said="does not answer: 15")),
    "passages alone": (json.dumps(PASSAGES), "m.json", Expected(rows=30, target="answer")),
    "passages, one a line": (lines(PASSAGES), "m.jsonl", Expected(refused="several questions about one passage")),
    "SQuAD of Hugging Face": (lines({"context": f"Land {n} has rivers", "question": f"What has land {n}?", "answers": {"text": ["rivers"], "answer_start": [3]}} for n in range(30)), "m.jsonl",
                              Expected(rows=30, task="text-generation", target="answer", cells={"answer": ["rivers"]})),
    "SQuAD in Parquet": (parquet(context=[f"Land {n} has rivers" for n in range(30)], question=[f"What has land {n}?" for n in range(30)], answers=[{"text": ["rivers"] * (n % 9 < 8), "answer_start": [3]} for n in range(30)]), "m.parquet",
                         Expected(rows=30, task="text-generation", target="answer", cells={"answer": ["rivers"] * 8 + [None]})),
    # Exports of programs.
    "DATEV": ((EXTF + BOOKED).encode("cp1252"), "EXTF.csv", Expected(rows=40, types={"Umsatz": "number", "Belegdatum": "text"}, cells={"Belegdatum": ["0101"]})),
    "QuickBooks": (LEDGER + '\n,,,\n"Tuesday, Dec 01, 2026",,,\n', "t.csv", Expected(rows=41, types={"Amount": "number"}, said="1 row at the end holds a single value")),
    "boxes of Typeform": (BOXES, "t.csv", Expected(rows=40, types={"Stars": "integer"}, unasked=("",))),
    "levels of pandas": (LEVELS, "t.csv", Expected(rows=30, types={"city": "text", "price mean": "number", "qty sum": "integer"})),
    "a printed table": (PRINTED, "t.txt", Expected(said="blanks seem to align several")),
    "an e-mail": (MAIL, "a.eml", Expected(refused="an e-mail")),
    "the log of a server": (LOG, "access.log", Expected(refused="the log of a web server")),
    "brat": (BRAT, "a.ann", Expected(refused="brat")),
    "Telegram": (json.dumps(TELEGRAM), "result.json", Expected(rows=36, types={"text": "text"}, cells={"text": ["see https://x.example and call", TEXTS[1]]})),
    "Messenger": (json.dumps(MESSENGER), "message_1.json", Expected(rows=36, said="converted twice")),
    "reviews of the App Store": (json.dumps(STORE), "t.json", Expected(rows=36, target="im:rating.label", cells={"content.label": [TEXTS[0]]})),
    "Jira's API": (json.dumps(JIRA), "t.json", Expected(rows=36, target="fields.issuetype.name")),
    "spans of Prodigy": (SPANS, "t.jsonl", Expected(rows=36, said="Cells of spans mark places")),
    "labels of doccano in CSV": (table(labels=["#".join(TWO[n % 3]) for n in range(36)]), "t.csv", Expected(labels=LISTS)),
    "labels of a Chinese survey": (table(labels=["┋".join(TWO[n % 3]) for n in range(36)]), "t.csv", Expected(labels=LISTS)),
    "WeChat": ("\n".join(f"2024-01-05 10:{n:02}:00 小明\n你好，第{n}条消息\n" for n in range(30)), "t.txt", Expected(refused="WeChat and QQ")),
    "labels of SharePoint": (table(labels=[";#".join(TWO[n % 3]) for n in range(36)]), "t.csv", Expected(labels=LISTS)),
    "lines in quotes": (in_quotes(table()), "t.csv", Expected(rows=36, target="label", labels=EVEN, said="they were taken away")),
    "texts in quotes": ("text\n" + "\n".join(f'"hello, you{", and more" * (n % 3)} {n}"' for n in range(36)), "t.csv", Expected(rows=36, types={"text": "text"}, unsaid="taken away")),
    "years above quarters": (QUARTERS, "t.csv", Expected(rows=30, types={"2023 Q1": "integer", "2024 Q2": "integer"})),
    "a comment above JSON": ("// export\n" + json.dumps([{"text": text} for text in TEXTS]), "t.json", Expected(refused="begins with '// export")),
    "a notebook": (json.dumps({"cells": [{"cell_type": "code", "source": ["x"]}] * 9, "nbformat": 4}), "t.ipynb", Expected(refused="notebook")),
    "dictionaries of Python": ("\n".join(str({"text": text, "label": label}) for text, label in zip(TEXTS, LABELS, strict=True)), "t.txt", Expected(refused="json.dumps")),
    "a conversation": (TALK, "chat.txt", Expected(refused="a conversation")),
    "the log of a program": (PROGRAM, "app.log", Expected(refused="the log of a program")),
    "levels in a CSV": ("time,level,text\n" + "\n".join(f"2024-01-05 10:00:{n:02}.123,{['INFO', 'ERROR'][n % 2]},no file {n}" for n in range(40)), "t.csv", Expected(rows=40)),
    "BibTeX": (BIBTEX, "t.bib", Expected(refused="BibTeX")),
    "records of Firebase": (json.dumps({"posts": {f"-N{n}x": {"text": text, "label": LABELS[n]} for n, text in enumerate(TEXTS)}}), "t.json", Expected(rows=36, labels=EVEN)),
    "preferences between messages": (DPO, "t.jsonl", Expected(rows=24, task="text-generation", target="chosen")),
    "pairs of questions": (PAIRS, "t.csv", Expected(rows=60, task="text-classification", target="is_duplicate")),
    "none of pandas": (three(["<NA>" if n % 6 == 0 else n + 0.5 for n in range(40)]), "t.csv", Expected(types={"v": "number"}, cells={"v": [None, 1.5]})),
    "languages": (table(labels=[["C#", "F#", "C"][n % 3] for n in range(36)]), "t.csv", Expected(labels={"C#": 12, "F#": 12, "C": 12})),
    "tables of W&B": (json.dumps({"columns": ["text", "label"], "data": [[text, LABELS[n]] for n, text in enumerate(TEXTS)]}), "t.table.json", Expected(rows=36, target="label", labels=EVEN)),
}  # fmt: skip
# Each starts a process; the others come in the long run.
QUICK = ("K and M", "sizes of clothes", "SQuAD 2", "DATEV", "no dates in Parquet", "Telegram")


@pytest.mark.parametrize(
    "kind",
    [kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.nightly) for kind in KINDS],
)
def test_such_an_export_comes_out_right_or_asked_or_refused(kind, api, token, project):
    import_and_check(*KINDS[kind], api(token), project)
