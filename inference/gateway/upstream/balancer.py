"""Which models process answers a request, where settings.MODELS_URL names several."""

import time
from collections.abc import Collection, Sequence
from functools import lru_cache
from threading import Lock

from django.conf import settings

# So long others are asked first after a process could not be reached.
PASS_OVER_SECONDS = 5.0


class Balancer:
    """Counts the requests under way at each address. May be used by several threads at once."""

    def __init__(self, urls: Sequence[str]) -> None:
        self.urls = tuple(urls)
        self._turns = list(urls)  # Whoever was chosen longest ago comes first.
        self._under_way = dict.fromkeys(urls, 0)
        self._passed_over_until = dict.fromkeys(urls, 0.0)
        self._lock = Lock()

    def begin(self, tried: Collection[str] = ()) -> str | None:
        """Choose an address that was not tried: the one with the fewest requests under way, in turn
        among equals, one that could not be reached lately only after all others. Counts a request
        there until `end`. None when all were tried."""
        with self._lock:
            left = [url for url in self._turns if url not in tried]
            if not left:
                return None
            now = time.monotonic()
            url = min(
                left, key=lambda url: (self._passed_over_until[url] > now, self._under_way[url])
            )
            self._turns.remove(url)
            self._turns.append(url)
            self._under_way[url] += 1
            return url

    def end(self, url: str, *, is_away: bool = False) -> None:
        """The request is over; `is_away`: no connection could be made."""
        with self._lock:
            self._under_way[url] -= 1
            if is_away:
                self._passed_over_until[url] = time.monotonic() + PASS_OVER_SECONDS


def models_urls() -> tuple[str, ...]:
    """The base URL of each models process."""
    return _split(settings.MODELS_URL)


def models_balancer() -> Balancer:
    """This process's, for all that it asks the models processes."""
    return _balancer_of(settings.MODELS_URL)


@lru_cache(maxsize=64)
def _split(urls: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(url.strip().rstrip("/") for url in urls.split(",") if url.strip()))


@lru_cache(maxsize=64)
def _balancer_of(urls: str) -> Balancer:
    return Balancer(_split(urls))
