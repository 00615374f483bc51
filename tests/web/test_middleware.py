"""Expected refusals as JSON, as a fragment and as a page; the caller's address."""

import json

import pytest
from django.test import RequestFactory

from web.errors import NotAllowed, UserError
from web.middleware import _client_address_of, is_api_request, render_user_error

pytestmark = pytest.mark.django_db


class Gone(UserError):
    code, status = "gone", 410
    sentence = "It is gone."


def get(path: str, **extra: str):
    request = RequestFactory().get(path, **extra)
    request.htmx = False
    return request


@pytest.mark.parametrize("path", ["/api/v1/me", "/v1/chat/completions", "/api/schema/"])
def test_the_api_answers_in_json(path):
    answer = render_user_error(get(path), Gone(param="name"))
    assert answer.status_code == 410
    assert json.loads(answer.content) == {
        "error": {
            "message": "It is gone.",
            "type": "invalid_request_error",
            "param": "name",
            "code": "gone",
        }
    }


def test_the_pages_about_the_api_are_pages():
    assert not is_api_request(get("/api/docs/"))
    assert not is_api_request(get("/v2/"))


def test_htmx_gets_a_fragment_for_the_place_of_problems(monkeypatch):
    request = get("/teams/x/")
    request.htmx = True
    answer = render_user_error(request, Gone())
    assert answer.status_code == 410
    assert answer.headers["HX-Retarget"] == "#problem"
    assert answer.headers["HX-Reswap"] == "innerHTML"
    assert "It is gone." in answer.content.decode()
    assert "<html" not in answer.content.decode()


def test_a_refused_form_is_shown_again_with_its_sentence(alice, client_of, team):
    answer = client_of(alice).post(f"/teams/{team.slug}/rename/", {"name": ""})
    assert answer.status_code == 400
    assert "This field is required." in answer.content.decode()


def test_an_error_may_bring_its_own_sentence():
    assert str(NotAllowed()) == NotAllowed.sentence
    assert NotAllowed("Only owners.").sentence == "Only owners."
    assert NotAllowed.sentence != "Only owners."


@pytest.mark.parametrize(
    ("remote", "address"),
    [("203.0.113.7", "203.0.113.7"), ("::1", "::1"), ("", None), ("unix:", None)],
)
def test_the_callers_address_is_the_connections(remote, address):
    request = get("/", REMOTE_ADDR=remote, HTTP_X_FORWARDED_FOR="198.51.100.9")
    assert _client_address_of(request) == address
