"""What the report of an image model says that augmentation gave."""

import re

import numpy as np
import pytest
import torch
from torch import nn

from engine.tasks.image.augmented_quality import describe_gain, measure_augmented_quality
from engine.tasks.image.data.preprocessing import to_network_input
from tests.engine.tasks.image.test_images import QUICK, prepared, report_of, run, write


class Watched(nn.Module):
    """Answers one label to everything, and keeps what it was asked."""

    def __init__(self, label):
        super().__init__()
        self.answer = torch.eye(3)[label]
        self.asked = []

    def forward(self, pixels):
        self.asked.append(pixels.numpy())
        return self.answer.expand(len(pixels), 3)


@pytest.mark.parametrize("kind", ["light", "strong"])
def test_all_networks_are_asked_the_same_changed_validation_pictures(tmp_path, kind):
    job, _ = prepared(write(tmp_path, hyperparameters=QUICK | {"augmentation": kind}))
    networks = [Watched(label) for label in range(3)]
    quality = measure_augmented_quality(job, networks)
    rows = job.split.validation
    shares = [float((job.images.labels[rows] == label).mean()) for label in range(3)]
    assert quality == pytest.approx(shares)
    asked = [np.concatenate(network.asked) for network in networks]
    assert np.array_equal(asked[0], asked[1])
    plain = to_network_input(job.pixels(rows))
    assert asked[0].shape == plain.shape
    assert all(np.abs(one - two).max() > 0.05 for one, two in zip(asked[0], plain, strict=True))


def test_without_augmentation_nothing_is_measured_or_said(tmp_path):
    job, _ = prepared(write(tmp_path, hyperparameters=QUICK | {"augmentation": "none"}))
    assert measure_augmented_quality(job, [Watched(0)]) == []
    assert describe_gain([]) == ""


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "is_said"), [("light", True), ("none", False)])
def test_the_report_says_that_the_layer_on_frozen_features_saw_no_augmentation(
    tmp_path, kind, is_said
):
    settings = QUICK | {"method": "head", "augmentation": kind}
    spec = write(tmp_path, name=kind, hyperparameters=settings)
    run(spec)
    said = report_of(spec)["robustness"].get("augmentation", "")
    assert said.startswith("Training pictures were mirrored at most") == is_said


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "is_said"), [("strong", True), ("none", False)])
def test_the_report_says_what_augmentation_gave(tmp_path, kind, is_said):
    settings = QUICK | {"method": "full", "augmentation": kind}
    spec = write(tmp_path, name=kind, hyperparameters=settings)
    run(spec)
    sentence = report_of(spec)["robustness"].get("augmentation", "")
    shares = re.findall(r"[\d.]+%", sentence)
    assert len(shares) == (2 if is_said else 0)
    assert ("trained with augmentation" in sentence) == is_said
