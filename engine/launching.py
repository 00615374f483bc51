"""One training job in several processes on this machine, one for each device, by torchrun.

The launcher ends as its processes did: with the first cause, told once, and its exit code.
"""

import os
import signal
import sys
from collections.abc import Iterable
from pathlib import Path

from torch.distributed.elastic.multiprocessing import ProcessFailure, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import parse_args, run

from engine.errors import PEER_LOST, STOPPED


def launch(spec: Path, *, processes: int, work: Path, threads: int | None) -> int:
    """Run the spec to its end; the exit code of the whole. Their lines go to our own output."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    each = threads or max(1, (cores or 1) // processes)
    os.environ["OMP_NUM_THREADS"] = str(each)
    work.mkdir(parents=True, exist_ok=True)
    options = ["--standalone", "--nproc-per-node", str(processes)]
    options += ["--log-dir", str(work / "processes"), "-m", "engine", "train", str(spec)]
    try:
        run(parse_args(options))  # type: ignore[no-untyped-call]
    except ChildFailedError as error:
        return _end_like(_cause(error.failures.values()))
    except SignalException:  # They were told to leave, and have left.
        return STOPPED
    return 0


def _cause(failures: Iterable[ProcessFailure]) -> ProcessFailure:
    """The first failure of its own making; processes that only lost the others come last."""

    def order(failure: ProcessFailure) -> tuple[int, int]:
        if failure.exitcode in (PEER_LOST, -signal.SIGTERM):
            return 3, failure.timestamp
        if failure.exitcode == STOPPED:
            return 2, failure.timestamp
        return int(failure.exitcode < 0), failure.timestamp

    return min(failures, key=order)


def _end_like(failure: ProcessFailure) -> int:
    """Say what the process left to be said; die of the signal it died of."""
    if failure.exitcode < 0:
        sys.stderr.flush()
        if failure.exitcode != -signal.SIGKILL:  # Which has no handler.
            signal.signal(-failure.exitcode, signal.SIG_DFL)
        os.kill(os.getpid(), -failure.exitcode)
    if isinstance(failure.message, str) and failure.message.startswith("{"):
        os.write(1, f"{failure.message.strip()}\n".encode())
    return 1 if failure.exitcode == PEER_LOST else failure.exitcode
