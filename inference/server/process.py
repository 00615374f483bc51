"""Runs the application under granian in this very process, until a signal; then drains it."""

import asyncio
import logging
import signal

from granian.constants import Interfaces
from granian.server.embed import Server

from inference.server.app import ModelsApp

logger = logging.getLogger(__name__)


async def serve(host: str, port: int) -> None:
    """Answer until SIGTERM or SIGINT; requests under way get their answers, usage is written."""
    app = ModelsApp()
    await app.open()
    server = Server(
        app,
        address=host,
        port=port,
        interface=Interfaces.ASGINL,  # No lifespan: opening and closing is done here.
        websockets=False,
        backlog=1024,
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
