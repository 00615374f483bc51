"""The public pages, the health check and the error pages."""

import sys

from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from web.database.pool import DatabaseBusy, is_exhausted
from web.errors import error_body, error_type_for_status
from web.log_context import request_id
from web.middleware import is_api_request
from web.pages.documents import find_document, list_documents
from web.telemetry.readiness import check_readiness, is_ready, reports

ERROR_CODES = {
    400: "bad_request",
    403: "permission_denied",
    404: "not_found",
    429: DatabaseBusy.code,
    503: "unavailable",
}
RETRY_AFTER_SECONDS = 5  # An embedded server that crashed is back about then.


@require_safe
def landing(request: HttpRequest) -> HttpResponse:
    """What Lathe is, in plain words."""
    return render(request, "web/landing.html")


@require_safe
def favicon(request: HttpRequest) -> HttpResponse:
    """Where browsers look when a page names no icon, as the admin's do."""
    return redirect(static("img/lathe.svg"))


@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    """The list of help pages."""
    return render(request, "web/docs.html", {"groups": list_documents(), "document": None})


@require_safe
def doc(request: HttpRequest, slug: str) -> HttpResponse:
    """One help page."""
    document = find_document(slug)
    if document is None:
        raise Http404
    return render(request, "web/docs.html", {"groups": list_documents(), "document": document})


@require_safe
@never_cache
def healthz(request: HttpRequest) -> JsonResponse:
    """200 while this process lives: to restart it would help against nothing else."""
    return JsonResponse({"status": "ok"})


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when this process can serve, 503 with the reason while it cannot."""
    checks = check_readiness()
    told = {name: read() for name, read in reports.items()}
    if is_ready(checks):
        return JsonResponse({"status": "ready", "checks": checks, **told})
    return JsonResponse({"status": "not ready", "checks": checks, **told}, status=503)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _render_error(request, 400, "This request could not be understood.")


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _render_error(request, 403, "You may not do this.")


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    if is_api_request(request):
        return _render_error(request, 404, f"There is no {request.method} {request.path}.")
    return _render_error(request, 404, "There is no such page, or it is not yours to see.")


def server_error(request: HttpRequest) -> HttpResponse:
    """An unexpected error: 500; so that callers retry, 503 while the database is away, and 429
    where requests wait for one another."""
    error = sys.exc_info()[1]
    if is_exhausted(error):
        page = _render_error(request, DatabaseBusy.status, DatabaseBusy.sentence)
        page["Retry-After"] = str(DatabaseBusy.retry_after_seconds)
        return page
    if isinstance(error, (OperationalError, InterfaceError)):
        page = _render_error(request, 503, "The database does not answer. Try again in a moment.")
        page["Retry-After"] = str(RETRY_AFTER_SECONDS)
        return page
    return _render_error(request, 500, "Something broke on our side. It has been logged.")


def _render_error(request: HttpRequest, status: int, sentence: str) -> HttpResponse:
    """JSON for the API; else a page that needs no database, session or context processor."""
    if is_api_request(request):
        code = ERROR_CODES.get(status, "error")
        body = error_body(sentence, code=code, type_=error_type_for_status(status))
        return JsonResponse(body, status=status)
    context = {"sentence": sentence, "status": status, "request_id": request_id.get()}
    # Rendered without the request, so that no context processor can fail a second time.
    return HttpResponse(render_to_string(f"{status}.html", context), status=status)
