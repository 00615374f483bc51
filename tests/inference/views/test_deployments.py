import base64
import json
import subprocess

import httpx
import pytest
from django.urls import reverse

from accounts.models import AuditEntry
from inference import deployments
from inference.errors import AlreadyRetired, CannotServe, DeploymentNameTaken
from inference.gateway.models_client import shared_client
from inference.models import Deployment, Feedback, RequestLog, ScheduledDeployment
from inference.snippets import snippets_for
from tests.conftest import issue
from training.errors import TeamSuspended
from training.models import TrainedModel


def url(name, *args):
    return reverse(f"inference:{name}", args=args)


def test_the_list_and_the_page_show_what_is_served(deployment, alice, team, client_of):
    client = client_of(alice)
    listed = client.get(url("deployments", team.slug)).content.decode()
    assert "intents" in listed
    page = client.get(url("deployment", deployment.pk)).content.decode()
    assert "/v1/classify" in page
    assert "&quot;model&quot;: &quot;intents&quot;" in page
    assert "No request yet" in page


def test_a_model_of_pictures_shows_what_it_was_asked_and_reads_a_file(
    deployment, model, alice, client_of
):
    model.manifest = {"inputs": {"kind": "image"}}
    model.save()
    facts = {"deployment": deployment, "rows": 1, "tokens": 1, "latency_ms": 3, "status": 200}
    RequestLog.objects.create(request_id="a", asked="aGk=", inputs=["aGk="], **facts)
    RequestLog.objects.create(
        request_id="b", asked="data:image/png;base64,aG8=", inputs=["data:…"], **facts
    )
    RequestLog.objects.create(request_id="c", inputs=["iVBORw0KGgo" * 40], **facts)
    page = client_of(alice).get(url("deployment", deployment.pk)).content.decode()
    assert 'src="data:image/png;base64,aGk="' in page
    assert 'src="data:image/png;base64,aG8="' in page
    assert "iVBORw0KGgo" not in page
    curl, *others = [one.code for one in snippets_for(deployment)]
    assert all("picture.png" in code for code in (curl, *others))
    for code in others:
        if "process.env" not in code:
            compile(code, "snippet", "exec")


def test_the_curl_of_a_picture_sends_the_file(deployment, model, tmp_path):
    """With a curl that shows what it would send."""
    model.manifest = {"inputs": {"kind": "image"}}
    picture = b"\x89PNG" + bytes(range(256)) * 800  # Longer than an argument may be.
    (tmp_path / "picture.png").write_bytes(picture)
    (tmp_path / "curl").write_text('#!/bin/sh\nfor last; do :; done\necho "$last" >&2\ncat\n')
    (tmp_path / "curl").chmod(0o755)
    sent = subprocess.run(
        ["/bin/sh", "-c", snippets_for(deployment)[0].code],
        cwd=tmp_path,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        check=True,
    )
    body = json.loads(sent.stdout)
    assert body["model"] == "intents"
    assert base64.b64decode(body["input"]) == picture


def test_an_empty_list_says_what_to_do(alice, team, client_of):
    assert "No endpoint yet" in (
        client_of(alice).get(url("deployments", team.slug)).content.decode()
    )


def test_deploying_from_the_form_suggests_a_free_name(model, deployment, alice, client_of):
    client = client_of(alice)
    form = client.get(url("deploy", model.pk)).content.decode()
    assert 'value="intents-2"' in form
    answer = client.post(url("deploy", model.pk), {"name": "second"})
    made = Deployment.objects.get(name="second")
    assert answer.headers["Location"] == url("deployment", made.pk)
    taken = client.post(url("deploy", model.pk), {"name": "second"})
    assert taken.status_code == 409
    assert client.post(url("deploy", model.pk), {"name": "no spaces!"}).status_code == 200


def test_an_htmx_form_is_sent_to_the_new_page(model, alice, client_of):
    answer = client_of(alice).post(
        url("deploy", model.pk), {"name": "fresh"}, headers={"HX-Request": "true"}
    )
    assert answer.headers["HX-Redirect"] == url("deployment", Deployment.objects.get().pk)


def test_moving_and_retiring_from_the_page(deployment, make_model, alice, client_of):
    newer = make_model("Newer")
    client = client_of(alice)
    client.post(url("move", deployment.pk), {"model": newer.pk})
    deployment.refresh_from_db()
    assert deployment.model == newer
    assert client.post(url("retire", deployment.pk)).status_code == 400  # Its name was not typed.
    client.post(url("retire", deployment.pk), {"typed_name": "intents"})
    deployment.refresh_from_db()
    assert deployment.retired_at is not None
    again = client.post(url("retire", deployment.pk), {"typed_name": "intents"})
    assert again.status_code == 409
    assert client.get(url("deployment", deployment.pk)).status_code == 200
    actions = AuditEntry.objects.filter(action__startswith="deployment.")
    assert sorted(actions.values_list("action", flat=True)) == [
        "deployment.created",
        "deployment.moved",
        "deployment.retired",
    ]


