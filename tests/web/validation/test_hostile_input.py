"""Every door with values that no column, float or UTF-8 text can hold: refused, never a 500.

The operations, fields and parameters are walked from the generated schema, the URLs, the forms and
the source itself, so that what is added tomorrow is tried tomorrow.
"""

import inspect
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import Resolver404, get_resolver
from django.urls import resolve as resolve_url
from drf_spectacular.generators import SchemaGenerator

from tests.architecture.imports import source_files
from tests.web.test_outsiders import PLACE, concrete, walk

# JSON as it is sent: most of these cannot be written by `json.dumps`.
HOSTILE_JSON = {
    "NUL": '"a\\u0000b"',
    "half a surrogate pair": '"\\ud800"',
    "10^400": "1" + "0" * 400,
    "10^400 as a text": '"1' + "0" * 400 + '"',
    "1e400": "1e400",
    "NaN": "NaN",
    "nan as a text": '"nan"',
    "infinity as a text": '"1e999"',
    "2^63": str(2**63),
    "-2^63": str(-(2**63)),
    "2^63 - 1": str(2**63 - 1),
    "2^31": str(2**31),
    "5,000 digits": "9" * 5000,
    "nested lists": "[" * 900 + "]" * 900,
    "nested objects": '{"a":' * 900 + "1" + "}" * 900,
    "too deep for the parser": "[" * 100_000,
    "a list": '[{"a": 1}, null]',
    "an object": '{"a": ["b"], "\\u0000": 1}',
    "a harmless object": '{"a": ["b"]}',
    "true": "true",
    "a float": "1.5",
    "null": "null",
    "a long text": json.dumps("x" * 70_000),
    "a text of digits": '"' + "9" * 900 + '"',
    "an empty text": '""',
}
HOSTILE_TEXT = {
    "NUL": "%00",
    "half a surrogate pair": "%ED%A0%80",
    "no UTF-8": "%FF%FE",
    "5,000 digits": "9" * 5000,
    "900 digits": "9" * 900,
    "2^63": str(2**63),
    "a negative number": "-1",
    "nan": "nan",
    "digits of another script": "%C2%B2%D9%A3",
    "nested": "[" * 300,
    "nothing": "",
}
# Refused before any field is looked at: tried as the whole body only.
WHOLE_BODIES = {"too deep for the parser", "nested objects", "5,000 digits", "NaN", "-2^63"}
MARK = "@@hostile@@"
SCHEMA = SchemaGenerator().get_schema(request=None, public=True)
METHODS = ("get", "post", "put", "patch", "delete")
OPERATIONS = [
    (path, method, operation)
    for path, item in SCHEMA["paths"].items()
    for method, operation in item.items()
    # Those of OpenAI's clients are described by hand, and most are no serializers'.
    if method in METHODS and not operation["operationId"].startswith("openai_")
]
QUERY_NAME = re.compile(r"(?:query_params|request\.GET|sent)\.get\(\"(\w+)\"")


def query_names(route: str) -> set[str]:
    """The parameters that the view at this address, and what its module shares, read."""
    try:
        module = inspect.getmodule(resolve_url(route).func)
    except Resolver404:  # A regular expression of allauth's, which a made-up value does not match.
        return set()
    assert module is not None
    source = inspect.getsource(module)
    names = {"page", "limit", "after", "month"} if "cursor_page" in source else {"page", "month"}
    if "query_params" in source:
        names |= {"status", "project"}
    return names | set(QUERY_NAME.findall(source))


def resolve(schema: dict[str, Any]) -> dict[str, Any]:
    if reference := schema.get("$ref"):
        return resolve(SCHEMA["components"]["schemas"][reference.rpartition("/")[2]])
    for part in schema.get("allOf", ()):
        return resolve(part)
    return schema


def body_schema(operation: dict[str, Any]) -> dict[str, Any]:
    content = operation.get("requestBody", {}).get("content", {})
    return resolve(next(iter(content.values()))["schema"]) if content else {}


