"""The document is written once a process, however often and however oddly it is asked for."""

import pytest
import yaml
from drf_spectacular.generators import SchemaGenerator

from web.reference import views

FORMS = ("", "?format=json")


@pytest.mark.parametrize("query", FORMS)
def test_a_form_is_written_once_and_is_the_whole_document(query, client, monkeypatch):
    monkeypatch.setattr(views, "_rendered", {})
    first = client.get(f"/api/schema/{query}")
    assert set(yaml.safe_load(first.content)) >= {"openapi", "info", "paths", "components"}
    monkeypatch.setattr(SchemaGenerator, "get_schema", None)
    joined = "&" if "?" in query else "?"
    for other in ("", f"{joined}lang=de", f"{joined}version=7", f"{joined}x=1"):
        again = client.get(f"/api/schema/{query}{other}")
        assert again.content == first.content
        assert again["content-type"] == first["content-type"]


def test_an_unknown_form_is_refused(client):
    assert client.get("/api/schema/?format=exe").status_code == 404
