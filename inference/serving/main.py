"""Runs the application under granian in this very process, until a signal; then drains it."""

import asyncio
import logging
import signal

from django.conf import settings
from granian.constants import Interfaces
from granian.server.embed import Server
from starlette.types import ASGIApp

from inference.gateway import web_process
from inference.gateway.client_address import with_client_of_each_request
from inference.serving.application import ModelsApp
from web.guard.application import Guard
from web.guard.limits import Limits
from web.guard.open_files import raise_open_files_limit
from web.guard.trusted_proxies import TrustedProxies
from web.telemetry.tracing import traced

logger = logging.getLogger(__name__)


def with_guard(app: ASGIApp) -> ASGIApp:
    """The same guard as in front of the web process, whose requests it does not count again."""
    guarded = Guard(
        app,
        limits=Limits.from_settings(),
        proxies=TrustedProxies(settings.TRUSTED_PROXIES),
        max_body_bytes=lambda path: int(settings.MODELS_MAX_BODY_BYTES),
        is_admitted=web_process.is_sender,
        has_pages=False,
    )
    return with_client_of_each_request(guarded)


async def serve(host: str, port: int) -> None:
    """Answer until SIGTERM or SIGINT; requests under way get their answers, usage is written."""
    app = ModelsApp()
    await app.open()
    raise_open_files_limit()
    server = Server(
        with_guard(traced(app)),
        address=host,
        port=port,
        interface=Interfaces.ASGINL,  # No lifespan: opening and closing is done here.
        websockets=False,
        backlog=2048,
        backpressure=16_384,  # Connections; the guard refuses requests with a sentence before.
        log_enabled=False,
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)
    logger.info("The models process listens on %s:%s", host, port)
    await server.serve()
    await app.drain()
    await app.close()
    logger.info("The models process has answered everything and written all usage")
