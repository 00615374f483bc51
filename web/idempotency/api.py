"""The API's door: every POST honours the header `Idempotency-Key`."""

import json
from collections.abc import Callable
from functools import wraps
from typing import Any

from rest_framework import views
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from web.errors import UserError
from web.idempotency import store
from web.idempotency.fingerprint import fingerprint
from web.idempotency.store import Answer, Claim
from web.rate_limits.counter import current_usage

HEADER, REPLAYED = "Idempotency-Key", "Idempotent-Replayed"
MAX_KEY_CHARACTERS = 255
Post = Callable[..., Response]


class BadIdempotencyKey(UserError):
    code, status = "invalid_parameter", 400
    sentence = f"{HEADER} is 1 to {MAX_KEY_CHARACTERS} printable ASCII characters, such as a UUID."


# DRF's view, whose `post` sent twice under one key acts once and answers twice. No docstring: the
# API's reference would show it wherever a view has none of its own.
class APIView(views.APIView):
    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "post" in cls.__dict__:
            cls.post = _once(cls.__dict__["post"])  # type: ignore[attr-defined]

    def initial(self, request: Request, *args: Any, **options: Any) -> None:
        """DRF's hook, before anything is counted: what the request before counted is not ours."""
        current_usage.set(None)
        super().initial(request, *args, **options)

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **options: Any
    ) -> Response:
        """DRF's hook: every answer says what is left of the limit that the request counted for."""
        response = super().finalize_response(request, response, *args, **options)
        if (usage := current_usage.get()) is not None:
            for name, value in usage.headers.items():
                response.headers.setdefault(name, value)
        return response


def _once(post: Post) -> Post:
    """The same method; it runs after authentication, so a revoked token is told nothing."""

    @wraps(post)
    def post_once(view: APIView, request: Request, *args: Any, **options: Any) -> Response:
        claim = _claim_of(request)
        if claim is None:
            return post(view, request, *args, **options)
        if (earlier := store.begin(claim)) is not None:
            headers = {**earlier.headers, REPLAYED: "true"}
            return Response(json.loads(earlier.content), earlier.status, headers=headers)
        try:
            response = post(view, request, *args, **options)
        except Exception as error:
            if view.get_exception_handler()(error, {}) is not None:  # A refusal: nothing was done.
                store.forget(claim)
            raise
        if not isinstance(response, Response):  # A stream, which can be sent once only.
            store.forget(claim)
            return response
        if response.status_code < 400:
            content = JSONRenderer().render(response.data)
            headers = {name: value for name, value in response.items() if name != "Allow"}
            store.finish(claim, Answer(response.status_code, content or b"null", headers))
        else:
            store.forget(claim)
        return response

    return post_once


def is_key(text: str) -> bool:
    return 1 <= len(text) <= MAX_KEY_CHARACTERS and text.isascii() and text.isprintable()


def _claim_of(request: Request) -> Claim | None:
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if not is_key(key):
        raise BadIdempotencyKey(param=HEADER)
    body = fingerprint("POST", request.get_full_path(), request.data)
    return Claim(f"token:{request.auth.pk}" if request.auth else "nobody", key, body)
