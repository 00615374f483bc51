"""/healthz, /readyz and /metrics of processes that answer no requests: workers, trainers and beat.

They listen where METRICS_PORT says; without it, not at all.
"""

import json
import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from celery.signals import beat_init, worker_ready
from django.conf import settings
from django.db import connection
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from web.telemetry.readiness import check_readiness, is_ready
from web.telemetry.registry import REGISTRY, may_read

logger = logging.getLogger(__name__)


class _Handler(BaseHTTPRequestHandler):
    timeout = 10  # Seconds for a request to arrive.

    def do_GET(self) -> None:  # noqa: N802
        if self.path == "/healthz":
            self._answer(200, {"status": "ok"})
        elif self.path == "/readyz":
            checks = self._check()
            ready = is_ready(checks)
            status = "ready" if ready else "not ready"
            self._answer(200 if ready else 503, {"status": status, "checks": checks})
        elif self.path == "/metrics" and may_read(self.headers.get("Authorization", "")):
            self._send(200, CONTENT_TYPE_LATEST, generate_latest(REGISTRY))
        else:
            self._answer(404, {"status": "not found"})

    def _check(self) -> dict[str, str]:
        try:
            return check_readiness()
        finally:
            connection.close()

    def _answer(self, status: int, body: dict[str, object]) -> None:
        self._send(status, "application/json", json.dumps(body).encode())

    def _send(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Machines ask every few seconds: no line for each."""


def serve(host: str, port: int) -> ThreadingHTTPServer | None:
    """Answer in a thread of its own; None when the port is taken, which stops nothing else."""
    try:
        server = ThreadingHTTPServer((host, port), _Handler)
    except OSError as error:
        logger.warning("METRICS_PORT %d cannot be used: %s", port, error)
        return None
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server


@worker_ready.connect
@beat_init.connect
def serve_when_configured(**_: object) -> None:
    """Once a worker receives tasks, or beat begins: nobody reaches a process that is not ready."""
    if settings.METRICS_PORT:
        serve(settings.METRICS_HOST, settings.METRICS_PORT)
