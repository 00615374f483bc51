"""Exports of trackers, reports of offices and texts out of web pages: right, or asked, or refused.
Through the real upload, as their neighbours are."""

# ruff: noqa: E501 - a table of cases, one to a line.

import pytest

from tests.projects.importing.test_kinds_of_files import (
    LABELS,
    TEXTS,
    Expected,
    import_and_check,
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
}  # fmt: skip
# Each starts a process; the others come in the long run.
QUICK = ("labels of Jira",)


@pytest.mark.parametrize(
    "kind",
    [kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.nightly) for kind in KINDS],
)
def test_such_a_file_comes_out_right_or_asked_or_refused(kind, api, token, project):
    import_and_check(*KINDS[kind], api(token), project)
