"""The members of a table's ensemble on small matrices: outputs, and how they are chosen."""

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from engine.tasks.tabular import ensemble_members, extra_trees
from engine.tasks.tabular.ensemble_members import (
    EncodedRows,
    Linear,
    fit_boosted,
    fit_linear,
    fit_linear_with,
    loss,
)
from engine.tasks.tabular.ensemble_weights import describe_choice
from engine.tasks.tabular.extra_trees import candidate_leaf_sizes, fit_extra_trees
from engine.tasks.tabular.network import TabularNetwork


@pytest.fixture(autouse=True)
def _few_trees(monkeypatch):
    monkeypatch.setattr(ensemble_members, "MAX_ROUNDS", 16)
    monkeypatch.setattr(extra_trees, "TREE_COUNT", 8)


def rows(count=120, labels=2, seed=0, weights=None):
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(count, 3)).astype(np.float32)
    score = 2 * matrix[:, 0] - matrix[:, 1]
    targets = score if labels == 1 else np.digitize(score, np.linspace(-1.5, 1.5, labels + 1)[1:-1])
    return EncodedRows(matrix, targets, weights)


NOTHING = EncodedRows(np.zeros((0, 3), np.float32), np.zeros(0, dtype=np.int64), None)


def test_the_loss_is_scikit_learns_cross_entropy_and_the_squared_error():
    logits = np.random.default_rng(0).normal(size=(50, 3))
    labels = np.random.default_rng(1).integers(0, 3, 50)
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert loss(logits, EncodedRows(logits, labels, None)) == pytest.approx(
        log_loss(labels, shares)
    )
    numbers = np.array([1.0, 3.0])
    assert loss(np.array([[0.0], [1.0]]), EncodedRows(numbers, numbers, None)) == 2.5


def test_rows_are_added_with_their_weights():
    one = rows(3, weights=np.ones(3))
    other = rows(2, seed=1, weights=np.full(2, 5.0))
    both = one + other
    assert both.matrix.shape == (5, 3)
    assert both.weights.tolist() == [1, 1, 1, 5, 5]
    assert (rows(3) + rows(2)).weights is None


@pytest.mark.parametrize("labels", [1, 2, 4])
def test_every_member_answers_with_as_many_outputs_as_there_are_labels(labels):
    train, validation = rows(labels=labels), rows(60, labels=labels, seed=1)
    linear, _ = fit_linear(train, validation, labels)
    boosted, rounds = fit_boosted(train, validation, labels, seed=0)
    trees, leaf_size = fit_extra_trees(train, validation, labels, seed=0)
    guess = np.zeros((60, labels))
    if labels == 1:
        guess[:] = train.targets.mean()
    for member in (linear, boosted, trees):
        outputs = member.outputs(validation.matrix)
        assert outputs.shape == (60, labels)
        assert outputs.dtype == np.float64
        assert loss(outputs, validation) < loss(guess, validation)
    assert 10 <= rounds <= 16
    assert leaf_size in extra_trees.LEAF_SIZES


def test_without_validation_rows_the_settings_are_the_middle_ones():
    train = rows()
    assert fit_linear(train, NOTHING, 2)[1] == ensemble_members.C_GRID[2]
    assert fit_boosted(train, NOTHING, 2, seed=0)[1] == 4
    assert fit_extra_trees(train, NOTHING, 2, seed=0)[1] == extra_trees.DEFAULT_LEAF_SIZE


def test_the_penalty_is_the_one_that_does_best_on_validation_rows():
    train, validation = rows(60), rows(200, seed=3)
    chosen, penalty = fit_linear(train, validation, 2)
    losses = {
        each: loss(fit_linear_with(train, 2, each).outputs(validation.matrix), validation)
        for each in ensemble_members.C_GRID
    }
    assert losses[penalty] == min(losses.values())
    assert loss(chosen.outputs(validation.matrix), validation) == pytest.approx(losses[penalty])


def test_of_two_labels_the_first_logit_is_zero():
    model = fit_linear_with(rows(), 2, 1.0)
    assert model.weights.shape == (2, 3)
    assert not model.weights[0].any()
    assert model.outputs(rows().matrix)[:, 0].tolist() == [0.0] * 120


def test_a_line_is_what_it_says():
    line = Linear(np.array([[2.0, 0, 0]], "f4"), np.array([1.0], "f4"))
    assert line.outputs(np.array([[3.0, 9, 9]], "f4")).tolist() == [[7.0]]


def test_the_same_seed_grows_the_same_trees():
    train, validation = rows(), rows(60, seed=1)

    def outputs(seed):
        return fit_extra_trees(train, validation, 2, seed=seed)[0].outputs(validation.matrix)

    assert np.array_equal(outputs(3), outputs(3))
    assert not np.array_equal(outputs(3), outputs(4))


def test_leaf_sizes_are_tuned_on_small_tables_only():
    assert candidate_leaf_sizes(20_000) == extra_trees.LEAF_SIZES
    assert list(candidate_leaf_sizes(20_001)) == [extra_trees.DEFAULT_LEAF_SIZE]


def test_no_label_is_impossible_to_random_trees():
    trees, _ = fit_extra_trees(rows(), rows(60, seed=1), 2, seed=0)
    outputs = trees.outputs(rows(60, seed=2).matrix)
    assert np.isfinite(outputs).all()
    assert np.exp(outputs).sum(1) == pytest.approx(1)


def test_the_reason_names_the_members_by_their_weight():
    assert describe_choice({"trees": 1.0}).endswith("boosted trees did best alone and was kept.")
    assert "the network (60%), boosted trees (30%) and the linear model (10%)" in (
        describe_choice({"linear": 0.1, "network": 0.6, "trees": 0.3})
    )


def test_a_residual_network_without_its_blocks_is_linear_behind_a_norm():
    torch.manual_seed(0)
    network = TabularNetwork(3, 2, width=8, blocks=2, dropout=0.5).eval()
    inputs = torch.randn(5, 3)
    with torch.no_grad():
        for block in network.blocks:
            block.narrow.weight.zero_()
            block.narrow.bias.zero_()
        expected = network.head(torch.relu(network.norm(network.entry(inputs))))
        assert torch.allclose(network(inputs), expected)
    assert network(inputs).shape == (5, 2)
