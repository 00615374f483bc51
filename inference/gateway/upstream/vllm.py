"""vLLM's OpenAI-compatible server, as far as it is asked here: what it serves, its runtime API of
LoRA adapters, and completions of prompts that are token ids.

Web processes import this to say where a model is answered; what is decided on a request is in
inference.serving.upstream.
"""

import json
import logging
import time
from collections.abc import Generator
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import Any

import httpx
from django.conf import settings

from engine.catalog.entries import BaseModelEntry

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 2.0
LIST_SECONDS = 5.0
LOAD_SECONDS = 120.0  # The file is read and copied to the device.
TOKEN_SECONDS = 120.0  # Without a byte of an answer.
LISTING_SECONDS = 10.0  # So long what a server said it serves counts as known.
MAX_ERROR_CHARACTERS = 500
DONE = "[DONE]"


class VllmError(Exception):
    """A server gave no answer."""


class VllmAway(VllmError):
    """No connection could be made: nothing was sent."""


class VllmBrokeOff(VllmError):
    """The answer ended before it was whole, or took too long."""


class VllmRefused(VllmError):
    """An answer with an error."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(f"{status}: {sentence}")
        self.status, self.sentence = status, sentence[:MAX_ERROR_CHARACTERS]


class AdapterRefused(VllmError):
    """The server does not load an adapter: its folder is not seen there, or its rank too high."""


@dataclass(frozen=True)
class ServedModels:
    """What one server lists at /v1/models."""

    names: frozenset[str]  # By which it may be asked.
    bases: dict[str, str]  # Each model, by its name and by where it came from → its name.
    adapters: dict[str, str]  # Loaded ones → their folder as the server sees it.

    @classmethod
    def of_cards(cls, cards: list[dict[str, Any]]) -> "ServedModels":
        models = [card for card in cards if not card.get("parent")]
        roots = {str(card["root"]): card["id"] for card in models if card.get("root")}
        return cls(
            names=frozenset(card["id"] for card in cards),
            bases=roots | {card["id"]: card["id"] for card in models},
            adapters={
                card["id"]: str(card.get("root") or "") for card in cards if card.get("parent")
            },
        )

    def name_of_base(self, entry: BaseModelEntry) -> str | None:
        """The name of this base model here."""
        known = (entry.source.reference, entry.id)
        return next((self.bases[name] for name in known if name in self.bases), None)

    def has(self, model_id: str, base: BaseModelEntry | None, *, is_adapter: bool) -> bool:
        """Whether a fine-tuned model is answered here: under its own id, or as an adapter of a
        base model."""
        can_load = is_adapter and base is not None and self.name_of_base(base) is not None
        return model_id in self.names or can_load


class VllmServer:
    """One server. Methods may be called from several threads at once, and raise VllmError."""

    def __init__(self, url: str, api_key: str = "") -> None:
        self.url = url
        self._client = httpx.Client(
            base_url=url,
            headers={"authorization": f"Bearer {api_key}"} if api_key else {},
            timeout=httpx.Timeout(TOKEN_SECONDS, connect=CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=256, max_keepalive_connections=32),
        )
        self._lock, self._listed_at = Lock(), float("-inf")
        self.served: ServedModels | None = None  # The last that was told.
        self.is_away = False

    @property
    def is_listed(self) -> bool:
        """Whether what is known of it is fresh."""
        return time.monotonic() - self._listed_at < LISTING_SECONDS

    def refresh(self, *, at_once: bool = False) -> None:
        """Ask what it serves, unless that is known. A server that does not say so is away."""
        with self._lock:
            if self.is_listed and not at_once:
                return
            try:
                response = self._send("GET", "/v1/models", LIST_SECONDS)
                self.served, self.is_away = ServedModels.of_cards(response.json()["data"]), False
            except (VllmError, ValueError, KeyError, TypeError) as problem:
                logger.warning("vLLM at %s does not say what it serves: %s", self.url, problem)
                self.is_away = True
            self._listed_at = time.monotonic()

    def load_adapter(self, name: str, folder: str) -> None:
        body = {"lora_name": name, "lora_path": folder}
        try:
            self._send("POST", "/v1/load_lora_adapter", LOAD_SECONDS, body)
        except VllmRefused as refusal:
            self.refresh(at_once=True)
            if self.served is None or name not in self.served.names:  # Else another was faster.
                raise AdapterRefused(str(refusal)) from refusal
        else:
            self.refresh(at_once=True)

    def unload_adapter(self, name: str) -> None:
        try:
            self._send("POST", "/v1/unload_lora_adapter", LIST_SECONDS, {"lora_name": name})
        except VllmRefused as refusal:
            if refusal.status != 404:
                raise AdapterRefused(str(refusal)) from refusal
        self.refresh(at_once=True)

    def complete(self, body: dict[str, object]) -> Generator[dict[str, Any]]:
        """The events of a streamed completion, until it says that it is whole."""
        sent = body | {
            "stream": True,
            "stream_options": {"include_usage": True, "continuous_usage_stats": True},
        }
        try:
            with self._client.stream("POST", "/v1/completions", json=sent) as response:
                if not response.is_success:
                    response.read()
                    raise _refusal_of(response)
                for line in response.iter_lines():
                    if not line.startswith("data:"):
                        continue
                    data = line.removeprefix("data:").strip()
                    if data == DONE:
                        return
                    yield _checked(json.loads(data))
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            self.is_away = True
            raise VllmAway(str(error)) from error
        except (httpx.HTTPError, ValueError) as error:
            raise VllmBrokeOff(str(error) or type(error).__name__) from error
        raise VllmBrokeOff("the stream ended without [DONE]")

    def _send(
        self, method: str, path: str, seconds: float, body: dict[str, str] | None = None
    ) -> httpx.Response:
        timeout = httpx.Timeout(seconds, connect=CONNECT_SECONDS)
        try:
            response = self._client.request(method, path, json=body, timeout=timeout)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise VllmAway(str(error)) from error
        except httpx.HTTPError as error:
            raise VllmBrokeOff(str(error) or type(error).__name__) from error
        if not response.is_success:
            raise _refusal_of(response)
        return response


def vllm_servers() -> tuple[VllmServer, ...]:
    """Those of settings.VLLM_URLS, with what this process knows of them."""
    return _servers_at(tuple(settings.VLLM_URLS), settings.VLLM_API_KEY)


@lru_cache(maxsize=16)
def _servers_at(urls: tuple[str, ...], api_key: str) -> tuple[VllmServer, ...]:
    bases = dict.fromkeys(url.rstrip("/").removesuffix("/v1") for url in urls)
    return tuple(VllmServer(url, api_key) for url in bases)


def _refusal_of(response: httpx.Response) -> VllmRefused:
    """vLLM has written its errors at the top and, later, under `error`."""
    try:
        content = response.json()
        content = content.get("error", content)
        sentence = content["message"] if isinstance(content, dict) else str(content)
    except (ValueError, KeyError, AttributeError):
        sentence = response.text
    return VllmRefused(response.status_code, str(sentence))


def _checked(told: Any) -> dict[str, Any]:
    if not isinstance(told, dict) or "error" in told or told.get("object") == "error":
        raise VllmBrokeOff(str(told)[:MAX_ERROR_CHARACTERS])
    return told
