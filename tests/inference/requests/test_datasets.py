"""Logged requests become a dataset: whole rows only, with the model's answers."""

import json

import pytest
from django.urls import reverse

from inference.errors import NotRows, NoWholeRows
from inference.feedback import record_feedback
from inference.requests.datasets import make_dataset
from inference.requests.listing import RequestFilter, list_requests
from projects.importing.uploads import reimport
from projects.models import Dataset
from projects.queries.rows import RowQuery, load_rows
from tests.inference.test_feedback import ask, endpoint, finished, learnt  # noqa: F401
from tests.projects.conftest import bring_in, quick_child  # noqa: F401

pytestmark = pytest.mark.django_db


def rows_of(version):
    page = load_rows(finished(version), RowQuery())
    return [dict(zip(page.columns, row.cells, strict=True)) for row in page.rows]


def make(deployment, by, **facts):
    return make_dataset(deployment, list_requests(deployment, RequestFilter()), by, **facts)


def test_rows_come_with_the_models_answers_and_what_the_log_cut_is_counted(endpoint, alice):  # noqa: F811
    ask(endpoint, "a", "where is my box", answers=["ship"])
    ask(endpoint, "b", "x" * 500)  # Cut off, and not kept whole.
    ask(endpoint, "c", "y" * 500, asked="y" * 900)
    ask(endpoint, "d", "refused", status=400, answers=[])
    ask(endpoint, "e", "a meaning", answers=["1 embeddings"])
    made = make(endpoint, alice)
    assert (made.rows, made.left_out) == (2, 3)
    assert made.version.dataset.project == endpoint.project
    assert rows_of(made.version) == [
        {"text": "where is my box", "label_predicted": "ship"},
        {"text": "y" * 900, "label_predicted": "pay"},
    ]


def test_of_a_request_of_many_rows_the_first_are_there(endpoint, alice):  # noqa: F811
    ask(endpoint, "a", "first", rows=9, answers=["pay", "", "ship"])
    endpoint.requests.update(inputs=["first", "one that could not be read", "third", "unanswered"])
    made = make(endpoint, alice)
    assert (made.rows, made.left_out) == (2, 7)
    assert [row["text"] for row in rows_of(made.version)] == ["first", "third"]


def test_what_feedback_calls_right_is_the_target(endpoint, alice):  # noqa: F811
    for key in "abcd":
        ask(endpoint, key, f"text {key}")
    ask(endpoint, "e", "of two", rows=2)
    record_feedback(endpoint.team, request_id="a", score=-1, correction="ship")
    record_feedback(endpoint.team, request_id="b", score=1)
    record_feedback(endpoint.team, request_id="c", score=-1)
    record_feedback(endpoint.team, request_id="e", score=-1, correction="ship")
    made = make(endpoint, alice, answers="corrected")
    rows = rows_of(made.version)
    assert [row["label"] for row in rows] == ["ship", "pay", None, None, None]
    assert {row["label_predicted"] for row in rows} == {"pay"}


def test_masked_columns_stay_masked_also_those_masked_since(endpoint, alice):  # noqa: F811
    finished(reimport(endpoint.model.dataset_version, {"mask": ["text", "label"]}, alice))
    ask(endpoint, "a", "write to ann@example.com", answers=["bob@example.com"])
    assert rows_of(make(endpoint, alice).version) == [
        {"text": "write to <e-mail>", "label_predicted": "<e-mail>"}
    ]


def test_tables_keep_their_numbers(endpoint, bring_in, alice):  # noqa: F811
    file = b"size,colour,label\n" + b"".join(
        b"%d,red,%s\n" % (n, [b"pay", b"ship"][n % 2]) for n in range(12)
    )
    learnt(
        endpoint,
        file,
        {"kind": "features", "columns": ["size", "colour"]},
        {"kind": "label", "column": "label"},
        bring_in,
    )
    ask(endpoint, "a", "", asked={"size": 3, "colour": "red", "unread": 1})
    ask(endpoint, "b", "", asked={"size": "4", "colour": None})
    version = make(endpoint, alice).version
    assert rows_of(version) == [
        {"size": 3, "colour": "red", "label_predicted": "pay"},
        {"size": 4, "colour": None, "label_predicted": "pay"},
    ]


