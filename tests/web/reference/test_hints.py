"""Type hints as schemas."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, NotRequired, TypedDict

import pytest
from pydantic import BaseModel, Field

from web.reference.hints import PREFIX, named_schemas, or_nothing, schema_of


class Leaf(TypedDict):
    """A leaf."""

    size: int
    colour: NotRequired[str]
    next: "list[Leaf]"


@dataclass(frozen=True)
class Bark:
    thickness: float | None


class Settings(BaseModel):
    rate: Annotated[float, Field(gt=0, le=1, description="Per step.")] = 0.1
    kind: Literal["a", "b"] = "a"
    note: str | None = None
    bark: dict[str, int] = {}


@pytest.mark.parametrize(
    ("hint", "schema"),
    [
        (str, {"type": "string"}),
        (int | None, {"type": "integer", "nullable": True}),
        (datetime, {"type": "string", "format": "date-time"}),
        (list[float], {"type": "array", "items": {"type": "number"}}),
        (tuple[float, ...], {"type": "array", "items": {"type": "number"}}),
        (dict[str, bool], {"type": "object", "additionalProperties": {"type": "boolean"}}),
        (str | int, {"anyOf": [{"type": "string"}, {"type": "integer"}]}),
        (Literal["x", "y"], {"type": "string", "enum": ["x", "y"]}),
        (Bark | None, {"allOf": [{"$ref": f"{PREFIX}Bark"}], "nullable": True}),
        ({"type": "string"}, {"type": "string"}),
    ],
)
def test_a_hint_becomes_a_schema(hint, schema):
    assert schema_of(hint) == schema


def test_a_typed_dict_may_hold_itself_and_says_what_it_must_have():
    assert schema_of(Leaf) == {"$ref": f"{PREFIX}Leaf"}
    schema = named_schemas({"Leaf"})["Leaf"]
    assert schema["required"] == ["next", "size"]
    assert schema["properties"]["next"]["items"] == {"$ref": f"{PREFIX}Leaf"}
    assert schema["description"] == "A leaf."


def test_a_model_keeps_its_ranges_defaults_and_descriptions():
    schema_of(Settings)
    fields = named_schemas({"Settings"})["Settings"]["properties"]
    assert fields["rate"] == {
        "type": "number", "default": 0.1, "description": "Per step.", "maximum": 1,
        "minimum": 0, "exclusiveMinimum": True,
    }  # fmt: skip
    assert fields["kind"]["enum"] == ["a", "b"]
    assert fields["note"] == {"type": "string", "nullable": True, "default": None}
    assert fields["bark"]["additionalProperties"] == {"type": "integer"}


def test_a_class_named_by_its_place_is_imported_when_it_is_asked_for():
    place = "tests.web.reference.schema:Nothing"
    assert schema_of(place) == {"$ref": f"{PREFIX}Nothing"}
    with pytest.raises(AttributeError):
        named_schemas({"Nothing"})
    assert schema_of("engine.spec:SplitSpec") == {"$ref": f"{PREFIX}SplitSpec"}
    assert "method" in named_schemas({"SplitSpec"})["SplitSpec"]["properties"]


def test_two_classes_of_one_name_are_refused():
    schema_of(Bark)
    with pytest.raises(TypeError, match="Two classes"):
        schema_of(type("Bark", (BaseModel,), {}))


@pytest.mark.parametrize("hint", [object(), print, type("Plain", (), {})])
def test_what_says_nothing_about_json_is_refused(hint):
    with pytest.raises((TypeError, AttributeError)):
        schema_of(hint)


def test_what_is_empty_at_first_says_until_when():
    schema = or_nothing(Bark, "it has grown")
    assert schema["description"] == "Empty until it has grown."
    assert {"type": "object", "properties": {}, "maxProperties": 0} in schema["anyOf"]
