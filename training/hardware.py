"""What this machine has, found without torch: trainers tell it when they say hello."""

import csv
import logging
import os
import platform
import subprocess
from pathlib import Path
from typing import TypedDict

import psutil

logger = logging.getLogger(__name__)

QUERY = ["nvidia-smi", "--query-gpu=index,uuid,name,memory.total", "--format=csv,noheader,nounits"]
QUERY_SECONDS = 20


class Device(TypedDict):
    name: str
    memory_bytes: int


def devices_of(kind: str) -> list[Device]:
    """The devices a job can use here, by a compute class's device ("cpu" or "cuda")."""
    return _gpus() if kind == "cuda" else [_processor()]


def _processor() -> Device:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Device(name=f"{_processor_name()} · {cores} cores", memory_bytes=_memory_bytes())


def _processor_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory_bytes() -> int:
    """Of this machine, or of the container it is."""
    total: int = psutil.virtual_memory().total
    try:
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text())
    except (OSError, ValueError):  # No such file, or "max".
        return total
    return min(total, limit)


def _gpus() -> list[Device]:
    try:
        answer = subprocess.run(
            QUERY, capture_output=True, text=True, check=True, timeout=QUERY_SECONDS
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        logger.warning("nvidia-smi did not answer, so the GPUs here are not known: %s", error)
        return []
    return read_gpus(answer, os.environ.get("CUDA_VISIBLE_DEVICES"))


def read_gpus(answer: str, visible: str | None) -> list[Device]:
    """nvidia-smi's lines, without what CUDA_VISIBLE_DEVICES hides (nvidia-smi ignores it)."""
    wanted = None if visible is None else [part.strip() for part in visible.split(",")]
    found = []
    for row in csv.reader(answer.splitlines(), skipinitialspace=True):
        if len(row) != 4 or (wanted is not None and not _is_wanted(row[0], row[1], wanted)):
            continue
        mebibytes = int(row[3]) if row[3].isdigit() else 0  # "[N/A]" where memory is shared.
        found.append(Device(name=row[2], memory_bytes=mebibytes * 2**20))
    return found


def _is_wanted(index: str, uuid: str, wanted: list[str]) -> bool:
    """By number, or by the start of its UUID, as CUDA allows."""
    return any(one == index or (one.startswith("GPU-") and uuid.startswith(one)) for one in wanted)