def test_a_chat_ends_with_its_answer_the_right_one_where_it_is_known(endpoint, bring_in, alice):  # noqa: F811
    chat = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    file = "\n".join(json.dumps({"messages": chat}) for _ in range(12)).encode()
    learnt(endpoint, file, {"kind": "chat", "columns": ["messages"]}, {"kind": "text"}, bring_in)
    asked = [{"role": "user", "content": "where?"}]
    ask(endpoint, "a", "where?", asked=asked, answers=["Here."])
    ask(endpoint, "b", "where?", asked=asked, answers=["z" * 500])  # The log has cut the answer.
    record_feedback(endpoint.team, request_id="a", correction="There.")
    for answers, last in (("predicted", "Here."), ("corrected", "There.")):
        made = make(endpoint, alice, answers=answers)
        assert (made.rows, made.left_out) == (1, 1)
        (row,) = rows_of(made.version)
        messages = json.loads(row["messages"]) if isinstance(row["messages"], str) else row
        assert messages[-1] == {"role": "assistant", "content": last}


def test_what_is_no_row_is_refused(endpoint, alice):  # noqa: F811
    with pytest.raises(NoWholeRows):
        make(endpoint, alice)
    endpoint.model.manifest["inputs"] = {"kind": "image", "columns": ["image"]}
    ask(endpoint, "a", "picture")
    with pytest.raises(NotRows):
        make(endpoint, alice)


def test_the_page_takes_ticked_or_listed_requests(endpoint, alice, vera, client_of):  # noqa: F811
    ask(endpoint, "a", "first", answers=["ship"])
    ask(endpoint, "b", "second")
    ask(endpoint, "c", "x" * 500)
    address = reverse("inference:requests-dataset", args=[endpoint.pk])
    sent = {"answers": "predicted", "name": "Ours", "scope": "ticked", "request": ["a", "c"]}
    before = Dataset.objects.count()
    assert client_of(vera).post(address, sent).status_code == 403
    client = client_of(alice)
    answer = client.post(address, sent, follow=True)
    dataset = Dataset.objects.order_by("-created_at")[0]
    assert answer.redirect_chain[-1][0] == reverse("projects:dataset", args=[dataset.pk])
    assert "left out, because the log has them not whole: 1." in answer.content.decode()
    assert (dataset.name, Dataset.objects.count()) == ("Ours", before + 1)
    assert [row["text"] for row in rows_of(dataset.latest or dataset.versions.get())] == ["first"]
    client.post(address, {"answers": "predicted", "scope": "all", "answer": "pay"})
    dataset = Dataset.objects.order_by("-created_at")[0]
    assert [row["text"] for row in rows_of(dataset.versions.get())] == ["second"]
    refused = client.post(address, {"answers": "predicted", "scope": "ticked"})
    assert refused.status_code == 409
    assert "no row whole" in refused.content.decode()
    assert Dataset.objects.count() == before + 2


def test_the_api_makes_one_and_refuses_ids_that_are_not_there(endpoint, token, api):  # noqa: F811
    ask(endpoint, "a", "first")
    ask(endpoint, "b", "x" * 500)
    address = f"/api/v1/deployments/{endpoint.pk}/requests/dataset"
    made = api(token).post(address, {"name": "Ours"}, format="json")
    assert made.status_code == 201
    facts = made.json()
    assert (facts["object"], facts["name"], facts["rows"], facts["left_out"]) == (
        "dataset", "Ours", 1, 1)  # fmt: skip
    assert Dataset.objects.get(pk=facts["id"]).versions.get().pk.hex == facts["version"].replace(
        "-", ""
    )
    unknown = api(token).post(address, {"requests": ["a", "z"]}, format="json")
    assert (unknown.status_code, unknown.json()["error"]["param"]) == (400, "requests")
    none = api(token).post(address, {"requests": ["a"], "answer": "ship"}, format="json")
    assert none.status_code == 400
    assert api(token).post(address, {"requests": []}, format="json").status_code == 400
