"""What the processes of one job do together: agree, add up, divide the rows of a step.

Alone, every function answers at once. A process that dies makes the others fail, never wait.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import distributed

from engine import ranks
from engine.batching import Batch
from engine.errors import EngineError

# Longer than any step or checkpoint; preparing may differ by a download.
LONGEST_WAIT = timedelta(minutes=15)
SIGNS_OF_LOSS = ("gloo", "nccl", "connection closed by peer", "connection reset by peer")
FOREVER = timedelta(days=365)
Anything = TypeVar("Anything")


@dataclass
class _Standing:
    """How this process stands to the others."""

    patient: distributed.ProcessGroup | None = None  # To wait for something long.
    is_apart: bool = False  # Works by itself for a while.


_standing = _Standing()


class DevicesMissing(EngineError):
    """The machine has fewer devices than the job was given processes."""


@contextmanager
def together() -> Iterator[None]:
    """Join the other processes of this job, if there are any, for as long as this lasts."""
    if not ranks.is_one_of_several():
        yield
        return
    backend = "gloo"
    if torch.cuda.is_available():
        _take_device(int(os.environ["LOCAL_RANK"]))
        backend = "cpu:gloo,cuda:nccl"
    distributed.init_process_group(backend, timeout=LONGEST_WAIT)
    _standing.patient = distributed.new_group(backend="gloo", timeout=FOREVER)
    yield  # After a failure the others must not be waited for: the process just ends.
    distributed.destroy_process_group()


def _take_device(number: int) -> None:
    found = torch.cuda.device_count()
    if number >= found:
        raise DevicesMissing(
            f"The job needs {os.environ['LOCAL_WORLD_SIZE']} GPUs, but its machine has {found}."
        )
    torch.cuda.set_device(number)


def count() -> int:
    return distributed.get_world_size() if _is_beside_others() else 1


def number() -> int:
    return distributed.get_rank() if _is_beside_others() else 0


def _is_beside_others() -> bool:
    return distributed.is_initialized() and not _standing.is_apart


def is_first() -> bool:
    return number() == 0


def only_first(work: Callable[[], Anything]) -> Anything | None:
    """Let the first process do what its own clock decides, however long; None in the others,
    which wait for it."""
    if count() == 1:
        return work()
    found = None
    if is_first():
        _standing.is_apart = True
        found = work()
        _standing.is_apart = False
    distributed.barrier(_standing.patient)
    return found


def summed(*values: float) -> list[float]:
    """Each value added up over all processes."""
    if count() == 1:
        return list(values)
    totals = torch.tensor(values, dtype=torch.float64)
    distributed.all_reduce(totals)
    return totals.tolist()


def is_any(flag: bool) -> bool:
    return summed(float(flag))[0] > 0


def of_all(value: Anything) -> list[Anything]:
    """What each process has, in their order."""
    if count() == 1:
        return [value]
    found: list[Any] = [None] * count()
    distributed.all_gather_object(found, value)
    return found


def from_first(value: Anything) -> Anything:
    """What the first process has: computed alike by all, it may still differ in the last bit."""
    if count() == 1:
        return value
    found: list[Any] = [value]
    distributed.broadcast_object_list(found)
    answer: Anything = found[0]
    return answer


def equalise(network: torch.nn.Module) -> None:
    """Give every process the first one's weights and buffers."""
    if count() > 1:
        for tensor in network.state_dict().values():
            distributed.broadcast(tensor, 0)


def shares_of(step: list[Batch]) -> list[list[Batch]]:
    """Each process's rows of a step. Rows of a batch are sorted by length, so that everyone gets
    short and long ones; batches of few rows start with another process each."""
    everyone = count()
    shares: list[list[Batch]] = [[] for _ in range(everyone)]
    for at, batch in enumerate(step):
        for first in range(everyone):
            if len(part := batch[first::everyone]):
                shares[(first + at) % everyone].append(part)
    return shares


def is_loss_of_others(error: BaseException) -> bool:
    """Whether a process failed only because another one did, or could not be reached."""
    if isinstance(error, distributed.DistError):
        return True
    text = str(error).casefold()
    return isinstance(error, RuntimeError) and any(sign in text for sign in SIGNS_OF_LOSS)
