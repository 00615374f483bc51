"""What browsers get instead of bare answers: sign-in for fragments, wrong methods, refusals."""

import gzip

import pytest
from django.test import Client

from accounts.models import Membership
from tests.web.test_outsiders import PUBLIC, bare, concrete, is_acmes, routes

HTMX = {"HX-Request": "true", "HX-Current-URL": "http://testserver/teams/acme-labs/?tab=1"}


def pages(things):
    for route, name in routes():
        if route.startswith(("accounts/", "api/", "v1/")) or bare(name) in PUBLIC:
            continue
        if is_acmes(route, things):
            yield concrete(route, things)


@pytest.mark.parametrize("headers", [HTMX, {"Accept": "application/json"}])
def test_no_fragment_of_a_lost_session_gets_a_whole_page(things, headers):
    """Walks every address, so that a new fragment cannot draw the login page into itself."""
    client, seen = Client(), {}
    for path in pages(things):
        answer = client.get(path, headers=headers)
        if answer.status_code in (200, 302) and "unsubscribe" not in path:
            seen[path] = answer.status_code
        if answer.status_code == 401:
            assert answer.headers["HX-Redirect"].startswith("/accounts/login/")
    assert seen == {}


def test_signing_in_again_leads_back_to_the_page_that_was_open(things):
    answer = Client().get("/teams/acme-labs/notices/bell/", headers=HTMX)
    assert (answer.status_code, answer.content) == (401, b"")
    assert answer.headers["HX-Redirect"] == "/accounts/login/?next=%2Fteams%2Facme-labs%2F"
    foreign = HTMX | {"HX-Current-URL": "https://evil.test/teams/acme-labs/"}
    answer = Client().get("/teams/acme-labs/notices/bell/", headers=foreign)
    assert answer.headers["HX-Redirect"] == "/accounts/login/"


def test_no_address_answers_a_browser_with_a_bare_405(things, alice, client_of):
    client, bare_ones = client_of(alice), []
    for path in pages(things):
        if path.endswith("/live/"):
            continue
        answer = client.get(path, headers={"Accept": "text/html"})
        if answer.status_code == 302:
            answer = client.get(answer.url, headers={"Accept": "text/html"})
        if answer.status_code == 405:
            bare_ones.append(path)
    assert bare_ones == []


def test_a_token_form_that_is_reloaded_leads_to_the_tokens(client_of, alice, team):
    answer = client_of(alice).get(
        f"/teams/{team.slug}/tokens/create/", headers={"Accept": "text/html,*/*"}
    )
    assert answer.url == f"/teams/{team.slug}/tokens/"


def test_a_refused_button_leads_back_to_its_page_with_the_sentence(client_of, alice, team):
    client, page = client_of(alice), f"http://testserver/teams/{team.slug}/members/"
    own = Membership.objects.get(team=team, user=alice)
    answer = client.post(f"/members/{own.pk}/remove/", headers={"Referer": page})
    assert (answer.status_code, answer.url) == (302, page)
    assert "A team needs an owner" in client.get(page).content.decode()
    elsewhere = client.post(
        f"/members/{own.pk}/remove/", headers={"Referer": "https://evil.test/x"}
    )
    assert elsewhere.status_code == 409  # Never sent to another host.


def test_a_refused_form_keeps_what_was_typed(client_of, alice, team, project, settings):
    client = client_of(alice)
    taken = client.post(
        f"/teams/{team.slug}/members/invite/", {"email": alice.email, "role": "member"}
    )
    page = taken.content.decode()
    assert taken.status_code == 409
    assert f'value="{alice.email}"' in page
    assert "This person is already in the team." in page
    wrong = client.post("/settings/sessions/", {"password": "wrong"}).content.decode()
    assert "That is not your current password" in wrong
    assert "Your teams" in wrong


def test_pages_are_compressed_and_streams_are_not(client_of, alice, team):
    client = client_of(alice)
    answer = client.get(f"/teams/{team.slug}/", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert b"</html>" in gzip.decompress(answer.content)
    stream = client.get(f"/teams/{team.slug}/notices/live/", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in stream.headers


def test_a_missing_scope_is_named_in_plain_words(api, team, alice):
    from tests.conftest import issue

    answer = api(issue(team, alice, scopes=["inference"])).get("/api/v1/projects")
    assert answer.status_code == 403
    assert "lacks the scope “read”" in answer.json()["error"]["message"]
