"""Models in memory: loaded on demand, kept within a budget, the least recently used evicted first.

An evicted model is only forgotten here: requests that hold it finish with it.
"""

import asyncio
import logging
import os
import shutil
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine import catalog
from engine.artifact import read_manifest, verify
from engine.encoder_precision import split_precision
from engine.errors import BrokenArtifact
from engine.serving import load_model
from engine.serving.base_encoders import open_base_embedder
from inference.serving.protocol.errors import ApiError, bad_request, service_unavailable
from projects import storage

logger = logging.getLogger(__name__)

OVERHEAD_BYTES = 4 * 1024**2  # Tokenizer and session, above the weights; measured 2 to 4 MB.
# All answers of a language model take their steps in one thread, whose products may use these.
WRITING_THREADS = min(4, os.cpu_count() or 1)
WEIGHTS_FILE = "network.safetensors"  # Of a saved state: what training has changed.
RETRY_SECONDS = 5  # How long a model that would not load is left alone.


@dataclass(frozen=True)
class LoadedModel:
    """One artifact in memory, ready to answer."""

    id: str
    served: Any  # A ServedModel, or a TextEmbedder.
    size_bytes: int


@dataclass(frozen=True, slots=True)
class CheckpointKeys:
    """Where a saved state lies in storage, and the model that its training began from, if any."""

    key: str
    initial_key: str | None = None


