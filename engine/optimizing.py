"""Optimizers, schedules and clipping by their names in the spec, and the random state to resume."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch.distributed.tensor import DTensor

from engine.sharing import whole
from engine.spec import LoopHyperparameters

MOMENTUM = 0.9
# A model's recommended rate is AdamW's, whose steps have the length of the rate. Adafactor's are
# relative to the weights' size, SGD's to the gradient's: these factors make steps of like size.
RATE_FACTORS = {"adamw": 1.0, "adafactor": 10.0, "sgd": 100.0}


def automatic_rate(hyperparameters: LoopHyperparameters, recommended: float) -> float:
    """The rate asked for, or what AdamW's recommended one means to the chosen optimizer."""
    factor = RATE_FACTORS[hyperparameters.optimizer]
    return hyperparameters.learning_rate or recommended * factor


def parameter_groups(
    network: torch.nn.Module, hyperparameters: LoopHyperparameters, recommended: float
) -> list[dict[str, Any]]:
    """All weights at one rate; matrices decay, biases and scales do not."""
    rate = automatic_rate(hyperparameters, recommended)
    parameters = list(network.parameters())
    matrices = [one for one in parameters if one.ndim > 1]
    others = [one for one in parameters if one.ndim <= 1]
    return [
        {"params": matrices, "lr": rate, "weight_decay": hyperparameters.weight_decay},
        {"params": others, "lr": rate, "weight_decay": 0.0},
    ]


def make_optimizer(
    hyperparameters: LoopHyperparameters, groups: list[dict[str, Any]]
) -> torch.optim.Optimizer:
    if hyperparameters.optimizer == "sgd":
        # Weights divided among processes have no fused SGD.
        is_divided = isinstance(groups[0]["params"][0], DTensor)
        return torch.optim.SGD(groups, momentum=MOMENTUM, fused=not is_divided)
    if hyperparameters.optimizer == "adafactor":
        return torch.optim.Adafactor(groups)
    return torch.optim.AdamW(groups, fused=True)


def rate_factor(hyperparameters: LoopHyperparameters, step: int, total_steps: int) -> float:
    """Share of the peak rate at this step: a linear rise, then the schedule's fall."""
    warmup = round(total_steps * hyperparameters.warmup_fraction)
    if step < warmup:
        return (step + 1) / warmup
    left = (total_steps - step) / max(1, total_steps - warmup)
    if hyperparameters.schedule == "constant":
        return 1.0
    if hyperparameters.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * (1 - left)))
    return left


def clip_gradients(parameters: Iterable[torch.nn.Parameter], largest_norm: float) -> None:
    """Like clip_grad_norm_, but leaves gradients alone when there is nothing to clip, or when
    they overflowed, which the loss scaler handles."""
    parameters = list(parameters)
    gradients = [one.grad for one in parameters if one.grad is not None]
    norm = whole(torch.nn.utils.get_total_norm(gradients))
    if largest_norm < norm < math.inf:
        torch.nn.utils.clip_grads_with_norm_(parameters, largest_norm, norm)


def random_state() -> dict[str, Any]:
    """Of every generator that a network draws from: dropout must fall as it would have."""
    device = torch.cuda.get_rng_state() if torch.cuda.is_available() else None
    return {"cpu": torch.get_rng_state(), "cuda": device}


def restore_random_state(saved: dict[str, Any]) -> None:
    torch.set_rng_state(saved["cpu"])
    if saved["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(saved["cuda"])
