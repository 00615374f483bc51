"""What a job would read from a dataset version, found out before it is launched.

Versions never change, so a result is kept: that of the suggested columns with the version's
profile, others in the cache. Large tables are read by a child process with bounded memory.
"""

import hashlib
import json
import logging
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from django.conf import settings
from django.core.cache import cache
from pydantic import ValidationError

from engine.spec import TextSpec, TrainingSpec
from engine.tasks.inspection import Inspection, inspect_data, inspection_key
from projects import storage
from projects.models import DatasetVersion
from web import child_process

CACHE_SECONDS = 30 * 24 * 3600
MAX_ROWS_IN_PROCESS = 100_000
MAX_BYTES_IN_PROCESS = 50_000_000
CHILD_SECONDS, CHILD_MEMORY_BYTES = 90.0, 8 * 1024**3

logger = logging.getLogger(__name__)


def inspect_version(version: DatasetVersion, spec: TrainingSpec) -> Inspection | None:
    """What a job with this spec would learn from the version, with what its base model cannot
    read; None where that took too long."""
    inspection = _inspect_data(version, spec)
    if inspection is None or inspection.refusal is not None or not isinstance(spec, TextSpec):
        return inspection
    names = json.dumps([spec.base_model, spec.text_columns, spec.hyperparameters.max_length])
    cache_key = f"base-model:{version.pk}:{hashlib.sha256(names.encode()).hexdigest()}"
    warnings: list[str] | None = cache.get(cache_key)
    if warnings is None:
        # Every web process loads this module, and few of them need tokenizers.
        from engine.tasks.unknown_tokens import inspect_base_model

        with storage.local_file(version.parquet_key) as path:
            warnings = inspect_base_model(spec.model_copy(update={"data": path}))
        cache.set(cache_key, warnings, CACHE_SECONDS)
    return inspection.model_copy(update={"warnings": [*inspection.warnings, *warnings]})


def _inspect_data(version: DatasetVersion, spec: TrainingSpec) -> Inspection | None:
    key = inspection_key(spec)
    stored = version.profile.get("inspection") or {}
    if stored.get("key") == key:
        return Inspection.model_validate(stored["result"])
    cache_key = f"inspection:{version.pk}:{key}"
    if (known := cache.get(cache_key)) is not None:
        return Inspection.model_validate_json(known)
    with storage.local_file(version.parquet_key) as path:
        placed = spec.model_copy(update={"data": path})
        inspection = inspect_data(placed) if _is_small(path) else _inspect_in_child(placed)
    if inspection is not None:
        cache.set(cache_key, inspection.model_dump_json(), CACHE_SECONDS)
    return inspection


def _is_small(path: Path) -> bool:
    try:
        rows = pq.read_metadata(path).num_rows
    except (OSError, pa.ArrowInvalid):
        return True  # The engine says what is wrong with the file.
    return rows <= MAX_ROWS_IN_PROCESS and path.stat().st_size <= MAX_BYTES_IN_PROCESS


def _inspect_in_child(spec: TrainingSpec) -> Inspection | None:
    with tempfile.TemporaryDirectory(prefix="inspect-") as folder:
        order = Path(folder) / "spec.json"
        order.write_text(spec.model_dump_json())
        finished = child_process.run(
            [sys.executable, "-m", "engine", "inspect", str(order)],
            cwd=settings.BASE_DIR,
            seconds=CHILD_SECONDS,
            memory_bytes=CHILD_MEMORY_BYTES,
            restarts=1,
        )
    try:
        return Inspection.model_validate(json.loads(finished.stdout))
    except (ValueError, ValidationError):
        logger.warning("No inspection, status %s: %s", finished.returncode, finished.stderr)
        return None
