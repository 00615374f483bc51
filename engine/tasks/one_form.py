"""What all export jobs share: one file alone is served, and a card stands beside the report."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.artifact import Manifest
from engine.errors import ExportRefused
from engine.exporting import FLOAT_FILE, INT8_FILE
from engine.spec import ExportSpec
from engine.tasks import Evaluated

WANTED_FILES = {"onnx": FLOAT_FILE, "onnx-int8": INT8_FILE, "safetensors": FLOAT_FILE}


def only_wanted(export: ExportSpec, manifest: Manifest, folder: Path) -> Manifest:
    """Serve the file that was asked for, and leave the other out. Raises ExportRefused."""
    if export.format not in WANTED_FILES:
        return manifest
    wanted = WANTED_FILES[export.format]
    other = FLOAT_FILE if wanted == INT8_FILE else INT8_FILE
    if wanted not in manifest.parity:
        raise ExportRefused(
            "This model has no layers that eight bits would make smaller. The original stays as"
            " it is; choose onnx."
        )
    found = manifest.parity[wanted]
    if not found["accepted"]:
        raise ExportRefused(
            f"The int8 file does not answer as the model does: the same on"
            f" {found['label_agreement']:.1%} of {found['rows']:,} rows. The original stays as it"
            " is; choose another form."
        )
    (folder / other).unlink(missing_ok=True)
    return manifest.model_copy(
        update={
            "serving": manifest.serving.model_copy(update={"file": wanted}),
            "parity": {wanted: found, "served": wanted},
        }
    )


def with_card(evaluated: Evaluated, card: Callable[[], dict[str, Any]]) -> Evaluated:
    """The same, whose report also compares the form with the original. `card` may refuse it."""
    checks = evaluated.checks

    def all_checks(report: dict[str, Any]) -> dict[str, Any]:
        made = {"card": card()}
        return made | (checks(report) if checks else {})

    return evaluated._replace(checks=all_checks)
