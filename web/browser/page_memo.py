"""Answers that stay the same while one page is built, asked of the database once.

A page asks who its reader is, what they may do and what their team may spend in several places that
do not know each other. Only while a GET is answered, and only until its answer begins: whatever
changes something, and every stream, asks anew.
"""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import ParamSpec, TypeVar

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from web.front.middleware import SynchronousMiddleware

Parameters = ParamSpec("Parameters")
Answer = TypeVar("Answer")

_MISSING = object()


class _Memory(dict[Hashable, object]):
    """The answers of one page. Closed at its end, for threads that still hold it."""

    is_open = True


_memory: ContextVar[_Memory | None] = ContextVar("page_memory", default=None)


def once_per_page(function: Callable[Parameters, Answer]) -> Callable[Parameters, Answer]:
    """The first answer for these arguments again, while one page is built. Do not change it."""

    @wraps(function)
    def remembered(*args: Parameters.args, **options: Parameters.kwargs) -> Answer:
        memory = _memory.get()
        if memory is None or not memory.is_open:
            return function(*args, **options)
        key = (function, args, tuple(sorted(options.items())))
        answer = memory.get(key, _MISSING)
        if answer is _MISSING:
            answer = memory[key] = function(*args, **options)
        return answer  # type: ignore[return-value]

    return remembered


class PageMemoMiddleware(SynchronousMiddleware):
    """Opens the memory for a GET and closes it before the answer is sent."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        with _open_memory(request):
            return self.get_response(request)


@contextmanager
def _open_memory(request: HttpRequest) -> Iterator[None]:
    memory = _Memory()
    memory.is_open = request.method in {"GET", "HEAD"}
    _memory.set(memory)
    try:
        yield
    finally:
        memory.is_open = False
        _memory.set(None)
