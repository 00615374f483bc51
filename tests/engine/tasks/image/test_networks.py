"""Image networks and what is around them, without a training run."""

import json

import numpy as np
import pytest
import torch

from engine.catalog import get_base_model
from engine.errors import BaseModelUnavailable
from engine.tasks.image.attacks import EPSILONS, evaluate_attacks, perturb
from engine.tasks.image.attributions import sum_on_grid
from engine.tasks.image.base_models import BaseImageModel, load_image_transform
from engine.tasks.image.data import augmentation
from engine.tasks.image.data.preprocessing import Preprocessing
from engine.tasks.image.ensemble import (
    EnsembleModel,
    FeatureExtractor,
    compute_outputs,
    fit_head,
)
from engine.tasks.image.fit import select_subset
from engine.tasks.image.handcrafted_features import HandcraftedFeatures
from engine.tasks.image.network import HubBackbone, ImageNetwork, SmallResNet

PREPROCESSING = Preprocessing(side=32)


def network(labels=3, seed=0):
    torch.manual_seed(seed)
    return ImageNetwork(SmallResNet([8, 16]), labels, PREPROCESSING).eval()


def pixels_of(rows, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (rows, 32, 32, 3)).astype(np.uint8)


def test_outputs_do_not_depend_on_who_is_in_the_batch():
    net, pixels = network(), pixels_of(70)
    together = compute_outputs(net, pixels)
    alone = np.concatenate([compute_outputs(net, pixels[row : row + 1]) for row in (0, 65, 69)])
    assert np.allclose(together[[0, 65, 69]], alone, atol=1e-4)


def test_computing_outputs_leaves_a_network_in_training_as_it_was():
    net = network().train()
    compute_outputs(net, pixels_of(2))
    assert net.training


def test_gradient_checkpointing_computes_the_same():
    net = network().train()
    images = torch.rand(2, 3, 32, 32, requires_grad=True)
    plain = net(images)
    net.backbone.gradient_checkpointing = True
    again = net(images)
    assert torch.allclose(plain, again, atol=1e-5)
    again.sum().backward()
    assert net.backbone.stem.weight.grad.abs().sum() > 0


def test_an_ensemble_is_the_mean_of_log_probabilities():
    one, other = network(seed=1), network(seed=2)
    images = torch.rand(3, 3, 32, 32)
    with torch.no_grad():
        mean = EnsembleModel({"a": one, "b": other}, mirrored=False)(images)
        by_hand = (one(images).log_softmax(1) + other(images).log_softmax(1)) / 2
    assert torch.allclose(mean, by_hand, atol=1e-5)


def test_a_mirrored_ensemble_answers_an_image_and_its_mirror_alike():
    model = EnsembleModel({"a": network()}, mirrored=True).eval()
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.allclose(model(images), model(images.flip(3)), atol=1e-5)


def test_a_fitted_head_separates_features_that_can_be_separated():
    net, rng = network(labels=2), np.random.default_rng(0)
    labels = rng.integers(0, 2, 200)
    features = rng.normal(size=(200, net.backbone.width)).astype(np.float32)
    features[:, 0] += 40.0 * labels + 1000.0  # Far from zero, and of another scale.
    features[:, 1] = 7.0  # Constant: its scale must not become a division by zero.
    fit_head(net, [features], labels, balanced=False)
    with torch.no_grad():
        predicted = net.head(torch.from_numpy(features)).argmax(1).numpy()
    assert (predicted == labels).mean() > 0.98
    assert torch.isfinite(net.head.weight).all()


def test_features_are_those_before_the_head():
    net, images = network(), torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        features = FeatureExtractor(net)(images)
        assert torch.allclose(net.head(features), net(images), atol=1e-5)


@pytest.mark.parametrize("side", [32, 48, 96])
def test_handcrafted_features_have_the_width_they_say_and_no_weights(side):
    backbone = HandcraftedFeatures(side)
    assert backbone(torch.rand(2, 3, side, side)).shape == (2, backbone.width)
    assert not list(backbone.parameters())
    assert torch.isfinite(backbone(torch.zeros(1, 3, side, side))).all()


@pytest.mark.parametrize(
    ("losses", "kept"),
    [
        ({"a + b": 0.50, "a": 0.4951, "b": 0.9}, ["a", "b"]),  # Within one hundredth: the mean.
        ({"a + b": 0.50, "a": 0.4949, "b": 0.9}, ["a"]),
        ({"a + b": 0.50, "a": 0.49, "b": 0.2}, ["b"]),
        ({"a": 0.5}, ["a"]),
    ],
)
def test_fewer_members_are_kept_only_when_clearly_better(losses, kept):
    assert select_subset(losses) == kept


