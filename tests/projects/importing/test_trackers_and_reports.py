"""Exports of trackers, reports of offices and texts out of web pages: right, or asked, or refused.
Through the real upload, as their neighbours are."""

# ruff: noqa: E501 - a table of cases, one to a line.

import random

import pytest

from tests.projects.importing.test_kinds_of_files import (
    EVEN,
    LABELS,
    TEXTS,
    Expected,
    import_and_check,
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
    "a firm called Total": ("company,price\n" + "\n".join(f"{['Total', 'Shell', 'BP'][n % 3]},{n * 7 % 13}" for n in range(40)), "t.csv", NO_SUMS),
    "reviews that say total": ("review,stars\n" + "\n".join(f"{['total rubbish', 'good', 'in total fine', 'nice'][n % 4]} {n},{n % 5 + 1}" for n in range(40)), "t.csv", NO_SUMS),
}  # fmt: skip
# Each starts a process; the others come in the long run.
QUICK = ("labels of Jira", "labels with entities", "subtotals")


@pytest.mark.parametrize(
    "kind",
    [kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.nightly) for kind in KINDS],
)
def test_such_a_file_comes_out_right_or_asked_or_refused(kind, api, token, project):
    import_and_check(*KINDS[kind], api(token), project)
