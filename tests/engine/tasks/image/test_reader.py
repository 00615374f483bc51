"""Which rows of an image dataset are usable, and how they are named, labelled and decoded."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from engine.errors import BadTrainingData
from engine.spec import parse_spec
from engine.tasks.image.data.preprocessing import Preprocessing
from engine.tasks.image.data.reader import read_images

LABELS = ["cat", "dog"]


def png(value):
    sink = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), value, dtype=np.uint8)).save(sink, "PNG")
    return sink.getvalue()


def read(tmp_path, columns, advance=lambda share: None, **changes):
    path = tmp_path / "data.parquet"
    pq.write_table(pa.table(columns), path, row_group_size=3)
    spec = {
        "task": "image-classification",
        "data": path,
        "image_column": "image",
        "target_column": "label",
        "output": "o",
        "work": tmp_path / "work",
    }
    return read_images(parse_spec(spec | changes), Preprocessing(side=4), advance)


def columns(rows=12, **changes):
    made = {
        "image": [png(row * 10) for row in range(rows)],
        "label": [LABELS[row % 2] for row in range(rows)],
    }
    return made | changes


def test_every_readable_row_keeps_its_own_pixels(tmp_path):
    made = columns(14)
    made["image"][4], made["image"][7], made["label"][2] = b"broken", None, ""
    images = read(tmp_path, made)
    assert images.rows.tolist() == [0, 1, 3, 5, 6, *range(8, 14)]
    assert images.pixels[:, 0, 0, 0].tolist() == [row * 10 for row in images.rows]
    assert images.label_names == LABELS
    assert images.labels.tolist() == [row % 2 for row in images.rows]
    assert images.warnings == [
        "1 row has no label: skipped.",
        "2 rows have no readable picture: skipped.",
    ]


def test_equal_images_are_known_by_equal_digests(tmp_path):
    images = read(tmp_path, columns(image=[png(row // 2) for row in range(12)]))
    assert [images.digests[n] == images.digests[n + 1] for n in range(3)] == [True, False, True]


def test_images_are_named_by_their_files_or_numbers(tmp_path):
    assert read(tmp_path, columns()).names[:2] == ["picture 1", "picture 2"]
    named = columns(path=[f"a/{row}.png" if row else None for row in range(12)])
    assert read(tmp_path, named).names[:2] == ["picture 1", "a/1.png"]


def test_the_split_column_is_read_with_the_rows(tmp_path):
    made = columns(part=["test"] * 6 + ["train"] * 6)
    made["label"][0] = None
    images = read(tmp_path, made, split_column="part")
    assert images.split_values == ["test"] * 5 + ["train"] * 6


def test_progress_rises_to_one(tmp_path):
    shares = []
    read(tmp_path, columns(), shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"label": ["cat"] * 12}, "too_few_labels"),
        ({"label": [f"{row}" for row in range(12)]}, "too_many_labels"),
        ({"label": ["cat", "dog"] + [None] * 10}, "too_few_rows"),
        ({"image": ["text"] * 12}, "not_pictures"),
    ],
)
def test_useless_images_and_labels_are_refused(tmp_path, changes, detail):
    with pytest.raises(BadTrainingData) as refusal:
        read(tmp_path, columns(**changes))
    assert refusal.value.detail == detail
