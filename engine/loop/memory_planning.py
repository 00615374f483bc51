"""Estimates whether a training step fits into memory, before training starts.

What autograd keeps for the backward pass is proportional to the rows of a batch, so a few rows are
measured; gradients and the optimizer's state follow from the parameters.
"""

import math
import os
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from engine.data.batching import Batch
from engine.errors import OutOfMemory

PROFILED_ROWS = 4
MEMORY_SAFETY_FACTOR = 1.25  # Temporary results and fragments, beside what autograd keeps.
OPTIMIZER_STATE_COPIES = {"adamw": 2, "sgd": 1, "adafactor": 0.1}
CGROUP_LIMIT, CGROUP_USED = "memory.max", "memory.current"
MEBIBYTE = 2**20


def measure_activation_bytes_per_row(loss: Callable[[Batch], Tensor], batch: Batch) -> float:
    """Bytes that autograd keeps for each row of this batch, by a forward pass of a few rows."""
    rows = batch[-PROFILED_ROWS:]  # The last ones are the longest.
    bytes_by_address: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        bytes_by_address[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        loss(rows)
    return sum(bytes_by_address.values()) / len(rows)


def estimate_training_state_bytes(network: torch.nn.Module, optimizer: str) -> float:
    """What training will add: gradients, the optimizer's state and a copy of the best weights."""
    trainable = sum(4 * part.numel() for part in network.parameters() if part.requires_grad)
    return trainable * (2 + OPTIMIZER_STATE_COPIES[optimizer])


def compute_microbatch_splits(fixed: float, bytes_per_row: float, rows: int, free: float) -> int:
    """How often the batch must be halved to fit. Raises OutOfMemory when one row does not."""
    room = (free - fixed) / MEMORY_SAFETY_FACTOR
    if room < bytes_per_row:
        needed = fixed + bytes_per_row * MEMORY_SAFETY_FACTOR
        raise OutOfMemory(
            f"Training needs about {needed / MEBIBYTE:,.0f} MiB even with one row at a time, but"
            f" {free / MEBIBYTE:,.0f} MiB are free. Shorten the longest"
            " input, turn on gradient checkpointing, or choose a larger machine."
        )
    fitting_rows = max(1, int(room / bytes_per_row))
    return max(0, math.ceil(math.log2(rows / fitting_rows)))


def available_memory_bytes(device: str, limit: int | None, *, processes: int = 1) -> float:
    """Memory this process may still take: its GPU's, or the smallest of its share of the machine's
    and of the control group's, and what `limit` leaves to the whole process."""
    if device == "cuda":
        return float(torch.cuda.mem_get_info()[0])
    available = [_available_machine_bytes() / processes, _available_cgroup_bytes() / processes]
    if limit is not None:
        available.append(limit - _process_rss_bytes())
    return min(available)


def _available_machine_bytes() -> float:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return math.inf
    values = dict(line.split(":", 1) for line in lines)
    return float(values["MemAvailable"].split()[0]) * 1024


def _available_cgroup_bytes() -> float:
    group = Path("/sys/fs/cgroup")
    try:
        limit = (group / CGROUP_LIMIT).read_text().strip()
        if limit == "max":
            return math.inf
        values = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        # The kernel frees cached files when memory is needed.
        used = int((group / CGROUP_USED).read_text()) - int(values.get("inactive_file", 0))
        return int(limit) - used
    except (OSError, ValueError):
        return math.inf


def _process_rss_bytes() -> float:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return float(pages * os.sysconf("SC_PAGE_SIZE"))
