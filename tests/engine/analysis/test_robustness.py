"""Small changes, attacks and attributions on models small enough to know the answer."""

import json
import random

import numpy as np
import pytest
import torch
from torch import nn

from engine import metrics
from engine.analysis import robustness
from engine.analysis.adversarial_attacks import compute_perturbation, evaluate_attacks
from engine.analysis.attributions import (
    explain_image,
    explain_row,
    make_text_explainer,
    permutation_importance,
)
from engine.data.augmentation import text_perturbations
from engine.tasks.image.attacks import evaluate_attacks as attack_pixels
from engine.tasks.image.attacks import perturb
from engine.tasks.image.attributions import make_pixel_explainer, sum_on_grid

WORDS = {"good": 4, "bad": 5, "film": 6, "the": 7}


class Votes(nn.Module):
    """Two labels; each word's embedding is its vote. Shape of a text classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(8, 2)
        weights = torch.zeros(8, 2)
        weights[4], weights[5] = torch.tensor([0.0, 1.0]), torch.tensor([1.0, 0.0])
        weights[6] = weights[7] = torch.tensor([0.1, 0.1])
        self.embedding.weight = nn.Parameter(weights)

    def forward(self, ids, mask):
        return (self.embedding(ids) * mask.unsqueeze(-1)).sum(1)


def tokenizer():
    from tokenizers import Tokenizer, models, pre_tokenizers

    made = Tokenizer(models.WordLevel({"[PAD]": 0, "[UNK]": 1, **WORDS}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return made


@pytest.mark.parametrize("change", [change for _, change in robustness.TEXT_PERTURBATIONS.values()])
@pytest.mark.parametrize("text", ["", "a", "!", "the good film", "ÄÖ 你好", "A  b\nc"])
def test_every_change_of_every_text_is_a_text_and_repeatable(change, text):
    once, again = (change(text, random.Random(3)) for _ in range(2))
    assert once == again
    assert bool(once.strip()) or not text.strip("!")


def test_typos_change_few_letters_and_dropping_never_drops_all():
    text = "please tell me where my new bank card is at the moment"
    changed = text_perturbations.add_typos(text, random.Random(0))
    assert changed != text
    assert abs(len(changed) - len(text)) < 8
    assert text_perturbations.drop_words("one", random.Random(0)) == "one"


def test_a_model_that_reads_case_is_found_out_and_typed_out():
    texts = ["good film", "bad film"] * 60
    true = np.arange(120) % 2

    def answer(changed):
        said = [0 if "good" in text else 1 for text in changed]
        return metrics.make_multiclass_predictions(true, np.eye(2)[said] * 0.8 + 0.1)

    robustness_report = robustness.evaluate_text_robustness(answer(texts), texts, answer)
    json.dumps(robustness_report, allow_nan=False)
    worse = {one["id"] for one in robustness_report["changes"] if one["is_worse"]}
    assert "case" in worse
    assert "punctuation" not in worse
    assert "Changes that make it surely worse: " in robustness_report["sentence"]


def test_tables_lose_cells_and_gain_noise_with_their_types_kept():
    table = {"age": list(range(200)), "city": ["rome", None] * 100, "pay": [0.5] * 199 + [None]}
    before = metrics.make_regression_predictions(np.arange(200), np.arange(200))
    changed = []

    def answer(table):
        changed.append(table)
        ages = [cell or 0 for cell in table["age"]]
        return metrics.make_regression_predictions(before.true, ages)

    robustness_report = robustness.evaluate_table_robustness(before, table, answer)
    lost, noisy = changed
    assert 5 < sum(cell is None for cell in lost["age"]) < 40
    assert all(isinstance(age, int) for age in noisy["age"])
    assert noisy["age"] != table["age"]
    assert noisy["city"] == table["city"]
    assert [one["is_worse"] for one in robustness_report["changes"]] == [True, True]


def test_images_are_changed_within_bounds():
    images = np.random.default_rng(0).random((6, 16, 16, 3)).astype(np.float32)
    for _, _, change in robustness.IMAGE_PERTURBATIONS:
        changed = change(images)
        assert changed.shape == images.shape
        assert changed.min() >= 0
        assert changed.max() <= 1
        assert not np.allclose(changed, images)


def test_attacks_stay_within_reach_and_raise_the_loss():
    model, ids = Votes(), torch.tensor([[4, 6, 0], [5, 7, 6]])
    mask, labels = torch.tensor([[1, 1, 0], [1, 1, 1]]), torch.tensor([1, 0])
    for steps in (1, 3):
        shift = compute_perturbation(
            model,
            model.embedding,
            ids,
            mask,
            lambda outputs: nn.functional.cross_entropy(outputs, labels),
            epsilon=0.1,
            steps=steps,
        )
        mean = (model.embedding(ids).norm(dim=-1) * mask).sum() / mask.sum()
        assert shift.norm(dim=-1).max() <= 0.1 * mean * 1.001
        assert shift[0, 2].abs().max() == 0  # Padding is not attacked.
    attack_report = evaluate_attacks(
        model, model.embedding, [[4, 6], [5, 7], [4], [5]], [1, 0, 1, 0]
    )
    assert attack_report["clean"]["accuracy"] == 1.0
    assert model.embedding.weight.grad is None
    json.dumps(attack_report, allow_nan=False)


def test_the_word_that_votes_gets_the_attribution():
    model = Votes()
    explain = make_text_explainer(model, model.embedding, tokenizer(), 16)
    explanation = explain("the good film", 1)
    scores = {word["text"]: word["score"] for word in explanation["words"]}
    assert max(scores, key=scores.get) == "good"
    assert explanation["unexplained"] < 1e-3
    assert explanation["words"][1]["start"] == 4
    assert explain("", 1)["words"] == []


def test_cells_and_pixels_are_explained_through_answers_alone():
    def answer(rows):
        return [3.0 * (row["a"] or 0) - 2.0 * (row["b"] or 0) for row in rows]

    importance = explain_row(answer, {"a": 1, "b": 1, "c": "x"}, {"a": 0, "b": 0, "c": "y"})
    scores = {cell["column"]: cell["score"] for cell in importance["cells"]}
    assert scores == pytest.approx({"a": 3.0, "b": -2.0, "c": 0.0}, abs=1e-5)
    image = np.zeros((28, 28, 3), dtype=np.float32)
    image[:2, :2] = 1
    importance = explain_image(lambda images: images[:, :2, :2].sum(axis=(1, 2, 3)), image)
    assert np.argmax(importance["grid"]) == 0
    assert importance["grid"][0][0] > 5
    table = {"used": list(range(50)), "unused": list(range(50))}
    importance = permutation_importance(
        lambda t: sum(abs(a - b) for a, b in enumerate(t["used"])), table
    )
    assert [one["column"] for one in importance["columns"]] == ["used", "unused"]
    assert importance["columns"][1]["score"] == 0


class BrightOrDark(nn.Module):
    """Answers 1 for pictures whose upper half is bright."""

    def forward(self, pixels):
        light = pixels[:, :, : pixels.shape[2] // 2].mean((1, 2, 3))
        return torch.stack([0.5 - light, light - 0.5], dim=1) * 20


def test_pixels_move_by_no_more_than_the_strength_and_the_loss_grows():
    images, labels = torch.rand(4, 3, 16, 16), torch.tensor([0, 1, 0, 1])
    model = BrightOrDark()
    for steps in (1, 3):
        moved = perturb(model, images, labels, epsilon=8 / 255, steps=steps)
        assert (moved - images).abs().max() <= 8 / 255 + 1e-6
        assert moved.min() >= 0
        assert moved.max() <= 1
        before, after = (nn.functional.cross_entropy(model(x), labels) for x in (images, moved))
        assert after > before


def test_a_picture_model_on_the_edge_falls_to_an_attack_and_a_sure_one_does_not():
    light = np.array([122, 133] * 10)  # A few steps from the middle, 127.5.
    pixels = np.full((20, 16, 16, 3), light[:, None, None, None], dtype=np.uint8)
    attack_report = attack_pixels(BrightOrDark(), pixels, (light > 127).astype(np.int64))
    assert attack_report["clean"]["accuracy"] == 1
    weak, _, strong, _ = (one["accuracy"] for one in attack_report["attacks"])
    assert (weak, strong) == (1, 0)
    json.dumps(attack_report, allow_nan=False)


def test_gradients_point_at_the_part_of_the_picture_that_counts():
    picture = np.zeros((28, 28, 3), dtype=np.uint8)
    picture[:14] = 255
    grid = np.array(make_pixel_explainer(BrightOrDark())(picture, 1))
    assert grid.shape == (14, 14)
    assert grid[:7].min() > 0.5
    assert np.abs(grid[7:]).max() == 0
    assert np.abs(np.array(sum_on_grid(np.ones((5, 30))))).shape == (5, 14)
