"""The receiving side of a request: its body, before it is known who answers, and its end."""

from starlette.types import Message, Receive


async def read_messages(receive: Receive, most_bytes: int | None = None) -> list[Message]:
    """Messages until the body is whole, longer than `most_bytes`, or its sender has left."""
    messages: list[Message] = []
    size = 0
    while True:
        message = await receive()
        messages.append(message)
        size += len(message.get("body", b""))
        is_whole = message["type"] != "http.request" or not message.get("more_body", False)
        if is_whole or (most_bytes is not None and size > most_bytes):
            return messages


def replay(messages: list[Message], receive: Receive) -> Receive:
    """These messages once more, then what comes after them."""
    waiting = list(messages)

    async def receive_again() -> Message:
        return waiting.pop(0) if waiting else await receive()

    return receive_again


async def wait_for_disconnect(receive: Receive) -> None:
    """Returns when the client has left. Call it when the body was read."""
    while (await receive())["type"] != "http.disconnect":
        pass
