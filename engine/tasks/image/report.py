"""The sections of an image model's report that need the model: robustness, attacks,
attributions."""

from typing import Any, TypedDict, cast

import numpy as np

from engine.analysis import robustness
from engine.evaluation import ModelPredictions, Report
from engine.evaluation.answer_types import get_answer_type
from engine.evaluation.schema import LabelExample
from engine.serving.images import ImageClassifier
from engine.tasks import ExtraSections
from engine.tasks.image.attacks import evaluate_attacks
from engine.tasks.image.attributions import IMAGE_ATTRIBUTION_METHOD, make_pixel_explainer
from engine.tasks.image.augmented_quality import describe_gain
from engine.tasks.image.data.decoding import decode_image
from engine.tasks.image.data.parquet_images import read_image_bytes
from engine.tasks.image.fit import FittedImages
from engine.tasks.image.prepare import PreparedImages

EXPLAINED_EXAMPLES = {"worst": 10, "confused": 5, "random": 5}
# A pass of a large base model takes long, and each row needs a dozen.
LARGE_MODEL_EXPLAINED_EXAMPLES = {"worst": 4, "confused": 2}


class ImageExplanation(TypedDict):
    """Which squares of an image made the answer."""

    grid: list[list[float]]
    covers: tuple[float, float, float, float]  # The part of the image that the grid lies on.


def build_extra_sections(
    prepared: PreparedImages,
    trained: FittedImages,
    model: ImageClassifier,
    predictions: ModelPredictions,
    report: Report,
) -> ExtraSections:
    """The served file predicts the perturbed images; gradients come from the network it was
    exported from. Adds explanations to the report's example rows."""
    test, head = prepared.split.test, prepared.prediction_head
    sample = robustness.sample_test_rows(len(test), prepared.spec.split.seed)
    rows, before = test[sample], get_answer_type(predictions).select_rows(predictions, sample)
    pixels = prepared.pixels(rows)

    def predict(perturbed: Any) -> ModelPredictions:
        return head.build_predictions(model.outputs(perturbed), rows)

    images = pixels.astype(np.float32) / np.float32(255)
    section = dict(robustness.evaluate_image_robustness(before, images, predict))
    if prepared.base.is_scratch:
        section["adversarial"] = evaluate_attacks(trained.ensemble, pixels, head.truth[rows])
    if sentence := describe_gain(trained.augmented_quality):
        section["augmentation"] = sentence
    elif (
        prepared.spec.effective_method == "head"
        and prepared.spec.hyperparameters.augmentation != "none"
    ):
        section["augmentation"] = (
            "Training pictures were mirrored at most, not augmented otherwise: the method head fits"
            " a linear layer on frozen features at once. To train a network with augmentation,"
            " choose the method full."
        )
    _explain_examples(report, prepared, trained)
    return {"robustness": section, "explanations": {"method": IMAGE_ATTRIBUTION_METHOD}}


def _explain_examples(report: Report, prepared: PreparedImages, trained: FittedImages) -> None:
    """Adds to the example rows which squares made the answer."""
    explain = make_pixel_explainer(trained.ensemble)
    index_of = {int(row): index for index, row in enumerate(prepared.images.rows)}
    is_small = prepared.base.is_scratch
    counts = EXPLAINED_EXAMPLES if is_small else LARGE_MODEL_EXPLAINED_EXAMPLES
    explanations: dict[int, ImageExplanation] = {}
    for group, count in counts.items():
        examples = cast("dict[str, list[LabelExample]]", report["examples"])
        for example in examples.get(group, [])[:count]:
            row = int(example["row"])
            if row not in explanations:
                pixels = prepared.images.pixels[index_of[row]]
                target = prepared.prediction_head.labels.index(example["predicted"])
                explanations[row] = {
                    "grid": explain(pixels, target),
                    "covers": _visible_region(prepared, row),
                }
            example["explanation"] = dict(explanations[row])


def _visible_region(prepared: PreparedImages, row: int) -> tuple[float, float, float, float]:
    transform, spec = prepared.base.image_transform, prepared.spec
    if transform.fit == "stretch":
        return transform.visible_region(1, 1)
    content = read_image_bytes(spec.data, spec.image_column, row)
    return transform.visible_region(*decode_image(content or b"").size)
