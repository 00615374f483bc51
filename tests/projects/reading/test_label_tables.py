"""Tables inside picture archives: matched by the pictures they name, or refused with a reason."""

import json

import pyarrow.parquet as pq
import pytest

from projects.reading.results import UnreadableFile
from tests.pictures import photos, zipped

PHOTOS = {f"{label}{number}": content for (label, number), content in photos(6).items()}
LABELS = {name: name.rstrip("0123456789") for name in PHOTOS}


def table(header, row, separator=","):
    lines = [header] if header else []
    return "\n".join([*lines, *(row(name, label) for name, label in LABELS.items())]).replace(
        ",", separator
    )


def one_hot(name, label):
    return f"{name}.png," + ",".join(str(int(label == one)) for one in ("red", "green", "blue"))


COCO = {
    "images": [{"id": n, "file_name": f"{name}.png"} for n, name in enumerate(LABELS)],
    "annotations": [
        {"image_id": n, "category_id": ["red", "green", "blue"].index(label), "bbox": [0, 0, 1, 1]}
        for n, label in enumerate(LABELS.values())
    ],
    "categories": [{"id": n, "name": name} for n, name in enumerate(["red", "green", "blue"])],
}
SECOND = {"image_id": 0, "category_id": 2}
DATUMARO = {
    "categories": {"label": {"labels": [{"name": one} for one in ("red", "green", "blue")]}},
    "items": [
        {
            "id": name,
            "annotations": [
                {"type": "label", "label_id": ["red", "green", "blue"].index(label)},
                {"type": "bbox", "label_id": 0},
            ],
            "image": {"path": f"{name}.png"},
        }
        for name, label in LABELS.items()
    ],
}
TABLES = {
    "id": ("labels.csv", table("image_id,label", lambda n, one: f"{n},{one}")),
    "ending": ("labels.csv", table("image_id,category", lambda n, one: f"{n}.png,{one}")),
    "breed": ("train.csv", table("filename,breed", lambda n, one: f"{n}.png,{one}")),
    "any name": ("t.csv", table("what,colour", lambda n, one: f"{n}.png,{one}")),
    "upper case": ("labels.csv", table("path,label", lambda n, one: f".\\images\\{n}.PNG,{one}")),
    "drive": ("labels.csv", table("path,label", lambda n, one: f"C:\\x\\images\\{n}.png,{one}")),
    "absolute": ("labels.csv", table("path,label", lambda n, v: f"/home/me/images/{n}.png,{v}")),
    "semicolons": ("labels.csv", table("id,label", lambda n, one: f"{n},{one}", ";")),
    "tabs": ("labels.tsv", table("file,label", lambda n, one: f"{n}.png,{one}", "\t")),
    "tabs named csv": ("labels.csv", table("file,label", lambda n, one: f"{n}.png,{one}", "\t")),
    "headerless": ("labels.csv", table("", lambda n, one: f"{n}.png,{one}")),
    "headerless stems": ("labels.txt", table("", lambda n, one: f"{n},{one}")),
    "sizes": ("l.csv", table("w,h,file,kind,note", lambda n, one: f"40,40,{n}.png,{one},x {n}")),
    "one hot": ("labels.csv", table("filename,red,green,blue", one_hot)),
    "metadata": (
        "images/metadata.jsonl",
        "\n".join(json.dumps({"file_name": f"{n}.png", "label": v}) for n, v in LABELS.items()),
    ),
    "metadata csv": ("images/metadata.csv", table("file_name,label", lambda n, v: f"{n}.png,{v}")),
    "mapping": ("labels.json", json.dumps({f"{n}.png": one for n, one in LABELS.items()})),
    "list": ("labels.json", json.dumps([{"image": n, "class": v} for n, v in LABELS.items()])),
    "coco": ("annotations.json", json.dumps(COCO)),
    "datumaro": ("annotations/default.json", json.dumps(DATUMARO)),
}  # fmt: skip


def archive(name, text, folder="images"):
    files = {f"{folder}/{one}.png": content for one, content in PHOTOS.items()}
    return zipped(files | {name: text.encode()})


@pytest.mark.parametrize("case", TABLES)
def test_a_table_labels_the_pictures_however_it_is_written(read, case):
    found = read(archive(*TABLES[case]), "photos.zip")
    rows = pq.read_table(found.data).to_pydict()
    names = [file.rsplit("/", 1)[1].removesuffix(".png") for file in rows["file"]]
    assert dict(zip(names, rows["label"], strict=True)) == LABELS
    assert found.rejected_rows == 0
    assert TABLES[case][0] in found.dialect["labels"]


def test_several_tables_in_split_folders_give_the_split(read):
    half = list(LABELS)
    files = {}
    for part, names in (("train", half[::2]), ("test", half[1::2])):
        lines = ["file_name,label", *(f"{name}.png,{LABELS[name]}" for name in names)]
        files[f"{part}/metadata.csv"] = "\n".join(lines).encode()
        files |= {f"{part}/{name}.png": PHOTOS[name] for name in names}
    rows = pq.read_table(read(zipped(files), "photos.zip").data).to_pydict()
    assert rows["split"].count("train") == rows["split"].count("test") == 9
    assert rows["label"].count("red") == 6


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("labels.csv", table("file,a,b", lambda n, v: f"{n}.png,{v},{v}x"), "a, b. Call that"),
        ("labels.csv", table("x,y", lambda n, one: f"other{n}.jpg,{one}"), "names the pictures"),
        ("labels.csv", table("f,a,b", lambda n, one: f"{n}.png,1,1"), "several labels (a, b)"),
        (
            "labels.json",
            json.dumps(COCO | {"annotations": [*COCO["annotations"], SECOND]}),
            "several labels",
        ),
        ("labels.json", "{", "no JSON that names pictures"),
    ],
)  # fmt: skip
def test_a_table_that_is_not_clear_is_refused_and_no_folder_becomes_the_label(
    read, name, text, words
):
    with pytest.raises(UnreadableFile) as refused:
        read(archive(name, text), "photos.zip")
    assert words in refused.value.sentence


def test_a_single_folder_without_a_table_is_told(read):
    files = {f"images/{number}.png": content for number, content in enumerate(PHOTOS.values())}
    found = read(zipped(files | {"README.md": b"Photos."}), "photos.zip")
    assert any("All pictures lie in one folder" in issue["sentence"] for issue in found.issues)


def test_class_folders_stay_the_labels_beside_a_table_that_names_no_picture(read):
    files = {f"{LABELS[one]}/{one}.png": content for one, content in PHOTOS.items()}
    found = read(zipped(files | {"prices.csv": b"item,price\na,1\nb,2\n"}), "photos.zip")
    assert sorted(set(pq.read_table(found.data)["label"].to_pylist())) == ["blue", "green", "red"]
    assert any("prices.csv was not used" in issue["sentence"] for issue in found.issues)
