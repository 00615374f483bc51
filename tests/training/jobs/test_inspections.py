"""What a job would refuse is refused by import, estimate, page and launch, in the same words; what
it would learn, all of them show alike."""

import html
import json
from collections import Counter

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from engine import catalog
from engine.data.text_examples import read_examples
from engine.spec import parse_spec
from projects import storage
from projects.importing import import_process, imports
from projects.models import DatasetVersion
from training.jobs import inspections
from training.models import TrainingJob
from web import child_process

pytestmark = pytest.mark.django_db
JOBS = "/api/v1/training-jobs"
WORDS = ["courier", "refund", "invoice", "password"]
TEXTS = [f"my {WORDS[n % 4]} question number {n} has no answer yet" for n in range(48)]


@pytest.fixture(autouse=True)
def quick_child(monkeypatch):
    def carry_out_here(_, order):
        answer = import_process.carry_out(json.loads(order.read_text()), order.parent)
        (order.parent / "answer.json").write_text(json.dumps(answer))
        return child_process.Finished(0, "", "")

    monkeypatch.setattr(imports, "_run_child_process", carry_out_here)


@pytest.fixture
def upload(api, token, project):
    def post(content: str, filename: str = "data.csv") -> DatasetVersion:
        file = SimpleUploadedFile(filename, content.encode())
        answer = api(token).post(
            "/api/v1/datasets", {"project": str(project.pk), "file": file}, format="multipart"
        )
        assert answer.status_code == 202, answer.content
        imports.import_version(answer.json()["version_id"])
        return DatasetVersion.objects.get(pk=answer.json()["version_id"])

    return post


def body(version: DatasetVersion, task: str, **columns) -> dict:
    dataset = version.dataset
    return {"project": str(dataset.project_id), "dataset": str(dataset.pk), "task": task} | columns


def csv(header: str, rows) -> str:
    return "\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n"


