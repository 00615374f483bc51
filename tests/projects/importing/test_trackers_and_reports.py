"""Exports of trackers, reports of offices and texts out of web pages: right, or asked, or refused.
Through the real upload, as their neighbours are."""

# ruff: noqa: E501 - a table of cases, one to a line.

import json
import random

import pytest

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
MARKS = ["ui", "crash", "login", "slow"]


def spread(n, places=3):
    """None to three of the marks, from the left, as Jira writes them."""
    marks = [MARKS[(n + place) % 4] for place in range(n % 4)]
    return ",".join([*marks, *[""] * (places - len(marks))])


def per_row(header, cell):
    return "\n".join([header, *(f"{text},{cell(n)}" for n, text in enumerate(TEXTS))])


def remark(n):
    return f"12/Jan/24;bob;please look at this again number {n} it is urgent for all of us"


def report(word, last, separator=",", above=False):
    """Sales of three regions and seven months, with the sums of each region and of all."""
    dice, lines, totals = (
        random.Random(1),
        [separator.join(["region", "month", "sales", "units"])],
        [0, 0],
    )
    for region in ("North", "South", "West"):
        block = [(dice.randint(100, 999), dice.randint(1, 50)) for _ in range(7)]
        sums = [sum(numbers) for numbers in zip(*block, strict=True)]
        totals = [one + other for one, other in zip(totals, sums, strict=True)]
        rows = [(region, f"2024-{n + 1:02}", *numbers) for n, numbers in enumerate(block)]
        total = (word.format(region), "", *sums)
        rows = [total, *rows] if above else [*rows, total]
        lines += [separator.join(map(str, row)) for row in rows]
    return "\n".join(
        lines if last is None else [*lines, separator.join([last, "", *map(str, totals)])]
    )


def numbered(line):
    return [int(cell) if cell.isdigit() else cell for cell in line.split(",")]


def dated(cell, name="day"):
    return "\n".join([f"{name},n,kind", *(f"{cell(n)},{n},{'ab'[n % 2]}" for n in range(1, 29))])


def chatgpt(n):
    """A conversation whose question was asked twice; the second branch was shown last."""

    def node(parent, children, role=None, text=""):
        message = {"author": {"role": role}, "content": {"content_type": "text", "parts": [text]}}
        return {"message": message if role else None, "parent": parent, "children": children}

    return {
        "title": f"chat {n}",
        "create_time": 1.5,
        "current_node": "e",
        "mapping": {
            "a": node(None, ["b", "d"]),
            "b": node("a", ["c"], "user", "first try"),
            "c": node("b", [], "assistant", "no"),
            "d": node("a", ["e"], "user", f"second try {n}"),
            "e": node("d", [], "assistant", f"answer {n}"),
        },
    }


