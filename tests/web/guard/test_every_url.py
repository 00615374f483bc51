"""Every URL of a real web process with a body that is too large, stalls, or is half sent.

It answers 413 or 408 within the deadline, and neither disk nor memory grows.
"""

import json
import selectors
import socket
import time
from collections.abc import Iterator

import psutil
import pytest

from inference.gateway.inference_requests import INFERENCE_PATHS
from tests.web.guard.served import Served, web_process
from tests.web.test_outsiders import concrete, routes
from web.guard.open_files import raise_open_files_limit

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)
BODY_SECONDS = 2
ABUSES = {  # What follows the head's first lines, and the status it must get.
    "oversized": (b"content-length: 500000000000\r\n\r\nabc", 413),
    "half sent": (b"content-length: 100\r\n\r\n{", 408),
    "stalled": (b"transfer-encoding: chunked\r\n\r\n", 408),
    "stalled midway": (b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n", 408),
}
MAX_GROWTH_BYTES = 64 * 1024**2


def paths() -> list[str]:
    ours = {concrete(route, {}) for route, _ in routes()}
    return sorted(
        ours | set(INFERENCE_PATHS) | {"/admin/login/", "/nowhere/", "/static/css/lathe.css"}
    )


def answers(port: int, requests: dict[str, bytes], seconds: float) -> dict[str, bytes]:
    """What each of these unfinished requests is answered, all being open at once."""
    waiting = selectors.DefaultSelector()
    received = dict.fromkeys(requests, b"")
    for name, request in requests.items():
        opened = socket.create_connection(("127.0.0.1", port))
        opened.sendall(request)
        opened.setblocking(False)
        waiting.register(opened, selectors.EVENT_READ, name)
    ends_at = time.monotonic() + seconds
    while waiting.get_map() and time.monotonic() < ends_at:
        for key, _ in waiting.select(0.1):
            part = _received(key.fileobj)
            received[key.data] += part
            if not part:
                waiting.unregister(key.fileobj)
                key.fileobj.close()
    for key in list(waiting.get_map().values()):
        key.fileobj.close()
    return received


def _received(opened: socket.socket) -> bytes:
    try:
        return opened.recv(65536)
    except ConnectionResetError:
        return b""


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


def memory_bytes(served: Served) -> int:
    process = psutil.Process(served.pid)
    return sum(one.memory_info().rss for one in (process, *process.children(recursive=True)))


def head(path: str, headers: str = "") -> bytes:
    return f"POST {path} HTTP/1.1\r\nhost: localhost\r\n{headers}".encode()


def test_every_url_refuses_what_is_too_large_or_too_slow(token):
    raise_open_files_limit()
    everywhere = paths()
    assert len(everywhere) > 125
    login = f"authorization: Bearer {token.secret}\r\n"
    # All of an abuse are open at once, from one address: those limits have tests of their own.
    unbounded = dict.fromkeys(
        ("SLOW_BODIES_PER_ADDRESS", "REQUESTS_PER_ADDRESS", "MAX_REQUESTS"), "10000"
    )
    with web_process(BODY_SECONDS=str(BODY_SECONDS), **unbounded) as served:
        before = memory_bytes(served)
        for abuse, (rest, status) in ABUSES.items():
            requests = {path: head(path) + rest for path in everywhere}
            # A credential opens more, not everything.
            requests["/api/v1/datasets, signed in"] = head("/api/v1/datasets", login) + rest
            started = time.monotonic()
            received = answers(served.port, requests, 60)
            seconds = time.monotonic() - started
            statuses = {path: status_of(answer) for path, answer in received.items()}
            wrong = {path: answer for path, answer in statuses.items() if answer != status}
            assert wrong == {}, abuse
            assert seconds < BODY_SECONDS + 10
            for path, answer in received.items():
                if path.startswith(("/api/v1", "/v1/")):
                    body = json.loads(answer.partition(b"\r\n\r\n")[2])
                    assert body["error"]["message"], path
        assert memory_bytes(served) - before < MAX_GROWTH_BYTES
        assert list(served.temporary.iterdir()) == []


@pytest.fixture(scope="module")
def served(django_db_setup, django_db_blocker) -> Iterator[Served]:
    with django_db_blocker.unblock(), web_process() as running:
        yield running


def test_a_body_without_a_length_is_refused_within_5_mb_and_an_upload_only_with_a_credential(
    token, served
):
    part = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    chunked = b"transfer-encoding: chunked\r\n\r\n"

    def sent_until_refused(request: bytes) -> tuple[int, int, int]:
        sent, spooled = 0, 0
        with socket.create_connection(("127.0.0.1", served.port), 10) as opened:
            opened.sendall(request + chunked)
            try:
                while sent < 50_000_000:
                    opened.sendall(part)
                    sent += len(part)
                    free = [path.stat().st_size for path in served.temporary.iterdir()]
                    spooled = max(spooled, sum(free))
                opened.sendall(b"0\r\n\r\n")
            except (BrokenPipeError, ConnectionResetError):
                pass
            return status_of(_received(opened)), sent, spooled

    # The kernels' buffers take some megabytes more than the process reads.
    for path, status in (("/", 413), ("/api/v1/me", 413), ("/api/v1/datasets", 401)):
        found, sent, spooled = sent_until_refused(head(path))
        assert found in {status, 0}, path  # 0: reset before the answer was read.
        assert sent < 25_000_000
        assert spooled <= 6 * 1024**2
    login = f"authorization: Bearer {token.secret}\r\n"
    found, sent, _ = sent_until_refused(head("/api/v1/datasets", login))
    assert sent > 50_000_000
    assert found == 400  # Read whole; it is no multipart form.


def test_health_answers_while_1500_requests_are_half_sent(served):
    request = head("/v1/classify") + b"content-length: 100\r\n\r\n{"
    before = max(seconds_of_health(served) for _ in range(3))
    held = []
    for _ in range(1500):
        opened = socket.create_connection(("127.0.0.1", served.port))
        opened.sendall(request)
        held.append(opened)
    slowest = 0.0
    for _ in range(8):
        slowest = max(slowest, seconds_of_health(served))
        time.sleep(0.25)
    for opened in held:
        opened.close()
    assert slowest < max(1, 10 * before)  # A machine that is busy otherwise is no reason to fail.


def seconds_of_health(served: Served) -> float:
    asking = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    started = time.monotonic()
    assert status_of(answers(served.port, {"": asking}, 10)[""]) == 200
    return time.monotonic() - started
