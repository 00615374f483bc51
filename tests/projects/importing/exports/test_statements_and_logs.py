"""Bank statements, surveys, logs of sensors, exports of shops and help desks, writers of R and
pandas: right, or asked, or told. Through the real upload, as their neighbours are."""

# ruff: noqa: E501 - a table of cases, one to a line.

import json

import pytest

from tests.projects.importing.test_kinds_of_files import (
    LABELS,
    TEXTS,
    Expected,
    import_and_check,
    lines,
)

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
N = range(40)
PAIRS = list(zip(TEXTS, LABELS, strict=True))


def table(header, row, separator=","):
    return "\n".join([header, *(separator.join(map(str, row(n))) for n in N)])


def cells(values, name="v"):
    return table(f"x,{name},kind", lambda n: (f"x{n}", f'"{values[n % len(values)]}"', "ab"[n % 2]))


KINDS: dict[str, tuple[str | bytes, str, Expected]] = {
    # Bank statements.
    "Sparkasse": (table("Buchungstag;Verwendungszweck;Betrag;Kategorie", lambda n: (f"{n % 28 + 1:02}.{n % 12 + 1:02}.24", f"Rechnung {n}", f"-1.{n:03},50" if n % 3 else f"{n},00", ["Miete", "Lohn"][n % 2]), ";").encode("latin-1"),
                  "t.csv", Expected(types={"Betrag": "number"}, asked=("Buchungstag",), target="Kategorie")),
    "a statement below its account": ('"Kontonummer:";"DE99"\n\n"Kontostand:";"1.234,56 EUR"\n\n' + table("Buchungstag;Zweck;Betrag;Art", lambda n: (f"{n % 28 + 1:02}.01.2024", f"Zweck {n}", f"-{n + 1}.100,00", "ab"[n % 2]), ";"),
                                      "t.csv", Expected(rows=40, types={"Buchungstag": "date", "Betrag": "number"}, cells={"Betrag": [-1100.0]})),
    "Itaú": (table("data;lançamento;valor (R$);categoria", lambda n: (f"{n % 28 + 1:02}/01/2024", f"PIX {n}", f"-{n + 1}.250,00", ["mercado", "aluguel"][n % 2]), ";").encode("cp1252"),
             "t.csv", Expected(types={"data": "date"}, cells={"valor (R$)": [-1250.0], "categoria": ["mercado"]})),
    "a French statement": (table("Date;Libellé;Débit;Catégorie", lambda n: (f"{n % 28 + 1:02}/01/2024", f"CARTE {n}", f"{n + 1}\u00a0100,50", "ab"[n % 2]), ";").encode("utf-8-sig"),
                           "t.csv", Expected(cells={"Débit": [1100.5]})),
    "a Chinese statement": (("账户明细\n卡号：6222\n" + table("交易日期,摘要,金额,类别", lambda n: (f"2024-01-{n % 28 + 1:02}", f"商店{n}", f'"{n + 1},100.00"', "甲乙"[n % 2]))).encode("gb18030"),
                            "t.csv", Expected(rows=40, encoding="gb18030", cells={"金额": [1100.0]})),
    # Measured and counted.
    "powers of ten": (cells(["1.5×10^3", "2.5 x 10^-4"]), "t.csv", Expected(types={"v": "text"}, asked=("v",))),
    "powers in superscript": (cells(["1.5·10⁻³", "2.5·10²"]), "t.csv", Expected(asked=("v",))),
    "values with errors": (cells(["0.5 ± 0.1", "12 +/- 2"]), "t.csv", Expected(asked=("v",))),
    "spans in English": (cells(["1h 20min", "45 min"]), "t.csv", Expected(asked=("v",))),
    "spans in German": (cells(["2 Std. 5 Min.", "40 Min."]), "t.csv", Expected(asked=("v",))),
    "spans in Chinese": (cells(["1小时20分钟", "45分钟"]), "t.csv", Expected(asked=("v",))),
    "places": (cells([f"{n}th" if n > 3 else ["1st", "2nd", "3rd"][n - 1] for n in range(1, 41)], "place"), "t.csv", Expected(asked=("place",))),
    "places in Chinese": (cells([f"第{n}名" for n in range(1, 41)], "名次"), "t.csv", Expected(asked=("名次",))),
    "values with errors and a unit": (cells([f"{n}.1 ± 0.2 mg" for n in range(10, 50)]), "t.csv", Expected(types={"v": "text"}, said="begin with a number")),
    "degrees": (cells([f"48°{n}'12N" for n in range(10, 50)], "lat"), "t.csv", Expected(said="begin with a number")),
    "no day of MySQL": (cells(["0000-00-00", "2024-01-05", "2024-02-06"], "closed"), "t.csv", Expected(types={"closed": "text"}, asked=("closed",))),
    "a logger": ("Logger SN: 1\r\n\r\n" + table("Date/Time\tTemp °C\tAlarm", lambda n: (f"{n % 28 + 1:02}.01.2024 10:{n:02}:00", f"{n},5", ["ok", "warn"][n % 2]), "\t"),
                 "t.txt", Expected(rows=40, types={"Date/Time": "datetime", "Temp °C": "number"})),
    # Exports of programs.
    "Qualtrics": ("StartDate,Q1,Q2\nStart Date,How do you like it?,Rate\n" + '"{""ImportId"":""startDate""}","{""ImportId"":""QID1""}","{""ImportId"":""QID2""}"\n'
                  + "\n".join(f"2024-01-{n % 28 + 1:02} 10:00:00,an answer {n} of mine,{n % 5 + 1}" for n in N), "t.csv", Expected(rows=40, types={"Q2": "integer"})),
    "Intercom": (json.dumps({"type": "conversation.list", "conversations": [{"id": str(n), "source": {"body": f"<p>{text}</p>"}, "tags": {"tags": [{"id": str(n % 3), "name": label}]}} for n, (text, label) in enumerate(PAIRS)]}),
                 "t.json", Expected(rows=36, target="tags.tags", said="HTML tags, such as <p>")),
    "texts of web pages": (table("text,label", lambda n: (f'"<div class=""m"">question {n}<br/>please</div>"', "ab"[n % 2])), "t.csv", Expected(said="HTML tags, such as <div")),
    "code with angles": (table("text,label", lambda n: (f"if a < b and c > {n} then go", "ab"[n % 2])), "t.csv", Expected(rows=40, unsaid="HTML tags")),
    "prompts of Anthropic": (lines({"prompt": f"\n\nHuman: question {n}?\n\nAssistant:", "completion": f" answer {n}"} for n in N), "t.jsonl", Expected(task="text-generation", said="learnt as turns")),
    "prompts of bots": (lines({"prompt": f"User: hi\nBot: hello\nUser: question {n}\nBot:", "completion": f"answer {n}"} for n in N), "t.jsonl", Expected(task="text-generation", said="learnt as turns")),
    "Cohere": (lines({"messages": [{"role": "System", "content": "Be kind"}, {"role": "User", "content": f"q {n}"}, {"role": "Chatbot", "content": "a"}]} for n in N), "t.jsonl", Expected(task="text-generation")),
    "Discord": (json.dumps({"guild": {"id": "1"}, "messages": [{"id": str(10**18 + n), "content": f"a message {n}", "author": {"name": "ann"}} for n in N]}), "t.json",
                Expected(rows=40, cells={"id": ["1000000000000000000"]})),
    "R with names of rows": ('"","text","score"\n' + "\n".join(f'"{n + 1}","a text number {n}",{"NA" if n % 7 == 2 else n / 2}' for n in N), "t.csv", Expected(rows=40, types={"score": "number"})),
    "German Excel": (("sep=;\r\n" + table("Artikel-Nr.;Menge;Preis;Aktiv", lambda n: (f"{n:05}", f"1.{n:03}", f"{n},50 €", ["WAHR", "FALSCH"][n % 2]), ";")).encode("cp1252"),
                     "t.csv", Expected(types={"Artikel-Nr.": "text", "Preis": "number"}, cells={"Menge": [1000], "Aktiv": ["WAHR"]})),
}  # fmt: skip
# Each starts a process; the others come in the long run.
QUICK = ("values with errors", "prompts of bots", "Intercom")


@pytest.mark.parametrize(
    "kind",
    [kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.nightly) for kind in KINDS],
)
def test_a_statement_or_log_comes_out_right_or_asked_or_told(kind, api, token, project):
    import_and_check(*KINDS[kind], api(token), project)
