"""Fields of request bodies. DRF's own also read numbers from texts, without any bound, and do not
say what may be chosen."""

import math
from typing import Any, NoReturn

from rest_framework import serializers

from web.validation.values import MAX_INTEGER


class IntegerField(serializers.IntegerField):
    """A whole number that fits into PostgreSQL's bigint, unless closer bounds are given."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"min_value": -MAX_INTEGER, "max_value": MAX_INTEGER} | options)


class FloatField(serializers.FloatField):
    """A finite number: "nan" and "1e999" are texts that Python, but no JSON, calls numbers."""

    def to_internal_value(self, data: Any) -> float:
        value = super().to_internal_value(data)
        if not math.isfinite(value):
            self.fail("invalid")
        return value


class ChoiceField(serializers.ChoiceField):
    """One of several values, all named in the refusal."""

    default_error_messages = {"invalid_choice": "It must be one of: {choices}."}

    def fail(self, key: str, **values: Any) -> NoReturn:
        super().fail(key, choices=", ".join(map(str, self.choices)), **values)


class AsStoredField(serializers.Field[Any, Any, Any, Any]):
    """A field that answers show as it is stored; subclasses say how a request's value is read."""

    def to_representation(self, value: Any) -> Any:
        return value


class MultipleChoiceField(ChoiceField, serializers.MultipleChoiceField):
    """Several of several values."""


class PrintableField(serializers.CharField):
    """Text that a database can hold and a page can show: no control characters."""

    def to_internal_value(self, data: Any) -> str:
        text = "".join(letter for letter in super().to_internal_value(data) if letter.isprintable())
        return text.encode("utf-8", "replace").decode()
