"""One training job in several processes on this machine, one for each device, by torchrun.

The launcher ends as its processes did: with the first cause, told once, and its exit code.
"""

import os
import signal
import sys
from pathlib import Path

from torch.distributed.elastic.multiprocessing import ProcessFailure, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import parse_args, run

from engine.errors import DONE, PEER_LOST, STOPPED
from engine.stopping import StopSignal

# Those that do not leave when told to, torchrun kills after 30 seconds; its clock has whole ones.
TORCHRUN_PATIENCE_SECONDS = 28


def launch(spec: Path, stop: StopSignal, *, processes: int, work: Path, threads: int | None) -> int:
    """Run the spec to its end; the exit code of the whole. Their lines go to our own output."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    each = threads or max(1, (cores or 1) // processes)
    os.environ["OMP_NUM_THREADS"] = str(each)
    work.mkdir(parents=True, exist_ok=True)
    options = ["--standalone", "--nproc-per-node", str(processes)]
    options += ["--log-dir", str(work / "processes"), "-m", "engine", "train", str(spec)]
    try:
        failures = _failures_of(options)
        stop.ignore()
    except SignalException:  # They were told to leave, and have left.
        return STOPPED
    return _end_like(_cause(failures)) if failures else DONE


def _failures_of(options: list[str]) -> list[ProcessFailure]:
    try:
        run(parse_args(options))  # type: ignore[no-untyped-call]
    except ChildFailedError as error:
        return list(error.failures.values())
    return []


def _cause(failures: list[ProcessFailure]) -> ProcessFailure:
    """The failure that brought about the rest: the likeliest kind, and the first of that kind."""
    began = min(failure.timestamp for failure in failures)
    return min(failures, key=lambda one: (_unlikelihood(one, began), one.timestamp))


def _unlikelihood(failure: ProcessFailure, began: int) -> int:
    """That this one is the cause. No process kills itself by SIGKILL, but one that lost the
    others may abort, or end before it could say so."""
    code = failure.exitcode
    is_late = failure.timestamp - began >= TORCHRUN_PATIENCE_SECONDS
    if code in (PEER_LOST, -signal.SIGTERM) or (code == -signal.SIGKILL and is_late):
        return 5
    if code == STOPPED:
        return 4
    if code == -signal.SIGKILL:
        return 0
    if code < 0:
        return 2
    return 1 if _has_word(failure) else 3


def _has_word(failure: ProcessFailure) -> bool:
    return isinstance(failure.message, str) and failure.message.startswith("{")


def _end_like(failure: ProcessFailure) -> int:
    """Say what the process left to be said; die of the signal it died of."""
    if failure.exitcode < 0:
        sys.stderr.flush()
        if failure.exitcode != -signal.SIGKILL:  # Which has no handler.
            signal.signal(-failure.exitcode, signal.SIG_DFL)
        os.kill(os.getpid(), -failure.exitcode)
    if _has_word(failure):
        os.write(1, f"{failure.message.strip()}\n".encode())
    return 1 if failure.exitcode == PEER_LOST else failure.exitcode
