"""What every log line says about its cause: the request, and the training job in trainers.

The values are context variables, so they follow a request through async and sync code; a thread
that is started by hand sets them itself.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

request_id: ContextVar[str] = ContextVar("request_id", default="")
job_id: ContextVar[str] = ContextVar("job_id", default="")
LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s%(context)s %(message)s"


class LogContextFilter(logging.Filter):
    """Adds `context` to each record, such as " request=req_12ab" or " job=…". Drops none."""

    def filter(self, record: logging.LogRecord) -> bool:
        pairs = (("request", request_id.get()), ("job", job_id.get()))
        record.context = "".join(f" {name}={value}" for name, value in pairs if value)
        return True


@contextmanager
def log_context(*, request: str = "", job: str = "") -> Iterator[None]:
    """Name the request or the job in the log lines of this block."""
    tokens = [
        (variable, variable.set(value))
        for variable, value in ((request_id, request), (job_id, job))
        if value
    ]
    try:
        yield
    finally:
        for variable, token in tokens:
            variable.reset(token)
