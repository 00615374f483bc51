"""Hostile values for the control plane of /v1, whose shapes are OpenAI's, in no schema of ours."""

import inspect
import json

import pytest
from django.urls import get_resolver
from django.urls import resolve as resolve_url
from pydantic import BaseModel

from inference.openai.wire import OpenAiView
from tests.web.test_outsiders import PLACE, concrete, walk
from tests.web.validation.test_hostile_input import (
    HOSTILE_JSON,
    HOSTILE_TEXT,
    MARK,
    WHOLE_BODIES,
)

ROUTES = [
    route
    for route, _ in walk(get_resolver().url_patterns)
    if route.startswith("v1/") and route != "v1/"
]
FILE = "file-" + "0" * 32
BASES = {
    "v1/uploads": {
        "filename": "a.jsonl", "purpose": "batch", "bytes": 5, "mime_type": "text/jsonl"},
    "v1/fine_tuning/jobs": {"model": "all-MiniLM-L6-v2", "training_file": FILE},
    "v1/fine-tunes": {"model": "all-MiniLM-L6-v2", "training_file": FILE},
    "v1/batches": {
        "input_file_id": FILE, "endpoint": "/v1/chat/completions", "completion_window": "24h"},
}  # fmt: skip
QUERY = ["limit", "after", "order", "purpose", "metadata[a]"]


def bodies_known_to(route: str) -> list[type[BaseModel]]:
    module = inspect.getmodule(resolve_url(f"/{route}").func.view_class)
    return [
        value
        for value in vars(module).values()
        if inspect.isclass(value) and issubclass(value, BaseModel) and value is not BaseModel
    ]


def fields(route: str) -> list[tuple[str, ...]]:
    """Every field of every body that the route's module reads, and those one level down."""
    places: set[tuple[str, ...]] = {("metadata",), ("metadata", "a"), ("seed",), ("method",)}
    for body in bodies_known_to(route):
        for name, field in body.model_fields.items():
            places.add((name,))
            inner = getattr(field.annotation, "__args__", (field.annotation,))
            for part in inner:
                if inspect.isclass(part) and issubclass(part, BaseModel):
                    places |= {(name, below) for below in part.model_fields}
    return sorted(places)


def test_the_walk_covers_the_control_plane():
    assert set(BASES) <= set(ROUTES)
    assert ("hyperparameters", "n_epochs") in fields("v1/fine_tuning/jobs")
    assert ("bytes",) in fields("v1/uploads")
    for route in BASES:
        assert issubclass(resolve_url(f"/{route}").func.view_class, OpenAiView)


@pytest.mark.parametrize("route", BASES)
def test_no_field_of_a_body_breaks_v1(route, door, send):
    seen = {}
    for name, hostile in HOSTILE_JSON.items():
        seen[f"{name} as the body"] = send(
            door, "post", f"/{route}", data=hostile, content_type="application/json"
        )
        for path in fields(route) if name not in WHOLE_BODIES else ():
            value = MARK if len(path) == 1 else {path[1]: MARK}
            body = json.dumps(BASES[route] | {path[0]: value}).replace(f'"{MARK}"', hostile)
            seen[f"{name} as {'.'.join(path)}"] = send(
                door, "post", f"/{route}", data=body, content_type="application/json"
            )
    assert {what: status for what, status in seen.items() if status >= 500} == {}
    assert 400 in seen.values()


def test_no_query_or_path_breaks_v1(things, door, send):
    seen = {}
    for route in ROUTES:
        for name, hostile in HOSTILE_TEXT.items():
            address = concrete(route, things)
            query = "&".join(f"{parameter}={hostile}" for parameter in QUERY)
            for method in ("get", "post", "delete"):
                seen[f"{method} {address}?{name}"] = send(door, method, f"{address}?{query}")
                if "<" in route:
                    bare = "/" + PLACE.sub(lambda _, text=hostile: text, route)
                    seen[f"{method} {name} in {route}"] = send(door, method, bare)
    assert {what: status for what, status in seen.items() if status >= 500} == {}
