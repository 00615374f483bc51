"""Runs one training job in several processes on this machine, one for each device, by torchrun.

The launcher reports the first failure of any process, once, and ends with its exit code.
"""

import os
import signal
import sys
from pathlib import Path

from torch.distributed.elastic.multiprocessing import ProcessFailure, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import parse_args, run

from engine.errors import EXIT_CRASHED, EXIT_OK, EXIT_PEER_LOST, EXIT_STOPPED
from engine.stop_signal import StopSignal

# torchrun kills processes that ignore SIGTERM for 30 seconds; its timestamps are whole seconds.
TORCHRUN_KILL_SECONDS = 28


def launch_processes(
    spec: Path, stop: StopSignal, *, processes: int, work: Path, threads: int | None
) -> int:
    """Run the spec to its end and return the job's exit code. The processes write to our output."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    os.environ["OMP_NUM_THREADS"] = str(threads or max(1, (cores or 1) // processes))
    work.mkdir(parents=True, exist_ok=True)
    options = ["--standalone", "--nproc-per-node", str(processes)]
    options += ["--log-dir", str(work / "processes"), "-m", "engine", "train", str(spec)]
    try:
        run(parse_args(options))  # type: ignore[no-untyped-call]
        stop.ignore()
    except ChildFailedError as error:
        stop.ignore()
        return _exit_like(_find_root_cause(list(error.failures.values())))
    except SignalException:  # All processes were told to stop and have ended.
        return EXIT_STOPPED
    return EXIT_OK


def _find_root_cause(failures: list[ProcessFailure]) -> ProcessFailure:
    """The failure that caused the others: the likeliest kind, and the first of that kind."""
    began = min(failure.timestamp for failure in failures)
    return min(failures, key=lambda failure: (_root_cause_rank(failure, began), failure.timestamp))


def _root_cause_rank(failure: ProcessFailure, began: int) -> int:
    """How likely this failure is the cause, 0 the likeliest. No process sends itself SIGKILL, but
    one that lost the others may abort, or end before it could report that."""
    code = failure.exitcode
    is_late = failure.timestamp - began >= TORCHRUN_KILL_SECONDS
    if code in (EXIT_PEER_LOST, -signal.SIGTERM) or (code == -signal.SIGKILL and is_late):
        return 5
    if code == EXIT_STOPPED:
        return 4
    if code == -signal.SIGKILL:
        return 0
    if code < 0:
        return 2
    return 1 if isinstance(failure.message, str) and failure.message.startswith("{") else 3


def _exit_like(failure: ProcessFailure) -> int:
    """Report the failure that the process wrote; end by the signal that ended it."""
    if failure.exitcode < 0:
        sys.stderr.flush()
        if failure.exitcode != -signal.SIGKILL:  # Which has no handler.
            signal.signal(-failure.exitcode, signal.SIG_DFL)
        os.kill(os.getpid(), -failure.exitcode)
    if isinstance(failure.message, str) and failure.message.startswith("{"):
        os.write(1, f"{failure.message.strip()}\n".encode())
    return EXIT_CRASHED if failure.exitcode == EXIT_PEER_LOST else failure.exitcode
