"""The models process has the same guard; and its numbers are not for everybody."""

import socket

import httpx
import pytest

from inference.gateway import web_process
from tests.inference.processes import free_port, models_process
from tests.web.guard.test_every_url import ABUSES, answers, head, status_of

PATHS = [
    "/v1/classify", "/v1/chat/completions", "/v1/completions", "/v1/models", "/v1/models/a",
    "/v1/info", "/healthz", "/metrics", "/nowhere",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_every_url_of_the_models_process_refuses_what_is_too_large_or_too_slow(monkeypatch, token):
    monkeypatch.setenv("BODY_SECONDS", "2")
    requests = {
        f"{abuse} {path}": (head(path) + rest, status)
        for path in PATHS
        for abuse, (rest, status) in ABUSES.items()
    }
    port = free_port()
    with models_process(port):
        sent = {name: request for name, (request, _) in requests.items()}
        received = answers(port, sent, 30)
        wrong = {
            name: status_of(answer)
            for name, answer in received.items()
            if status_of(answer) != requests[name][1] and not _is_early(answer)
        }
        assert wrong == {}
        _refusals_come_through(port)


def _is_early(answer: bytes) -> bool:
    """Refused by the head alone, which is sooner than its body's deadline."""
    return status_of(answer) in {401, 404, 405}


def _refusals_come_through(port: int) -> None:
    """A bad token with a large body: 401, not a reset connection (and through the web not 503)."""
    for size in (60_000, 3_900_000):
        for _ in range(5):
            answer = httpx.post(
                f"http://127.0.0.1:{port}/v1/classify",
                content=b"x" * size,
                headers={"authorization": "Bearer nobody"},
            )
            assert answer.status_code == 401
    with socket.create_connection(("127.0.0.1", port), 10) as opened:
        opened.sendall(head("/v1/classify", "content-length: 5000000\r\n\r\n"))
        assert opened.recv(100).startswith(b"HTTP/1.1 413")


def test_only_the_web_process_proves_that_it_is():
    def is_sender(*headers):
        return web_process.is_sender({"headers": list(headers)})

    assert is_sender((b"x-lathe-web", web_process.proof()))
    assert not is_sender((b"x-lathe-web", b"guess"))
    assert not is_sender()
