"""The pages' door: every form carries a hidden key, and acts once under it."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from web.front.middleware import SynchronousMiddleware
from web.idempotency import store
from web.idempotency.fingerprint import fingerprint
from web.idempotency.store import Answer, Claim, RequestInProgress
from web.middleware import is_api_request, render_user_error

FIELD = "idempotency_key"
MAX_CHARACTERS = 64
REPEATED_HEADERS = ("Location", "Content-Type", "HX-Redirect", "HX-Retarget", "HX-Reswap")


class IdempotencyMiddleware(SynchronousMiddleware):
    """Innermost, so that it sees who signed in. A form of nobody has nothing to spend."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return _end(request, self.get_response(request))

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: Any, options: Any
    ) -> HttpResponse | None:
        """Django's hook, after the CSRF check: the earlier answer, if there is one."""
        is_form = not is_api_request(request) and not getattr(view, "csrf_exempt", False)
        if request.method != "POST" or not is_form or not request.user.is_authenticated:
            return None
        key = request.POST.get(FIELD, "")
        if not 0 < len(key) <= MAX_CHARACTERS:
            return None
        claim = Claim(f"user:{request.user.pk}", key, _fingerprint(request), is_form=True)
        try:
            answer = store.begin(claim)
        except RequestInProgress as refusal:
            return render_user_error(request, refusal)
        if answer is None:
            request._idempotency_claim = claim  # type: ignore[attr-defined]
            return None
        response = HttpResponse(answer.content, status=answer.status, headers=answer.headers)
        response["Idempotent-Replayed"] = "true"
        return response


def _fingerprint(request: HttpRequest) -> str:
    form = request.POST.copy()
    for name, files in request.FILES.lists():
        form.setlist(name, files)  # type: ignore[arg-type]  # Hashed, never read as text.
    return fingerprint("POST", request.get_full_path(), form)


def _end(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """Keep the answer; free the key of a refusal. A 500 keeps its key: it may have acted."""
    claim: Claim | None = getattr(request, "_idempotency_claim", None)
    if claim is None or response.status_code == 500:
        return response
    # Another site's page, such as a Checkout, may be over when it is asked for again.
    leads_elsewhere = "://" in response.get("Location", "")
    if response.status_code >= 400 or leads_elsewhere or not isinstance(response, HttpResponse):
        store.forget(claim)
        return response
    headers = {name: response[name] for name in REPEATED_HEADERS if name in response}
    store.finish(claim, Answer(response.status_code, response.content, headers))
    return response