def valid(schema: dict[str, Any], name: str, values: dict[str, str]) -> Any:
    """Something that this field accepts, an id of Acme's where it can be."""
    schema = resolve(schema)
    if name in values:
        return values[name]
    known = {"task": "text-classification", "events": ["dataset.ready"], "metric": "accuracy",
             "url": "https://acme.test/hook", "kind": "explain", "name": "fine-name"}  # fmt: skip
    if name in known:
        return known[name]
    if "enum" in schema:
        return schema["enum"][0]
    by_type = {"integer": 1, "number": 0.5, "boolean": True, "array": [], "object": {}}
    return by_type.get(schema.get("type", ""), "text")


def fields_of(schema: dict[str, Any], prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every field, also of those in objects and lists."""
    for name, inner in schema.get("properties", {}).items():
        yield (*prefix, name)
        inner = resolve(inner)
        yield from fields_of(inner, (*prefix, name))
        if "items" in inner:
            yield (*prefix, name, "0")
            yield from fields_of(resolve(inner["items"]), (*prefix, name, "0"))
        kinds = [resolve(one) for one in inner.get("anyOf", [])]
        # Of several objects, such as the hyperparameters of each task, the first fields will do.
        for field in {one for kind in kinds for one in list(kind.get("properties", {}))[:2]}:
            yield (*prefix, name, field)
        if kinds or inner.get("additionalProperties") or inner.get("type") == "object":
            yield (*prefix, name, "anything")


def with_mark(base: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    """The body with MARK at this path."""
    content: Any = MARK
    for name in reversed(path):
        content = [content] if name == "0" else {name: content}
    changed = base | content
    if isinstance(base.get(path[0]), dict) and len(path) > 1:
        changed[path[0]] = base[path[0]] | content[path[0]]
    return changed


def bodies(operation: dict[str, Any], values: dict[str, str]) -> Iterator[tuple[str, str]]:
    """(what it is, the JSON) with each hostile value in each field, and instead of the whole."""
    schema = body_schema(operation)
    required = schema.get("required", list(schema.get("properties", {})))
    base = {name: valid(schema["properties"][name], name, values) for name in required}
    for name, hostile in HOSTILE_JSON.items():
        yield f"{name} as the body", hostile
        yield (
            f"{name} as an unknown field",
            json.dumps(base | {"?": MARK}).replace(f'"{MARK}"', hostile),
        )
        for path in fields_of(schema) if name not in WHOLE_BODIES else ():
            content = json.dumps(with_mark(base, path)).replace(f'"{MARK}"', hostile)
            yield f"{name} as {'.'.join(path)}", content


def test_the_walk_covers_the_api():
    named = {path for path, _, _ in OPERATIONS}
    assert {"/api/v1/training-jobs", "/api/v1/feedback", "/api/v1/datasets"} <= named
    assert {"limit", "after", "status", "project"} <= query_names("/api/v1/training-jobs")
    launch = body_schema(SCHEMA["paths"]["/api/v1/training-jobs"]["post"])
    fields = set(fields_of(launch))
    assert {("search", "budget_micros"), ("hyperparameters", "anything")} <= fields
    assert ("hyperparameters", "epochs") in fields


@pytest.mark.parametrize(
    ("path", "method", "operation"),
    [case for case in OPERATIONS if body_schema(case[2])],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_no_field_of_a_body_breaks_the_api(path, method, operation, things, door, send):
    address = concrete(path.lstrip("/").replace("{", "<").replace("}", ">"), things)
    values = things | {"input": "a text", "request_id": "r1"}
    seen = {
        what: send(door, method, address, data=body, content_type="application/json")
        for what, body in bodies(operation, values)
    }
    assert len(seen) > 40
    assert {what: status for what, status in seen.items() if status >= 500} == {}
    assert set(seen.values()) & {400, 403, 404, 415}, "nothing was refused: the walk is blind"


@pytest.mark.parametrize("content_type", ["multipart/form-data; boundary=x", "multipart/form-data",
    "application/x-www-form-urlencoded", "text/plain", "application/json; charset=rot13",
    "application/json; charset=utf-16", "application/json; charset=nonsense", "x"])  # fmt: skip
def test_no_other_kind_of_body_breaks_the_api(content_type, things, door, send):
    junk = [b"", b"\0", b"\xff\xfe", b"name=%00&a=%ED%A0%80", b"--x\r\n\r\n\0\r\n--x--",
            b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\na\0b\r\n--x--']  # fmt: skip
    seen = {}
    for path, method, _ in OPERATIONS:
        address = concrete(path.lstrip("/").replace("{", "<").replace("}", ">"), things)
        for body in junk if method != "get" else ():
            status = send(door, method, address, data=body, content_type=content_type)
            seen[f"{method} {path} {body!r}"] = status
    assert {what: status for what, status in seen.items() if status >= 500} == {}


def test_no_query_or_path_breaks_the_api(things, door, send):
    seen = {}
    for path, method, _ in OPERATIONS:
        route = path.lstrip("/").replace("{", "<").replace("}", ">")
        for name, hostile in HOSTILE_TEXT.items():
            if "<" in route:
                everywhere = "/" + PLACE.sub(lambda _, text=hostile: text, route)
                seen[f"{method} {name} in {path}"] = send(door, method, everywhere)
            if method == "get":
                address = concrete(route, things)
                for parameter in query_names(address):
                    what = f"{name} as {parameter} of {path}"
                    seen[what] = send(door, "get", f"{address}?{parameter}={hostile}")
                seen[f"{name} as a name at {path}"] = send(door, "get", f"{address}?{hostile}=1")
    assert {what: status for what, status in seen.items() if status >= 500} == {}


def page_routes() -> list[tuple[str, str]]:
    return [
        (route, name)
        for route, name in walk(get_resolver().url_patterns)
        if not route.startswith(("api/v1/", "v1/", "admin/"))
        and "live" not in name
        and "events" not in name
    ]


FORM_NAMES = sorted(
    {
        name
        for path in source_files()
        for pattern in (
            r"request\.POST\.get(?:list)?\(\"(\w+)\"",
            r"^    (\w+) = (?:forms\.\w*Field|\w+Field)\(",
        )
        for name in re.findall(pattern, path.read_text(), re.MULTILINE)
    }
    | {"email", "login", "password", "password1", "first_name", "last_name", "q", "p", "action",
       "csrfmiddlewaretoken", "next", "version", "text_columns", "target_column",
       "_selected_action", "hyperparameters-epochs", "search-trials"}
)  # fmt: skip


@pytest.fixture
def browser(alice, client_of):
    alice.is_staff = alice.is_superuser = True
    alice.save()
    client: Client = client_of(alice)
    client.raise_request_exception = False
    return client


def test_no_query_or_path_breaks_a_page(things, browser, send):
    seen = {}
    for route, name in page_routes():
        address = concrete(route, things)
        names = [*query_names(address), "unread", "sort", "a", "b", "task", "compute"]
        for what, hostile in HOSTILE_TEXT.items():
            query = "&".join(f"{parameter}={hostile}" for parameter in names)
            seen[f"{what} in {name}?{query[:80]}"] = send(browser, "get", f"{address}?{query}")
            if "<" in route:
                bare = re.sub(r"\(\?P<(\w+)>[^)]*\)", r"<\1>", re.sub(r"\^|\$|\\Z|\\", "", route))
                everywhere = "/" + PLACE.sub(lambda _, text=hostile: text, bare)
                seen[f"{what} in the path of {route}"] = send(browser, "get", everywhere)
    assert {what: status for what, status in seen.items() if status >= 500} == {}


def test_no_field_of_a_form_breaks_a_page(things, browser, send):
    seen = {}
    for route, name in page_routes():
        address = concrete(route, things)
        for what, hostile in HOSTILE_TEXT.items():
            form = "&".join(f"{field}={hostile}" for field in FORM_NAMES)
            seen[f"{what} in the form of {name} {route}"] = send(
                browser, "post", address, data=form,
                content_type="application/x-www-form-urlencoded",
            )  # fmt: skip
    assert {what: status for what, status in seen.items() if status >= 500} == {}
    assert 400 in seen.values()


@pytest.mark.parametrize("cookie", ['"\\000"', "\x00", "%00", "\\ud800", "x" * 9000, "{", "é"])
@pytest.mark.parametrize("name", ["sessionid", "csrftoken", "messages", "other"])
def test_no_cookie_breaks_a_page(name, cookie, alice, client_of):
    client = client_of(alice)
    client.raise_request_exception = False
    client.cookies.clear()
    for address in ("/settings/", "/", "/accounts/login/"):
        answer = client.get(address, headers={"cookie": f"{name}={cookie}"})
        assert answer.status_code < 500
