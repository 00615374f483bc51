"""What all export jobs share: they keep one file to serve and compare it with the original."""

from collections.abc import Callable
from pathlib import Path

from engine.artifact import Manifest
from engine.errors import ExportRefused
from engine.evaluation import Report
from engine.export.parity import FLOAT_FILE, INT8_FILE
from engine.export.variant_comparison import VariantComparison
from engine.spec import ExportSpec
from engine.tasks import EvaluationResult, ExtraSections

FILE_BY_FORMAT = {"onnx": FLOAT_FILE, "onnx-int8": INT8_FILE, "safetensors": FLOAT_FILE}


def keep_requested_file(export: ExportSpec, manifest: Manifest, folder: Path) -> Manifest:
    """Serve the requested file and delete the other. Raises ExportRefused if it is not accepted."""
    if export.format not in FILE_BY_FORMAT:
        return manifest
    requested = FILE_BY_FORMAT[export.format]
    other = FLOAT_FILE if requested == INT8_FILE else INT8_FILE
    if requested not in manifest.parity:
        raise ExportRefused(
            "This model has no layers that eight bits would make smaller. The original stays as"
            " it is; choose onnx."
        )
    parity = manifest.parity[requested]
    if not parity["accepted"]:
        rows = parity["rows"]
        raise ExportRefused(
            f"The int8 file does not answer as the model does: the same on"
            f" {parity['label_agreement']:.1%} of {'1 row' if rows == 1 else f'{rows:,} rows'}. The"
            " original stays as it is; choose another form."
        )
    (folder / other).unlink(missing_ok=True)
    return manifest.model_copy(
        update={
            "serving": manifest.serving.model_copy(
                update={"file": requested, "engine": "onnxruntime", "check": []}
            ),
            "parity": {requested: parity, "served": requested},
        }
    )


def with_variant_comparison(
    evaluated: EvaluationResult, card: Callable[[], VariantComparison]
) -> EvaluationResult:
    """The same, with the comparison as the report's section `card`. `card` may raise
    ExportRefused."""
    build_others = evaluated.build_extra_sections

    def build_sections(report: Report) -> ExtraSections:
        sections = ExtraSections(card=card())
        return {**sections, **build_others(report)} if build_others else sections

    return evaluated._replace(build_extra_sections=build_sections)
