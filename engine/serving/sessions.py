"""Opens ONNX files for answering: quick to load, and without busy waiting beside neighbours."""

from pathlib import Path
from typing import Any

import onnxruntime

INT8_SUFFIX = ".int8.onnx"


def open_session(path: Path, threads: int = 1) -> Any:
    """An onnxruntime session on the processor with this many threads."""
    return onnxruntime.InferenceSession(
        str(path), session_options(threads), providers=["CPUExecutionProvider"]
    )


def session_options(threads: int) -> Any:
    """How every session here is opened."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # The file was optimised when it was exported; doing it again would triple the load time.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    # Several sessions share a machine: a waiting thread must not burn a core.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return options


def is_scaled_by_batch(file: str) -> bool:
    """Whether the file's answers to a row would depend on the rows beside it.

    int8 files quantise activations with one scale for all that is computed at once
    (DynamicQuantizeLinear), so that each row must be computed alone.
    """
    return file.endswith(INT8_SUFFIX)
