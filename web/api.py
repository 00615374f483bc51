"""What every API endpoint shares: one error shape and one list shape."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Model, Q, QuerySet
from django.http import Http404
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import set_rollback

from web.errors import UserError, error_body, error_type_for_status
from web.validation.values import parse_digits

DEFAULT_LIMIT, MAX_LIMIT = 20, 100
SEND_A_TOKEN = "Send an API token: Authorization: Bearer <API token>."


class BadParameter(UserError):
    code, status = "invalid_parameter", 400


def exception_handler(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """DRF's EXCEPTION_HANDLER: every expected refusal in the one shape; None for other errors."""
    response = _response_for(error, context.get("view"))
    if response is not None:
        set_rollback()
        # OpenAI's client retries 409 unless this header forbids it.
        if response.status_code in {402, 409}:
            response["x-should-retry"] = "false"
    return response


def _response_for(error: Exception, view: Any) -> Response | None:
    if isinstance(error, UserError):
        response = _error_response(error.sentence, error.status, code=error.code, param=error.param)
        for name, value in error.headers.items():
            response[name] = value
        return response
    if isinstance(error, Http404):
        return _error_response("There is no such thing here.", 404, code="not_found")
    if isinstance(error, PermissionDenied):
        return _error_response("You may not do this.", 403, code="permission_denied")
    if isinstance(error, ValidationError):  # Such as a malformed UUID in a query.
        return _error_response(" ".join(error.messages), 400, code="invalid_parameter")
    if isinstance(error, exceptions.ValidationError):
        param, message = _first_error(error.detail)
        return _error_response(message, 400, code="invalid_parameter", param=param)
    if isinstance(error, exceptions.APIException):
        return _framework_refusal(error, view)
    return None


def _framework_refusal(error: exceptions.APIException, view: Any) -> Response:
    """What DRF refuses by itself, in words that say what to do instead."""
    message = str(error.detail)
    if isinstance(error, exceptions.NotAuthenticated):
        message = SEND_A_TOKEN
    elif isinstance(error, exceptions.MethodNotAllowed) and view is not None:
        allowed = " or ".join(name for name in view.allowed_methods if name != "OPTIONS")
        message = f"Use {allowed} here, not {view.request.method}."
    response = _error_response(message, error.status_code, code=str(error.get_codes()))
    if header := getattr(error, "auth_header", None):
        response["WWW-Authenticate"] = header
    if wait := getattr(error, "wait", None):
        response["Retry-After"] = str(int(wait) + 1)
    return response


def _error_response(
    message: str, http_status: int, *, code: str, param: str | None = None
) -> Response:
    body = error_body(message, code=code, type_=error_type_for_status(http_status), param=param)
    return Response(body, status=http_status)


def _first_error(detail: Any, path: str = "") -> tuple[str | None, str]:
    """The first invalid field and its message, from DRF's nested lists and dicts."""
    if isinstance(detail, Mapping):
        for key, inner in detail.items():
            if inner:
                name = path if key == "non_field_errors" else f"{path}.{key}" if path else str(key)
                return _first_error(inner, name)
    if isinstance(detail, list):
        return _first_error(detail[0], path) if detail else (path or None, "Invalid.")
    message = str(detail)
    return path or None, f"{path}: {message}" if path else message


def cursor_page(
    request: Request,
    rows: QuerySet[Any],
    serialize: Callable[[Any], Mapping[str, object]],
    order: str = "-created_at",
) -> Response:
    """A page of rows in OpenAI's list shape; `after` is the id of the last row already seen.

    `serialize` is a bound method of one serializer: making one for each row would cost more than
    everything else.
    """
    limit = _parse_limit(request)
    field = order.lstrip("-")
    rows = rows.order_by(order, "-pk" if order.startswith("-") else "pk")
    if after := request.query_params.get("after"):
        rows = _rows_after(rows, after, field, descending=order.startswith("-"))
    # Keys first, so that joins and annotations are computed for the rows of this page only.
    keys = list(rows.values_list("pk", flat=True)[: limit + 1])
    by_key = {row.pk: row for row in rows.filter(pk__in=keys[:limit]).order_by()}
    data = [serialize(by_key[key]) for key in keys[:limit] if key in by_key]
    return Response({"object": "list", "data": data, "has_more": len(keys) > limit})


def list_page(
    request: Request, items: Sequence[Any], serialize: Callable[[Any], Mapping[str, object]]
) -> Response:
    """The same of things that are in memory, each with an `id`."""
    limit, begin = _parse_limit(request), 0
    if after := request.query_params.get("after"):
        places = [place for place, item in enumerate(items) if str(item.id) == after]
        if not places:
            raise BadParameter("after names no row of this list.", param="after")
        begin = places[0] + 1
    data = [serialize(item) for item in items[begin : begin + limit]]
    has_more = len(items) > begin + limit
    return Response({"object": "list", "data": data, "has_more": has_more})


def _parse_limit(request: Request) -> int:
    text = request.query_params.get("limit", str(DEFAULT_LIMIT))
    limit = parse_digits(text, len(str(MAX_LIMIT)))
    if limit is None or not 1 <= limit <= MAX_LIMIT:
        raise BadParameter(f"limit must be a whole number from 1 to {MAX_LIMIT}.", param="limit")
    return limit


def _rows_after(rows: QuerySet[Any], after: str, field: str, *, descending: bool) -> QuerySet[Any]:
    try:
        last: Model | None = rows.filter(pk=after).first()
    except (ValueError, ValidationError):
        last = None
    if last is None:
        raise BadParameter("after names no row of this list.", param="after")
    lookup = "lt" if descending else "gt"
    value = getattr(last, field)
    same_value = Q(**{field: value, f"pk__{lookup}": last.pk})
    return rows.filter(Q(**{f"{field}__{lookup}": value}) | same_value)
