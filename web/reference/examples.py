"""Examples of the API's reference: how curl and Python call each operation, and what they get."""

import json
import re
from collections import ChainMap
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from django.conf import settings

Schema = dict[str, Any]
METHODS = ("get", "post", "put", "patch", "delete")
TOKEN_LINE = "export LATHE_API_TOKEN=lathe_…"
MAX_DEPTH = 3
_SEVERAL = {"allOf", "anyOf", "oneOf"}
SLUG = "^[-a-zA-Z0-9_]+$"
SOME_ID = "3f2b8c1e-5d47-4a90-9c61-7e0d2b4f8a15"
BY_FORMAT = {
    "uuid": SOME_ID,
    "date-time": "2026-05-04T09:30:00Z",
    "date": "2026-05-04",
    "uri": "https://www.example.com/hook",
    "email": "alice@example.com",
    "binary": "@tickets.csv",
}
# What stands in fields of these names, where the schema says no more than that it is a text.
BY_NAME: dict[str, Any] = {
    "name": "support-tickets",
    "task": "text-classification",
    "text": "When does my card arrive?",
    "question": "When does my card arrive?",
    "column": "label",
    "columns": ["text"],
    "base_model": "all-MiniLM-L6-v2",
    "key": "card-arrival",
    "period": "day",
    "request_id": "classify-5f0c",
    "visitor": "customer-17",
    "filename": "tickets.csv",
    "status": "ready",
    "type": "text",
    "label": "card_arrival",
    "sentence": "Three rows have no label.",
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "code": "missing_values",
    "message": "Epoch 1 of 3 is done.",
    "encoding": "utf-8",
    "delimiter": ",",
    "language": "en",
    "project": "Support bot",
    "restore": f"/api/v1/datasets/{SOME_ID}/restore",
}
# Parts of a rule, of which most fields exclude each other.
WHOLE: dict[str, Any] = {
    "when": {"says_any": ["thanks"]},
    "then": {"do": "say", "text": "You are welcome."},
}
# Bodies that a schema alone does not give: those of which some fields belong together.
BODIES: dict[str, Any] = {
    "launch_training_job": {"project": SOME_ID, "dataset": SOME_ID, "task": "text-classification"},
    "estimate_training_job": {
        "project": SOME_ID, "dataset": SOME_ID, "task": "text-classification"},
    "edit_dataset": {"edits": [
        {"op": "set_cells", "column": "label", "rows": [4], "value": "card_arrival"}]},
    "datasets_create": {"project": SOME_ID, "file": "@tickets.csv"},
    "datasets_readings_create": {"columns": {"price": "number:1,234.5"}},
    "datasets_change": {"name": "Tickets of May", "tags": ["support"]},
    "import_again": {"delimiter": ";", "header_rows": 1},
    "ask_about_model": {"kind": "groups", "column": "country"},
    "export_model": {"format": "int8"},
    "give_feedback": {"request_id": "classify-5f0c", "score": -1, "correction": "card_arrival"},
    "add_rule": {"name": "thanks", **WHOLE,
                 "examples_yes": ["thanks a lot"], "examples_no": ["where is my card"]},
}  # fmt: skip


def add_examples(result: dict[str, Any], generator: object, **_: object) -> dict[str, Any]:
    """drf-spectacular's hook, behind all others: examples in bodies and answers, and code below
    each description, which Swagger shows as Markdown."""
    schemas = result["components"]["schemas"]
    for path, operations in result["paths"].items():
        for method in METHODS:
            if operation := operations.get(method):
                _add_body_example(operation, schemas)
                for answer in operation["responses"].values():
                    _add_answer_example(answer, schemas)
                curl, python = curl_of(path, method, operation), python_of(path, method, operation)
                operation["x-codeSamples"] = [
                    {"lang": "Shell", "label": "curl", "source": curl},
                    {"lang": "Python", "label": "Python", "source": python},
                ]
                operation["description"] = (
                    f"{operation.get('description', '')}\n\n```sh\n{TOKEN_LINE}\n\n{curl}\n```\n\n"
                    f"```python\n{python}\n```"
                ).strip()
    return result


def curl_of(path: str, method: str, operation: Mapping[str, Any]) -> str:
    """A command that calls the operation with its example."""
    verb = "" if method == "get" else f"-X {method.upper()} "
    lines = [
        f"curl {verb}{_quoted(address_of(path, operation))}",
        '  -H "Authorization: Bearer $LATHE_API_TOKEN"',
    ]
    kind, body = body_example(operation)
    if kind == "multipart/form-data":
        lines += [f"  -F {name}={_quoted(str(value))}" for name, value in body.items()]
    elif kind:
        sent = json.dumps(body, ensure_ascii=False)
        lines += ['  -H "Content-Type: application/json"', f"  -d {_quoted(sent)}"]
    if _is_download(operation):
        lines.append("  -OJ")
    return " \\\n".join(lines)


def python_of(path: str, method: str, operation: Mapping[str, Any]) -> str:
    """The same with the library requests."""
    kind, body = body_example(operation)
    arguments = [
        f'    "{address_of(path, operation)}",',
        '    headers={"Authorization": f"Bearer {os.environ[\'LATHE_API_TOKEN\']}"},',
    ]
    if kind == "multipart/form-data":
        files = {name: value for name, value in body.items() if str(value).startswith("@")}
        data = {name: value for name, value in body.items() if name not in files}
        opened = ", ".join(f'"{name}": open("{text[1:]}", "rb")' for name, text in files.items())
        arguments += [f"    data={_literal(data)}," if data else "", f"    files={{{opened}}},"]
    elif kind:
        arguments.append(f"    json={_literal(body)},")
    last = "answer.json()"
    if _is_download(operation):
        last = "len(answer.content)"
    elif "200" not in operation["responses"] and "204" in operation["responses"]:
        last = "answer.status_code"
    called = "\n".join(filter(None, arguments))
    return (
        f"import os\n\nimport requests\n\nanswer = requests.{method}(\n{called}\n)\n"
        f"answer.raise_for_status()\nprint({last})"
    )


