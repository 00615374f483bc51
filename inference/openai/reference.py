"""The addresses of /v1 in the API's reference. Most of them are no views of Django REST framework,
so that `reference.json` says what each takes and answers, by example."""

import json
from pathlib import Path
from typing import Any

from web.reference.hints import schema_of

OPERATIONS_FILE = Path(__file__).with_suffix(".json")
TAGS = {
    "fine_tuning": "openai-fine-tuning",
    "fine-tunes": "together",
    "files": "openai-files",
    "uploads": "openai-files",
    "batches": "openai-batches",
}
TEXT = {"type": "string"}
Operation = dict[str, Any]


def add_openai_operations(result: dict[str, Any], generator: object, **_: object) -> dict[str, Any]:
    """drf-spectacular's hook: the operations of OpenAI's and Together's clients."""
    content = json.loads(OPERATIONS_FILE.read_text())
    examples = content["path_examples"]
    for one in content["operations"]:
        operation = _describe(one, examples)
        result["paths"].setdefault(one["path"], {})[one["method"]] = operation
    return result


def _describe(one: Operation, examples: dict[str, str]) -> Operation:
    parameters = [
        {
            "in": "path",
            "name": name,
            "required": True,
            "schema": TEXT,
            "example": text,
        }
        for name, text in examples.items()
        if f"{{{name}}}" in one["path"]
    ]
    parameters += [
        {
            "in": "query",
            "name": name,
            "schema": schema_of(int if name == "limit" else str),
        }
        for name in one.get("query", [])
    ]
    if one.get("file"):
        answer = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    else:
        schema = schema_of_example(one["answer"])
        answer = {"application/json": {"schema": schema, "example": one["answer"]}}
    operation = {
        "operationId": one["id"],
        "summary": one["summary"],
        "description": one.get("description", f"{one['summary']}."),
        "tags": [TAGS.get(one["path"].split("/")[2], "openai")],
        "parameters": parameters,
        "security": [{"ApiToken": []}],
        "responses": {"200": {"description": "", "content": answer}},
    }
    if body := _body(one):
        operation["requestBody"] = {"required": True, "content": body}
    return operation


def _body(one: Operation) -> dict[str, Any]:
    if form := one.get("form"):
        fields = {
            name: {**TEXT, "format": "binary"} if text[0] == "@" else TEXT
            for name, text in form.items()
        }
        schema = {"type": "object", "properties": fields, "required": list(form)}
        return {"multipart/form-data": {"schema": schema, "example": form}}
    if "body" not in one:
        return {}
    named = one.get("body_class")
    schema = schema_of(named) if named else schema_of_example(one["body"])
    return {"application/json": {"schema": schema, "example": one["body"]}}


def schema_of_example(value: Any) -> Operation:
    """The schema of values of the same types; what is null may be a text or a number."""
    if isinstance(value, dict):
        fields = {name: schema_of_example(one) for name, one in value.items()}
        return {"type": "object", "properties": fields}
    if isinstance(value, list):
        return {"type": "array", "items": schema_of_example(value[0] if value else None)}
    if value is None:
        return schema_of(str | float | None)
    return schema_of(type(value))
