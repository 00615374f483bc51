"""Which vLLM server answers a model, and the LoRA adapters that are loaded there by name."""

import asyncio
import json
import logging
import shutil
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.artifact import Manifest, read_manifest
from engine.catalog import CATALOG
from engine.catalog.entries import BaseModelEntry
from inference.gateway.upstream.balancer import Balancer
from inference.gateway.upstream.vllm import VllmServer
from projects import storage

if TYPE_CHECKING:
    from engine.tasks.generation.generator import PromptEncoder

logger = logging.getLogger(__name__)

ADAPTER_FOLDER = "adapter"  # As in engine.serving.generation, which loads torch.
WEIGHTS_SUFFIX = ".safetensors"


@dataclass(frozen=True)
class UpstreamModel:
    """A model as far as it is on this machine: all but its weights."""

    id: str  # Of the TrainedModel; of a base model "base/NAME".
    artifact_key: str  # Empty: a base model.
    base: BaseModelEntry | None
    prompts: "PromptEncoder"
    manifest: Manifest | None  # Of the artifact.
    is_adapter: bool  # Whether its LoRA adapter belongs to the base model of the catalog.


def load_upstream_model(
    model_id: str, artifact_key: str, base_model: str, folder: Path
) -> UpstreamModel:
    """Fetch what the artifact has beside weights. In a loader thread: it loads torch."""
    from engine.serving.generation import open_prompt_encoder
    from engine.tasks.text.base_models import locate_base_model

    base = CATALOG.get(base_model)
    if not artifact_key:
        assert base is not None
        prompts = open_prompt_encoder(locate_base_model(base), base_model)
        return UpstreamModel(model_id, "", base, prompts, None, is_adapter=False)
    storage.fetch_folder(artifact_key, folder, lambda name: not name.endswith(WEIGHTS_SUFFIX))
    config = folder / ADAPTER_FOLDER / "adapter_config.json"
    # One that was learnt on top of another fine-tuned model names that model.
    of = json.loads(config.read_text())["base_model_name_or_path"] if config.exists() else ""
    is_adapter = base is not None and of == base.source.reference
    prompts, manifest = open_prompt_encoder(folder, base_model), read_manifest(folder)
    return UpstreamModel(model_id, artifact_key, base, prompts, manifest, is_adapter)


class VllmModels:
    """What the servers answer. Methods may be called from several threads at once."""

    def __init__(
        self, servers: tuple[VllmServer, ...], adapters_folder: Path, max_adapters: int
    ) -> None:
        self.requests = 0  # That were sent to a server.
        self._servers = {server.url: server for server in servers}
        self._balancer = Balancer(list(self._servers))
        self._folder, self._max_adapters = adapters_folder, max_adapters
        # By server and name, the one used last at the end.
        self._used: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._loading = threading.Lock()
        self._refreshing: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        return len(self._servers)

    @property
    def away(self) -> int:
        """How many servers did not answer when they were asked last."""
        return sum(server.is_away for server in self._servers.values())

    @property
    def has_strangers(self) -> bool:
        """Whether a server never said what it serves, so that any model may be meant for it."""
        return any(server.served is None for server in self._servers.values())

    async def refresh(self) -> None:
        """Ask the servers what they serve; who was answered once is asked in the background."""
        if all(server.is_listed for server in self._servers.values()):
            return
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.ensure_future(asyncio.to_thread(self._refresh))
        if self.has_strangers:
            await asyncio.shield(self._refreshing)

    def _refresh(self) -> None:
        for server in self._servers.values():
            server.refresh()

    def may_answer(self, model_id: str, base: BaseModelEntry | None) -> bool:
        """Whether a model of this id and base could be meant for a server, adapter or not."""
        return any(self._serves(server, model_id, base, True) for server in self._servers.values())

    def answers(self, model: UpstreamModel) -> bool:
        """Whether a server answers this model, even if it is away at the moment."""
        return any(
            self._serves(server, model.id, model.base, model.is_adapter)
            for server in self._servers.values()
        )

    def choose(self, model: UpstreamModel) -> Iterator[VllmServer]:
        """Servers that answer the model now, the one with the fewest requests under way first; each
        counts as busy with it until the next one is asked for or nothing more is."""
        tried = {
            url
            for url, server in self._servers.items()
            if server.is_away or not self._serves(server, model.id, model.base, model.is_adapter)
        }
        while (url := self._balancer.begin(tried)) is not None:
            tried.add(url)
            try:
                yield self._servers[url]
            finally:
                self._balancer.end(url, is_away=self._servers[url].is_away)

    def name_at(self, server: VllmServer, model: UpstreamModel) -> str:
        """By which name to ask the server; loads the adapter if need be. Raises VllmError."""
        served = server.served
        assert served is not None
        if not model.artifact_key:
            assert model.base is not None
            return served.name_of_base(model.base) or model.base.id
        if model.id not in served.names:
            with self._loading:
                if server.served is not None and model.id not in server.served.names:
                    self._load(server, model)
        if model.is_adapter:
            self._used[server.url, model.id] = None
            self._used.move_to_end((server.url, model.id))
        return model.id

    def _load(self, server: VllmServer, model: UpstreamModel) -> None:
        self._unload_beyond(server, self._max_adapters - 1)
        folder = self._folder / model.id
        storage.fetch_folder(
            model.artifact_key, folder, lambda name: name.startswith(f"{ADAPTER_FOLDER}/")
        )
        for path in (folder, *folder.rglob("*")):  # The server may run as somebody else.
            path.chmod(0o755 if path.is_dir() else 0o644)
        server.load_adapter(model.id, str(folder / ADAPTER_FOLDER))
        logger.info("vLLM at %s has loaded the adapter of %s", server.url, model.id)

    def _unload_beyond(self, server: VllmServer, most: int) -> None:
        """Unload our adapters used longest ago; those of which this process knows no use first."""
        assert server.served is not None
        ours = [
            name
            for name, folder in server.served.adapters.items()
            if Path(folder).is_relative_to(self._folder)
        ]
        order = {name: place for place, (_, name) in enumerate(self._used, 1)}
        ours.sort(key=lambda name: order.get(name, 0))
        for name in ours[: max(0, len(ours) - most)]:
            server.unload_adapter(name)
            self._used.pop((server.url, name), None)
            if not any(one.served and name in one.served.names for one in self._servers.values()):
                shutil.rmtree(self._folder / name, ignore_errors=True)

    @staticmethod
    def _serves(
        server: VllmServer, model_id: str, base: BaseModelEntry | None, is_adapter: bool
    ) -> bool:
        if server.served is None:
            return False
        if model_id.startswith("base/"):
            return base is not None and server.served.name_of_base(base) is not None
        return server.served.has(model_id, base, is_adapter=is_adapter)
