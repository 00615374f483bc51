"""Archives of tables, and labels in lists of objects. Through the real upload, as their neighbours
are."""

# ruff: noqa: E501 - a table of cases, one to a line.

import gzip
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from projects.importing import imports
from tests.pictures import photos, zipped
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


def hugging_face(labels, feature, as_stream=False):
    """What the library datasets writes: numbers, and beside them what they stand for."""
    notes = {"info": {"features": {"text": {"dtype": "string"}, "label": feature}}}
    found = pa.table({"text": TEXTS, "label": labels})
    found = found.replace_schema_metadata({"huggingface": json.dumps(notes)})
    sink = io.BytesIO()
    if as_stream:
        with pa.ipc.new_stream(sink, found.schema) as writer:
            writer.write_table(found)
    else:
        pq.write_table(found, sink)
    return sink.getvalue()


def pictures(name, others=()):
    """A zip of 36 pictures under the names that their label and number give."""
    found = {name(label, n): content for (label, n), content in photos(12).items()}
    return zipped(found | dict(others))


CLASSES = {"names": list(EVEN), "_type": "ClassLabel"}
NUMBERS = [list(EVEN).index(one) for one in LABELS]
NUMBER_LISTS = [[list(EVEN).index(one) for one in TWO[n % 3]] for n in range(36)]
CLASSES_OF_ROW = {"feature": CLASSES, "_type": "Sequence"}
SAVED = {
    "train/data-00000-of-00001.arrow": hugging_face(NUMBERS, CLASSES, as_stream=True),
    "train/state.json": b'{"_data_files": []}',
    "train/dataset_info.json": b"{}",
    "dataset_dict.json": b'{"splits": ["train"]}',
}
COLOURS = {"red": 12, "green": 12, "blue": 12}
FORM = "id,label\n" + "\n".join(f"test{n},red" for n in range(3))
TAUGHT = "id,label\n" + "\n".join(f"{label}{n},{label}" for label, n in photos(12))
UNSEEN = [
    (f"test/test{n}.png", content) for n, content in enumerate(photos(3, labels=("red",)).values())
]
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
    # Exports of Hugging Face's datasets.
    "names of labels": (hugging_face(NUMBERS, CLASSES), "t.parquet", Expected(rows=36, types={"label": "text"}, target="label", labels=EVEN, said="Their names were read")),
    "rows without a label": (hugging_face([-1, *NUMBERS[1:]], CLASSES), "t.parquet", Expected(cells={"label": [None, LABELS[1]]})),
    "numbers beyond the names": (hugging_face([7, *NUMBERS[1:]], CLASSES), "t.parquet", Expected(cells={"label": ["7", LABELS[1]]})),
    "lists of names": (hugging_face(NUMBER_LISTS, CLASSES_OF_ROW), "t.parquet", Expected(rows=36, target="label", labels=LISTS)),
    "a dataset saved to a disk": (zipped(SAVED), "ds.zip", Expected(rows=36, target="label", labels=EVEN)),
    "names of labels in splits": (zipped({"train-0.parquet": hugging_face(NUMBERS, CLASSES), "test-0.parquet": hugging_face(NUMBERS, CLASSES)}), "ds.zip", Expected(rows=72, types={"label": "text", "split": "text"})),
    # Labels in the names of pictures.
    "cats and dogs": (pictures(lambda label, n: f"train/{label}.{n}.png"), "train.zip", Expected(rows=36, asked=("",), labels=COLOURS, said="out of the pictures' names")),
    "labels behind numbers": (pictures(lambda label, n: f"{n:03}-{label}.png"), "p.zip", Expected(rows=36, labels=COLOURS)),
    "labels of several words": (pictures(lambda label, n: f"images/dark_{label} ({n}).png"), "p.zip", Expected(rows=36, asked=("",), labels={f"dark_{one}": 12 for one in COLOURS})),
    "names of cameras": (pictures(lambda label, n: f"DCIM/{['IMG', 'DSC'][n % 2]}_{label == 'red':d}{label == 'green':d}{n:03}.png"), "p.zip", Expected(rows=36, unasked=("",), untrainable="the same label, 'DCIM'")),
    "a test without labels": (pictures(lambda label, n: f"train/{label}.{n}.png", [(f"test1/{n}.png", content) for n, (_, content) in enumerate(UNSEEN)]), "p.zip", Expected(rows=36, labels=COLOURS, rejected=3)),
    "folders of splits alone": (pictures(lambda label, n: f"{['train', 'test'][n % 4 == 0]}/{n + 100 * len(label)}.png"), "p.zip", Expected(refused="say which pictures are for the test")),
    "a form for answers": (pictures(lambda label, n: f"train/{label}{n}.png", [*UNSEEN, ("train.csv", TAUGHT), ("sample_submission.csv", FORM)]), "p.zip", Expected(rows=36, labels=COLOURS, said="places for answers")),
    "a read-me beside folders of splits": (pictures(lambda label, n: f"{['train', 'valid'][n % 4 == 0]}/{label}/{n}.png", [("README.dataset.txt", "x")]), "p.zip", Expected(rows=36, rejected=0, labels=COLOURS)),
}  # fmt: skip
QUICK = (
    "names of labels",
    "cats and dogs",
    "a form for answers",
    "a zip of splits",
    "two fields",
    "objects of Python in a CSV",
)


@pytest.mark.parametrize(
    "kind",
    [kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.nightly) for kind in KINDS],
)
def test_a_file_comes_out_right_or_asked_or_refused(kind, api, token, project):
    import_and_check(*KINDS[kind], api(token), project)


def test_a_click_takes_the_folders_for_labels_after_all(api, token, project):
    client = api(token)
    import_and_check(*KINDS["cats and dogs"], client, project)
    (dataset,) = client.get("/api/v1/datasets").json()["data"]
    address = f"/api/v1/datasets/{dataset['id']}/readings"
    answer = client.post(address, {"columns": {"": "labels:folders"}}, format="json")
    imports.import_version(answer.json()["version_id"])
    found = client.get(f"/api/v1/datasets/{dataset['id']}").json()
    assert [entry["label"] for entry in found["profile"]["class_balance"]] == ["train"]
    assert not found["profile"].get("questions")
    refused = client.post(address, {"columns": {"": "labels:colours"}}, format="json")
    assert refused.status_code == 400
