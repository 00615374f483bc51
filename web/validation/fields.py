"""Number fields of request bodies. DRF's own also read numbers from texts, without any bound."""

import math
from typing import Any

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
