"""OpenAPI schemas of JSON that the product stores and answers as it is, made from its type hints.

A TypedDict, dataclass or pydantic model becomes a schema of its own, under the name of its class.
"""

import dataclasses
import inspect
import types
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib import import_module
from typing import Any, Literal, Union, get_args, get_origin

from drf_spectacular.drainage import set_override
from pydantic import BaseModel
from rest_framework import serializers
from typing_extensions import get_type_hints, is_typeddict

from web.validation.fields import AsStoredField

Schema = dict[str, Any]
PREFIX = "#/components/schemas/"
PLAIN: dict[Any, Schema] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    datetime: {"type": "string", "format": "date-time"},
}
# A cell of a table, or another single value.
Scalar = str | float | bool | None
ANY_JSON: Schema = {"description": "Any JSON."}
_named: dict[str, tuple[type, Schema]] = {}
_places: dict[str, str] = {}


class DescribedJSONField(serializers.JSONField):
    """JSON of a request, which something else checks; the reference shows the type hint."""

    def __init__(self, hint: Any, **options: Any) -> None:
        super().__init__(**options)
        set_override(self, "field", schema_of(hint))


class DescribedField(AsStoredField):
    """JSON as it is stored; the reference shows the fields of the type hint."""

    def __init__(self, hint: Any, **options: Any) -> None:
        super().__init__(**options)
        set_override(self, "field", schema_of(hint))


def schema_of(hint: Any) -> Schema:
    """The schema of a type hint; a schema is returned as it is. A text names the class that is the
    hint, "module:Class", where importing it at start costs too much.

    Raises TypeError for a hint that says nothing about JSON.
    """
    if isinstance(hint, dict):
        return hint
    if isinstance(hint, str):
        return _later(hint)
    if hint in PLAIN:
        return {**PLAIN[hint]}
    if hint in (object, Any):
        return {**ANY_JSON}
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _schema_of_union(arguments)
    if origin is Literal:
        return {**PLAIN[type(arguments[0])], "enum": list(arguments)}
    if origin in (list, tuple, Sequence):
        return {"type": "array", "items": schema_of(arguments[0])}
    if origin in (dict, Mapping):
        return {"type": "object", "additionalProperties": schema_of(arguments[1])}
    return _reference_to(hint)


def _later(place: str) -> Schema:
    """A reference to the class at "module:Class", which is imported when the reference is made."""
    name = place.partition(":")[2]
    _places[name] = place
    return {"$ref": f"{PREFIX}{name}"}


def or_nothing(hint: Any, when: str) -> Schema:
    """The schema of what is `{}` at first; `when` says until when."""
    nothing = {"type": "object", "properties": {}, "maxProperties": 0}
    return {"description": f"Empty until {when}.", "anyOf": [schema_of(hint), nothing]}


def named_schemas(used: set[str]) -> dict[str, Schema]:
    """The schemas of these names, as far as they were made here."""
    for name in used & _places.keys():
        module, _, class_name = _places[name].partition(":")
        _reference_to(getattr(import_module(module), class_name))
    return {name: schema for name, (_, schema) in _named.items() if name in used}


def _schema_of_union(members: Sequence[Any]) -> Schema:
    kinds = [schema_of(one) for one in members if one is not type(None)]
    schema = kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
    if type(None) not in members:
        return schema
    return (
        {"allOf": [schema], "nullable": True} if "$ref" in schema else {**schema, "nullable": True}
    )


def _reference_to(kind: type) -> Schema:
    """A reference to the schema of a class, which is made once."""
    name = kind.__name__
    if name not in _named:
        _named[name] = (kind, {})  # It may hold itself.
        _named[name] = (kind, _schema_of_class(kind))
    if _named[name][0] is not kind:
        raise TypeError(f"Two classes of the API are called {name}.")
    return {"$ref": f"{PREFIX}{name}"}


def _schema_of_class(kind: type) -> Schema:
    if issubclass(kind, BaseModel):
        return _schema_of_model(kind)
    if is_typeddict(kind):
        hints = get_type_hints(kind)
        required = sorted(getattr(kind, "__required_keys__"))  # noqa: B009 - of TypedDicts only.
    elif dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind)
        required = sorted(hints)
    else:
        raise TypeError(f"{kind} describes no JSON.")
    schema: Schema = {"type": "object", "properties": {}}
    if kind.__doc__ and not kind.__doc__.startswith(f"{kind.__name__}("):
        schema["description"] = inspect.getdoc(kind)
    schema["properties"] = {name: schema_of(one) for name, one in hints.items()}
    return schema | ({"required": required} if required else {})


def _schema_of_model(kind: type[BaseModel]) -> Schema:
    """With its defaults, ranges and descriptions; all fields may be left out."""
    described = kind.model_json_schema()
    definitions = described.pop("$defs", {})
    schema: Schema = _as_openapi(described, definitions)
    schema.pop("required", None)
    return schema


def _as_openapi(part: Any, definitions: Mapping[str, Any]) -> Any:
    """JSON Schema of pydantic in the words of OpenAPI 3.0."""
    if isinstance(part, list):
        return [_as_openapi(one, definitions) for one in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        target = definitions[part["$ref"].rpartition("/")[2]]
        return _as_openapi(
            {**target, **{k: v for k, v in part.items() if k != "$ref"}}, definitions
        )
    schema = {
        name: {key: _as_openapi(one, definitions) for key, one in value.items()}
        if name == "properties"
        else value
        if name in ("default", "enum", "examples")
        else _as_openapi(value, definitions)
        for name, value in part.items()
        if name != "discriminator" and (name != "title" or not isinstance(value, str))
    }
    if "const" in schema:
        schema["enum"] = [schema.pop("const")]
    kinds = [one for one in schema.get("anyOf", []) if one != {"type": "null"}]
    if len(kinds) < len(schema.get("anyOf", [])):
        del schema["anyOf"]
        schema = {**schema, **(kinds[0] if len(kinds) == 1 else {"anyOf": kinds}), "nullable": True}
    if "patternProperties" in schema:
        schema["additionalProperties"] = next(iter(schema.pop("patternProperties").values()))
    schema.pop("automatic", None)  # For forms.
    for bound, name in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if isinstance(schema.get(name), int | float):
            schema |= {bound: schema[name], name: True}
    return schema
