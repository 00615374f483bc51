"""What a prewarmed engine imports before it has a job exists."""

import importlib.util

from engine.__main__ import PRELOADED_MODULES


def test_every_module_that_a_prewarmed_engine_imports_exists():
    missing = [name for name in PRELOADED_MODULES if importlib.util.find_spec(name) is None]
    assert missing == []