def test_a_viewer_may_look_but_not_touch(deployment, model, vera, client_of):
    client = client_of(vera)
    assert client.get(url("deployment", deployment.pk)).status_code == 200
    for name, key, data in (
        ("move", deployment.pk, {"model": model.pk}),
        ("retire", deployment.pk, {}),
        ("ask", deployment.pk, {"text": "x"}),
        ("deploy", model.pk, {"name": "x"}),
    ):
        assert client.post(url(name, key), data).status_code == 403


def test_strangers_get_404_everywhere(deployment, model, job, project, mallory, team, client_of):
    client = client_of(mallory)
    for name, key in (
        ("deployments", team.slug),
        ("deployment", deployment.pk),
        ("activity", deployment.pk),
        ("deploy", model.pk),
        ("deployment-plan", job.pk),
    ):
        assert client.get(url(name, key)).status_code == 404, name
    for name, key in (
        ("ask", deployment.pk),
        ("move", deployment.pk),
        ("retire", deployment.pk),
        ("deploy", model.pk),
        ("deployment-plan", job.pk),
    ):
        assert client.post(url(name, key), {"name": "x", "text": "x"}).status_code == 404, name
    assert b"intents" not in client.get(url("project-deployments", project.pk)).content


def test_fragments_show_what_a_project_serves_and_how_it_is_used(
    deployment, project, alice, client_of
):
    client = client_of(alice)
    assert b"intents" in client.get(url("project-deployments", project.pk)).content
    assert b"Requests today" in client.get(url("activity", deployment.pk)).content


def test_the_playground_shows_every_labels_score(deployment, alice, client_of, monkeypatch):
    def answer(url, **sent):
        assert sent["json"] == {"model": "intents", "input": "my card"}
        scores = [{"label": "card", "score": 0.9}, {"label": "<b>", "score": 0.1}]
        item = {"index": 0, "label": "card", "scores": scores}
        body = {"id": "classify-1", "data": [item], "usage": {"prompt_tokens": 2}}
        made = httpx.Response(200, json=body, request=httpx.Request("POST", f"http://m{url}"))
        made.elapsed = __import__("datetime").timedelta(milliseconds=3)
        return made

    monkeypatch.setattr(shared_client(), "post", answer)
    client = client_of(alice)
    fragment = client.post(
        url("ask", deployment.pk), {"text": "my card"}, headers={"HX-Request": "true"}
    ).content.decode()
    assert "width: 90%" in fragment
    assert "&lt;b&gt;" in fragment
    assert "classify-1" in fragment
    whole = client.post(url("ask", deployment.pk), {"text": "my card"}).content.decode()
    assert "classify-1" in whole
    assert "<html" in whole


def test_the_playground_asks_for_a_tables_features_and_sends_only_what_was_filled_in(
    deployment, model, alice, client_of, monkeypatch
):
    model.manifest = {
        "inputs": {
            "kind": "features",
            "features": [
                {"name": "age", "kind": "number", "low": 18, "high": 80, "middle": 40.0},
                {"name": "city <b>", "kind": "category", "categories": ["oslo", "rome"]},
                {"name": "member", "kind": "boolean"},
                {"name": "since", "kind": "date"},
            ],
        }
    }
    model.save()
    requests = []

    def answer(url, **sent):
        requests.append(sent["json"]["input"])
        body = {"id": "classify-2", "data": [{"index": 0, "value": 12.5}]}
        body["usage"] = {"prompt_tokens": 4}
        made = httpx.Response(200, json=body, request=httpx.Request("POST", f"http://m{url}"))
        made.elapsed = __import__("datetime").timedelta(milliseconds=3)
        return made

    monkeypatch.setattr(shared_client(), "post", answer)
    client = client_of(alice)
    page = client.get(url("deployment", deployment.pk)).content.decode()
    assert "18 to 80 in training" in page
    assert "city &lt;b&gt;" in page
    typed = {"feature_0": "41", "feature_1": "rome", "feature_2": "0", "feature_3": "2026-02-01"}
    said = client.post(url("ask", deployment.pk), typed).content.decode()
    client.post(url("ask", deployment.pk), {"feature_1": "rome"})
    assert requests == [
        {"age": 41.0, "city <b>": "rome", "member": "0", "since": "2026-02-01"},
        {"city <b>": "rome"},
    ]
    assert "12.5" in said
    wrong = client.post(url("ask", deployment.pk), {"feature_1": "paris"}).content.decode()
    assert "paris is not one of the available choices" in wrong


def test_the_playground_says_when_the_models_process_is_away(
    deployment, alice, client_of, settings
):
    settings.MODELS_URL = "http://127.0.0.1:9"
    answer = client_of(alice).post(url("ask", deployment.pk), {"text": "my card"})
    assert answer.status_code == 503
    assert b"does not answer" in answer.content


def test_a_job_page_can_plan_its_deployment(job, alice, vera, client_of):
    client = client_of(alice)
    assert b"Deploy when it succeeds" in client.get(url("deployment-plan", job.pk)).content
    answer = client.post(
        url("deployment-plan", job.pk), {"name": "later"}, headers={"HX-Request": "true"}
    )
    assert b"later" in answer.content
    assert ScheduledDeployment.objects.get().job == job
    assert client_of(vera).post(url("deployment-plan", job.pk), {"name": "x"}).status_code == 403


