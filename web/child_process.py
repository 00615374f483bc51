"""Starting child processes that know no secret, use bounded resources and cannot be left behind.

The children parse files of strangers and run training, so none of them inherits what the parent
needs to reach the database, the broker, the storage or Stripe.
"""

import ctypes
import logging
import os
import re
import resource
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import IO, Any

SECRET_NAME = re.compile(
    r"SECRET|PASSWORD|PASSWD|TOKEN|_KEY|CREDENTIAL|_DSN|DATABASE_URL|REDIS_URL|BROKER_URL"
    r"|STORAGE_URL|^STRIPE_|^AWS_|_AUTH$",
    re.I,
)
# Gated base models are fetched with it, in the child.
ALLOWED_SECRETS = frozenset({"HF_TOKEN"})
MAX_OUTPUT_BYTES = 8 * 1024 * 1024
KILL_WAIT_SECONDS = 10
RESTART_SECONDS = 3.0
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Finished:
    """How a child ended. `returncode` is None when it was killed for taking too long."""

    returncode: int | None
    stdout: str
    stderr: str


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without anything named like a secret, plus `extra`."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name in ALLOWED_SECRETS or not SECRET_NAME.search(name)
    }
    return environment | dict(extra or {})


def spawn(
    command: Sequence[str],
    *,
    extra_environment: Mapping[str, str] | None = None,
    memory_bytes: int | None = None,
    **options: Any,
) -> subprocess.Popen[bytes]:
    """Start a command in a session of its own, with a clean environment.

    The kernel kills it when the thread that started it dies, so a kill -9 of a worker leaves
    nothing behind. `memory_bytes` bounds its address space. `options` go to Popen.
    """

    def prepare_child() -> None:
        # Runs between fork and exec: Linux only, and nothing here may take a lock.
        with suppress(OSError, AttributeError):
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if memory_bytes is not None:
            resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))

    return subprocess.Popen(
        list(command),
        env=clean_environment(extra_environment),
        start_new_session=True,
        preexec_fn=prepare_child,
        **options,
    )


def run(
    command: Sequence[str],
    *,
    seconds: float,
    memory_bytes: int | None = None,
    extra_environment: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    every: Callable[[], None] | None = None,
    every_seconds: float = 10.0,
    output_bytes: int = MAX_OUTPUT_BYTES,
    restarts: int = 0,
) -> Finished:
    """Run a command to its end, or kill it and all that it started after `seconds`.

    `every` is called every `every_seconds` while it runs, for example to renew a claim; what it
    raises ends the child and is raised here. Only the last `output_bytes` of each stream come back.
    A child that something else killed is started again up to `restarts` times: the kernel kills
    whom it finds when memory runs out on the machine, whoever took it. Only for commands that read
    nothing which they wrote: what the first one left behind is still there.
    """
    start = partial(
        spawn, command, extra_environment=extra_environment, memory_bytes=memory_bytes, cwd=cwd
    )
    deadline = time.monotonic() + seconds
    wait = partial(_wait, deadline=deadline, every=every, every_seconds=every_seconds)
    finished = _run_once(start, wait, output_bytes)
    while finished.returncode == -signal.SIGKILL and restarts > 0:
        logger.warning("Something killed %s; it starts again", command[:4])
        restarts -= 1
        time.sleep(RESTART_SECONDS)
        finished = _run_once(start, wait, output_bytes)
    return finished


def _run_once(
    start: Callable[..., subprocess.Popen[bytes]],
    wait: Callable[[subprocess.Popen[bytes]], int | None],
    output_bytes: int,
) -> Finished:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = start(stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        try:
            returncode = wait(child)
        finally:
            kill_group(child)
        return Finished(returncode, _tail(out, output_bytes), _tail(err, output_bytes))


def _wait(
    child: subprocess.Popen[bytes],
    deadline: float,
    every: Callable[[], None] | None,
    every_seconds: float,
) -> int | None:
    while (seconds_left := deadline - time.monotonic()) > 0:
        with suppress(subprocess.TimeoutExpired):
            return child.wait(min(seconds_left, every_seconds))
        if every is not None:
            every()
    return None


def kill_group(child: subprocess.Popen[bytes]) -> None:
    """SIGKILL the child and everything in its session, and wait for the child."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):
        child.wait(KILL_WAIT_SECONDS)


def _tail(stream: IO[bytes], most_bytes: int) -> str:
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - most_bytes))
    return stream.read().decode(errors="replace")
