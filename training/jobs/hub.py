"""Whether a base model that is downloaded can be had: from here, and as of minutes ago."""

import os
from pathlib import Path

import httpx
from django.core.cache import cache

from engine.catalog import BaseModelEntry

CACHE_KEY, CACHE_SECONDS = "training:hub-reachable", 300
TIMEOUT_SECONDS = 1.5
DEFAULT_ENDPOINT = "https://huggingface.co"


def is_obtainable(entry: BaseModelEntry) -> bool:
    """True for what comes with Lathe, lies in the cache of this machine, or can be downloaded.

    Trainers may stand elsewhere: this is the best guess of the web process, not a promise.
    """
    return entry.offline or _is_cached(entry.source.reference) or is_hub_reachable()


def is_hub_reachable() -> bool:
    known: bool | None = cache.get(CACHE_KEY)
    if known is None:
        known = _ask_hub()
        cache.set(CACHE_KEY, known, CACHE_SECONDS)
    return known


def _ask_hub() -> bool:
    if os.environ.get("HF_HUB_OFFLINE") == "1":
        return False
    try:
        httpx.head(os.environ.get("HF_ENDPOINT", DEFAULT_ENDPOINT), timeout=TIMEOUT_SECONDS)
    except httpx.HTTPError:
        return False
    return True


def _is_cached(reference: str) -> bool:
    home = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface"))
    folder = Path(os.environ.get("HF_HUB_CACHE", home / "hub"))
    return (folder / f"models--{reference.replace('/', '--')}" / "snapshots").is_dir()