def test_a_classifier_that_cannot_be_replaced_is_refused():
    class Odd(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.classifier = torch.nn.Sequential(torch.nn.Linear(4, 2), torch.nn.ReLU())
            self.config = type("Config", (), {"model_type": "odd"})

    with pytest.raises(BaseModelUnavailable, match=r"\(odd\) has no classifier"):
        HubBackbone(Odd())


def folder_with(tmp_path, processor, config=None):
    (tmp_path / "config.json").write_text(json.dumps(config or {}))
    if processor is not None:
        (tmp_path / "preprocessor_config.json").write_text(json.dumps(processor))
    return tmp_path


@pytest.mark.parametrize(
    ("processor", "config", "expected"),
    [
        (None, {}, {"side": 224, "fit": "stretch"}),
        (None, {"image_size": 64}, {"side": 64}),
        ({"size": 256}, {}, {"side": 256, "fit": "stretch"}),
        ({"size": {"height": 384, "width": 384}}, {}, {"side": 384, "fit": "stretch"}),
        (
            {"size": {"shortest_edge": 256}, "do_center_crop": True, "crop_size": 224},
            {},
            {"side": 224, "fit": "crop", "resize": 256},
        ),
        (
            {"size": {"shortest_edge": 256}, "crop_size": {"height": 192, "width": 192}},
            {},
            {"side": 256, "fit": "crop", "resize": 256},
        ),
        ({"resample": 3}, {}, {"resample": "bicubic"}),
        ({"image_mean": [0.1, 0.2, 0.3]}, {}, {"mean": (0.1, 0.2, 0.3)}),
    ],
)
def test_the_base_models_own_preprocessing_is_used(tmp_path, processor, config, expected):
    transform = load_image_transform(folder_with(tmp_path, processor, config), 0)
    assert {name: getattr(transform, name) for name in expected} == expected


def test_another_size_keeps_the_share_that_is_cropped(tmp_path):
    processor = {"size": {"shortest_edge": 256}, "do_center_crop": True, "crop_size": 224}
    transform = load_image_transform(folder_with(tmp_path, processor), 112)
    assert (transform.side, transform.resize) == (112, 128)


@pytest.mark.parametrize("text", ["{", '{"size": "large"}', '{"image_mean": 3}', "[]"])
def test_a_senseless_preprocessor_is_refused(tmp_path, text):
    folder = folder_with(tmp_path, None)
    (folder / "preprocessor_config.json").write_text(text)
    with pytest.raises(BaseModelUnavailable, match="cannot be read"):
        load_image_transform(folder, 0)


def test_backbones_from_scratch_follow_from_the_seed():
    base = BaseImageModel(get_base_model("small-resnet"), 32, lambda: None)
    assert base.image_transform.side == 32
    assert base.frozen_backbone_name == "outlines and colours"
    torch.manual_seed(5)
    first = base.build_backbone().stem.weight
    torch.manual_seed(5)
    assert torch.equal(first, base.build_backbone().stem.weight)


def test_attacks_stay_within_their_strength_and_raise_the_loss():
    net, images = network(), torch.rand(4, 3, 32, 32)
    labels = net(images).argmax(1)
    for steps in (1, 3):
        moved = perturb(net, images, labels, epsilon=8 / 255, steps=steps)
        assert float((moved - images).abs().max()) <= 8 / 255 + 1e-6
        assert 0 <= float(moved.min()) <= float(moved.max()) <= 1
        before, after = (
            torch.nn.functional.cross_entropy(net(one), labels) for one in (images, moved)
        )
        assert after > before
    unmoved = perturb(net, images, labels, epsilon=0.0, steps=0)
    assert torch.equal(unmoved, images)


def test_a_report_on_attacks_has_each_kind_at_each_strength():
    pixels = pixels_of(6)
    report = evaluate_attacks(network(), pixels, compute_outputs(network(), pixels).argmax(1))
    assert report["clean"]["accuracy"] == 1
    assert [(one["attack"], one["shown"]) for one in report["attacks"]] == [
        (name, f"{epsilon} of 255") for epsilon in EPSILONS for name in ("FGSM", "PGD")
    ]


def test_attributions_are_added_up_on_squares_between_minus_one_and_one():
    scores = np.zeros((28, 28))
    scores[:2, :2] = 1.0
    scores[-2:, -2:] = -0.5
    grid = np.array(sum_on_grid(scores))
    assert grid.shape == (14, 14)
    assert grid[0, 0] == 1
    assert grid[-1, -1] == pytest.approx(-0.5, abs=0.51)
    assert np.count_nonzero(grid) == 2
    assert np.array(sum_on_grid(np.ones((5, 9)))).shape == (5, 9)
    assert np.array(sum_on_grid(np.zeros((28, 28)))).max() == 0


def test_augmentation_of_nothing_changes_nothing():
    same = augmentation.AugmentationParams(
        np.tile(np.array([[1, 0, 0], [0, 1, 0]], np.float32), (2, 1, 1)), np.ones((2, 3), "f4")
    )
    images = torch.rand(2, 3, 16, 16)
    assert torch.allclose(augmentation.augment(images, same), images, atol=1e-4)


def test_about_half_of_the_images_are_mirrored_and_crops_keep_their_share():
    params = augmentation.sample_params(np.arange(400), seed=0, epoch=0, kind="light")
    matrices = params.affine_matrices
    assert 0.4 < (matrices[:, 0, 0] < 0).mean() < 0.6
    area = np.abs(matrices[:, 0, 0]) * matrices[:, 1, 1]
    assert area.min() >= 0.7 - 0.2  # Clipped where a side would exceed the image.
    assert area.max() <= 1
    assert np.all(matrices[:, 0, 1] == 0)  # Light augmentation rotates nothing.
