"""The compiled kernel: found, or made once for this machine and kept with its caches."""

import ctypes
import hashlib
import logging
import os
import platform
import shutil
import subprocess
from functools import cache
from pathlib import Path

from engine.serving.cache_folder import cache_folder, create_once

logger = logging.getLogger(__name__)

SOURCE = Path(__file__).with_name("encoder.c")
LIBRARY_FILE = "encoder.so"
SWITCH = "LATHE_PACKED_ENCODER"  # "off": ONNX files answer.
PROCESSOR_FLAGS = {
    "avx2", "avx512bw", "avx512dq", "avx512f", "avx512vl", "avx512_vnni", "f16c", "fma"
}  # fmt: skip
# What the processor has is named, not looked up by the compiler: a library made on one machine runs
# wherever the flags above are found. Products and sums are joined only where the source says so.
COMPILER_OPTIONS = (
    "-std=gnu11", "-O3", "-ffp-contract=off", "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl",
    "-mavx512vnni", "-mfma", "-mf16c", "-shared", "-fPIC",
)  # fmt: skip
MAX_COMPILE_SECONDS = 300  # 2 s of processor time.


@cache
def load_kernel() -> ctypes.CDLL | None:
    """The kernel's library; None where it cannot run or be made, or is switched off."""
    if os.environ.get(SWITCH) == "off" or not is_processor_able():
        return None
    try:
        library = ctypes.CDLL(str(find_or_compile()))
    except (OSError, subprocess.SubprocessError) as problem:
        logger.warning("The packed encoder cannot be used: %s", problem)
        return None
    library.packed_encode.restype = ctypes.c_int
    library.packed_encode.argtypes = [
        ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p,
        ctypes.c_void_p,
    ]  # fmt: skip
    return library


def is_processor_able() -> bool:
    """Whether this processor has every instruction that the kernel uses."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return False
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return False
    flags = next((line for line in lines if line.startswith("flags")), "")
    return set(flags.partition(":")[2].split()) >= PROCESSOR_FLAGS


def find_or_compile() -> Path:
    """The library's file, made if this machine has none yet. Images call it when they are built,
    for they carry no compiler. Raises OSError or SubprocessError."""
    recipe = SOURCE.read_bytes() + "\0".join(COMPILER_OPTIONS).encode()
    folder = cache_folder() / "kernels" / hashlib.sha256(recipe).hexdigest()[:16]
    return create_once(folder, _compile) / LIBRARY_FILE


def _compile(building: Path) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise FileNotFoundError("there is no C compiler (cc)")
    command = [compiler, *COMPILER_OPTIONS, str(SOURCE), "-o", LIBRARY_FILE, "-lm"]
    made = subprocess.run(
        command, cwd=building, capture_output=True, text=True, timeout=MAX_COMPILE_SECONDS
    )
    if made.returncode:
        raise OSError(f"{compiler} fails: {made.stderr.strip()[-500:]}")
