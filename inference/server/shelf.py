"""Models in memory: loaded on demand, kept within a budget, the least recently used leave first.

A model that leaves is only forgotten here: requests that hold it finish with it.
"""

import asyncio
import logging
import shutil
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from engine.artifact import read_manifest, verify
from engine.errors import BrokenArtifact
from engine.serving import ServedModel, load
from inference.server.refusals import unavailable
from projects import storage

logger = logging.getLogger(__name__)

OVERHEAD_BYTES = 4 * 1024**2  # Tokenizer and session, above the weights; measured 2 to 4 MB.
RETRY_SECONDS = 5  # How long a model that would not load is left alone.


@dataclass(frozen=True)
class LoadedModel:
    """One artifact in memory, ready to answer."""

    id: str
    served: ServedModel
    size_bytes: int


class Shelf:
    """The loaded models of this process."""

    def __init__(self, cache_folder: Path, memory_bytes: int) -> None:
        self.loads = 0
        self._folder = cache_folder
        self._memory_bytes = memory_bytes
        self._models: OrderedDict[str, LoadedModel] = OrderedDict()
        self._loading: dict[str, asyncio.Task[LoadedModel]] = {}
        self._failed: dict[str, float] = {}  # Model id → when it may be tried again.
        self._verified: set[str] = set()
        # Loading has threads of its own, so that it never holds up a lane.
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="loader")

    @property
    def size_bytes(self) -> int:
        return sum(model.size_bytes for model in self._models.values())

    def __len__(self) -> int:
        return len(self._models)

    async def get(self, model_id: str, artifact_key: str) -> LoadedModel:
        """The model, loaded if need be. Raises Refusal while its artifact cannot be read."""
        if model := self._models.get(model_id):
            self._models.move_to_end(model_id)
            return model
        if self._failed.get(model_id, 0) > time.monotonic():
            raise unloadable()
        task = self._loading.get(model_id)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._load(model_id, artifact_key))
            self._loading[model_id] = task
        return await asyncio.shield(task)

    def close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)

    async def _load(self, model_id: str, artifact_key: str) -> LoadedModel:
        loop = asyncio.get_running_loop()
        try:
            model = await loop.run_in_executor(self._threads, self._read, model_id, artifact_key)
        except Exception as error:  # A broken artifact must not take the other models down.
            logger.exception("Model %s could not be loaded", model_id)
            self._failed[model_id] = time.monotonic() + RETRY_SECONDS
            raise unloadable() from error
        finally:
            del self._loading[model_id]
        self._failed.pop(model_id, None)
        self.loads += 1
        self._models[model_id] = model
        self._make_room()
        return model

    def _make_room(self) -> None:
        """Forget the least recently used, never the newest: one model always fits."""
        while self.size_bytes > self._memory_bytes and len(self._models) > 1:
            self._models.popitem(last=False)

    def _read(self, model_id: str, artifact_key: str) -> LoadedModel:
        """In a loader thread: fetch into the local cache, check every hash once, load."""
        folder = self._folder / model_id
        storage.fetch_folder(artifact_key, folder)
        if model_id not in self._verified:
            self._verify(folder, artifact_key)
            self._verified.add(model_id)
        manifest = read_manifest(folder)
        weights = (folder / manifest.serving.file).stat().st_size
        served = load(folder, threads=1, manifest=manifest)
        return LoadedModel(model_id, served, weights + OVERHEAD_BYTES)

    def _verify(self, folder: Path, artifact_key: str) -> None:
        """A damaged local copy is fetched once more; a damaged original is an error."""
        try:
            verify(folder)
        except BrokenArtifact:
            shutil.rmtree(folder)
            storage.fetch_folder(artifact_key, folder)
            verify(folder)


def unloadable() -> Exception:
    return unavailable(
        "This model cannot be loaded at the moment. Try again in a few seconds.",
        retry_after_seconds=RETRY_SECONDS,
    )
