"""Where a machine keeps what it computed once: LATHE_CACHE_DIR, or the user's caches."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

BUILD_PREFIX, MAX_BUILD_SECONDS = "making-", 3600


def cache_folder() -> Path:
    """LATHE_CACHE_DIR, or `lathe` where this user's caches are."""
    if folder := os.environ.get("LATHE_CACHE_DIR"):
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lathe"


def create_once(folder: Path, build: Callable[[Path], None]) -> Path:
    """The folder, filled by `build` if this machine has none yet.

    Whole or not at all: two jobs may make the same at once, and either may be killed. Raises what
    `build` and a full disk raise.
    """
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    _delete_abandoned_builds(folder.parent)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=BUILD_PREFIX) as temporary:
        building = Path(temporary) / "files"
        building.mkdir()
        build(building)
        try:
            building.rename(folder)
        except OSError:
            if not folder.is_dir():  # No other job was quicker.
                raise
    return folder


def _delete_abandoned_builds(root: Path) -> None:
    """Left by jobs that were killed while they built."""
    oldest = time.time() - MAX_BUILD_SECONDS
    for path in root.glob(f"{BUILD_PREFIX}*"):
        if path.stat().st_mtime < oldest:
            shutil.rmtree(path, ignore_errors=True)
