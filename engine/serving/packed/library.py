"""The compiled kernel: found, or made once for this machine and kept with its caches."""

import ctypes
import hashlib
import logging
import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from engine.artifact import WeightSteps
from engine.serving.cache_folder import cache_folder, create_once

logger = logging.getLogger(__name__)

SOURCE = Path(__file__).with_name("encoder.c")
LIBRARY_FILE = "encoder.so"
SWITCH = "LATHE_PACKED_ENCODER"  # "off": ONNX files answer.
# Products and sums are joined only where the source says so.
COMPILER_OPTIONS = ("-std=gnu11", "-O3", "-ffp-contract=off", "-shared", "-fPIC")
MAX_COMPILE_SECONDS = 300  # 2 s of processor time.


@dataclass(frozen=True)
class InstructionSet:
    """One form of the kernel. What it uses is named, not looked up by the compiler: a library made
    on one machine runs wherever a processor has these flags."""

    header: Path
    processor_flags: frozenset[str]
    compiler_options: tuple[str, ...]
    computes: tuple[WeightSteps, ...]  # Those whose sums it computes exactly, the finest first.


AVX512_VNNI = InstructionSet(
    SOURCE.with_name("vectors_avx512.h"),
    frozenset(
        {"avx2", "avx512bw", "avx512dq", "avx512f", "avx512vl", "avx512_vnni", "f16c", "fma"}
    ),
    ("-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512vnni", "-mfma", "-mf16c"),
    ("full", "bounded"),
)
AVX2 = InstructionSet(
    SOURCE.with_name("vectors_avx2.h"),
    frozenset({"avx2", "f16c", "fma"}),
    ("-mavx2", "-mfma", "-mf16c"),
    ("bounded",),
)
INSTRUCTION_SETS = (AVX512_VNNI, AVX2)  # The quickest first.


@dataclass(frozen=True)
class Kernel:
    library: ctypes.CDLL
    columns_at_once: int
    computes: tuple[WeightSteps, ...]


@cache
def load_kernel() -> Kernel | None:
    """The quickest form that runs here; None where none can run or be made, or it is off."""
    if os.environ.get(SWITCH) == "off":
        return None
    flags = read_processor_flags()
    for instructions in INSTRUCTION_SETS:
        if instructions.processor_flags <= flags:
            try:
                return open_kernel(instructions)
            except (OSError, subprocess.SubprocessError) as problem:
                logger.warning("The packed encoder cannot be used: %s", problem)
    return None


def open_kernel(instructions: InstructionSet) -> Kernel:
    """Raises OSError or SubprocessError if there is none and none can be made."""
    library = ctypes.CDLL(str(find_or_compile(instructions)))
    library.packed_encode.restype = ctypes.c_int
    library.packed_encode.argtypes = [
        ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p,
        ctypes.c_void_p,
    ]  # fmt: skip
    columns = ctypes.c_int32.in_dll(library, "packed_columns_at_once").value
    return Kernel(library, columns, instructions.computes)


def read_processor_flags() -> frozenset[str]:
    """What this processor has, by the names of /proc/cpuinfo; none where those are not known."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return frozenset()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return frozenset()
    flags = next((line for line in lines if line.startswith("flags")), "")
    return frozenset(flags.partition(":")[2].split())


def compile_all() -> None:
    """Every form, for images: they carry no compiler and run on any processor. Raises OSError or
    SubprocessError."""
    for instructions in INSTRUCTION_SETS:
        find_or_compile(instructions)


def find_or_compile(instructions: InstructionSet) -> Path:
    """The library's file, made if this machine has none yet. Raises OSError or SubprocessError."""
    options = (*COMPILER_OPTIONS, *instructions.compiler_options)
    recipe = SOURCE.read_bytes() + instructions.header.read_bytes() + "\0".join(options).encode()
    folder = cache_folder() / "kernels" / hashlib.sha256(recipe).hexdigest()[:16]
    return create_once(folder, lambda building: _compile(building, options)) / LIBRARY_FILE


def _compile(building: Path, options: Sequence[str]) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise FileNotFoundError("there is no C compiler (cc)")
    command = [compiler, *options, str(SOURCE), "-o", LIBRARY_FILE, "-lm"]
    made = subprocess.run(
        command, cwd=building, capture_output=True, text=True, timeout=MAX_COMPILE_SECONDS
    )
    if made.returncode:
        raise OSError(f"{compiler} fails: {made.stderr.strip()[-500:]}")
