"""What the API answers about datasets is what its schema says, refusals too."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from projects.importing import imports

pytestmark = pytest.mark.django_db
FILE = b"text,label,n\n" + b"".join(b"text %d,%d,%d\n" % (n, n % 2, n) for n in range(30))


@pytest.fixture
def schema(client):
    body = client.get("/api/schema/", {"format": "json"}).json()
    _allow_null(body)
    return body


def _allow_null(part: Any) -> None:
    """JSON Schema's words for OpenAPI 3.0's `nullable`."""
    if isinstance(part, dict):
        if part.pop("nullable", False) and isinstance(part.get("type"), str):
            part["type"] = [part["type"], "null"]
        for inner in part.values():
            _allow_null(inner)
    elif isinstance(part, list):
        for inner in part:
            _allow_null(inner)


@pytest.fixture
def check(schema, api, token):
    """Ask, and compare the answer with the schema of its path."""

    def ask(method, path, body=None, dataset=""):
        real = f"/api/v1{path}".replace("{dataset_id}", str(dataset))
        answer = (
            getattr(api(token), method)(real, body) if body else getattr(api(token), method)(real)
        )
        known = schema["paths"][f"/api/v1{path.partition('?')[0]}"][method]["responses"]
        described = known.get(str(answer.status_code), known["default"])
        content = described["content"]["application/json"]["schema"]
        full = {**content, "components": schema["components"]}
        problems = [
            error.message for error in Draft202012Validator(full).iter_errors(answer.json())
        ]
        assert not problems
        return answer

    return ask


def test_answers_about_datasets_are_as_the_schema_says(check, bring_in):
    version = bring_in(FILE)
    here = version.dataset_id
    for path in ("/datasets", "/datasets?limit=1"):
        assert check("get", path).status_code == 200
    for path in ("", "/rows", "/rows?page=2&page_size=10", "/rows?search=text"):
        assert check("get", f"/datasets/{{dataset_id}}{path}", dataset=here).status_code == 200
    edit = {"edits": [{"op": "set_cells", "column": "n", "rows": [0], "value": "5"}]}
    made = check("post", "/datasets/{dataset_id}/edits", edit, here)
    assert made.status_code == 202
    assert check("post", "/datasets/{dataset_id}/edits", edit, here).status_code == 409
    imports.import_version(made.json()["version_id"])
    assert check("get", "/datasets/{dataset_id}", dataset=here).json()["based_on"] == 1
    read = {"columns": {"n": "text"}}
    assert check("post", "/datasets/{dataset_id}/readings", read, here).status_code == 202


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("get", "/datasets/{dataset_id}/rows?page=0", None, 400),
        ("get", "/datasets/{dataset_id}/rows?sort=nothing", None, 400),
        ("post", "/datasets/{dataset_id}/edits", {"edits": [{"op": "explode"}]}, 400),
        ("post", "/datasets/{dataset_id}/readings", {"columns": {"n": "nonsense"}}, 400),
        ("get", "/datasets?limit=x", None, 400),
    ],
)
def test_refusals_are_as_the_schema_says(check, bring_in, method, path, body, status):
    version = bring_in(FILE)
    assert check(method, path, body, version.dataset_id).status_code == status


def test_a_dataset_of_others_is_refused_as_the_schema_says(check):
    nobody = "00000000-0000-0000-0000-000000000000"
    assert check("get", "/datasets/{dataset_id}", dataset=nobody).status_code == 404
