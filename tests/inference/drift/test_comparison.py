"""Requests are compared with the stored rows that the model learnt from, on the page and by API."""

import json
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.cache import cache
from django.urls import reverse

from accounts.models import Notice
from inference.drift.comparison import measure_drift
from inference.drift.notices import notify_of_drift
from inference.feedback import record_feedback
from inference.models import RequestLog
from projects import storage
from tests.projects.conftest import bring_in, quick_child  # noqa: F401

pytestmark = pytest.mark.django_db
WORDS = [
    "box",
    "card",
    "refund",
    "order",
    "parcel",
    "late",
    "lost",
    "pay",
    "bank",
    "ship",
    "street",
    "door",
]
FEATURES = [
    {"name": "age", "kind": "number", "number_format": "1.234,5"},
    {"name": "plan", "kind": "category", "categories": ["basic", "plus"]},
    {"name": "since", "kind": "date"},
]


@pytest.fixture(autouse=True)
def empty_cache():
    cache.clear()


@pytest.fixture
def draw():
    return random.Random(7)


def store_answers(model, answers, tmp_path):
    path = tmp_path / "predictions.parquet"
    pq.write_table(pa.table({"predicted": answers}), path)
    storage.put_file(f"{model.artifact_key}/predictions.parquet", path)


def log(deployment, rows, answers):
    RequestLog.objects.bulk_create(
        RequestLog(
            request_id=f"{deployment.pk}-{number}",
            deployment=deployment,
            model_key=deployment.model_id,
            rows=1,
            tokens=3,
            latency_ms=1.0,
            status=200,
            inputs=[row if isinstance(row, str) else json.dumps(row)],
            asked=row,
            answers=[answer],
        )
        for number, (row, answer) in enumerate(zip(rows, answers, strict=True))
    )


def text(draw, words=WORDS, least=4, most=9):
    return " ".join(draw.choices(words, k=draw.randint(least, most)))


@pytest.fixture
def text_endpoint(deployment, bring_in, draw, tmp_path):  # noqa: F811
    """Its model learnt 600 texts, and answered 60 test rows, half of them with "card"."""
    rows = [f"{text(draw)},{draw.choice(['card', 'transfer'])}" for _ in range(600)]
    model = deployment.model
    model.dataset_version = bring_in("\n".join(["text,label", *rows]).encode())
    model.manifest = {
        "inputs": {"kind": "text", "columns": ["text"]},
        "target": {"kind": "label", "column": "label"},
    }
    model.save()
    store_answers(model, ["card", "transfer"] * 30, tmp_path)
    return deployment


@pytest.fixture
def table_endpoint(deployment, bring_in, draw, tmp_path):  # noqa: F811
    """Its model learnt 500 rows of a number written in the German way, a category and a day."""
    rows = [
        f"{draw.randint(20, 80)};{draw.choice(['basic', 'plus'])};2026-0{draw.randint(1, 6)}-11;no"
        for _ in range(500)
    ]
    model = deployment.model
    model.dataset_version = bring_in("\n".join(["age;plan;since;churned", *rows]).encode())
    model.manifest = {
        "inputs": {
            "kind": "features",
            "columns": ["age", "plan", "since"],
            "features": FEATURES,
        },
        "target": {"kind": "label", "column": "churned"},
    }
    model.save()
    return deployment


def shifts_by(deployment):
    return {shift.feature or shift.about: shift for shift in measure_drift(deployment).shifts}


def test_requests_like_the_training_rows_are_steady(text_endpoint, draw):
    log(text_endpoint, [text(draw) for _ in range(400)], ["card", "transfer"] * 200)
    drift = measure_drift(text_endpoint)
    assert drift.requests == 400
    assert drift.verdict == "steady"
    assert {shift.about for shift in drift.shifts} == {"text_length", "unknown_words", "answer"}


def test_other_texts_and_answers_are_named(text_endpoint, draw):
    other = ["invoice", "tax", "receipt", "year", "euro"]
    asked = [text(draw, [*WORDS[:3], *other], 20, 30) for _ in range(300)]
    log(text_endpoint, asked, ["card"] * 285 + ["transfer"] * 15)
    shifts = shifts_by(text_endpoint)
    assert {name for name, shift in shifts.items() if shift.verdict == "large"} == {
        "text_length", "unknown_words", "answer",
    }  # fmt: skip
    unknown, answer = shifts["unknown_words"], shifts["answer"]
    assert str(unknown.bin) == "above 40%"
    assert unknown.share_before == 0
    assert answer.share_now in (0.95, 0.05)
    assert answer.share_before == 0.5


