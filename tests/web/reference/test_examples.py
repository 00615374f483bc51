"""The reference's examples call what is there, with bodies and answers as its schemas say."""

import os
import re
import shlex
import subprocess
import sys
from urllib.parse import unquote, urlsplit

import jsonschema
import pytest
from django.conf import settings
from django.urls import resolve
from starlette.routing import Match, Router

from inference.gateway.inference_requests import is_inference_path
from inference.openai.urls import unknown_url
from inference.openai.urls import urlpatterns as openai_urls
from inference.serving.application import ModelsApp
from projects.models import Dataset, Project
from tests.inference.openai import shapes
from tests.web.reference.schema import operations, problems_of
from web.reference.examples import BODIES, body_example, example_of

OPERATIONS = {operation["operationId"]: (p, m, operation) for p, m, operation in operations()}
# A route of /v1 that refuses everything it is asked for.
ONLY_REFUSES = {"fine_tuning/checkpoints/<path:name>/permissions/<str:permission_id>"}
SHAPES = {
    "openai_chat": shapes.CHAT,
    "openai_complete": shapes.COMPLETION,
    "openai_embed": shapes.EMBEDDINGS,
    "openai_read_model": shapes.MODEL,
    "openai_read_file": shapes.FILE,
    "openai_list_files": shapes.page_of(shapes.FILE),
    "openai_delete_file": shapes.DELETED,
    "openai_begin_upload": shapes.UPLOAD,
    "openai_complete_upload": shapes.UPLOAD,
    "openai_upload_part": shapes.PART,
    "openai_create_job": shapes.JOB,
    "openai_list_jobs": shapes.page_of(shapes.JOB),
    "openai_list_job_events": shapes.page_of(shapes.EVENT),
    "openai_list_job_checkpoints": shapes.page_of(shapes.CHECKPOINT),
}


def code_of(name: str, lang: str) -> str:
    samples = OPERATIONS[name][2]["x-codeSamples"]
    return next(one["source"] for one in samples if one["lang"] == lang)


def curl_parts(name: str) -> tuple[str, str]:
    """The method and address that a shell would hand to curl."""
    words = shlex.split(code_of(name, "Shell").replace("\\\n", " "))
    assert words[0] == "curl"
    method = words[words.index("-X") + 1] if "-X" in words else "GET"
    address = next(word for word in words if word.startswith("http"))
    return method, address.removeprefix(settings.PUBLIC_URL)


@pytest.fixture(scope="module")
def models_router() -> Router:
    return ModelsApp()._router


@pytest.mark.parametrize("name", OPERATIONS)
def test_curl_calls_what_is_there(name, models_router):
    method, address = curl_parts(name)
    path = unquote(urlsplit(address).path)
    assert "{" not in path
    assert method.lower() == OPERATIONS[name][1]
    if is_inference_path(path):
        scope = {"type": "http", "method": method, "path": path}
        assert Match.FULL in [route.matches(scope)[0] for route in models_router.routes]
        return
    view = resolve(path).func
    assert view is not unknown_url
    assert hasattr(view.view_class, method.lower())


@pytest.mark.parametrize("name", OPERATIONS)
def test_examples_are_as_the_schemas_say(name):
    operation = OPERATIONS[name][2]
    sent = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if sent:
        assert problems_of(sent["example"], sent["schema"], is_sent=True) == []
    for answer in operation["responses"].values():
        content = answer.get("content", {}).get("application/json")
        if content:
            assert problems_of(content["example"], content["schema"]) == []


def test_bodies_written_by_hand_are_of_operations_that_exist():
    assert set(BODIES) <= set(OPERATIONS)


@pytest.mark.parametrize("name", OPERATIONS)
def test_python_is_python_and_sends_the_same_body_as_curl(name):
    code = code_of(name, "Python")
    sent = {}
    kind, body = body_example(OPERATIONS[name][2])

    class Recorder:
        def __getattr__(self, method):
            def call(address, **arguments):
                sent.update(arguments, method=method, address=address)
                raise StopIteration

            return call

    lines = [line for line in code.splitlines() if not line.startswith("import ")]
    names = {"requests": Recorder(), "os": os, "open": lambda path, mode: f"@{path}"}
    os.environ["LATHE_API_TOKEN"] = "lathe_x"
    with pytest.raises(StopIteration):
        exec(compile("\n".join(lines), name, "exec"), names)  # noqa: S102 - our own code.
    assert sent["method"].upper(), sent["address"] == curl_parts(name)
    assert sent["headers"] == {"Authorization": "Bearer lathe_x"}
    if kind == "application/json":
        assert sent["json"] == body
    elif kind:
        assert {**sent.get("data", {}), **sent["files"]} == body


@pytest.mark.parametrize("name", SHAPES)
def test_examples_of_openai_answers_are_in_the_shapes_of_its_clients(name):
    answer = OPERATIONS[name][2]["responses"]["200"]["content"]["application/json"]["example"]
    jsonschema.validate(answer, SHAPES[name])


def test_every_address_of_v1_is_in_the_reference():
    known = {re.sub(r"\{\w+\}", "*", path) for path, _, _ in OPERATIONS.values()}
    routes = {str(one.pattern) for one in openai_urls} - ONLY_REFUSES - {""}
    missing = {route for route in routes if "/v1/" + re.sub(r"<[^>]+>", "*", route) not in known}
    assert len(routes) > 20
    assert missing == set()


@pytest.mark.parametrize(
    ("schema", "example"),
    [
        ({"type": "string", "enum": ["b", "a"]}, "b"),
        ({"type": "integer", "minimum": 5}, 5),
        ({"type": "array", "items": {"type": "boolean"}}, [True]),
        ({"$ref": "#/components/schemas/Node"}, {"value": 1, "next": [{"value": 1}]}),
        ({"anyOf": [{"type": "string", "default": "x"}, {"type": "integer"}]}, "x"),
        ({"nullable": True}, None),
    ],
)
def test_an_example_of_a_schema_ends_even_where_it_holds_itself(schema, example):
    node = {
        "type": "object",
        "properties": {
            "value": {"type": "integer"},
            "next": {"type": "array", "items": {"$ref": "#/components/schemas/Node"}},
        },
    }
    found = example_of(schema, {"Node": node})
    if "$ref" in schema:
        found = {"value": found["value"], "next": [{"value": found["next"][0]["value"]}]}
    assert found == example


IMPORTANT = ["projects_create", "datasets_create", "launch_training_job", "deploy", "me"]


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_the_five_calls_that_lead_to_an_answer_run_as_they_stand(
    live_server, things, token, tmp_path
):
    """Only the ids are those of the example: they are replaced by ones that exist."""
    (tmp_path / "tickets.csv").write_text("text,label\n" + "a,b\nc,d\n" * 20)
    ids = {"project": things["project"], "dataset": things["dataset"], "model": things["model"]}
    for name in IMPORTANT:
        code = code_of(name, "Python").replace(settings.PUBLIC_URL, live_server.url)
        for field, known in ids.items():
            code = re.sub(rf'("{field}": )"[^"]+"', rf'\1"{known}"', code)
        ran = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env={**os.environ, "LATHE_API_TOKEN": token.secret},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ran.returncode == 0, f"{name}: {ran.stderr[-500:]}"
        assert "'id'" in ran.stdout or "'object'" in ran.stdout
    assert Project.objects.count() == 2
    assert Dataset.objects.count() == 2
