"""Filters of rows out of JSON."""

import json
from collections.abc import Mapping
from typing import cast

from projects.errors import BadRowQuery
from projects.reading.fixes.conditions import Operator, RowFilter


def parse_filters(sent: object) -> list[RowFilter]:
    """Filters out of JSON: [{"column": …, "operator": …, "value": …}]. Raises BadRowQuery."""
    wrong = BadRowQuery(
        'filters must be a JSON list such as [{"column": "a", "operator": "is", "value": "b"}].',
        param="filters",
    )
    if not isinstance(sent, list):
        raise wrong
    filters = []
    for entry in sent:
        if not isinstance(entry, Mapping) or not set(entry) <= {"column", "operator", "value"}:
            raise wrong
        operator = str(entry.get("operator", "is"))
        value = entry.get("value", "")
        filters.append(
            RowFilter(
                column=str(entry.get("column", "")),
                operator=cast(Operator, operator),
                value=json.dumps(value) if isinstance(value, bool) else str(value),
            )
        )
    return filters
