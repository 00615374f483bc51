"""The queue in which questions to assistants wait before Django, and the 429 when it is full.

It stands inside the guard, which has limited size and time of a body, and before Django, so that a
refusal costs neither a thread nor a database connection.
"""

import json
import re
import secrets

from django.utils.translation import override
from prometheus_client import Counter
from starlette.types import ASGIApp, Receive, Scope, Send

from web.errors import error_body, error_type_for_status
from web.front.admission_queue import AdmissionQueue, QueueIsFull
from web.front.bodies import read_messages, replay
from web.front.threaded_handler import ThreadedHandler
from web.language.sentences import translated
from web.telemetry.registry import REGISTRY

REFUSED_QUESTIONS = Counter(
    "lathe_web_questions_refused",
    "Questions to assistants that were answered 429 because too many waited.",
    registry=REGISTRY,
)
# AT_ONCE keep two processors busy; more would only wait for one another. Whoever waits longer than
# SECONDS is refused.
AT_ONCE, LONGEST, SECONDS = 4, 60, 5.0
# ELSEWHERE wait for a language model, or for a visitor to write more; SPARE_THREADS finish requests
# whose client has left.
ELSEWHERE, SPARE_THREADS = 64, 10
# Needed by pages only: without session and form, the answers are the same.
FOR_PAGES_ONLY = {
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "web.browser.page_memo.PageMemoMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "web.idempotency.middleware.IdempotencyMiddleware",
    "web.browser.middleware.PageAnswerMiddleware",
}
API_PATH = re.compile(r"/consult|/v1/assistants/[^/]{1,80}/(?:consult|chat)")
WIDGET_PATH = re.compile(r"/w/[^/]{1,40}/messages")


def with_admission_queue(django: ASGIApp, questions: ASGIApp | None = None) -> ASGIApp:
    """An application that queues the requests that ask an assistant and passes them to `questions`;
    all others go to `django` at once."""
    queue = AdmissionQueue(at_once=AT_ONCE, longest=LONGEST, seconds=SECONDS, elsewhere=ELSEWHERE)
    threads = AT_ONCE + ELSEWHERE + SPARE_THREADS
    questions = questions or ThreadedHandler(threads, left_out=FOR_PAGES_ONLY)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if not is_question(scope):
            await django(scope, receive, send)
            return
        body = await read_messages(receive)  # First: a slow sender must not hold a place.
        has_place = False
        try:
            async with queue.place():
                has_place = True
                await questions(scope, replay(body, receive), send)
        except QueueIsFull as refusal:
            if has_place:
                raise
            await _refuse(refusal, scope, send)

    return application


def is_question(scope: Scope) -> bool:
    """Whether the request asks an assistant."""
    if scope["type"] != "http" or scope["method"] != "POST":
        return False
    path = scope["path"]
    return bool(API_PATH.fullmatch(path) or WIDGET_PATH.fullmatch(path))


async def _refuse(refusal: QueueIsFull, scope: Scope, send: Send) -> None:
    """Answer 429 in the shape of the API, or of the widget."""
    REFUSED_QUESTIONS.inc()
    if API_PATH.fullmatch(scope["path"]):
        type_ = error_type_for_status(refusal.status)
        body: object = error_body(refusal.sentence, code=refusal.code, type_=type_)
    else:
        accepted = dict(scope["headers"]).get(b"accept-language", b"").lower()
        with override("zh-hans" if accepted.startswith(b"zh") else "en"):
            body = {"error": translated(refusal.sentence)}
    content = json.dumps(body, ensure_ascii=False).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(content)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"x-request-id", f"req_{secrets.token_hex(12)}".encode()),
        *((name.lower().encode(), value.encode()) for name, value in refusal.headers.items()),
    ]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
