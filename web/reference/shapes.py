"""What all operations of the API's reference share: the one error shape, the one list shape, the
order of tags, and the schemas of stored JSON."""

import re
from pathlib import Path
from typing import Any

from drf_spectacular.hooks import postprocess_schema_enums

from web.api import DEFAULT_LIMIT, MAX_LIMIT
from web.reference.hints import PREFIX, named_schemas

ERROR_SCHEMA: dict[str, Any] = {
    "type": "object",
    "example": {
        "error": {
            "message": "There is no such thing here.",
            "type": "invalid_request_error",
            "param": None,
            "code": "not_found",
        }
    },
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string", "description": "A sentence for people."},
                "type": {"type": "string"},
                "param": {"type": "string", "nullable": True, "description": "What is at fault."},
                "code": {"type": "string", "nullable": True},
            },
        }
    },
}
TAGS_FILE = Path(__file__).parent / "tags.txt"  # English, as all of the API.
WHOLE_LISTS = {"plans", "list_dataset_questions"}  # Operations whose lists come on one page.
LIST_PARAMETERS: list[dict[str, Any]] = [
    {
        "in": "query",
        "name": "limit",
        "schema": {
            "type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT,
        },
        "description": "How many at most.",
    },
    {
        "in": "query",
        "name": "after",
        "schema": {"type": "string"},
        "description": "The id of the last one of the page before.",
    },
]  # fmt: skip


def describe_shapes(result: dict[str, Any], generator: object, **_: object) -> dict[str, Any]:
    """drf-spectacular's hook, behind its own: the one error shape and the one list shape, where
    views only say what is in the list."""
    result = postprocess_schema_enums(result, generator)  # type: ignore[no-untyped-call]
    lines = TAGS_FILE.read_text().splitlines()
    result["tags"] = [
        dict(zip(("name", "description"), line.split(": ", 1), strict=True)) for line in lines
    ]
    result.setdefault("components", {}).setdefault("schemas", {})["Error"] = ERROR_SCHEMA
    reference = {"schema": {"$ref": "#/components/schemas/Error"}}
    refused = {"description": "Why not.", "content": {"application/json": reference}}
    _add_named_schemas(result)
    _allow_both(result)
    for operations in result.get("paths", {}).values():
        for method, operation in operations.items():
            if not isinstance(operation, dict) or "responses" not in operation:
                continue
            _summarize(operation)
            operation["responses"].setdefault("default", refused)
            if method == "get":
                _describe_list(operation)
    return result


def _summarize(operation: dict[str, Any]) -> None:
    """The first sentence of what it does, which the reference shows beside the address."""
    first = re.split(r"(?<=[.?!])\s|[;:]\s", operation.get("description", ""), maxsplit=1)[0]
    operation.setdefault("summary", " ".join(first.split()).rstrip("."))


def _describe_list(operation: dict[str, Any]) -> None:
    content = operation["responses"].get("200", {}).get("content", {}).get("application/json", {})
    if content.get("schema", {}).get("type") != "array":
        return
    content["schema"] = {
        "type": "object",
        "required": ["object", "data", "has_more"],
        "properties": {
            "object": {"type": "string", "enum": ["list"]},
            "data": content["schema"],
            "has_more": {"type": "boolean"},
        },
    }
    if operation.get("operationId") in WHOLE_LISTS:
        return
    parameters = operation.setdefault("parameters", [])
    known = {one["name"] for one in parameters}
    parameters += [one for one in LIST_PARAMETERS if one["name"] not in known]


def _allow_both(part: Any) -> None:
    """drf-spectacular says that an address is either empty or an address, by `oneOf`. To whom does
    not check formats an empty text is both."""
    if isinstance(part, list):
        for one in part:
            _allow_both(one)
    if isinstance(part, dict):
        if {"type": "string", "maxLength": 0} in part.get("oneOf", ()):
            part["anyOf"] = part.pop("oneOf")
        for one in part.values():
            _allow_both(one)


def _add_named_schemas(result: dict[str, Any]) -> None:
    """Those of stored JSON that the operations refer to, and that these refer to themselves."""
    schemas = result["components"]["schemas"]
    while True:
        used = set(re.findall(rf"'{PREFIX}(\w+)'", str(result)))
        missing = named_schemas(used - schemas.keys())
        if not missing:
            break
        schemas |= missing
    result["components"]["schemas"] = dict(sorted(schemas.items()))
