"""Learning rates, schedules and clipping against their formulas."""

import math

import pytest
import torch

from engine.loop import optimizers
from engine.spec import TextHyperparameters


def hyperparameters(**changes) -> TextHyperparameters:
    return TextHyperparameters(**changes)


@pytest.mark.parametrize(
    ("optimizer", "factor"), [("adamw", 1.0), ("adafactor", 10.0), ("sgd", 100.0)]
)
def test_a_recommended_rate_is_converted_to_the_optimizer(optimizer, factor):
    chosen = hyperparameters(optimizer=optimizer)
    assert optimizers.resolve_learning_rate(chosen, 1e-5) == pytest.approx(factor * 1e-5)


def test_a_rate_that_was_set_is_taken_as_it_is():
    chosen = hyperparameters(optimizer="sgd", learning_rate=0.003)
    assert optimizers.resolve_learning_rate(chosen, 1e-5) == 0.003


def factors(total: int, **changes) -> list[float]:
    chosen = hyperparameters(**changes)
    return [optimizers.lr_schedule_factor(chosen, step, total) for step in range(total)]


def test_the_linear_schedule_rises_to_one_and_falls_towards_zero():
    got = factors(10, schedule="linear", warmup_fraction=0.2)
    assert got == pytest.approx([0.5, 1.0, 1.0, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8])


def test_the_cosine_schedule_is_half_way_in_the_middle():
    got = factors(8, schedule="cosine", warmup_fraction=0.0)
    assert got[0] == 1.0
    assert got[4] == pytest.approx(0.5)
    assert got == pytest.approx([0.5 * (1 + math.cos(math.pi * step / 8)) for step in range(8)])


def test_the_constant_schedule_only_warms_up():
    assert factors(4, schedule="constant", warmup_fraction=0.5) == [0.5, 1.0, 1.0, 1.0]


def test_one_step_without_warmup_is_taken_at_the_peak():
    assert factors(1, schedule="linear", warmup_fraction=0.0) == [1.0]


@pytest.mark.parametrize(
    ("optimizer", "kind"),
    [("adamw", torch.optim.AdamW), ("sgd", torch.optim.SGD), ("adafactor", torch.optim.Adafactor)],
)
def test_each_name_makes_its_optimizer(optimizer, kind):
    network = torch.nn.Linear(3, 2)
    chosen = hyperparameters(optimizer=optimizer, weight_decay=0.1)
    made = optimizers.make_optimizer(
        chosen, optimizers.parameter_groups(network, chosen, recommended=1e-3)
    )
    assert isinstance(made, kind)
    decay = {parameter.ndim: group["weight_decay"] for group in made.param_groups
             for parameter in group["params"]}  # fmt: skip
    assert decay == {2: 0.1, 1: 0.0}


def with_gradient(values: list[float]) -> torch.nn.Parameter:
    parameter = torch.nn.Parameter(torch.zeros(len(values)))
    parameter.grad = torch.tensor(values)
    return parameter


def test_long_gradients_are_scaled_to_the_norm():
    one, other = with_gradient([3.0, 0.0]), with_gradient([4.0])
    optimizers.clip_gradients([one, other, torch.nn.Parameter(torch.zeros(2))], 1.0)
    assert torch.cat([one.grad, other.grad]).norm() == pytest.approx(1.0, abs=1e-5)
    assert one.grad[0] / other.grad[0] == pytest.approx(0.75)


def test_short_gradients_stay_as_they_are():
    parameter = with_gradient([0.3, 0.4])
    optimizers.clip_gradients([parameter], 1.0)
    assert torch.equal(parameter.grad, torch.tensor([0.3, 0.4]))


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_overflown_gradients_are_left_to_the_loss_scaler(bad):
    parameter = with_gradient([bad, 2.0])
    optimizers.clip_gradients([parameter], 1.0)
    assert parameter.grad[1] == 2.0


def test_the_random_state_can_be_put_back():
    before = optimizers.get_rng_state()
    first = torch.rand(5)
    optimizers.set_rng_state(before)
    assert torch.equal(torch.rand(5), first)
