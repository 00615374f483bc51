"""An engine kept ready beside each trainer, so that a job starts at once.

Importing torch and what belongs to it takes seconds, which every job would wait and pay for. So a
trainer keeps one child that has done it and waits for its order. It holds memory, but no device.
"""

import json
import logging
import os
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

from celery.signals import celeryd_init, worker_process_init
from django.conf import settings

from training.children import Child, start_engine
from training.presence import QUEUES

logger = logging.getLogger(__name__)

IS_TRAINER = "LATHE_IS_TRAINER"  # In the environment, which the pool's processes inherit.

_ready: Child | None = None


@celeryd_init.connect
def _notice(options: dict[str, Any], **_: object) -> None:
    queues = options.get("queues") or ()
    names = queues.split(",") if isinstance(queues, str) else queues
    if settings.KEEP_ENGINE_READY and any(str(name).startswith(QUEUES) for name in names):
        os.environ[IS_TRAINER] = "yes"


@worker_process_init.connect
def make_ready(**_: object) -> None:
    """Start importing, unless an engine is ready or this process is no trainer's."""
    global _ready
    if IS_TRAINER not in os.environ or (_ready is not None and _ready.poll() is None):
        return
    try:
        _ready = start_engine("wait", stdin=subprocess.PIPE)
    except OSError as error:  # A job will start one of its own, or say why it cannot.
        logger.warning("No engine could be made ready: %s", error)


def take(spec: Path, log: Path) -> Child | None:
    """The ready engine, told to train; None when there is none. It may still be importing."""
    global _ready
    child, _ready = _ready, None
    if child is None or child.stdin is None or child.poll() is not None:
        return None
    order = json.dumps({"spec": str(spec), "log": str(log)})
    with suppress(OSError):
        child.stdin.write(f"{order}\n".encode())
        child.stdin.close()
        return child
    child.kill()
    child.wait()
    return None