def address_of(path: str, operation: Mapping[str, Any]) -> str:
    """The whole address with examples in its places, and the query that it cannot do without."""
    parameters = operation.get("parameters", [])
    for one in parameters:
        if one["in"] == "path":
            value = one.get("example", example_of(one["schema"], {}, one["name"]))
            path = path.replace(f"{{{one['name']}}}", quote(str(value), safe=":"))
    query = "&".join(
        f"{one['name']}={example_of(one['schema'], {}, one['name'])}"
        for one in parameters
        if one["in"] == "query" and one.get("required")
    )
    return f"{settings.PUBLIC_URL}{path}" + (f"?{query}" if query else "")


def body_example(operation: Mapping[str, Any]) -> tuple[str, Any]:
    """The kind of the body and its example; "" without one."""
    content = operation.get("requestBody", {}).get("content", {})
    for kind in ("application/json", "multipart/form-data"):
        if kind in content:
            return kind, content[kind]["example"]
    return "", None


def example_of(
    schema: Schema, schemas: Mapping[str, Schema], name: str = "", depth: int = 0
) -> Any:
    """A value that the schema allows, with all that it names, as deep as anybody reads."""
    if "example" in schema:
        return schema["example"]
    if name in WHOLE:
        return WHOLE[name]
    if reference := schema.get("$ref"):
        return example_of(schemas[reference.rpartition("/")[2]], schemas, name, depth)
    if "enum" in schema:
        return schema["enum"][0]
    if combined := _SEVERAL & schema.keys():
        return _combined_example(schema, schemas, name, depth, combined)
    if schema.get("default") is not None:
        return schema["default"]
    kind = schema.get("type")
    if kind == "object":
        return _object_example(schema, schemas, depth)
    if kind == "array":
        one = example_of(schema.get("items", {}), schemas, name.removesuffix("s"), depth + 1)
        return [] if depth > MAX_DEPTH else [one]
    return _single_example(schema, name)


def _combined_example(
    schema: Schema, schemas: Mapping[str, Schema], name: str, depth: int, combined: set[str]
) -> Any:
    """All parts of an `allOf` in one, or the first of several that are allowed."""
    parts = [example_of(one, schemas, name, depth) for key in combined for one in schema[key]]
    is_all = "allOf" in combined and all(isinstance(one, dict) for one in parts)
    return dict(ChainMap(*parts)) if is_all else parts[0]


def _object_example(schema: Schema, schemas: Mapping[str, Schema], depth: int) -> Any:
    fields = schema.get("properties", {})
    if depth > MAX_DEPTH:  # Only what the schema cannot do without.
        fields = {name: fields[name] for name in schema.get("required", []) if name in fields}
    return {
        name: BY_NAME[name]
        if name in BY_NAME and part.get("type") == "string" and "enum" not in part
        else example_of(part, schemas, name, depth + 1)
        for name, part in fields.items()
    }


def _single_example(schema: Schema, name: str) -> Any:
    kind = schema.get("type")
    if kind == "integer":
        return max(1, int(schema.get("minimum", 1)))
    if kind == "number":
        return max(0.5, float(schema.get("minimum", 0)))
    if kind == "boolean":
        return True
    if schema.get("nullable") and kind is None:
        return None
    if schema.get("format") in BY_FORMAT:
        return BY_FORMAT[schema["format"]]
    if schema.get("pattern") == SLUG:
        return "acme"
    word = BY_NAME.get(name)
    return word if isinstance(word, str) else "…"


def _add_body_example(operation: Schema, schemas: Mapping[str, Schema]) -> None:
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        if "example" in content:
            continue
        sent = BODIES.get(operation["operationId"])
        content["example"] = sent or _shortest_body(content.get("schema", {}), schemas, kind)


def _shortest_body(schema: Schema, schemas: Mapping[str, Schema], kind: str) -> Any:
    """What must be sent; of a body that may leave all out, the first field."""
    if reference := schema.get("$ref"):
        schema = schemas[reference.rpartition("/")[2]]
    if schema.get("type") != "object":
        return example_of(schema, schemas)
    fields = {name: part for name, part in schema["properties"].items() if not part.get("readOnly")}
    names = [name for name in schema.get("required", []) if name in fields] or list(fields)[:1]
    whole = {"type": "object", "properties": {name: fields[name] for name in names}}
    return example_of(whole, schemas)


def _add_answer_example(answer: Schema, schemas: Mapping[str, Schema]) -> None:
    content = answer.get("content", {}).get("application/json")
    if content and "example" not in content:
        content["example"] = example_of(content["schema"], schemas)


def _is_download(operation: Mapping[str, Any]) -> bool:
    kinds = [kind for one in operation["responses"].values() for kind in one.get("content", {})]
    return not any(kind in ("application/json", "text/event-stream") for kind in kinds[:1])


def _literal(value: Any) -> str:
    """Python's notation, with double quotation marks as in the rest of the code."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_literal(key)}: {_literal(one)}' for key, one in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _quoted(text: str) -> str:
    """As one argument of a shell."""
    return text if re.fullmatch(r"[\w@.,:/-]+", text) else "'" + text.replace("'", "'\\''") + "'"
