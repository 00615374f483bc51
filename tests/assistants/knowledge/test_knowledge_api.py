"""Programs do what the pages of knowledge and tests do."""

import pytest

from assistants.models import Answer, Phrasing
from tests.assistants.made import record

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(api, token):
    return api(token)


@pytest.fixture
def address(taught):
    return f"/api/v1/assistants/{taught.pk}"


def test_an_answer_is_written_asked_for_approved_and_retired(client, address, taught):
    body = {"key": "gift-cards", "text": "They are valid for a year.",
            "questions": ["how long is a voucher valid", "do gift cards end"]}  # fmt: skip
    made = client.post(f"{address}/answers", body).json()
    assert (made["state"], made["language"], made["approved_at"]) == ("draft", "en", None)
    one = f"{address}/answers/{made['id']}"
    assert client.post(f"{address}/answers", body).status_code == 409
    added = client.post(f"{one}/phrasings", {"text": "When does a gift card end?"})
    assert added.json()["origin"] == "written"
    listed = client.get(f"{one}/phrasings").json()["data"]
    assert len(listed) == 3
    path = f"{one}/phrasings/{listed[0]['id']}"
    assert [client.delete(path).status_code, client.delete(path).status_code] == [204, 404]
    assert Phrasing.objects.filter(answer=made["id"]).count() == 2
    changed = client.patch(one, {"text": "For two years.", "state": "approved"}).json()
    assert (changed["text"], changed["state"]) == ("For two years.", "approved")
    assert client.patch(one, {"state": "approved"}).status_code == 409
    until = {"valid_until": "2030-01-01T00:00:00Z", "valid_from": "2031-01-01T00:00:00Z"}
    assert client.patch(one, until, format="json").json()["error"]["param"] == "valid_until"
    assert client.patch(one, {"state": "retired"}).json()["state"] == "retired"
    assert client.get(one).json()["text"] == "For two years."
    keys = [row["key"] for row in client.get(f"{address}/answers").json()["data"]]
    assert "gift-cards" in keys
    assert keys == sorted(keys)


def test_a_validity_of_one_end_is_checked_against_the_other_that_stays(client, address, taught):
    answer = taught.answers.first()
    one = f"{address}/answers/{answer.pk}"
    set_first = client.patch(one, {"valid_from": "2031-01-01T00:00:00Z"})
    assert set_first.status_code == 200
    wrong = client.patch(one, {"valid_until": "2030-01-01T00:00:00Z"})
    assert wrong.status_code == 400, wrong.content


def test_what_is_not_to_be_changed_by_this_token_is_not(
    api, mallory_token, client, address, taught
):
    answer = taught.answers.first()
    phrasing = answer.phrasings.first()
    stranger = api(mallory_token)
    for path in ("answers", f"answers/{answer.pk}", f"answers/{answer.pk}/phrasings", "gaps"):
        assert stranger.get(f"{address}/{path}").status_code == 404
    path = f"{address}/answers/{answer.pk}/phrasings/{phrasing.pk}"
    assert stranger.delete(path).status_code == 404
    other = taught.answers.exclude(pk=answer.pk).first()
    assert client.delete(path.replace(f"/{answer.pk}/", f"/{other.pk}/")).status_code == 404


def test_a_phrasing_is_removed_on_the_page(taught, alice, vera, client_of):
    answer = Answer.objects.get(key="return-an-order")
    phrasing = answer.phrasings.first()
    address = f"/phrasings/{phrasing.pk}/remove/"
    assert client_of(vera).post(address).status_code == 403
    page = client_of(alice).post(address, follow=True).content.decode()
    assert "the next one does not" in page
    assert not answer.phrasings.filter(pk=phrasing.pk).exists()
    assert client_of(alice).post(address).status_code == 404


def test_gaps_are_listed_and_judged_by_a_program(client, address, live):
    for text in ("do you sell kayaks", "do you sell kayaks?", "who painted the mona lisa"):
        record(live.assistant, live, text)
    gaps = client.get(f"{address}/gaps").json()["data"]
    assert [gap["times"] for gap in gaps] == [2, 1]
    body = {"decision": gaps[0]["decisions"][0], "verdict": "out_of_scope"}
    assert client.post(f"{address}/judgements", body).status_code == 201
    assert client.get(f"{address}/gaps").json()["data"][0]["times"] == 1


def test_cases_are_run_and_deleted_and_a_channel_is_changed(client, address, live):
    case = {"question": "how do i return an order", "expects": "answer", "value": "return-an-order"}
    made = client.post(f"{address}/test-cases", case).json()
    runs = f"{address}/versions/{live.number}/test-runs"
    run = client.post(runs).json()
    assert (run["passed"], run["failed"], run["version"]) == (1, 0, live.number)
    assert client.get(runs).json()["data"][0]["id"] == run["id"]
    path = f"{address}/test-cases/{made['id']}"
    assert [client.delete(path).status_code, client.delete(path).status_code] == [204, 404]
    web = client.post(f"{address}/channels", {"kind": "web"}).json()
    channel = f"{address}/channels/{web['id']}"
    changed = client.patch(
        channel, {"allowed_origins": ["https://Shop.example/"], "daily_limit": 5}, format="json"
    ).json()
    assert (changed["allowed_origins"], changed["daily_limit"]) == (["https://shop.example"], 5)
    wrong = client.patch(channel, {"allowed_origins": ["shop"]}, format="json")
    assert wrong.json()["error"]["param"] == "allowed_origins"
