"""The public pages, the health check and what is shown when things go wrong."""

import sys

from django.db import DatabaseError, InterfaceError, OperationalError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from web.api import error_body, type_for
from web.middleware import request_id, speaks_json

CODES = {400: "bad_request", 403: "permission_denied", 404: "not_found", 503: "unavailable"}
RETRY_SECONDS = 5  # An embedded server that crashed is back about then.


@require_safe
def landing(request: HttpRequest) -> HttpResponse:
    """What Lathe is, in plain words."""
    return render(request, "web/landing.html")


@require_safe
@never_cache
def healthz(request: HttpRequest) -> JsonResponse:
    """200 when this process can serve, 503 when its database does not answer."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return JsonResponse({"status": "unavailable", "database": "down"}, status=503)
    return JsonResponse({"status": "ok", "database": "up"})


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _failure(request, 400, "This request could not be understood.")


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _failure(request, 403, "You may not do this.")


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _failure(request, 404, "There is no such page, or it is not yours to see.")


def server_error(request: HttpRequest) -> HttpResponse:
    """Our own fault; 503 while the database is away, so that callers know to ask again."""
    if isinstance(sys.exc_info()[1], (OperationalError, InterfaceError)):
        answer = _failure(request, 503, "The database does not answer. Try again in a moment.")
        answer["Retry-After"] = str(RETRY_SECONDS)
        return answer
    return _failure(request, 500, "Something broke on our side. It has been logged.")


def _failure(request: HttpRequest, status: int, sentence: str) -> HttpResponse:
    """JSON for the API; else a page that needs no database, session or context processor."""
    if speaks_json(request):
        code = CODES.get(status, "error")
        body = error_body(sentence, code=code, type_=type_for(status))
        return JsonResponse(body, status=status)
    context = {"sentence": sentence, "status": status, "request_id": request_id.get()}
    # Rendered without the request, so that no context processor can fail a second time.
    return HttpResponse(render_to_string(f"{status}.html", context), status=status)