def test_a_few_requests_say_nothing(text_endpoint, draw):
    log(text_endpoint, [text(draw) for _ in range(12)], ["card"] * 7 + ["transfer"] * 5)
    assert shifts_by(text_endpoint)["answer"].verdict == "too_few"


def test_features_are_read_as_the_model_reads_them(table_endpoint, draw):
    rows = [
        {
            "age": draw.choice([f"{draw.randint(20, 80)},0", draw.randint(20, 80), None]),
            "plan": draw.choice(["basic", "plus"]),
            "since": f"2026-1{draw.randint(0, 2)}-01",
        }
        for _ in range(300)
    ]
    log(table_endpoint, rows, ["no"] * 300)
    shifts = shifts_by(table_endpoint)
    assert shifts["plan"].verdict == "steady"
    age, since = shifts["age"], shifts["since"]
    assert age.verdict == "large"
    assert str(age.bin) == "no value"
    assert since.verdict == "large"
    assert since.share_now > 0.9
    assert str(since.bin).startswith("above 2026-0")
    assert age.counts[-1] == sum(row["age"] is None for row in rows)


def test_only_answers_of_the_deployed_model_count(text_endpoint, draw):
    log(text_endpoint, [text(draw) for _ in range(30)], ["card"] * 30)
    RequestLog.objects.filter(request_id__endswith="5").update(status=400)
    RequestLog.objects.filter(request_id__endswith="6").update(model_key=None)
    RequestLog.objects.filter(request_id__endswith="7").update(answers=["2 embeddings"])
    assert measure_drift(text_endpoint).requests == 21


def test_the_page_and_the_api_say_the_same(text_endpoint, client, alice, draw, api, token):
    log(text_endpoint, [text(draw, least=20, most=30) for _ in range(200)], ["card"] * 200)
    for number, score in enumerate((1, 1, 1, -1)):
        record_feedback(text_endpoint.team, request_id=f"{text_endpoint.pk}-{number}", score=score)
    client.force_login(alice)
    page = client.get(reverse("inference:drift", args=[text_endpoint.pk]))
    words = " ".join(page.content.decode().split())
    assert "200 sampled requests were compared" in words
    assert "Characters of the text" in words
    assert "75.0%" in words
    answer = api(token).get(f"/api/v1/deployments/{text_endpoint.pk}/drift").json()
    assert (answer["object"], answer["requests"], answer["verdict"]) == ("drift", 200, "large")
    assert answer["feedback"] == {"right": 3, "wrong": 1, "corrected": 0}
    length = next(one for one in answer["shifts"] if one["about"] == "text_length")
    assert length["share_in_requests"] == 1.0
    assert length["bin"].startswith("above ")


def test_a_team_is_told_once_until_the_endpoint_switches(text_endpoint, draw):
    log(text_endpoint, [text(draw, least=20, most=30) for _ in range(200)], ["card"] * 200)
    for _ in range(2):
        notify_of_drift()
    notice = Notice.objects.get(event="deployment.drifted")
    assert notice.data["deployment"] == str(text_endpoint.pk)
    assert "differ much" in notice.sentence
    assert notice.url.endswith("#drift")


def test_strangers_see_nothing(text_endpoint, client, mallory):
    client.force_login(mallory)
    assert client.get(reverse("inference:drift", args=[text_endpoint.pk])).status_code == 404


@pytest.mark.parametrize(
    "manifest",
    [
        {},
        {"inputs": {"kind": "image"}, "target": {"kind": "label"}},
        {"inputs": {"kind": "text", "columns": ["gone"]}, "target": {"kind": "text"}},
    ],
)
def test_a_model_without_stored_data_says_so(deployment, client, alice, manifest):
    deployment.model.manifest = manifest
    deployment.model.save()
    log(deployment, ["data:"], ["card"])
    client.force_login(alice)
    page = client.get(reverse("inference:drift", args=[deployment.pk])).content.decode()
    assert "nothing can be compared" in page
