"""Run the models process."""

import asyncio
import os
from typing import Any

from django.core.management.base import BaseCommand, CommandParser


class Command(BaseCommand):
    help = "Serve deployed models over HTTP, until SIGTERM."
    # The checks load every URL and page; this process answers none of them.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default=os.environ.get("MODELS_HOST", "127.0.0.1"))
        parser.add_argument("--port", type=int, default=8001)

    def handle(self, *args: Any, host: str, port: int, **options: Any) -> None:
        # Lanes are the parallelism here; a tokeniser that takes every core would slow them.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        from inference.serving.main import serve  # After the line above: it loads the tokeniser.

        asyncio.run(serve(host, port))
