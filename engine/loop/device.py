"""The device, precision and threads that this machine trains with."""

import contextlib
import ctypes
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from engine.errors import BadTrainingData
from engine.spec import JobSpec

NICENESS = 10  # Of an engine that yields the processor.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # Of glibc's malloc.h.
Precision = Literal["fp32", "bf16", "fp16"]


@dataclass(frozen=True)
class Device:
    """Where tensors are and in which precision matrices are multiplied during training."""

    name: str
    precision: Precision = "fp32"

    @contextlib.contextmanager
    def autocast(self) -> Iterator[None]:
        dtype = torch.float16 if self.precision == "fp16" else torch.bfloat16
        with torch.autocast(self.name, dtype=dtype, enabled=self.precision != "fp32"):
            yield


def prepare_device(spec: JobSpec) -> Device:
    """Choose the device and set threads and matrix kernels for this process.

    Raises BadTrainingData for settings that the device does not support.
    """
    if spec.nice:  # A trainer may have yielded already: twice as much is to starve beside others.
        os.nice(max(0, NICENESS - os.nice(0)))
    if spec.threads:
        torch.set_num_threads(spec.threads)
    # On x86 without AMX this picks oneDNN's AVX-512 float32 kernels (twice MKL's speed on AMD)
    # at full precision; on AMX it allows bf16 products.
    torch.set_float32_matmul_precision("medium")
    with contextlib.suppress(OSError, AttributeError):
        # Let glibc reuse large blocks: returning them to the kernel after every step costs seven
        # thousand page faults a step, a tenth of the training time.
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, 1 << 30)
        libc.mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1)
    name = "cuda" if torch.cuda.is_available() else "cpu"
    if problem := spec.device_problem(name):
        raise BadTrainingData("bad_spec", problem)
    precision = spec.hyperparameters.precision
    if precision == "auto":
        precision = "bf16" if _has_native_bf16(name) else "fp32"
    return Device(name, precision)


@contextlib.contextmanager
def full_matmul_precision() -> Iterator[None]:
    """Within, float32 products are exact, also where prepare_device allowed bf16 ones: exported
    files are compared with what the network computes here."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _has_native_bf16(device_name: str) -> bool:
    if device_name == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
