"""How other processes of ours ask the models processes: one httpx client for all addresses."""

import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import httpx

from inference.gateway.upstream.balancer import Balancer, models_balancer, models_urls

BASE_URL = "http://models"  # The transport puts the chosen address in its place.
CONNECT_SECONDS = 2.0
HEALTH_SECONDS = 2.0
LIMITS = httpx.Limits(max_connections=64, max_keepalive_connections=16)


class ModelsTransport(httpx.BaseTransport):
    """Sends each request to the models process with the fewest under way; to another one where no
    connection can be made, because nothing was sent then."""

    def __init__(self) -> None:
        self._transport = httpx.HTTPTransport(limits=LIMITS)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        balancer, tried = models_balancer(), set[str]()
        failure: httpx.TransportError = httpx.ConnectError("MODELS_URL is empty")
        while (url := balancer.begin(tried)) is not None:
            tried.add(url)
            try:
                response = self._transport.handle_request(_addressed(request, url))
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                balancer.end(url, is_away=True)
                failure = error
            except BaseException:
                balancer.end(url)
                raise
            else:
                assert isinstance(response.stream, httpx.SyncByteStream)
                response.stream = _CountedStream(response.stream, balancer, url)
                return response
        raise failure

    def close(self) -> None:
        self._transport.close()


class AsyncModelsTransport(httpx.AsyncBaseTransport):
    """The same for callers on an event loop."""

    def __init__(self) -> None:
        self._transport = httpx.AsyncHTTPTransport(limits=LIMITS)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        balancer, tried = models_balancer(), set[str]()
        failure: httpx.TransportError = httpx.ConnectError("MODELS_URL is empty")
        while (url := balancer.begin(tried)) is not None:
            tried.add(url)
            try:
                response = await self._transport.handle_async_request(_addressed(request, url))
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                balancer.end(url, is_away=True)
                failure = error
            except BaseException:
                balancer.end(url)
                raise
            else:
                assert isinstance(response.stream, httpx.AsyncByteStream)
                response.stream = _AsyncCountedStream(response.stream, balancer, url)
                return response
        raise failure

    async def aclose(self) -> None:
        await self._transport.aclose()


class _CountedStream(httpx.SyncByteStream):
    """An answer that counts as under way until it was read or left."""

    def __init__(self, stream: httpx.SyncByteStream, balancer: Balancer, url: str) -> None:
        self._stream, self._balancer, self._url = stream, balancer, url
        self._is_closed = False

    def __iter__(self) -> Iterator[bytes]:
        yield from self._stream

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._balancer.end(self._url)
        self._stream.close()


class _AsyncCountedStream(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream, balancer: Balancer, url: str) -> None:
        self._stream, self._balancer, self._url = stream, balancer, url
        self._is_closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._stream:
            yield part

    async def aclose(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._balancer.end(self._url)
        await self._stream.aclose()


def open_client(timeout: float) -> httpx.Client:
    """For paths such as /v1/classify; may be used by several threads at once."""
    return httpx.Client(
        base_url=BASE_URL,
        transport=ModelsTransport(),
        timeout=httpx.Timeout(timeout, connect=CONNECT_SECONDS),
    )


def open_async_client(timeout: float) -> httpx.AsyncClient:
    """The same for one event loop."""
    return httpx.AsyncClient(
        base_url=BASE_URL,
        transport=AsyncModelsTransport(),
        timeout=httpx.Timeout(timeout, connect=CONNECT_SECONDS),
    )


@lru_cache(maxsize=1)
def shared_client() -> httpx.Client:
    """One for who asks seldom; each request names its own timeout."""
    return open_client(HEALTH_SECONDS)


def read_health() -> dict[str, bool]:
    """Whether each models process answers, by its address; as of HEALTH_SECONDS ago at most."""
    return _read_health(models_urls(), int(time.monotonic() / HEALTH_SECONDS))


@lru_cache(maxsize=1)
def _read_health(urls: tuple[str, ...], _moment: int) -> dict[str, bool]:
    with ThreadPoolExecutor(len(urls) or 1) as pool:
        return dict(zip(urls, pool.map(_is_healthy, urls), strict=True))


def _addressed(request: httpx.Request, base_url: str) -> httpx.Request:
    request.url = httpx.URL(base_url + request.url.raw_path.decode("ascii"))
    request.headers["host"] = request.url.netloc.decode("ascii")
    return request


def _is_healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", timeout=HEALTH_SECONDS).is_success
    except httpx.HTTPError:
        return False
