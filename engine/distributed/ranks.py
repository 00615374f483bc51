"""Which of several training processes this one is, by torchrun's environment variables.

Does not load torch.
"""

import contextlib
import ctypes
import json
import os
import signal
import time
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def is_distributed() -> bool:
    """Whether torchrun started this process beside others."""
    return "TORCHELASTIC_RUN_ID" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


def is_rank0() -> bool:
    """Whether this process reports events, writes checkpoints, exports and evaluates."""
    return not is_distributed() or os.environ["RANK"] == "0"


def set_parent_death_signal() -> None:
    """End this process when torchrun ends (Linux only): torchrun starts it in a session of its own,
    so that killing torchrun's process group would leave it running."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def write_error_file(failure: str) -> None:
    """Tell the launcher, which finds the first failure by its time, why this process failed.

    Written elsewhere and renamed, because the launcher cannot read half a file.
    """
    if path := os.environ.get("TORCHELASTIC_ERROR_FILE"):
        content = {"message": failure, "timestamp": int(time.time())}
        draft = Path(f"{path}.draft")
        draft.write_text(json.dumps(content))
        draft.replace(path)