class ModelCache:
    """The loaded models of this process."""

    def __init__(self, cache_folder: Path, memory_bytes: int) -> None:
        self.load_count = 0
        self._folder = cache_folder
        self._memory_bytes = memory_bytes
        self._models: OrderedDict[str, LoadedModel] = OrderedDict()
        self._loading: dict[str, asyncio.Task[LoadedModel]] = {}
        self._retry_at: dict[str, float] = {}  # Model id → when it may be tried again.
        self._verified: set[str] = set()
        # Loading has threads of its own, so that it never holds up a batch.
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="loader")

    @property
    def size_bytes(self) -> int:
        return sum(model.size_bytes for model in self._models.values())

    def __len__(self) -> int:
        return len(self._models)

    async def get(
        self, model_id: str, artifact_key: str, checkpoint: CheckpointKeys | None = None
    ) -> LoadedModel:
        """The model, or a saved state of its training; loaded first if it is not in memory.

        Raises ApiError (503) while its files cannot be read.
        """
        if checkpoint is not None:
            key = f"{model_id}@{checkpoint.key.rpartition('/')[2]}"
            return await self._get(
                key, lambda: self._load_checkpoint(key, model_id, artifact_key, checkpoint)
            )
        return await self._get(model_id, lambda: self._fetch_and_load(model_id, artifact_key))

    async def get_embedder(self, model_id: str, artifact_key: str) -> LoadedModel:
        """The encoder of a text model. Raises ApiError likewise, and 400 where it has none."""
        key = f"{model_id}/embedding"
        return await self._get(key, lambda: self._load_embedder(key, model_id, artifact_key))

    async def get_base_embedder(self, name: str) -> LoadedModel:
        """A base model as an encoder; the name may say its precision."""
        key = f"base/{name}"
        return await self._get(key, lambda: _load_base_embedder(key, name))

    async def get_base_writer(self, name: str) -> LoadedModel:
        """A base language model, before any tuning."""
        key = f"base/{name}"
        return await self._get(key, lambda: _load_base_writer(key, name))

    async def get_upstream_model(
        self, model_id: str, artifact_key: str, base_model: str
    ) -> LoadedModel:
        """What makes the prompts of a model whose weights are on a vLLM server."""
        key = f"{model_id}/prompts"
        return await self._get(
            key, lambda: self._load_upstream_model(key, model_id, artifact_key, base_model)
        )

    async def _get(self, model_id: str, load: Callable[[], LoadedModel]) -> LoadedModel:
        if model := self._models.get(model_id):
            self._models.move_to_end(model_id)
            return model
        if self._retry_at.get(model_id, 0) > time.monotonic():
            raise model_unavailable()
        task = self._loading.get(model_id)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._load(model_id, load))
            self._loading[model_id] = task
        return await asyncio.shield(task)

    def close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)

    async def _load(self, model_id: str, load: Callable[[], LoadedModel]) -> LoadedModel:
        loop = asyncio.get_running_loop()
        try:
            model = await loop.run_in_executor(self._threads, load)
        except ApiError:
            raise
        except Exception as error:  # A broken artifact must not take the other models down.
            logger.exception("Model %s could not be loaded", model_id)
            self._retry_at[model_id] = time.monotonic() + RETRY_SECONDS
            raise model_unavailable() from error
        finally:
            del self._loading[model_id]
        self._retry_at.pop(model_id, None)
        self.load_count += 1
        self._models[model_id] = model
        # Forget the least recently used, never the newest: one model always fits.
        while self.size_bytes > self._memory_bytes and len(self._models) > 1:
            self._models.popitem(last=False)
        return model

    def _fetch_and_load(self, model_id: str, artifact_key: str) -> LoadedModel:
        """In a loader thread."""
        folder = self._fetch(model_id, artifact_key)
        manifest = read_manifest(folder)
        weights = (folder / manifest.serving.file).stat().st_size
        threads = WRITING_THREADS if manifest.inputs.kind == "chat" else 1
        served = load_model(folder, threads=threads, manifest=manifest)
        weights = getattr(served, "weights_bytes", None) or weights
        return LoadedModel(model_id, served, weights + OVERHEAD_BYTES)

    def _load_checkpoint(
        self, key: str, model_id: str, artifact_key: str, checkpoint: CheckpointKeys
    ) -> LoadedModel:
        from engine.serving.generation import open_checkpoint

        folder = self._fetch(model_id, artifact_key)
        weights = self._folder / f"{key}.safetensors"
        if not weights.exists():
            storage.fetch_file(f"{checkpoint.key}/{WEIGHTS_FILE}", weights)
        initial = None
        if checkpoint.initial_key:
            initial = self._fetch(checkpoint.initial_key.rpartition("/")[2], checkpoint.initial_key)
        served = open_checkpoint(folder, weights, initial, threads=WRITING_THREADS)
        return LoadedModel(key, served, served.weights_bytes + OVERHEAD_BYTES)

    def _load_embedder(self, key: str, model_id: str, artifact_key: str) -> LoadedModel:
        from engine.serving.embeddings import open_embedder

        folder = self._fetch(model_id, artifact_key)
        manifest = read_manifest(folder)
        try:
            embedder = open_embedder(folder, threads=1, manifest=manifest)
        except BrokenArtifact as problem:
            raise bad_request(problem.sentence, "model") from problem
        weights = embedder.weights_bytes or (folder / manifest.serving.file).stat().st_size
        return LoadedModel(key, embedder, weights + OVERHEAD_BYTES)

    def _load_upstream_model(
        self, key: str, model_id: str, artifact_key: str, base_model: str
    ) -> LoadedModel:
        from inference.serving.upstream.vllm_models import load_upstream_model

        folder = self._folder / f"{model_id}.prompts"
        model = load_upstream_model(model_id, artifact_key, base_model, folder)
        return LoadedModel(key, model, OVERHEAD_BYTES)

    def _fetch(self, model_id: str, artifact_key: str) -> Path:
        """The artifact in the local cache, with every hash checked once."""
        folder = self._folder / model_id
        storage.fetch_folder(artifact_key, folder)
        if model_id not in self._verified:
            self._verify_or_refetch(folder, artifact_key)
            self._verified.add(model_id)
        return folder

    def _verify_or_refetch(self, folder: Path, artifact_key: str) -> None:
        """A damaged local copy is fetched once more; a damaged original is an error."""
        try:
            verify(folder)
        except BrokenArtifact:
            shutil.rmtree(folder)
            storage.fetch_folder(artifact_key, folder)
            verify(folder)


def _load_base_embedder(key: str, name: str) -> LoadedModel:
    encoder, precision = split_precision(name)
    embedder = open_base_embedder(encoder, precision=precision)
    size = embedder.weights_bytes or 4 * catalog.get_base_model(encoder).parameters
    return LoadedModel(key, embedder, size + OVERHEAD_BYTES)


def _load_base_writer(key: str, name: str) -> LoadedModel:
    from engine.serving.generation import open_base_model

    writer = open_base_model(name, WRITING_THREADS)
    return LoadedModel(key, writer, writer.weights_bytes + OVERHEAD_BYTES)


def model_unavailable() -> ApiError:
    return service_unavailable(
        "This model cannot be loaded at the moment. Try again in a few seconds.",
        retry_after_seconds=RETRY_SECONDS,
    )
