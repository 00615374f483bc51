"""Canary, shadow and rollback by API and page: what is allowed, and what is refused in words."""

import pytest
from django.urls import reverse

from inference import deployments
from inference.errors import NothingToRollBackTo
from inference.models import Deployment
from inference.rollout import trials
from tests.conftest import issue

pytestmark = pytest.mark.django_db


@pytest.fixture
def other(make_model):
    return make_model("Other")


def address(deployment, what):
    return f"/api/v1/deployments/{deployment.pk}/{what}"


def test_a_trial_by_api(api, token, deployment, other):
    client = api(token)
    made = client.put(address(deployment, "canary"), {"model": str(other.pk), "percent": 25})
    assert (made.json()["canary_model"], made.json()["canary_percent"]) == (str(other.pk), 25)
    made = client.put(address(deployment, "shadow"), {"model": str(other.pk)})
    assert made.json()["shadow_model"] == str(other.pk)
    shown = client.get(address(deployment, "rollout")).json()
    assert shown["canary"]["requests"] == shown["shadow_compared"] == 0
    for what in ("canary", "shadow"):
        assert client.delete(address(deployment, what)).json()[f"{what}_model"] is None


def test_a_move_to_the_canary_ends_it_and_can_be_taken_back(api, token, deployment, model, other):
    client = api(token)
    assert client.post(address(deployment, "rollback"), {}).status_code == 409
    client.put(address(deployment, "canary"), {"model": str(other.pk), "percent": 5})
    moved = client.patch(f"/api/v1/deployments/{deployment.pk}", {"model": str(other.pk)}).json()
    assert (moved["canary_model"], moved["previous_model"]) == (None, str(model.pk))
    back = client.post(address(deployment, "rollback"), {}).json()
    assert (back["model"], back["previous_model"]) == (str(model.pk), str(other.pk))


@pytest.mark.parametrize("percent", [0, 100, -1, "x", 1.5, None])
def test_a_share_is_a_whole_percentage(api, token, deployment, other, percent):
    body = {"model": str(other.pk), "percent": percent}
    answer = api(token).put(address(deployment, "canary"), body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "percent")


def test_what_cannot_be_tried(api, token, mallory_token, deployment, model, make_model, team, vera):
    talker = make_model("Talker")
    type(talker).objects.filter(pk=talker.pk).update(task="text-generation")
    for tried, said in ((model, "already"), (talker, "does text generation")):
        body = {"model": str(tried.pk), "percent": 5}
        answer = api(token).put(address(deployment, "canary"), body)
        assert answer.status_code == 409 or answer.status_code == 400
        assert said in answer.json()["error"]["message"]
    body = {"model": str(model.pk), "percent": 5}
    assert api(mallory_token).put(address(deployment, "canary"), body).status_code == 404
    reader = issue(team, vera, scopes=["read"])
    assert api(reader).put(address(deployment, "canary"), body).status_code == 403


def test_a_model_on_trial_cannot_go_to_the_trash(deployment, other, alice):
    trials.start_shadow(deployment, other, alice)
    assert deployments.endpoints_that_use(other)


def test_the_page_starts_shows_and_ends_trials(client_of, alice, deployment, model, other):
    browser, page = client_of(alice), reverse("inference:deployment", args=[deployment.pk])
    form = {"model": other.pk, "kind": "canary", "percent": 20}
    start = reverse("inference:try", args=[deployment.pk])
    assert browser.post(start, form).status_code == 302
    assert browser.post(start, form | {"kind": "shadow"}).status_code == 302
    shown = browser.get(page).content.decode()
    assert "20% of requests" in shown
    assert "has not been asked yet" in shown
    refused = browser.post(start, form | {"percent": "500"})
    assert "less than or equal to 99" in refused.content.decode()
    assert Deployment.objects.get().canary_percent == 20
    for name in ("end-canary", "end-shadow"):
        browser.post(reverse(f"inference:{name}", args=[deployment.pk]))
    found = Deployment.objects.get()
    assert (found.canary_model, found.shadow_model) == (None, None)
    with pytest.raises(NothingToRollBackTo):
        trials.roll_back(found, alice)
    deployments.move(found, other, alice)
    assert "Roll back" in browser.get(page).content.decode()
    browser.post(reverse("inference:roll-back", args=[deployment.pk]))
    found.refresh_from_db()
    assert found.model == model
