"""Installed Python packages of which only the files inside are wanted: a model's weights."""

import importlib.util
from pathlib import Path

LICENCE_FILE = "LICENCE.txt"  # Beside what was converted: its source and licence.


def find_package_folder(package: str) -> Path | None:
    """Where this package is installed; None where it is not. Imports nothing of it."""
    spec = importlib.util.find_spec(package)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    return Path(folders[0]) if folders else None
