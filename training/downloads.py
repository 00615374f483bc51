"""A model's artifact as one zip file, streamed as it is read: never whole in memory or on disk."""

import json
import zipfile
from collections.abc import AsyncIterator, Iterator

from asgiref.sync import sync_to_async
from django.http import StreamingHttpResponse
from django.utils.text import slugify

from projects import storage
from training.models import TrainedModel
from web.errors import UserError

CHUNK_BYTES = 1024 * 1024


class ArtifactGone(UserError):
    code, status = "artifact_gone", 410
    sentence = "The files of this model are no longer in storage."


class _Sink:
    """A write-only file whose bytes are taken away as they come. Zip needs its position."""

    def __init__(self) -> None:
        self._waiting = bytearray()
        self._taken = 0

    def write(self, data: bytes) -> int:
        self._waiting += data
        return len(data)

    def tell(self) -> int:
        return self._taken + len(self._waiting)

    def flush(self) -> None:
        """Nothing lies behind this sink."""

    def take(self) -> bytes:
        data, self._waiting = bytes(self._waiting), bytearray()
        self._taken += len(data)
        return data


def zip_response(model: TrainedModel) -> StreamingHttpResponse:
    """The artifact as an attachment. Raises ArtifactGone when storage no longer has it."""
    names = _names_in(model)
    response = StreamingHttpResponse(
        _in_background(_zipped(model, names)), content_type="application/zip"
    )
    name = slugify(model.name)[:60] or "model"
    response["Content-Disposition"] = f'attachment; filename="{name}.zip"'
    response["Cache-Control"] = "private, no-store"
    return response


def _names_in(model: TrainedModel) -> list[str]:
    try:
        with storage.open_file(f"{model.artifact_key}/{storage.CONTENTS}") as source:
            return list(json.load(source))
    except FileNotFoundError as absent:
        raise ArtifactGone from absent


def _zipped(model: TrainedModel, names: list[str]) -> Iterator[bytes]:
    # Stored, not deflated: weights do not shrink, and the processor has better things to do.
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:  # type: ignore[call-overload]
        for name in names:
            entry = zipfile.ZipInfo(name, date_time=model.created_at.timetuple()[:6])
            with (
                storage.open_file(f"{model.artifact_key}/{name}") as source,
                archive.open(entry, "w", force_zip64=True) as target,
            ):
                while chunk := source.read(CHUNK_BYTES):
                    target.write(chunk)
                    yield sink.take()
            yield sink.take()
    yield sink.take()


async def _in_background(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Reading in a thread: Django would gather a plain iterator whole before sending it."""
    step = sync_to_async(lambda: next(chunks, None), thread_sensitive=False)
    while (chunk := await step()) is not None:
        yield chunk
