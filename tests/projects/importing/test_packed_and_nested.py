"""Archives of tables, and labels in lists of objects. Through the real upload, as their neighbours
are."""

# ruff: noqa: E501 - a table of cases, one to a line.

import gzip
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.pictures import zipped
from tests.projects.importing.test_kinds_of_files import (
    EVEN,
    LABELS,
    LISTS,
    PLAIN,
    TEXTS,
    TWO,
    Expected,
    import_and_check,
    lines,
    table,
)

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
LITTER = {"__MACOSX/._t.csv": b"\0\5\x16\7", ".DS_Store": b"\0\0\0\1Bud1", "README.md": b"# Data"}


def objects(make, write=None):
    rows = [
        {"text": text, "tags": [make(one, n) for one in TWO[n % 3]]} for n, text in enumerate(TEXTS)
    ]
    if write is None:
        return lines(rows)
    quoted = (write(row["tags"]).replace('"', '""') for row in rows)
    return "\n".join(
        ["text,tags", *(f'{text},"{cell}"' for text, cell in zip(TEXTS, quoted, strict=True))]
    )


def structures():
    sink = io.BytesIO()
    rows = [[{"name": one} for one in TWO[n % 3]] for n in range(36)]
    pq.write_table(pa.table({"text": TEXTS, "tags": rows}), sink)
    return sink.getvalue()


NAMED = Expected(rows=36, task="text-classification", target="tags", labels=LISTS)
KINDS: dict[str, tuple[str | bytes, str, Expected]] = {
    "a zip of a CSV": (zipped(LITTER | {"export/t.csv": table().encode()}), "t.zip", PLAIN),
    "a zip of splits": (zipped({"train.csv": table(TEXTS[:24], LABELS[:24]).encode(), "test.csv": table(TEXTS[24:], LABELS[24:]).encode()}), "t.zip", PLAIN),
    "a zip of two tables": (zipped({"a.csv": table().encode(), "b.csv": b"x,y\n1,2\n3,4\n"}), "t.zip", Expected(rows=36, asked=("",), labels=EVEN)),
    "gzip": (gzip.compress(table().encode()), "t.csv.gz", PLAIN),
    "an archive in another": (zipped({"t.csv.zip": zipped({"t.csv": table().encode()})}), "t.zip", Expected(refused="t.csv.zip")),
    "names in objects": (objects(lambda one, n: {"name": one}), "t.jsonl", NAMED),
    "names and ids": (objects(lambda one, n: {"id": len(one), "name": one}), "t.jsonl", NAMED),
    "objects of JSON in a CSV": (objects(lambda one, n: {"name": one}, json.dumps), "t.csv", NAMED),
    "objects of Python in a CSV": (objects(lambda one, n: {"name": one}, str), "t.csv", NAMED),
    "objects in Parquet": (structures(), "t.parquet", NAMED),
    "two fields": (objects(lambda one, n: {"topic": one, "sentiment": ["good", "bad"][n % 2]}), "t.jsonl", Expected(rows=36, asked=("tags",))),
    "one object a cell": (table(labels=[json.dumps({"name": one}).replace('"', '""').join('""') for one in LABELS]), "t.csv", PLAIN),
}  # fmt: skip
QUICK = ("a zip of splits", "two fields", "objects of Python in a CSV")


@pytest.mark.parametrize(
    "kind",
    [kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.nightly) for kind in KINDS],
)
def test_a_file_comes_out_right_or_asked_or_refused(kind, api, token, project):
    import_and_check(*KINDS[kind], api(token), project)
