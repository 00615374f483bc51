"""What the processes of one job do together: agree, sum, and divide the rows of a step.

With a single process every function returns at once. When one process dies, the others fail
instead of waiting.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import distributed

from engine.data.batching import Batch
from engine.distributed import ranks
from engine.errors import EngineError

# Longer than any step or checkpoint; preparing may differ by a download.
COLLECTIVE_TIMEOUT = timedelta(minutes=15)
PEER_LOSS_MESSAGES = ("gloo", "nccl", "connection closed by peer", "connection reset by peer")
UNLIMITED_TIMEOUT = timedelta(days=365)
T = TypeVar("T")


@dataclass
class _ProcessGroupState:
    long_wait_group: distributed.ProcessGroup | None = None  # Without a timeout.
    is_working_alone: bool = False  # Inside `run_on_rank0`: collectives act as if alone.


_group_state = _ProcessGroupState()


class InsufficientDevices(EngineError):
    """The machine has fewer devices than the job was given processes."""


@contextmanager
def process_group() -> Iterator[None]:
    """Join the other processes of this job, if there are any."""
    if not ranks.is_distributed():
        yield
        return
    backend = "gloo"
    if torch.cuda.is_available():
        rank, devices = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if rank >= devices:
            raise InsufficientDevices(
                f"The job needs {os.environ['LOCAL_WORLD_SIZE']} GPUs, but its machine has"
                f" {devices}."
            )
        torch.cuda.set_device(rank)
        backend = "cpu:gloo,cuda:nccl"
    distributed.init_process_group(backend, timeout=COLLECTIVE_TIMEOUT)
    _group_state.long_wait_group = distributed.new_group(backend="gloo", timeout=UNLIMITED_TIMEOUT)
    yield  # After a failure the process just ends: waiting for the others would block.
    distributed.destroy_process_group()


def world_size() -> int:
    return distributed.get_world_size() if _is_distributed() else 1


def get_rank() -> int:
    return distributed.get_rank() if _is_distributed() else 0


def _is_distributed() -> bool:
    return distributed.is_initialized() and not _group_state.is_working_alone


def is_rank0() -> bool:
    return get_rank() == 0


def run_on_rank0(work: Callable[[], T]) -> T | None:
    """Let the first process work alone while the others wait, however long; they get None."""
    if world_size() == 1:
        return work()
    result = None
    if is_rank0():
        _group_state.is_working_alone = True
        result = work()
        _group_state.is_working_alone = False
    distributed.barrier(_group_state.long_wait_group)
    return result


def all_reduce_sum(*values: float) -> list[float]:
    """Each value added up over all processes."""
    if world_size() == 1:
        return list(values)
    totals = torch.tensor(values, dtype=torch.float64)
    distributed.all_reduce(totals)
    return totals.tolist()


def all_reduce_any(flag: bool) -> bool:
    return all_reduce_sum(float(flag))[0] > 0


def all_gather(value: T) -> list[T]:
    """What each process has, in their order."""
    if world_size() == 1:
        return [value]
    values: list[Any] = [None] * world_size()
    distributed.all_gather_object(values, value)
    return values


def broadcast_from_rank0(value: T) -> T:
    """The first process's value: computed by all, it may still differ in the last bit."""
    if world_size() == 1:
        return value
    values: list[T] = [value]
    distributed.broadcast_object_list(values)
    return values[0]


def broadcast_weights(network: torch.nn.Module) -> None:
    """Give every process the first one's weights and buffers."""
    if world_size() > 1:
        for tensor in network.state_dict().values():
            distributed.broadcast(tensor, 0)


def split_step_by_rank(step: list[Batch]) -> list[list[Batch]]:
    """Each process's rows of a step. Rows of a batch are sorted by length, so that everyone gets
    short and long ones; batches of few rows start with another process each."""
    everyone = world_size()
    shares: list[list[Batch]] = [[] for _ in range(everyone)]
    for at, batch in enumerate(step):
        for first in range(everyone):
            if len(part := batch[first::everyone]):
                shares[(first + at) % everyone].append(part)
    return shares


def is_peer_loss(error: BaseException) -> bool:
    """Whether a process failed only because another one did, or could not be reached."""
    if isinstance(error, distributed.DistError):
        return True
    text = str(error).casefold()
    return isinstance(error, RuntimeError) and any(part in text for part in PEER_LOSS_MESSAGES)
