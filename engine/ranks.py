"""Which of several training processes this one is, as torchrun's environment says.

Nothing here loads torch.
"""

import contextlib
import ctypes
import json
import os
import signal
import time
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def is_one_of_several() -> bool:
    """Whether torchrun started this process beside others."""
    return "TORCHELASTIC_RUN_ID" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


def is_first() -> bool:
    """The one that speaks, writes checkpoints, exports and evaluates."""
    return not is_one_of_several() or os.environ["RANK"] == "0"


def die_with_launcher() -> None:
    """Linux only: torchrun puts its processes into sessions of their own, so that killing its
    process group would leave them behind."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def leave_word(failure: str) -> None:
    """Tell the launcher why this process fails; which failure came first it sees by the time.

    The word is there whole or not at all: the launcher cannot read half of one.
    """
    if path := os.environ.get("TORCHELASTIC_ERROR_FILE"):
        word = {"message": failure, "timestamp": int(time.time())}
        draft = Path(f"{path}.draft")
        draft.write_text(json.dumps(word))
        draft.replace(path)
