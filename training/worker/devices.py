"""The devices of this machine, found without torch: trainers report them when they register."""

import csv
import logging
import os
import platform
import subprocess
from pathlib import Path

import psutil

from training.models.worker import DeviceInfo

logger = logging.getLogger(__name__)

NVIDIA_SMI_QUERY = [
    "nvidia-smi",
    "--query-gpu=index,uuid,name,memory.total",
    "--format=csv,noheader,nounits",
]
QUERY_TIMEOUT_SECONDS = 20


def detect_devices(kind: str) -> list[DeviceInfo]:
    """The devices a job can use here, by a compute class's device ("cpu" or "cuda")."""
    return _gpu_devices() if kind == "cuda" else [_cpu_device()]


def _cpu_device() -> DeviceInfo:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return DeviceInfo(
        name=f"{_cpu_name()} · {'1 core' if cores == 1 else f'{cores} cores'}",
        memory_bytes=_memory_bytes(),
    )


def _cpu_name() -> str:
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


def _gpu_devices() -> list[DeviceInfo]:
    try:
        answer = subprocess.run(
            NVIDIA_SMI_QUERY,
            capture_output=True,
            text=True,
            check=True,
            timeout=QUERY_TIMEOUT_SECONDS,
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        logger.warning("nvidia-smi did not answer, so the GPUs here are not known: %s", error)
        return []
    return parse_gpus(answer, os.environ.get("CUDA_VISIBLE_DEVICES"))


def parse_gpus(answer: str, visible: str | None) -> list[DeviceInfo]:
    """nvidia-smi's lines, without what CUDA_VISIBLE_DEVICES hides (nvidia-smi ignores it)."""
    selectors = None if visible is None else [part.strip() for part in visible.split(",")]
    devices = []
    for row in csv.reader(answer.splitlines(), skipinitialspace=True):
        if len(row) != 4 or (selectors is not None and not _is_visible(row[0], row[1], selectors)):
            continue
        mebibytes = int(row[3]) if row[3].isdigit() else 0  # "[N/A]" where memory is shared.
        devices.append(DeviceInfo(name=row[2], memory_bytes=mebibytes * 2**20))
    return devices


def _is_visible(index: str, uuid: str, selectors: list[str]) -> bool:
    """By number, or by the start of its UUID, as CUDA allows."""
    return any(
        selector == index or (selector.startswith("GPU-") and uuid.startswith(selector))
        for selector in selectors
    )
