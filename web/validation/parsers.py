"""How the API reads bodies: JSON as RFC 8259 has it, and forms; nothing that no column can hold."""

import json
from collections.abc import Mapping
from typing import IO, Any, NoReturn

from rest_framework import parsers
from rest_framework.exceptions import ParseError

from web.validation.values import require_form, require_json


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


class JSONParser(parsers.JSONParser):
    """JSON in UTF-8, whatever charset the header names: the RFC knows no other."""

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Raises ParseError (400), or UnacceptableValue (400) naming the field."""
        try:
            content = json.loads(stream.read().decode(), parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as problem:
            raise ParseError(f"The body is not valid JSON: {str(problem)[:200]}") from None
        require_json(content)
        return content


class MultiPartParser(parsers.MultiPartParser):
    """multipart/form-data."""

    def parse(self, *args: Any, **options: Any) -> Any:
        """Raises ParseError (400), or UnacceptableValue (400) naming the field."""
        content = super().parse(*args, **options)
        require_form(content.data)
        return content


class FormParser(parsers.FormParser):
    """application/x-www-form-urlencoded."""

    def parse(self, *args: Any, **options: Any) -> Any:
        """Raises UnacceptableValue (400) naming the field."""
        content = super().parse(*args, **options)
        require_form(content)
        return content
