"""Live assistants are models of their team to programs that list models."""

import pytest

from assistants.models import Assistant
from projects.models import Project
from tests.conftest import issue
from tests.inference.conftest import with_models  # noqa: F401  A fixture.

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)
NAME, ENCODER = "assistant:shop-help", "all-MiniLM-L6-v2"


@pytest.fixture
def assistants(project, other_team):
    others = Project.objects.create(team=other_team, name="Theirs")
    for owner, name, state in [
        (project, "shop-help", "live"),
        (project, "draft", "draft"),
        (project, "asleep", "paused"),
        (others, "theirs", "live"),
    ]:
        Assistant.objects.create(team=owner.team, project=owner, name=name, state=state)


@pytest.mark.usefixtures("assistants")
def test_live_assistants_and_encoders_at_hand_are_listed_and_found(token, with_models):  # noqa: F811
    async def talk(client, app):
        models = (await client.get("/v1/models")).json()["data"]
        names = [model["id"] for model in models]
        assert {NAME, ENCODER} <= set(names)
        assert not {"assistant:draft", "assistant:asleep", "assistant:theirs"} & set(names)
        assert "small-text-transformer" not in names  # Its weights are random.
        assert "bge-small-en-v1.5" not in names  # It would be downloaded first.
        for model in models:
            assert (await client.get(f"/v1/models/{model['id']}")).json() == model
        for name in ("assistant:draft", "assistant:theirs", "small-text-transformer", "nobody"):
            answer = await client.get(f"/v1/models/{name}")
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
        assert (await client.delete(f"/v1/models/{NAME}")).status_code == 400

    with_models(talk, token)


@pytest.mark.usefixtures("assistants")
def test_a_limited_token_sees_what_it_may_ask(team, alice, with_models):  # noqa: F811
    async def talk(client, app):
        models = (await client.get("/v1/models")).json()["data"]
        assert [model["id"] for model in models] == [NAME]
        assert (await client.get(f"/v1/models/{ENCODER}")).status_code == 403

    with_models(talk, issue(team, alice, allowed_models=[NAME]))


@pytest.mark.usefixtures("assistants")
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("completions", {"prompt": "hello"}),
        ("responses", {"input": "hello"}),
        ("embeddings", {"input": "hello"}),
        ("classify", {"input": "hello"}),
    ],
)
def test_other_addresses_say_where_an_assistant_answers(token, with_models, path, body):  # noqa: F811
    async def talk(client, app):
        answer = await client.post(f"/v1/{path}", json={"model": NAME} | body)
        error = answer.json()["error"]
        assert (answer.status_code, error["param"]) == (400, "model")
        assert "/v1/chat/completions" in error["message"]

    with_models(talk, token)