TEXT = {"text_columns": ["text"], "target_column": "label"}
NUMBERS = [f"{10 + n},{n % 7},{n * 3}" for n in range(40)]
REFUSED = {
    "one class": (csv("text,label", [(t, "only") for t in TEXTS]), "text-classification", TEXT,
                  "same label, 'only'", "target_column"),
    "one row a class": (csv("text,label", [(t, f"a{n}") for n, t in enumerate(TEXTS)]),
                        "text-classification", TEXT, "48 different labels", "target_column"),
    "1,200 labels": (csv("text,label", [(f"a thing {n}", f"sku{n // 3}") for n in range(3600)]),
                      "text-classification", TEXT, "1,200 different labels", "target_column"),
    "four rows": (csv("text,label", [(t, "ab"[n % 2]) for n, t in enumerate(TEXTS[:4])]),
                  "text-classification", TEXT, "Only 4 rows", "target_column"),
    "below the limit": (csv("sqm,rooms,lead", [r.split(",") for r in NUMBERS] + [(5, 3, "<1.0")]),
                        "tabular-regression", {"target_column": "lead"}, "'<1.0' in row 41",
                        "target_column"),
    "one number": (csv("sqm,rooms,y", [(n, n % 5, 7) for n in range(40)]), "tabular-regression",
                   {"target_column": "y"}, "same y", "target_column"),
    "repeats": (csv("a,b,y", [(1, 2, n % 2) for n in range(60)]), "tabular-classification",
                {"target_column": "y"}, "too few different rows", "target_column"),
    "no marks": (csv("text,a,b", [(t, n % 2, "0" if n % 3 else "2") for n, t in enumerate(TEXTS)]),
                 "text-classification", {"text_columns": ["text"], "target_column": ["a", "b"]},
                 "Column 'b' says '2' in row 1;", "target_columns"),
    "split": (csv("text,label,part", [(t, "ab"[n % 2], "later") for n, t in enumerate(TEXTS)]),
              "text-classification", TEXT | {"split_column": "part"}, "later", "target_column"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_is_told_before_money_or_queue(case, upload, api, token, alice, client_of):
    content, task, columns, sentence, param = REFUSED[case]
    version = upload(content)
    request = body(version, task, **columns)
    estimated = api(token).post(f"{JOBS}/estimate", request, format="json").json()
    assert estimated.get("allowed") is False, estimated
    assert sentence in estimated["reasons"][0]
    assert estimated["data"] is None

    launched = api(token).post(JOBS, request, format="json")
    assert launched.status_code == 400
    assert launched.json()["error"]["param"] == param
    assert sentence in launched.json()["error"]["message"]

    form = {name: value for name, value in columns.items() if isinstance(value, str)}
    form |= {name: value for name, value in columns.items() if name == "text_columns"}
    if isinstance(columns["target_column"], list):
        form["target_columns"] = columns["target_column"]
    if column := form.pop("split_column", None):
        form |= {"split-method": "column", "split-column": column}
    form |= {"task": task, "version": "1", "compute": "cpu", "hyperparameters-epochs": "1"}
    form["base_model"] = "all-MiniLM-L6-v2" if task.startswith("text") else "tabular-network"
    path = f"/datasets/{version.dataset_id}/"
    page = client_of(alice).get(f"{path}estimate/", form).content.decode()
    assert "disabled" in page
    posted = client_of(alice).post(f"{path}launch/", form)
    assert posted.status_code == 400
    shown = page.replace("&#x27;", "'").replace("&lt;", "<")
    assert sentence in shown
    assert not TrainingJob.objects.exists()


LEARNT = {
    "blanks": csv(
        "text,label", [(t, ["pay", "pay ", " ship"][n % 3]) for n, t in enumerate(TEXTS)]
    ),
    "booleans": "\n".join(
        json.dumps({"text": t, "label": n % 3 == 0}) for n, t in enumerate(TEXTS)
    ),
    "lists": csv(
        "text,label",
        [(t, f'"[""{"a" if n % 2 else "b"}"", ""{"cd"[n % 2]}""]"') for n, t in enumerate(TEXTS)],
    ),
    "stars": csv("text,label", [(t, 1 + n % 5) for n, t in enumerate(TEXTS)]),
    "one hot": csv("text,late,rude", [(t, n % 2, int(n % 3 == 0)) for n, t in enumerate(TEXTS)]),
}


@pytest.mark.parametrize("case", LEARNT)
def test_labels_and_counts_are_the_same_at_import_in_the_estimate_and_in_the_job(
    case, upload, api, token, tmp_path
):
    version = upload(LEARNT[case], "data.jsonl" if case == "booleans" else "data.csv")
    shown = {entry["label"]: entry["count"] for entry in version.profile["class_balance"]}
    request = body(version, "text-classification")
    estimated = api(token).post(f"{JOBS}/estimate", request, format="json").json()
    assert estimated["allowed"] is True
    assert {one["label"]: one["count"] for one in estimated["data"]["labels"]} == shown

    launched = api(token).post(JOBS, request, format="json")
    assert launched.status_code == 201
    storage.fetch_file(version.parquet_key, tmp_path / "data.parquet")
    recipe = TrainingJob.objects.get().recipe
    places = {"data": tmp_path / "data.parquet", "output": tmp_path / "o", "work": tmp_path / "w"}
    examples = read_examples(parse_spec(recipe | places))
    assert dict(examples.truth.label_counts()) == shown
    assert all(label == label.strip() and label not in ("True", "False") for label in shown)


def test_a_column_that_says_the_split_is_respected(upload, api, token):
    parts = ["train", "train", "val", "test"]
    rows = [(t, "ab"[(n // 4) % 2], parts[n % 4]) for n, t in enumerate(TEXTS)]
    version = upload(csv("text,label,split", rows))
    request = body(version, "text-classification")
    data = api(token).post(f"{JOBS}/estimate", request, format="json").json()["data"]
    assert (data["train_rows"], data["validation_rows"], data["test_rows"]) == (24, 12, 12)
    assert api(token).post(JOBS, request, format="json").json()["split_column"] == "split"


@pytest.fixture
def dated(upload) -> DatasetVersion:
    rows = [
        (t, "ab"[(n // 4) % 2], f"2024-{1 + n // 24:02}-{1 + n % 24:02}", f"k{n % 9}")
        for n, t in enumerate(TEXTS)
    ]
    return upload(csv("text,label,day,customer", rows))


SPLITS = {
    "stratified": ({"method": "stratified", "seed": 5, "test_fraction": 0.25}, "seed 5"),
    "random": ({"method": "random", "validation_fraction": 0.2}, "without regard to labels"),
    "group": ({"method": "group", "column": "customer"}, "groups of 'customer'"),
    "time": ({"method": "time", "column": "day", "test_fraction": 0.25}, "newest rows by 'day'"),
}


@pytest.mark.parametrize("method", SPLITS)
def test_a_split_chosen_by_program_or_on_the_page_is_estimated_kept_and_shown(
    method, dated, api, token, alice, client_of
):
    split, sentence = SPLITS[method]
    request = body(dated, "text-classification", **TEXT, split=split)
    estimated = api(token).post(f"{JOBS}/estimate", request, format="json").json()["data"]
    launched = api(token).post(JOBS, request, format="json")
    assert launched.status_code == 201, launched.content
    assert launched.json()["split"] | split == launched.json()["split"]
    page = client_of(alice)
    fields = page.get(f"/datasets/{dated.dataset_id}/launch/").context["form"].data.dict()
    fields |= {f"split-{name}": value for name, value in split.items()}
    fields |= {"text_columns": "text", "target_column": "label", "version": dated.number}
    posted = page.post(f"/datasets/{dated.dataset_id}/launch/", fields)
    assert posted.status_code == 302, posted.context["form"].errors
    first, second = TrainingJob.objects.order_by("created_at")
    assert first.recipe["split"] == second.recipe["split"]
    settings_tab = page.get(posted.url, {"tab": "settings"}).content.decode()
    assert sentence in html.unescape(settings_tab)
    again = page.get(f"/datasets/{dated.dataset_id}/launch/?again={second.pk}").context["form"]
    assert again.data["split-method"] == method
    rows = [estimated[f"{part}_rows"] for part in ("train", "validation", "test")]
    assert sum(rows) == len(TEXTS)
    assert rows[2] == pytest.approx(len(TEXTS) * split.get("test_fraction", 0.1), abs=4)


@pytest.mark.parametrize(
    ("split", "param"),
    [
        ({"method": "group"}, "split"),
        ({"method": "time", "column": "text"}, "target_column"),
        ({"method": "group", "column": "nobody"}, "split.column"),
        ({"method": "random", "column": "day"}, "split"),
        ({"method": "fair"}, "split.method"),
        ({"test_fraction": 0.9}, "split.test_fraction"),
        ({"folds": 3}, "split.folds"),
    ],
)
def test_a_split_that_cannot_be_is_refused_by_name(split, param, dated, api, token):
    request = body(dated, "text-classification", **TEXT, split=split)
    answer = api(token).post(JOBS, request, format="json")
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param, answer.json()
    assert not TrainingJob.objects.exists()


def test_what_was_looked_at_is_not_read_again(dataset_version, api, token, monkeypatch):
    read = Counter()
    look = inspections.inspect_data
    monkeypatch.setattr(
        inspections, "inspect_data", lambda spec: read.update(["again"]) or look(spec)
    )
    request = body(dataset_version, "text-classification")
    for _ in range(3):
        assert api(token).post(f"{JOBS}/estimate", request, format="json").status_code == 200
    assert read["again"] <= 1


def test_a_large_table_is_looked_at_by_a_process_of_its_own(
    dataset_version, api, token, monkeypatch
):
    monkeypatch.setattr(inspections, "MAX_ROWS_IN_PROCESS", 10)
    request = body(
        dataset_version, "text-classification", target_column="text", text_columns=["label"]
    )
    answer = api(token).post(JOBS, request, format="json")
    assert answer.status_code == 400
    assert "200 different labels" in answer.json()["error"]["message"]


def test_preferences_are_proposed_and_launched_as_such_unless_the_answer_is_named(
    upload, api, token, client_of, alice
):
    rows = [
        {"prompt": text, "chosen": f"good {n}", "rejected": f"bad {n}"}
        for n, text in enumerate(TEXTS)
    ]
    version = upload("\n".join(map(json.dumps, rows)), "pairs.jsonl")
    suggested = version.profile["suggested"]
    assert (suggested["target_column"], suggested["rejected_column"]) == ("chosen", "rejected")
    assert "learns to prefer chosen to rejected (DPO)" in suggested["why"]
    page = client_of(alice).get(f"/datasets/{version.dataset_id}/launch/").content.decode()
    select = page.partition('name="rejected_column"')[2].partition("</select>")[0]
    assert '<option value="rejected" selected>' in select
    asked = body(version, "text-generation", base_model="small-language-model")
    estimates = [
        api(token).post(f"{JOBS}/estimate", asked | more, format="json").json()
        for more in ({}, {"completion_column": "chosen"})
    ]
    assert estimates[0]["seconds"] != estimates[1]["seconds"]
    preferred = api(token).post(JOBS, asked, format="json").json()
    assert preferred["rejected_column"] == "rejected"
    copied = api(token).post(JOBS, asked | {"completion_column": "chosen"}, format="json").json()
    assert (copied["completion_column"], copied["rejected_column"]) == ("chosen", None)


def test_texts_that_are_too_long_are_counted_before_the_launch(upload, api, token):
    rows = [(text + (" and so on" * 40 if n < 3 else ""), "ab"[n % 2])
            for n, text in enumerate(TEXTS)]  # fmt: skip
    version = upload(csv("text,label", rows))
    asked = body(version, "text-classification", **TEXT, base_model="all-MiniLM-L6-v2")
    for longest, sentence in (
        (64, "3 texts are longer than 64 tokens, of 48 looked at"),
        (256, ""),
    ):
        asked["hyperparameters"] = {"max_length": longest}
        estimated = api(token).post(f"{JOBS}/estimate", asked, format="json").json()
        said = [one for one in estimated["data"]["warnings"] if "the end is not read" in one]
        assert [one[: len(sentence)] for one in said] == [sentence] * bool(sentence)


def test_a_base_model_that_cannot_read_the_texts_is_told_before_the_launch(
    upload, api, token, client_of, alice
):
    """As the job says it: by the share of what its tokenizer has no piece for."""
    words = ["ሰላም", "እንዴት", "ነህ", "ደህና"]
    rows = [(f"{words[n % 4]} {words[n % 3]} {n}", "ab"[n % 2]) for n in range(48)]
    version = upload(csv("text,label", rows))
    asked = body(version, "text-classification", **TEXT, base_model="all-MiniLM-L6-v2")
    estimated = api(token).post(f"{JOBS}/estimate", asked, format="json").json()
    (warning,) = [one for one in estimated["data"]["warnings"] if "is unknown to" in one]
    name = catalog.get_base_model("all-MiniLM-L6-v2").name
    assert f"of what the texts consist of is unknown to {name}" in warning
    address = f"/datasets/{version.dataset_id}/estimate/"
    form = {"task": "text-classification", "text_columns": "text", "target_column": "label",
            "base_model": "all-MiniLM-L6-v2", "version": "1", "compute": "cpu"}  # fmt: skip
    assert "is unknown to" in client_of(alice).get(address, form).content.decode()
    others = [
        entry.id
        for entry in catalog.base_models_for_task("text-classification")
        if entry.source.kind == "scratch"
    ]
    own = asked | {"base_model": others[0]}
    estimated = api(token).post(f"{JOBS}/estimate", own, format="json").json()
    assert not [one for one in estimated["data"]["warnings"] if "is unknown to" in one]
