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


def problems_of(answer: Any, schema: dict[str, Any]) -> list[str]:
    """Where an answer is not as the schema says."""
    whole = as_json_schema({**schema, "components": reference()["components"]})
    errors = Draft202012Validator(whole).iter_errors(answer)
    return [f"{error.json_path}: {error.message[:300]}" for error in errors]


def as_json_schema(part: Any) -> Any:
    """JSON Schema's words for OpenAPI 3.0's `nullable` and open bounds."""
    if isinstance(part, list):
        return [as_json_schema(one) for one in part]
    if not isinstance(part, dict):
        return part
    schema = {name: as_json_schema(one) for name, one in part.items()}
    for bound, name in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if schema.get(name) is True:
            schema[name] = schema.pop(bound)
    if schema.pop("nullable", False) is True:
        return {"anyOf": [schema, {"type": "null"}]}
    return schema
