"""Django for what is no page: a request runs in one thread, from its first middleware to its last.

Under ASGI Django takes a synchronous view's request through a dozen changes of thread, one for each
hook of each middleware, and starts a thread of its own for it. That costs more than many a view.
"""

import asyncio
import contextvars
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

from django.conf import settings
from django.core import signals
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.core.handlers.exception import convert_exception_to_response
from django.http.response import HttpResponseBase
from django.urls import set_script_prefix
from django.utils.module_loading import import_string
from starlette.types import Receive, Scope, Send

# Of no use to who has neither session nor form: their answers would be the same without.
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


class ThreadedHandler:
    """An ASGI application. Its views are synchronous and ask for neither user nor session."""

    def __init__(self, threads: int) -> None:
        self._django = _SynchronousHandler()
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="request")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return  # Nobody is there any more.
            body += message.get("body", b"")
            if not message.get("more_body", False):
                break
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        response = await loop.run_in_executor(
            self._threads, context.run, self._django.respond, scope, bytes(body)
        )
        await self._django.send_response(response, send)  # type: ignore[arg-type]


class _SynchronousHandler(ASGIHandler):
    def load_middleware(self, is_async: bool = False) -> None:
        """Django's hook: the middleware of the settings but for that of pages, all synchronous."""
        self._view_middleware: list[Any] = []
        self._template_response_middleware: list[Any] = []
        self._exception_middleware: list[Any] = []
        view = self._get_response  # type: ignore[attr-defined]  # The stubs lack it.
        chain: Any = convert_exception_to_response(view)
        for path in reversed([one for one in settings.MIDDLEWARE if one not in FOR_PAGES_ONLY]):
            middleware = import_string(path)(chain)
            if hook := getattr(middleware, "process_view", None):
                self._view_middleware.insert(0, hook)
            if hook := getattr(middleware, "process_template_response", None):
                self._template_response_middleware.append(hook)
            if hook := getattr(middleware, "process_exception", None):
                self._exception_middleware.append(hook)
            chain = convert_exception_to_response(middleware)
        self._middleware_chain = chain

    def respond(self, scope: Scope, body: bytes) -> HttpResponseBase:
        """The answer, when all that the request held was given back."""
        set_script_prefix(get_script_prefix(scope))
        signals.request_started.send(sender=type(self), scope=scope)
        request, refusal = self.create_request(scope, BytesIO(body))
        response = self.get_response(request) if request is not None else refusal
        assert response is not None
        response.close()  # Here: the connection is this thread's.
        return response
