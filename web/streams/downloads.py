"""Files as answers: read in a thread part by part, never whole in memory."""

from collections.abc import AsyncGenerator, Iterator
from typing import IO

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.db import close_old_connections, connection
from django.utils.http import content_disposition_header

from web.streams.detached import DetachedResponse

CHUNK_BYTES = 256 * 1024


def file_download(opened: IO[bytes], filename: str, content_type: str) -> DetachedResponse:
    """An attachment with this name.

    Not Django's FileResponse: under ASGI it gathers a whole file before it sends a byte.
    """
    return _attachment(_read_parts(opened), filename, content_type)


def parts_download(parts: Iterator[bytes], filename: str, content_type: str) -> DetachedResponse:
    """An attachment that is made part by part, such as a table that is read page by page.

    A part must leave no cursor open: between two of them no database connection is held.
    """
    return _attachment(_make_parts(parts), filename, content_type)


def _attachment(
    parts: AsyncGenerator[bytes, None], filename: str, content_type: str
) -> DetachedResponse:
    response = DetachedResponse(parts, content_type=content_type)
    response["Content-Disposition"] = content_disposition_header(True, filename) or "attachment"
    response["Cache-Control"] = "private, no-store"
    return response


async def _read_parts(opened: IO[bytes]) -> AsyncGenerator[bytes, None]:
    read = sync_to_async(opened.read, thread_sensitive=False)
    try:
        while part := await read(CHUNK_BYTES):
            yield part
    finally:
        opened.close()


async def _make_parts(parts: Iterator[bytes]) -> AsyncGenerator[bytes, None]:
    def make_next() -> bytes | None:
        try:
            return next(parts, None)
        finally:
            if not connection.in_atomic_block:  # As in tests, which roll back.
                close_old_connections()

    while True:
        async with ThreadSensitiveContext():  # A thread for this part alone.
            part = await sync_to_async(make_next)()
        if part is None:
            return
        yield part
