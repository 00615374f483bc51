"""What every API endpoint shares: one error shape and one list shape."""

from collections.abc import Callable, Mapping
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Model, Q, QuerySet
from django.http import Http404
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import set_rollback

from web.errors import UserError

DEFAULT_LIMIT, MAX_LIMIT = 20, 100


class BadParameter(UserError):
    code, status = "invalid_parameter", 400


def error_body(
    message: str,
    *,
    code: str | None,
    type_: str = "invalid_request_error",
    param: str | None = None,
) -> dict[str, Any]:
    """The one error shape, as in OpenAI's schema: all four keys are always there."""
    return {"error": {"message": message, "type": type_, "param": param, "code": code}}


def type_for(http_status: int) -> str:
    """OpenAI's word for the family of errors with this status."""
    return {
        401: "authentication_error",
        402: "insufficient_quota",
        403: "permission_error",
        429: "rate_limit_error",
    }.get(http_status, "server_error" if http_status >= 500 else "invalid_request_error")


def exception_handler(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """DRF's EXCEPTION_HANDLER: every refusal in the one shape; None for what is our own fault."""
    answer = _answer_to(error)
    if answer is not None:
        set_rollback()
        # The official client retries 409 unless told that it is pointless.
        if answer.status_code in {402, 409}:
            answer["x-should-retry"] = "false"
    return answer


def _answer_to(error: Exception) -> Response | None:
    if isinstance(error, UserError):
        return _refusal(error.sentence, error.status, code=error.code, param=error.param)
    if isinstance(error, Http404):
        return _refusal("There is no such thing here.", 404, code="not_found")
    if isinstance(error, PermissionDenied):
        return _refusal("You may not do this.", 403, code="permission_denied")
    if isinstance(error, ValidationError):  # Such as a malformed UUID in a query.
        return _refusal(" ".join(error.messages), 400, code="invalid_parameter")
    if isinstance(error, exceptions.ValidationError):
        param, message = _first_problem(error.detail)
        return _refusal(message, 400, code="invalid_parameter", param=param)
    if isinstance(error, exceptions.APIException):
        answer = _refusal(str(error.detail), error.status_code, code=str(error.get_codes()))
        if header := getattr(error, "auth_header", None):
            answer["WWW-Authenticate"] = header
        if wait := getattr(error, "wait", None):
            answer["Retry-After"] = str(int(wait) + 1)
        return answer
    return None


def _refusal(message: str, http_status: int, *, code: str, param: str | None = None) -> Response:
    body = error_body(message, code=code, type_=type_for(http_status), param=param)
    return Response(body, status=http_status)


def _first_problem(detail: Any, path: str = "") -> tuple[str | None, str]:
    """The first field at fault and its sentence, from DRF's nested lists and dicts."""
    if isinstance(detail, Mapping):
        for key, inner in detail.items():
            if inner:
                name = path if key == "non_field_errors" else f"{path}.{key}" if path else str(key)
                return _first_problem(inner, name)
    if isinstance(detail, list):
        return _first_problem(detail[0], path) if detail else (path or None, "Invalid.")
    message = str(detail)
    return path or None, f"{path}: {message}" if path else message


def listing(
    request: Request,
    rows: QuerySet[Any],
    answer: Callable[[Any], Mapping[str, Any]],
    order: str = "-created_at",
) -> Response:
    """A page of rows in OpenAI's list shape; `after` is the id of the last row already seen.

    `answer` is one serializer's: making one for every row would cost more than the rest.
    """
    limit = _limit_of(request)
    field = order.lstrip("-")
    rows = rows.order_by(order, "-pk" if order.startswith("-") else "pk")
    if after := request.query_params.get("after"):
        rows = _after(rows, after, field, descending=order.startswith("-"))
    # Keys first, so that what rows are joined to and annotated with is read for this page alone.
    keys = list(rows.values_list("pk", flat=True)[: limit + 1])
    page = in_bulk_order(rows, keys[:limit])
    data = [answer(row) for row in page]
    return Response({"object": "list", "data": data, "has_more": len(keys) > limit})


def in_bulk_order(rows: QuerySet[Any], keys: list[Any]) -> list[Any]:
    """The rows of these keys in the order of the keys, from one query."""
    found = {row.pk: row for row in rows.filter(pk__in=keys).order_by()}
    return [found[key] for key in keys if key in found]


def _limit_of(request: Request) -> int:
    text = request.query_params.get("limit", str(DEFAULT_LIMIT))
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= MAX_LIMIT:
        raise BadParameter(f"limit must be a whole number from 1 to {MAX_LIMIT}.", param="limit")
    return int(text)


def _after(rows: QuerySet[Any], after: str, field: str, *, descending: bool) -> QuerySet[Any]:
    try:
        last: Model | None = rows.filter(pk=after).first()
    except (ValueError, ValidationError):
        last = None
    if last is None:
        raise BadParameter("after names no row of this list.", param="after")
    way = "lt" if descending else "gt"
    value = getattr(last, field)
    return rows.filter(Q(**{f"{field}__{way}": value}) | Q(**{field: value, f"pk__{way}": last.pk}))
