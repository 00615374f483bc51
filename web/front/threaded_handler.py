"""Django in threads: a request runs in one of them, from its first middleware to its last.

Under ASGI Django takes a synchronous view's request through two dozen changes of thread, one for
each hook of each middleware, and starts a thread of its own for it. That costs several
milliseconds, more than many a view.
"""

import asyncio
import contextvars
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any

from django.conf import settings
from django.core import signals
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.urls import set_script_prefix
from django.utils.module_loading import import_string
from starlette.types import Receive, Scope, Send

from web.front.bodies import wait_for_disconnect


class ThreadedHandler:
    """An ASGI application: Django with at most `threads` requests at once; more wait their turn.

    `left_out` names the middleware of the settings that these requests have no use for.
    """

    def __init__(self, threads: int, left_out: Collection[str] = ()) -> None:
        self._django = _SynchronousHandler(left_out)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="request")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await self._django.read_body(receive)
        except RequestAborted:
            return  # Nobody is there any more.
        with body:
            context = contextvars.copy_context()
            in_thread = self._threads.submit(context.run, self._django.respond, scope, body)
            answer = asyncio.wrap_future(in_thread)
            leaving = asyncio.ensure_future(wait_for_disconnect(receive))
            try:
                await asyncio.wait((answer, leaving), return_when=asyncio.FIRST_COMPLETED)
            finally:
                leaving.cancel()
            if not answer.done() and in_thread.cancel():
                return  # They left before a thread was free.
            await self._django.send_response(await answer, send)  # type: ignore[arg-type]


class _SynchronousHandler(ASGIHandler):
    def __init__(self, left_out: Collection[str]) -> None:
        self._middleware = [path for path in settings.MIDDLEWARE if path not in left_out]
        super().__init__()

    def load_middleware(self, is_async: bool = False) -> None:
        """Django's hook: all middleware synchronous."""
        self._view_middleware: list[Any] = []
        self._template_response_middleware: list[Any] = []
        self._exception_middleware: list[Any] = []
        view = self._get_response  # type: ignore[attr-defined]  # The stubs lack it.
        chain: Any = convert_exception_to_response(view)
        for path in reversed(self._middleware):
            middleware = import_string(path)(chain)
            if hook := getattr(middleware, "process_view", None):
                self._view_middleware.insert(0, hook)
            if hook := getattr(middleware, "process_template_response", None):
                self._template_response_middleware.append(hook)
            if hook := getattr(middleware, "process_exception", None):
                self._exception_middleware.append(hook)
            chain = convert_exception_to_response(middleware)
        self._middleware_chain = chain

    def respond(self, scope: Scope, body: IO[bytes]) -> HttpResponseBase:
        """The answer, when all that the request held was given back."""
        set_script_prefix(get_script_prefix(scope))
        signals.request_started.send(sender=type(self), scope=scope)
        request, refusal = self.create_request(scope, body)
        response = self.get_response(request) if request is not None else refusal
        assert response is not None
        whole = _read_whole(response)
        response.close()  # Here: the connection is this thread's.
        return whole


def _read_whole(response: HttpResponseBase) -> HttpResponseBase:
    """A static file, which is open until its response is closed, as a response that holds it."""
    if not response.streaming or response.is_async:  # type: ignore[attr-defined]
        return response
    whole = HttpResponse(b"".join(response), status=response.status_code)
    whole.headers, whole.cookies = response.headers, response.cookies
    return whole
