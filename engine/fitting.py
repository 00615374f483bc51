"""Will a step fit into memory? Measured on a piece of the largest batch before training starts.

What autograd keeps for the backward pass grows with the rows of a batch, so a piece tells the
whole; weights, gradients and the optimizer's state are known from the parameters.
"""

import math
import os
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from engine.batching import Batch
from engine.errors import OutOfMemory

TRIED_ROWS = 4
ROOM = 1.25  # Temporary results and fragments, beside what autograd keeps.
STATE_COPIES = {"adamw": 2, "sgd": 1, "adafactor": 0.1}
CGROUP_LIMIT, CGROUP_USED = "memory.max", "memory.current"
MEBIBYTE = 2**20


def kept_bytes_per_row(loss: Callable[[Batch], Tensor], batch: Batch) -> float:
    """Bytes that autograd keeps for each row of this batch, from a forward pass of a few."""
    rows = batch[-TRIED_ROWS:]  # The last ones are the longest.
    seen: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        loss(rows)
    return sum(seen.values()) / len(rows)


def fixed_bytes(network: torch.nn.Module, optimizer: str) -> float:
    """Gradients, the optimizer's state and the copy of the best weights, still to come."""
    learnt = sum(one.numel() * 4 for one in network.parameters() if one.requires_grad)
    return learnt * (2 + STATE_COPIES[optimizer])


def halvings_needed(fixed: float, bytes_per_row: float, rows: int, free: float) -> int:
    """How often the batch must be halved to fit. Raises OutOfMemory when one row does not."""
    room = (free - fixed) / ROOM
    if room < bytes_per_row:
        raise OutOfMemory(
            f"Training needs about {(fixed + bytes_per_row * ROOM) / MEBIBYTE:,.0f} MiB even with"
            f" one row at a time, but {free / MEBIBYTE:,.0f} MiB are free. Shorten the longest"
            " input, turn on gradient checkpointing, or choose a larger machine."
        )
    fitting_rows = max(1, int(room / bytes_per_row))
    return max(0, math.ceil(math.log2(rows / fitting_rows)))


def free_bytes(device: str, limit: int | None, *, processes: int = 1) -> float:
    """Memory this process may still take: of its GPU, or the least of its share of the machine's
    and the control group's, and what is left of `limit` for the whole process."""
    if device == "cuda":
        return float(torch.cuda.mem_get_info()[0])
    found = [_machine_free() / processes, _group_free() / processes]
    if limit is not None:
        found.append(limit - _resident())
    return min(found)


def _machine_free() -> float:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return math.inf
    facts = dict(line.split(":", 1) for line in lines)
    return float(facts["MemAvailable"].split()[0]) * 1024


def _group_free() -> float:
    group = Path("/sys/fs/cgroup")
    try:
        limit = (group / CGROUP_LIMIT).read_text().strip()
        return math.inf if limit == "max" else int(limit) - _used_for_good(group)
    except (OSError, ValueError):
        return math.inf


def _used_for_good(group: Path) -> int:
    """Without cached files, which the kernel gives back."""
    facts = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    return int((group / CGROUP_USED).read_text()) - int(facts.get("inactive_file", 0))


def _resident() -> float:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return float(pages * os.sysconf("SC_PAGE_SIZE"))
