"""What callers corrected becomes rows of the dataset, once."""

import json

import pytest
from django.urls import reverse
from django.utils.html import escape
from django.utils.timezone import now

from inference.errors import NoCorrections
from inference.feedback import corrected_rows, learn_corrections, record_feedback
from inference.models import RequestLog
from projects.importing import imports
from projects.importing.uploads import reimport
from tests.projects.conftest import bring_in, quick_child  # noqa: F401
from training.models import TrainingJob

pytestmark = pytest.mark.django_db
FILE = b"text,label\n" + b"".join(
    b"question %d,%s\n" % (n, [b"pay", b"ship"][n % 2]) for n in range(12)
)


@pytest.fixture
def endpoint(deployment, bring_in):  # noqa: F811
    """An endpoint whose model learnt a label from a text."""
    model = deployment.model
    model.dataset_version = bring_in(FILE)
    model.manifest = {
        "inputs": {"kind": "text", "columns": ["text"]},
        "target": {"kind": "label", "column": "label"},
    }
    model.save()
    return deployment


def ask(deployment, key, text, **facts):
    facts = {"rows": 1, "tokens": 3, "latency_ms": 1.0, "status": 200, "answers": ["pay"]} | facts
    RequestLog.objects.create(request_id=key, deployment=deployment, inputs=[text], **facts)


def finished(version):
    imports.import_version(version.pk)
    version.refresh_from_db()
    return version


def test_corrections_are_added_behind_all_rows_and_only_once(endpoint, alice):
    ask(endpoint, "a", "where is my box")
    ask(endpoint, "b", "one of two", rows=2)
    ask(endpoint, "c", "never corrected")
    for key in ("a", "b", "unknown"):
        record_feedback(endpoint.team, request_id=key, score=-1, correction="ship")
    record_feedback(endpoint.team, request_id="c", score=1)
    assert corrected_rows(endpoint) == [{"text": "where is my box", "label": "ship"}]
    made = finished(learn_corrections(endpoint, alice))
    assert (made.rows, made.number) == (13, 2)
    assert corrected_rows(endpoint) == []
    with pytest.raises(NoCorrections):
        learn_corrections(endpoint, alice)


def test_rows_that_were_given_by_names_are_read_by_them(endpoint):
    ask(endpoint, "a", {"text": "where is my box", "extra": 1})
    ask(endpoint, "b", {"other": "not the column that is read"})
    ask(endpoint, "c", "where is my box")  # The same twice is one row.
    for key in ("a", "b", "c"):
        record_feedback(endpoint.team, request_id=key, correction="ship")
    assert corrected_rows(endpoint) == [{"text": "where is my box", "label": "ship"}]


def test_a_masked_column_gets_masked_texts(endpoint, alice):
    finished(reimport(endpoint.model.dataset_version, {"mask": ["text"]}, alice))
    ask(endpoint, "a", "write to ann@example.com")
    record_feedback(endpoint.team, request_id="a", correction="pay")
    assert corrected_rows(endpoint)[0]["text"] == "write to <e-mail>"


def test_models_of_other_rows_and_other_teams_get_none(endpoint, other_team):
    ask(endpoint, "a", "where is my box")
    record_feedback(other_team, request_id="a", correction="ship")
    assert corrected_rows(endpoint) == []
    record_feedback(endpoint.team, request_id="a", correction="ship")
    endpoint.model.manifest["inputs"]["columns"] = ["subject", "text"]
    assert corrected_rows(endpoint) == []


def test_a_text_that_the_log_has_cut_is_no_row(endpoint):
    ask(endpoint, "a", "x" * 500)
    ask(endpoint, "b", "y" * 500, asked="y" * 900)
    for key in ("a", "b"):
        record_feedback(endpoint.team, request_id=key, correction="ship")
    assert corrected_rows(endpoint) == [{"text": "y" * 900, "label": "ship"}]


def learnt(endpoint, file, inputs, target, bring_in):  # noqa: F811
    model = endpoint.model
    model.dataset_version = bring_in(file)
    model.manifest = {"inputs": inputs, "target": target}
    model.save()


def test_several_columns_of_text_and_tables_are_rows_by_their_names(endpoint, bring_in, alice):  # noqa: F811
    file = b"subject,body,size,label\n" + b"".join(
        b"help %d,my box,%d,%s\n" % (n, n, [b"pay", b"ship"][n % 2]) for n in range(12)
    )
    learnt(
        endpoint,
        file,
        {"kind": "text", "columns": ["subject", "body"]},
        {"column": "label"},
        bring_in,
    )
    ask(endpoint, "a", '{"subject": "late", "body": "where is it"}')  # As older entries keep it.
    ask(endpoint, "b", "only a text", asked={"subject": "lost", "body": None, "extra": 1})
    ask(endpoint, "c", "of no column")
    for key in ("a", "b", "c"):
        record_feedback(endpoint.team, request_id=key, correction="ship")
    assert corrected_rows(endpoint) == [
        {"subject": "late", "body": "where is it", "label": "ship"},
        {"subject": "lost", "body": None, "label": "ship"},
    ]
    endpoint.model.manifest["inputs"] = {"kind": "features", "columns": ["subject", "size"]}
    ask(endpoint, "d", "", asked={"subject": "x", "size": 3})
    record_feedback(endpoint.team, request_id="d", correction="pay")
    assert corrected_rows(endpoint)[-1] == {"subject": "x", "size": "3", "label": "pay"}
    made = finished(learn_corrections(endpoint, alice))
    assert made.rows == 15
    assert corrected_rows(endpoint) == []


