"""Lets an assistant be asked as a model: `assistant:<name>` at /v1/chat/completions.

It stands before inference's reverse proxy, in config/asgi.py. Only bodies that name such a model go
to Django; all others are passed on as they came.
"""

import json
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inference.gateway.other_models import OtherModels
from web.front.bodies import read_messages, replay

CHAT_PATH = "/v1/chat/completions"
PREFIX = "assistant:"
MARK = b'"' + PREFIX.encode()
MAX_BYTES = 1024**2  # A longer body is no question to an assistant.


def assistant_models() -> OtherModels:
    """The team's live assistants, as /v1/models lists them."""
    from assistants.models import Assistant

    table, live = Assistant._meta.db_table, Assistant.State.LIVE
    return OtherModels(
        prefix=PREFIX,
        sql=f"SELECT '{PREFIX}' || name, created_at FROM {table}"
        f" WHERE team_id = %s AND state = '{live}' ORDER BY created_at DESC",
        sentence="An assistant answers at /v1/chat/completions, and at"
        " /v1/assistants/NAME/consult.",
    )


def with_assistant_models(inference: ASGIApp, django: ASGIApp) -> ASGIApp:
    """The application that sends chats with an assistant to Django and the rest to `inference`."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != CHAT_PATH or scope["method"] != "POST":
            await inference(scope, receive, send)
            return
        messages = await read_messages(receive, MAX_BYTES)
        again = replay(messages, receive)
        name = _assistant_named(messages)
        if name is None:
            await inference(scope, again, send)
            return
        path = f"/v1/assistants/{name}/chat"
        inner = {**scope, "path": path, "raw_path": quote(path).encode()}
        await django(inner, again, send)

    return application


def _assistant_named(messages: list[Message]) -> str | None:
    """The assistant that a whole body names as its model."""
    body = b"".join(message.get("body", b"") for message in messages)
    if MARK not in body or messages[-1].get("more_body", False):
        return None
    try:
        model = json.loads(body).get("model")
    except (ValueError, AttributeError):
        return None
    if not isinstance(model, str) or not model.startswith(PREFIX):
        return None
    name = model.removeprefix(PREFIX)
    return name if name and all(c.isalnum() or c in "-_" for c in name) else "-"