def test_deeds_refuse_what_cannot_be(deployment, model, alice, team):
    with pytest.raises(DeploymentNameTaken):
        deployments.deploy(model, "intents", alice)
    model.task = "translation"
    with pytest.raises(CannotServe):
        deployments.deploy(model, "other", alice)
    model.task = "text-classification"
    model.team.frozen_at = model.created_at
    with pytest.raises(TeamSuspended):
        deployments.deploy(model, "other", alice)
    deployments.retire(deployment, alice)
    with pytest.raises(AlreadyRetired):
        deployments.retire(deployment, alice)


def test_a_retired_name_is_free_again(deployment, model, alice):
    deployments.retire(deployment, alice)
    assert deployments.deploy(model, "intents", alice).pk != deployment.pk


def test_the_api_deploys_moves_and_retires(model, make_model, token, api):
    client = api(token)
    made = client.post("/api/v1/deployments", {"model": str(model.pk), "name": "fresh"})
    assert made.status_code == 201, made.content
    body = made.json()
    assert (body["name"], body["model"], body["status"]) == ("fresh", str(model.pk), "live")
    listed = client.get("/api/v1/deployments").json()
    assert (listed["object"], [row["id"] for row in listed["data"]]) == ("list", [body["id"]])
    newer = make_model("Newer")
    one = f"/api/v1/deployments/{body['id']}"
    assert client.patch(one, {"model": str(newer.pk)}).json()["model"] == str(newer.pk)
    assert client.get(one).json()["model"] == str(newer.pk)
    assert client.delete(one).json()["status"] == "retired"
    assert client.delete(one).status_code == 409
    assert client.patch(one, {"model": str(newer.pk)}).status_code == 409


def test_a_name_never_moves_to_a_model_of_another_task(
    deployment, make_model, token, api, alice, client_of
):
    other = make_model("Sums")
    TrainedModel.objects.filter(pk=other.pk).update(task="tabular-regression")
    answer = api(token).patch(f"/api/v1/deployments/{deployment.pk}", {"model": str(other.pk)})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "model")
    assert "intents is asked for text classification" in answer.json()["error"]["message"]
    page = client_of(alice).get(f"/models/{other.pk}/deploy/").content
    assert b"Move here" not in page


def test_the_api_names_what_is_wrong(model, deployment, token, api):
    client = api(token)
    for body, status, param in (
        ({}, 400, "model"),
        ({"model": "x", "name": "a"}, 400, "model"),
        ({"model": str(model.pk), "name": "a b"}, 400, "name"),
        ({"model": str(model.pk), "name": "intents"}, 409, "name"),
    ):
        answer = client.post("/api/v1/deployments", body)
        assert answer.status_code == status, answer.content
        assert answer.json()["error"]["param"] == param


def test_the_api_is_closed_to_strangers_and_to_readers(
    model, deployment, mallory_token, alice, team, api
):
    stranger = api(mallory_token)
    one = f"/api/v1/deployments/{deployment.pk}"
    assert stranger.get("/api/v1/deployments").json()["data"] == []
    assert stranger.get(one).status_code == 404
    assert stranger.delete(one).status_code == 404
    fields = {"model": str(model.pk), "name": "mine"}
    assert stranger.post("/api/v1/deployments", fields).status_code == 404
    reader = api(issue(team, alice, scopes=["read"]))
    assert reader.get(one).status_code == 200
    assert reader.delete(one).status_code == 403


def test_feedback_is_kept_once_per_request_and_needs_something_to_say(token, api, team):
    client = api(token)
    first = client.post("/api/v1/feedback", {"request_id": "classify-1", "score": -1})
    assert first.status_code == 201, first.content
    client.post("/api/v1/feedback", {"request_id": "classify-1", "correction": "transfer"})
    feedback = Feedback.objects.get()
    assert (feedback.team, feedback.correction) == (team, "transfer")
    assert client.post("/api/v1/feedback", {"request_id": "classify-1"}).status_code == 400
    assert client.post("/api/v1/feedback", {"request_id": "c", "score": 5}).status_code == 400


def test_unknown_addresses_of_v1_are_404_in_the_error_shape(client):
    for method in ("get", "post", "delete"):
        answer = getattr(client, method)("/v1/nothing")
        assert answer.status_code == 404
        assert json.loads(answer.content)["error"]["code"] == "unknown_url"


@pytest.mark.django_db
def test_the_admin_lists_deployments_and_retires_them(deployment, alice, client_of):
    alice.is_staff = alice.is_superuser = True
    alice.save()
    client = client_of(alice)
    for name in ("deployment", "scheduleddeployment", "requestlog", "feedback"):
        assert client.get(f"/admin/inference/{name}/").status_code == 200
    client.post(
        "/admin/inference/deployment/",
        {"action": "retire", "_selected_action": [str(deployment.pk)]},
    )
    deployment.refresh_from_db()
    assert deployment.retired_at is not None
