"""A model's artifact as one zip file, streamed as it is read: never whole in memory or on disk."""

import json
import zipfile
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass, field

from asgiref.sync import sync_to_async
from django.utils.text import slugify

from projects import storage
from training.models import TrainedModel
from web.errors import UserError
from web.streams.detached import DetachedResponse

CHUNK_BYTES = 1024 * 1024


class ArtifactGone(UserError):
    code, status = "artifact_gone", 410
    sentence = "The files of this model are no longer in storage."


@dataclass(eq=False)
class _ZipBuffer:
    """A write-only file whose bytes are taken away as they come. Zip needs its position."""

    _buffer: bytearray = field(default_factory=bytearray)
    _drained_bytes: int = 0

    def write(self, data: bytes) -> int:
        self._buffer += data
        return len(data)

    def tell(self) -> int:
        return self._drained_bytes + len(self._buffer)

    def flush(self) -> None:
        """Nothing lies behind this sink."""

    def drain(self) -> bytes:
        data, self._buffer = bytes(self._buffer), bytearray()
        self._drained_bytes += len(data)
        return data


def zip_response(model: TrainedModel) -> DetachedResponse:
    """The artifact as an attachment. Raises ArtifactGone when storage no longer has it."""
    names = _artifact_file_names(model)
    response = DetachedResponse(
        _iterate_in_thread(_zip_chunks(model, names)), content_type="application/zip"
    )
    name = slugify(model.name)[:60] or "model"
    response["Content-Disposition"] = f'attachment; filename="{name}.zip"'
    response["Cache-Control"] = "private, no-store"
    return response


def _artifact_file_names(model: TrainedModel) -> list[str]:
    try:
        with storage.open_file(f"{model.artifact_key}/{storage.CONTENTS_FILE}") as source:
            return list(json.load(source))
    except FileNotFoundError as absent:
        raise ArtifactGone from absent


def _zip_chunks(model: TrainedModel, names: list[str]) -> Generator[bytes, None, None]:
    # Stored, not deflated: weights do not shrink, and the processor has better things to do.
    sink = _ZipBuffer()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:  # type: ignore[call-overload]
        for name in names:
            entry = zipfile.ZipInfo(name, date_time=model.created_at.timetuple()[:6])
            with (
                storage.open_file(f"{model.artifact_key}/{name}") as source,
                archive.open(entry, "w", force_zip64=True) as target,
            ):
                while chunk := source.read(CHUNK_BYTES):
                    target.write(chunk)
                    yield sink.drain()
            yield sink.drain()
    yield sink.drain()


async def _iterate_in_thread(chunks: Generator[bytes, None, None]) -> AsyncGenerator[bytes, None]:
    """Reading in a thread: Django would gather a plain iterator whole before sending it."""
    step = sync_to_async(lambda: next(chunks, None), thread_sensitive=False)
    try:
        while (chunk := await step()) is not None:
            yield chunk
    finally:
        await sync_to_async(chunks.close, thread_sensitive=False)()  # Its open files.
