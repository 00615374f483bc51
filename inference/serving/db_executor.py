"""Django's blocking database calls, made from a few threads so that the event loop never waits."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from django.db import InterfaceError, OperationalError, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class DatabaseExecutor:
    """Each thread keeps its connection; one that broke is closed, the next call reconnects."""

    def __init__(self, threads: int = 2) -> None:
        self._connections: list[BaseDatabaseWrapper] = []  # One for each thread.
        self._threads = ThreadPoolExecutor(
            threads,
            thread_name_prefix="database",
            initializer=lambda: self._connections.append(connections["default"]),
        )

    async def run(
        self,
        call: Callable[Parameters, Result],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Result:
        """The call's result; its exceptions pass through."""

        def call_safely() -> Result:
            try:
                return call(*args, **kwargs)
            except (OperationalError, InterfaceError):
                connection.close()
                raise

        return await asyncio.get_running_loop().run_in_executor(self._threads, call_safely)

    async def close(self) -> None:
        await asyncio.to_thread(self._close)  # Django refuses to touch a connection in a loop.

    def _close(self) -> None:
        self._threads.shutdown(wait=True)
        for wrapper in self._connections:
            wrapper.inc_thread_sharing()  # Its thread has ended; nobody else uses it any more.
            wrapper.close()
