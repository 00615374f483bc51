"""Django's blocking database calls, made from a few threads so that the event loop never waits."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from django.db import InterfaceError, OperationalError, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class DatabaseThreads:
    """Each thread keeps its connection; one that broke is closed, the next call reconnects."""

    def __init__(self, threads: int = 2) -> None:
        self._opened: list[BaseDatabaseWrapper] = []  # One for each thread.
        self._threads = ThreadPoolExecutor(
            threads, thread_name_prefix="database", initializer=self._remember_connection
        )

    async def run(
        self,
        call: Callable[Parameters, Result],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Result:
        """The call's result; its exceptions pass through."""

        def carry_out() -> Result:
            try:
                return call(*args, **kwargs)
            except (OperationalError, InterfaceError):
                connection.close()
                raise

        return await asyncio.get_running_loop().run_in_executor(self._threads, carry_out)

    async def close(self) -> None:
        await asyncio.to_thread(self._close)  # Django refuses to touch a connection in a loop.

    def _close(self) -> None:
        self._threads.shutdown(wait=True)
        for opened in self._opened:
            opened.inc_thread_sharing()  # Its thread is gone; nobody else uses it any more.
            opened.close()

    def _remember_connection(self) -> None:
        self._opened.append(connections["default"])
