"""Sentry and OpenTelemetry, where configured, really send; where their packages are absent, the
start says so. Each in a process of its own, for both change the whole process."""

import gzip
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[3]
FAILS = """
import django; django.setup()
from django.test import Client
from django.urls import path
import config.urls
def broken(request): raise RuntimeError("broken on purpose")
config.urls.urlpatterns.insert(0, path("broken", broken))
from config.asgi import application
client = Client(raise_request_exception=False, SERVER_NAME="localhost")
secret = {"text": "a customer's row"}
assert client.post("/broken", secret, headers={"X-Request-Id": "abc-12345"}).status_code == 500
"""
SENDS = {
    "sentry": FAILS + "import sentry_sdk; sentry_sdk.flush(10)",
    "traces": FAILS + "from opentelemetry import trace; trace.get_tracer_provider().shutdown()",
}


@pytest.fixture
def receiver():
    """A server that keeps what is posted to it: (path, body)."""
    received = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):  # noqa: N802
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            received.append((self.path, body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1], received
    server.shutdown()


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    settings = {"DJANGO_SETTINGS_MODULE": "config.settings", "DEBUG": "true"}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, timeout=300,
        env=os.environ | settings | environment,
    )  # fmt: skip


@pytest.mark.nightly
def test_an_error_reaches_sentry_with_the_request_s_id_and_without_its_body(receiver):
    port, received = receiver
    done = run(SENDS["sentry"], SENTRY_DSN=f"http://key@127.0.0.1:{port}/7")
    assert done.returncode == 0, done.stderr[-2000:]
    sent = b"".join(body for path, body in received if path.startswith("/api/7/envelope"))
    assert b"broken on purpose" in sent
    assert b'"request_id":"abc-12345"' in sent.replace(b'": "', b'":"')
    assert b"customer" not in sent


@pytest.mark.nightly
def test_a_request_leaves_a_trace(receiver):
    port, received = receiver
    done = run(SENDS["traces"], OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}")
    assert done.returncode == 0, done.stderr[-2000:]
    sent = b"".join(body for path, body in received if path == "/v1/traces")
    assert b"POST broken" in sent
    assert b"lathe" in sent


@pytest.mark.parametrize(
    ("package", "variable"),
    [("sentry_sdk", "SENTRY_DSN"), ("opentelemetry", "OTEL_EXPORTER_OTLP_ENDPOINT")],
)
def test_what_is_configured_and_not_installed_is_said(monkeypatch, settings, package, variable):
    from django.core.exceptions import ImproperlyConfigured

    from config.observability import reporting

    monkeypatch.setitem(sys.modules, package, None)
    setattr(settings, variable, "http://key@127.0.0.1:1/7")
    with pytest.raises(ImproperlyConfigured, match="requirements-observability.txt"):
        reporting.start()
