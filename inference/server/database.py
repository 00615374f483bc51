"""Django's blocking database calls, made from a few threads so that the event loop never waits."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from django.db import InterfaceError, OperationalError, connection

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class DatabaseThreads:
    """Each thread keeps its connection; one that broke is closed, so that the next call reconnects."""

    def __init__(self, threads: int = 2) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="database")

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

    def close(self) -> None:
        self._threads.shutdown(wait=True)
