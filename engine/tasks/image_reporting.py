"""What a picture model's report says beyond its answers: robustness, attacks, attributions."""

from typing import Any

import numpy as np

from engine import robustness
from engine.evaluation.kinds import kind_of
from engine.evaluation.rows import Given
from engine.images.attacking import attack
from engine.images.decoding import decode
from engine.images.explaining import METHOD, pixel_explainer
from engine.images.stored import content_at
from engine.serving.images import ImageClassifier
from engine.tasks.image_fitting import Trained
from engine.tasks.image_preparation import Prepared

EXPLAINED = {"worst": 10, "confused": 5, "random": 5}
# A pass of a large base model takes long, and each row needs a dozen.
EXPLAINED_BY_LARGE = {"worst": 4, "confused": 2}


def further_checks(
    prepared: Prepared,
    trained: Trained,
    model: ImageClassifier,
    given: Given,
    report: dict[str, Any],
) -> dict[str, Any]:
    """Parts to add to the report. What is served answers the changed pictures; gradients come
    from the network it was exported from."""
    test, goal = prepared.split.test, prepared.goal
    sample = robustness.sample_rows(len(test), prepared.spec.split.seed)
    rows, before = test[sample], kind_of(given).take(given, sample)
    pixels = prepared.pixels(rows)

    def answer(changed: Any) -> Given:
        return goal.answers(model.outputs(changed), rows)

    images = pixels.astype(np.float32) / np.float32(255)
    found: dict[str, Any] = dict(robustness.images_under_change(before, images, answer))
    if prepared.base.is_scratch:
        found["adversarial"] = attack(trained.answering, pixels, goal.truth[rows])
    return {"robustness": found, "explanations": _explain(report, prepared, trained)}


def _explain(report: dict[str, Any], prepared: Prepared, trained: Trained) -> dict[str, Any]:
    """Adds to the example rows which squares made the answer; returns how that was done."""
    explain = pixel_explainer(trained.answering)
    place_of = {int(row): place for place, row in enumerate(prepared.pictures.rows)}
    wanted = EXPLAINED if prepared.base.is_scratch else EXPLAINED_BY_LARGE
    known: dict[int, dict[str, Any]] = {}
    for group, most in wanted.items():
        for example in report["examples"].get(group, [])[:most]:
            row = int(example["row"])
            if row not in known:
                pixels = prepared.pictures.pixels[place_of[row]]
                grid = explain(pixels, prepared.goal.labels.index(example["predicted"]))
                known[row] = {"grid": grid, "covers": _covers(prepared, row)}
            example["explanation"] = known[row]
    return {"method": METHOD}


def _covers(prepared: Prepared, row: int) -> tuple[float, float, float, float]:
    """The part of the picture that the grid lies on."""
    look, spec = prepared.base.look, prepared.spec
    if look.fit == "stretch":
        return look.covered(1, 1)
    content = content_at(spec.data, spec.image_column, row)
    return look.covered(*decode(content or b"").size)