def test_a_chat_is_a_row_with_its_corrected_answer(endpoint, bring_in, alice):  # noqa: F811
    chat = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    file = "\n".join(json.dumps({"messages": chat}) for _ in range(12)).encode()
    learnt(endpoint, file, {"kind": "chat", "columns": ["messages"]}, {"kind": "text"}, bring_in)
    asked = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "where?"}]
    ask(endpoint, "a", "where?", asked=asked)
    ask(endpoint, "b", "only the last turn of a chat")
    for key in ("a", "b"):
        record_feedback(endpoint.team, request_id=key, correction="Here.")
    (row,) = corrected_rows(endpoint)
    assert json.loads(row["messages"]) == [*asked, {"role": "assistant", "content": "Here."}]
    assert finished(learn_corrections(endpoint, alice)).rows == 13


def test_a_question_is_a_row_of_prompts_where_nothing_went_before(endpoint, bring_in):  # noqa: F811
    file = b"prompt,completion\n" + b"".join(b"q %d,a %d\n" % (n, n) for n in range(12))
    learnt(
        endpoint, file, {"kind": "chat", "columns": ["prompt"]}, {"column": "completion"}, bring_in
    )
    user = {"role": "user", "content": "where?"}
    ask(endpoint, "a", "where?", asked=[user])
    ask(endpoint, "b", "where?", asked=[{"role": "system", "content": "Be brief."}, user])
    ask(endpoint, "c", "and why?", asked="and why?")
    for key in ("a", "b", "c"):
        record_feedback(endpoint.team, request_id=key, correction="Here.")
    assert [row["prompt"] for row in corrected_rows(endpoint)] == ["where?", "and why?"]


def test_the_page_offers_them_and_only_who_may_write_takes_them(endpoint, alice, vera, client_of):
    ask(endpoint, "a", "where is my box")
    record_feedback(endpoint.team, request_id="a", correction="ship")
    page = client_of(alice).get(reverse("inference:deployment", args=[endpoint.pk]))
    assert "1 answer was corrected that the dataset" in page.content.decode()
    address = reverse("inference:learn-corrections", args=[endpoint.pk])
    assert client_of(vera).post(address).status_code == 403
    answer = client_of(alice).post(address)
    dataset = endpoint.model.dataset_version.dataset
    assert answer["Location"] == reverse("projects:dataset", args=[dataset.pk])
    assert dataset.latest.number == 2


def test_the_next_fine_tune_begins_with_the_settings_of_the_last(
    endpoint, job, alice, client_of, token, api
):
    model, version = endpoint.model, endpoint.model.dataset_version
    recipe = job.recipe | {"hyperparameters": {"epochs": 7}}
    job.model, job.dataset_version, job.recipe, job.name = model, version, recipe, "Tickets"
    job.status, job.finished_at = "succeeded", now()
    job.save()
    ask(endpoint, "a", "where is my box")
    record_feedback(endpoint.team, request_id="a", correction="ship")
    client = client_of(alice)
    answer = client.post(reverse("inference:learn-corrections", args=[endpoint.pk]))
    assert answer["Location"].endswith(f"?again={job.pk}")
    page = client.get(answer["Location"]).content.decode()
    assert f"/status/?again={job.pk}" in page  # Reading the file goes on.
    newest = finished(version.dataset.versions.get(number=2))
    launch = f"{reverse('training:launch', args=[version.dataset_id])}?version=2&again={job.pk}"
    assert escape(launch) in client.get(answer["Location"]).content.decode()
    form = client.get(launch).context["form"]
    assert form.version == newest
    assert (form.data["name"], str(form.data["hyperparameters-epochs"])) == ("Tickets again", "7")
    body = {
        "project": str(endpoint.project_id),
        "dataset": str(version.dataset_id),
        "task": "text-classification",
    }
    for sent, expected in (({}, newest), ({"dataset_version": str(version.pk)}, version)):
        answer = api(token).post("/api/v1/training-jobs", body | sent, format="json")
        assert answer.status_code == 201, answer.content
        assert TrainingJob.objects.get(pk=answer.json()["id"]).dataset_version == expected
    for wrong, status in ((endpoint.pk, 404), ("x", 400)):
        sent = body | {"dataset_version": str(wrong)}
        answer = api(token).post("/api/v1/training-jobs", sent, format="json")
        assert answer.status_code == status
