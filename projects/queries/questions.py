"""Open questions about the columns of a version, as the dataset page shows them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from projects.models import DatasetVersion
from projects.reading.columns.column import ColumnQuestion
from projects.reading.columns.written_numbers import ORDINAL

JOINED_READING = "file:*"
PLAIN_TITLES = {"list": "one list of labels", "columns": "columns of their own"}
PICTURE_LABELS = {"names": "labels in the pictures' names", "folders": "labels by folders"}
DURATIONS = {"h:mm:ss": "seconds, of h:mm:ss or m:ss", "h:mm": "seconds, of h:mm"}
DATE_ORDERS = {"d": "day first", "m": "month first", "y": "year first"}


@dataclass(frozen=True)
class ReadingChoice:
    """A reading of a column that a person may choose: its name in forms, and its title."""

    name: str
    title: str


@dataclass(frozen=True)
class QuestionTable:
    """A question on a column: each of `rows` is a cell as written, then its value in each of the
    `choices`."""

    column: str
    code: str
    sentence: str
    choices: Sequence[ReadingChoice]
    rows: Sequence[tuple[str | None, ...]]


def list_questions(version: DatasetVersion) -> list[QuestionTable]:
    """The open questions of a version; empty once its columns were decided."""
    questions = cast("list[ColumnQuestion]", version.profile.get("questions", []))
    return [
        QuestionTable(
            column=question["column"],
            code=question["code"],
            sentence=question["sentence"],
            choices=[
                ReadingChoice(reading["name"], reading_title(reading["name"]))
                for reading in question["readings"]
            ],
            rows=list(
                zip(
                    question["cells"],
                    *(reading["values"] for reading in question["readings"]),
                    strict=True,
                )
            ),
        )
        for question in questions
    ]


def reading_title(name: str) -> str:
    """A reading's name in words: "number:1,234.5" is "number, as in 1,234.5"."""
    kind, _, detail = name.removesuffix("+missing").partition(":")
    if kind == "file":
        return "all of them, joined" if name == JOINED_READING else name.partition(":")[2]
    if kind == "header":
        title = "the names of the columns" if detail == "1" else "a row of data"
    elif kind == "key":
        title = f"labels, the field {detail}"
    elif kind == "labels":
        title = PICTURE_LABELS[detail]
    elif kind == "number":
        title = _number_title(detail)
    elif kind == "duration":
        title = DURATIONS.get(detail, "seconds")
    elif kind in ("date", "datetime"):
        order = DATE_ORDERS.get(detail[0], DATE_ORDERS["y"])
        title = f"date, {order} ({detail})"
        if detail.endswith(" BE"):
            title = f"date, {order}, years as in Thailand ({detail})"
    elif name in PLAIN_TITLES:
        title = PLAIN_TITLES[name]
    else:
        title = "text"
    return f"{title}; other cells are missing" if name.endswith("+missing") else title


def _number_title(detail: str) -> str:
    if detail.endswith(" -DR"):
        return f"number, as in {detail[:-4]}, debits (DR) below zero"
    if detail.endswith(" -CR"):
        return f"number, as in {detail[:-4]}, credits (CR) below zero"
    if " ± " in detail:
        return "number, without the error behind it"
    if detail == ORDINAL.name:
        return "number, the place in the order"
    if detail.endswith("5K"):
        return f"number, as in {detail}, multiplied out"
    return f"number, as in {detail}"
