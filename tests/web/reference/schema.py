"""The reference as tests read it."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from drf_spectacular.generators import SchemaGenerator
from jsonschema import Draft202012Validator

METHODS = ("get", "post", "put", "patch", "delete")


@cache
def reference() -> dict[str, Any]:
    return SchemaGenerator().get_schema(request=None, public=True)


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(path, method, operation) of all."""
    for path, item in reference()["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def problems_of(answer: Any, schema: dict[str, Any], *, is_sent: bool = False) -> list[str]:
    """Where an answer, or a body that is sent, is not as the schema says."""
    whole = as_json_schema({**schema, "components": reference()["components"]}, is_sent)
    errors = Draft202012Validator(whole).iter_errors(answer)
    return [f"{error.json_path}: {error.message[:300]}" for error in errors]


def as_json_schema(part: Any, is_sent: bool = False) -> Any:
    """JSON Schema's words for OpenAPI 3.0's `nullable` and open bounds, and for `readOnly`, which
    nobody needs to send."""
    if isinstance(part, list):
        return [as_json_schema(one, is_sent) for one in part]
    if not isinstance(part, dict):
        return part
    schema = {name: as_json_schema(one, is_sent) for name, one in part.items()}
    fields = part.get("properties", {})
    if is_sent and isinstance(part.get("required"), list):
        schema["required"] = [
            name for name in part["required"] if not fields.get(name, {}).get("readOnly")
        ]
    for bound, name in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if schema.get(name) is True:
            schema[name] = schema.pop(bound)
    if schema.pop("nullable", False) is True:
        return {"anyOf": [schema, {"type": "null"}]}
    return schema