SHOWN = json.dumps(
    [{"role": "user", "content": "second try 0"}, {"role": "assistant", "content": "answer 0"}]
)
ARABIC, WIDE = (
    str.maketrans("0123456789", "".join(chr(zero + n) for n in range(10)))
    for zero in (0x660, 0xFF10)
)
NO_ENTITIES, NO_SUMS = Expected(unsaid="HTML entities"), Expected(unsaid="sum")
KINDS: dict[str, tuple[str | bytes, str, Expected]] = {
    # Columns of one name.
    "labels of Jira": (per_row("Summary,Labels,Labels,Labels", spread), "t.csv",
                       Expected(types={"Labels": "json"}, target="Labels", labels={"ui": 9, "crash": 18, "login": 9, "slow": 18}, said="read as one list")),
    "components of pandas": (per_row("Summary,Component/s,Component/s.1,Component/s.2", spread), "t.csv", Expected(types={"Component/s": "json"})),
    "comments of Jira": (per_row("Summary,Status,Comment,Comment", lambda n: f"{LABELS[n]},{remark(n)},{remark(n) if n % 3 else ''}"), "t.csv",
                         Expected(types={"Comment": "text", "Comment_2": "text"}, said="kept apart")),
    "two columns called type": (per_row("text,type,type", lambda n: f"{'ab'[n % 2]},{'xy'[n % 2] if n % 3 else ''}"), "t.csv",
                                Expected(types={"type": "text", "type_2": "text"}, asked=("type",))),
    "two columns of numbers": (per_row("text,score,score", lambda n: f"{n},{n * 2}"), "t.csv", Expected(types={"score": "integer", "score_2": "integer"}, said="kept apart")),
    # Entities of HTML.
    "entities": (per_row("text,label", lambda n: LABELS[n]).replace("a question", "&lt;b&gt;isn&#39;t it&nbsp;a question &amp; more"), "t.csv",
                 Expected(labels=EVEN, cells={"text": [f"&lt;b&gt;isn&#39;t it&nbsp;a question &amp; more{TEXTS[0].removeprefix('a question')}"]}, said="HTML entities, such as")),
    "labels with entities": (per_row("text,label", lambda n: ["R&amp;D", "R&D", "sales"][n % 3]), "t.csv",
                             Expected(labels={"R&amp;D": 12, "R&D": 12, "sales": 12}, said="are the same label, written with HTML entities")),
    "firms with ampersands": (per_row("text,label", lambda n: ["AT&T;", "R&D", "H&M"][n % 3]), "t.csv", NO_ENTITIES),
    # Reports with sums.
    "subtotals": (report("{} Total", "Grand Total"), "t.csv", Expected(rows=25, types={"sales": "integer"}, said="4 rows sum up other rows, such as row 8")),
    "subtotals in German": (report("Summe {}", "Gesamtsumme", ";"), "t.csv", Expected(said="4 rows sum up")),
    "subtotals in Chinese": (workbook(line.split(",") if n == 0 else numbered(line) for n, line in enumerate(report("{}小计", "合计").splitlines())), "t.xlsx",
                             Expected(said="4 rows sum up")),
    "totals without a word": (report("", ""), "t.csv", Expected(said="by their numbers, such as row 8")),
    "totals above": (report("{} gesamt", None, above=True), "t.csv", Expected(said="3 rows sum up")),
    "rows without a name": ("who,x,y\n" + "\n".join(f"{'' if n % 7 == 3 else f'c{n}'},{n % 4},{n % 3}" for n in range(40)), "t.csv", NO_SUMS),
    "a firm called Total": ("company,price\n" + "\n".join(f"{['Total', 'Shell', 'BP'][n % 3]},{n * 7 % 13}" for n in range(40)), "t.csv", NO_SUMS),
    "reviews that say total": ("review,stars\n" + "\n".join(f"{['total rubbish', 'good', 'in total fine', 'nice'][n % 4]} {n},{n % 5 + 1}" for n in range(40)), "t.csv", NO_SUMS),
    "an average below": ("city,temp,rain\n" + "\n".join(f"c{n},{n + 10},{n * 2}" for n in range(30)) + "\nAverage,24.5,29", "t.csv", Expected(said="Row 31 sums up")),
    "labels with points at the end": (per_row("text,label", lambda n: f"{LABELS[n]}{'.' if n % 5 == 0 else ''}"), "t.csv", Expected(said="differ only in punctuation at an end")),
    "Arabic labels made longer": (per_row("text,label", lambda n: ["شكوى", "شكـوى", "سؤال"][n % 3]), "t.csv", Expected(said="look alike")),
    "two header lines of SurveyMonkey": ("Respondent ID,What is good?,,\n,Open-Ended Response,Price,Service\n" + "\n".join(f"{n + 1},{t},{n % 5},{n % 3}" for n, t in enumerate(TEXTS)), "t.csv",
                                         Expected(rows=36, types={"What is good? Price": "integer", "What is good? Service": "integer"})),
    # Years of other calendars, and months by name.
    "Buddhist years": (dated(lambda n: f"2567-01-{n:02}"), "t.csv", Expected(types={"day": "text"}, asked=("day",))),
    "Buddhist years in Thai": (dated(lambda n: f"{n}/1/2567", "วันที่"), "t.csv", Expected(cells={"วันที่": ["2024-01-01"]}, said="2567 is 2024")),
    "a Buddhist leap day": (dated(lambda n: f"29/02/{2567 - n % 3 * 4}"), "t.csv", Expected(cells={"day": ["2020-02-29"]}, said="2567 is 2024")),
    "Thai months": (dated(lambda n: f"{n} มกราคม 2567"), "t.csv", Expected(cells={"day": ["2024-01-01"]})),
    "short Thai months": (dated(lambda n: f"{n} ธ.ค. 2567"), "t.csv", Expected(cells={"day": ["2024-12-01"]})),
    "one year far away": (dated(lambda n: f"{2567 if n == 4 else 2024}-01-{n:02}"), "t.csv", Expected(types={"day": "date"}, said="counted as in Thailand")),
    "no end": (dated(lambda n: "9999-12-31" if n % 3 else f"2024-01-{n:02}"), "t.csv", Expected(types={"day": "date"}, unsaid="Thailand")),
    "Reiwa": (dated(lambda n: "令和元年5月1日" if n == 2 else f"令和6年1月{n}日"), "t.csv", Expected(cells={"day": ["2024-01-01", "2019-05-01"]})),
    "eras with points": (dated(lambda n: f"平成31.4.{n}"), "t.csv", Expected(cells={"day": ["2019-04-01"]})),
    "letters of eras": (dated(lambda n: f"R6.1.{n}"), "t.csv", Expected(types={"day": "text"}, asked=("day",))),
    "years of Taiwan": (dated(lambda n: f"民國113年1月{n}日"), "t.csv", Expected(cells={"day": ["2024-01-01"]})),
    "Chinese dates": (dated(lambda n: f"2024年1月{n}日"), "t.csv", Expected(cells={"day": ["2024-01-01"]})),
    "Chinese dates without a century": (dated(lambda n: f"24年1月{n}日"), "t.csv", Expected(types={"day": "text"})),
    "months of Excel": (dated(lambda n: f"{n:02}-Jan-2024"), "t.csv", Expected(cells={"day": ["2024-01-01"]})),
    "months of Jira": (dated(lambda n: f"{n:02}/Mar/2024 10:30"), "t.csv", Expected(cells={"day": ["2024-03-01T10:30:00"]})),
    "American months": (dated(lambda n: f'"March {n}, 2024"'), "t.csv", Expected(cells={"day": ["2024-03-01"]})),
    "Spanish months": (dated(lambda n: f"{n} de marzo de 2024"), "t.csv", Expected(cells={"day": ["2024-03-01"]})),
    "German months": (dated(lambda n: f"{n}. März 2024"), "t.csv", Expected(cells={"day": ["2024-03-01"]})),
    "days that never were": (dated(lambda n: "31 Feb 2024"), "t.csv", Expected(types={"day": "text"})),
    "a total below dates": (dated(lambda n: f"2024-01-{n:02}") + "\nTotal,1,", "t.csv", Expected(asked=("day",))),
    # Chats as UltraChat writes them.
    "UltraChat": (lines({"prompt_id": f"{n}", "data": [f"q {n}", "a", "q again", "a again"]} for n in range(24)), "t.jsonl",
                  Expected(rows=24, task="text-generation", types={"messages": "json"}, said="as in UltraChat")),
    "UltraChat in one list": (json.dumps([{"id": n, "data": [f"what is the number {n}?", "that is easy to say"]} for n in range(24)]), "t.json",
                              Expected(rows=24, task="text-generation")),
    "a chat without its last answer": (lines({"prompt_id": f"{n}", "data": [f"q {n}", "a", "q again"][: 3 if n == 5 else 2]} for n in range(24)), "t.jsonl",
                                       Expected(rows=23, rejected=1, task="text-generation", said="holds 3 texts")),
    "turns that are no texts": (lines({"prompt_id": f"{n}", "data": [f"q {n}", {"a": 1}]} for n in range(24)), "t.jsonl", Expected(refused="no text, so it is no chat")),
    # Exports of other programs.
    "conversations of ChatGPT": (json.dumps([chatgpt(n) for n in range(24)]), "conversations.json",
                                 Expected(rows=24, task="text-generation", cells={"messages": [SHOWN]}, said="exported from ChatGPT")),
    "conversations of Claude": (json.dumps([{"uuid": str(n), "name": "x", "chat_messages": [
        {"text": f"q {n}", "sender": "human"}, {"text": "a", "sender": "assistant"}]} for n in range(24)]), "t.json",
        Expected(rows=24, task="text-generation", said="exported from Claude")),
    "labels of Prodigy": (lines({"text": t, "label": LABELS[n], "answer": ["accept", "reject"][n % 4 == 3], "_task_hash": n} for n, t in enumerate(TEXTS)), "t.jsonl",
                          Expected(rows=27, rejected=9, target="label", said="'reject'")),
    "one label of Prodigy": (lines({"text": t, "label": "SPAM", "answer": ["accept", "reject"][n % 2], "_task_hash": n} for n, t in enumerate(TEXTS)), "t.jsonl",
                             Expected(rows=36, target="answer", labels={"accept": 18, "reject": 18})),
    "one label, some ignored": (lines({"text": t, "label": "SPAM", "answer": ["accept", "reject", "ignore"][n % 3], "_task_hash": n} for n, t in enumerate(TEXTS)), "t.jsonl",
                                Expected(rows=24, rejected=12, target="answer", labels={"accept": 12, "reject": 12})),
    "a guess beside answers": (lines({"text": t, "label.responses": [LABELS[n]], "label.suggestion": LABELS[n - 5]} for n, t in enumerate(TEXTS)), "t.jsonl",
                               Expected(rows=36, target="label.responses", labels=EVEN)),
    "choices of Prodigy": (lines({"text": t, "options": [{"id": one} for one in EVEN], "accept": [LABELS[n]], "answer": ["accept", "ignore"][n == 3]} for n, t in enumerate(TEXTS)), "t.jsonl",
                           Expected(rows=35, rejected=1, target="accept")),
    "records of Argilla": (json.dumps([{"text": t, "prediction": [{"label": "payment", "score": 0.9}], "annotation": LABELS[n]} for n, t in enumerate(TEXTS)]), "t.json",
                           Expected(target="annotation", labels=EVEN)),
    "codes for missing": (per_row("text,age,mood", lambda n: f"{99 if n % 8 == 3 else 25 + n},{9 if n % 9 == 4 else n % 5 + 1}"), "t.csv",
                          Expected(said="hold 99, apart from all other values")),
    "counts to 99": (per_row("text,n,kind", lambda n: f"{99 - n % 20},{'ab'[n % 2]}"), "t.csv", Expected(unsaid="apart from")),
    # Digits of other scripts, clocks that count to twelve.
    "Arabic digits": (per_row("text,price,kind", lambda n: f"{str(100 + n).translate(ARABIC)},{'ab'[n % 2]}"), "t.csv", Expected(cells={"price": [100, 101]})),
    "full-width digits": (per_row("text,price,kind", lambda n: f"{str(100 + n).translate(WIDE)}円,{'ab'[n % 2]}"), "t.csv", Expected(cells={"price": [100, 101]})),
    "codes with full-width digits": (per_row("text,price,kind", lambda n: f"Ａ{str(100 + n).translate(WIDE)},{'ab'[n % 2]}"), "t.csv", Expected(cells={"price": ["Ａ１００"]})),
    "Korean prices": (per_row("text,price,kind", lambda n: f'"{n + 1},200원",{"ab"[n % 2]}'), "t.csv", Expected(cells={"price": [1200]})),
    "Persian years": (dated(lambda n: f"1403/01/{n:02}"), "t.csv", Expected(types={"day": "text"}, asked=("day",))),
    "Islamic years": (dated(lambda n: f"1445-01-{n:02}"), "t.csv", Expected(types={"day": "text"}, asked=("day",))),
    "the 16th century": (dated(lambda n: f"1520-01-{n:02}"), "t.csv", Expected(types={"day": "date"}, unasked=("day",))),
    "Korean dates": (dated(lambda n: f"2024년 1월 {n}일"), "t.csv", Expected(cells={"day": ["2024-01-01"]})),
    "Korean dates with points": (dated(lambda n: f"2024. 1. {n}."), "t.csv", Expected(cells={"day": ["2024-01-01"]})),
    "days of the week": (dated(lambda n: f'"Mon, {n:02} Jan 2024"'), "t.csv", Expected(cells={"day": ["2024-01-01"]})),
    "days without marks": (dated(lambda n: f"202401{n:02}"), "t.csv", Expected(types={"day": "integer"}, asked=("day",))),
    "numbers of eight digits": (dated(lambda n: f"202400{n:02}"), "t.csv", Expected(types={"day": "integer"}, unasked=("day",))),
    "years of two digits": (dated(lambda n: f"{n:02}.01.24"), "t.csv", Expected(types={"day": "text"}, asked=("day",))),
    "American years of two digits": (dated(lambda n: f"1/{n}/24"), "t.csv", Expected(asked=("day",))),
    "chapters": (dated(lambda n: f"1.{n}.12"), "t.csv", Expected(types={"day": "text"}, unasked=("day",))),
    "Jira's own times": (dated(lambda n: f"{n:02}/Mar/24 3:00 PM"), "t.csv", Expected(cells={"day": ["2024-03-01T15:00:00"]})),
    "MongoDB": (lines({"_id": {"$oid": f"{n:024x}"}, "text": t, "label": LABELS[n], "n": {"$numberInt": str(n)}, "at": {"$date": "2024-01-01T00:00:00Z"}}
                      for n, t in enumerate(TEXTS)), "t.json", Expected(types={"_id": "text", "n": "integer", "at": "datetime"}, target="label", labels=EVEN)),
    "Firestore": (lines({"fields": {"text": {"stringValue": t}, "label": {"stringValue": LABELS[n]}, "n": {"integerValue": str(n)}}} for n, t in enumerate(TEXTS)), "t.jsonl",
                  Expected(types={"fields.n": "integer"}, target="fields.label", labels=EVEN)),
    "DynamoDB": (lines({"Item": {"text": {"S": t}, "label": {"S": LABELS[n]}, "n": {"N": f"{n}.5"}}} for n, t in enumerate(TEXTS)), "t.json",
                 Expected(types={"Item.n": "number"}, target="Item.label", labels=EVEN)),
    "American times": (dated(lambda n: f"1/{n}/2024 {n % 12 + 1}:05 PM"), "t.csv", Expected(cells={"day": ["2024-01-01T14:05:00"]})),
    "midnight in Sheets": (dated(lambda n: f'"1/{n}/2024, 12:05:07 AM"'), "t.csv", Expected(cells={"day": ["2024-01-01T00:05:07"]})),
    "times of Google Forms": (dated(lambda n: f"2024/01/{n:02} 3:05:07 PM GMT+1"), "t.csv", Expected(cells={"day": ["2024-01-01T15:05:07"]})),
    "times of Zendesk": (dated(lambda n: f"2024-01-{n:02} 10:30:00 UTC"), "t.csv", Expected(cells={"day": ["2024-01-01T10:30:00"]})),
    "half past thirteen in the afternoon": (dated(lambda n: f"2024-01-{n:02} 13:30 PM"), "t.csv", Expected(types={"day": "text"})),
    "lists that are no chats": (lines({"id": n, "data": ["red", "blue"], "text": TEXTS[n]} for n in range(24)), "t.jsonl", Expected(rows=24, types={"data": "json"})),
    "numbers that are no chats": (lines({"id": n, "data": [f"{n}.5", "1.5"]} for n in range(24)), "t.jsonl", Expected(rows=24, types={"data": "json"})),
}  # fmt: skip
# Each starts a process; the others come in the long run.
QUICK = (
    "labels of Jira",
    "labels with entities",
    "subtotals",
    "Buddhist years",
    "Reiwa",
    "a chat without its last answer",
)


@pytest.mark.parametrize(
    "kind",
    [kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.nightly) for kind in KINDS],
)
def test_such_a_file_comes_out_right_or_asked_or_refused(kind, api, token, project):
    import_and_check(*KINDS[kind], api(token), project)
