"""Optimizers, schedules and clipping as the hyperparameters name them; the random state."""

import math
from collections.abc import Iterable
from typing import TypedDict

import torch
from torch.distributed.tensor import DTensor

from engine.distributed.tensors import full_tensor
from engine.spec import LoopHyperparameters

MOMENTUM = 0.9
# A base model's recommended rate is for AdamW, whose steps have the length of the rate. Adafactor's
# are relative to the weights' size, SGD's to the gradient's: these factors make steps of like size.
LEARNING_RATE_FACTORS = {"adamw": 1.0, "adafactor": 10.0, "sgd": 100.0}


def resolve_learning_rate(hyperparameters: LoopHyperparameters, recommended: float) -> float:
    """The rate in the hyperparameters, or AdamW's recommended one converted to the optimizer."""
    factor = LEARNING_RATE_FACTORS[hyperparameters.optimizer]
    return hyperparameters.learning_rate or recommended * factor


class ParameterGroup(TypedDict):
    """One of torch's parameter groups; `lr` is the peak of its schedule."""

    params: list[torch.nn.Parameter]
    lr: float
    weight_decay: float


def parameter_groups(
    network: torch.nn.Module,
    hyperparameters: LoopHyperparameters,
    recommended: float,
    *,
    undecayed: str | None = None,
) -> list[ParameterGroup]:
    """All weights that learn, at one rate. Matrices decay; biases, scales and those whose names
    contain `undecayed` (embeddings, say) do not."""
    rate = resolve_learning_rate(hyperparameters, recommended)
    decayed: list[torch.nn.Parameter] = []
    others: list[torch.nn.Parameter] = []
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            is_named = undecayed is not None and undecayed in name.casefold()
            (decayed if parameter.ndim > 1 and not is_named else others).append(parameter)
    groups = [
        ParameterGroup(params=decayed, lr=rate, weight_decay=hyperparameters.weight_decay),
        ParameterGroup(params=others, lr=rate, weight_decay=0.0),
    ]
    return [group for group in groups if group["params"]]


def make_optimizer(
    hyperparameters: LoopHyperparameters, groups: list[ParameterGroup]
) -> torch.optim.Optimizer:
    torch_groups = [dict(group) for group in groups]
    if hyperparameters.optimizer == "sgd":
        # torch has no fused SGD for sharded weights.
        is_sharded = isinstance(groups[0]["params"][0], DTensor)
        return torch.optim.SGD(torch_groups, momentum=MOMENTUM, fused=not is_sharded)
    if hyperparameters.optimizer == "adafactor":
        return torch.optim.Adafactor(torch_groups)
    return torch.optim.AdamW(torch_groups, fused=True)


def lr_schedule_factor(hyperparameters: LoopHyperparameters, step: int, total_steps: int) -> float:
    """Share of the peak rate at this step: a linear rise, then the schedule's fall."""
    warmup = round(total_steps * hyperparameters.warmup_fraction)
    if step < warmup:
        return (step + 1) / warmup
    remaining = (total_steps - step) / max(1, total_steps - warmup)
    if hyperparameters.schedule == "constant":
        return 1.0
    if hyperparameters.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * (1 - remaining)))
    return remaining


def clip_gradients(parameters: Iterable[torch.nn.Parameter], largest_norm: float) -> None:
    """Like clip_grad_norm_, but leaves gradients alone when there is nothing to clip, or when
    they overflowed, which the loss scaler handles."""
    parameters = list(parameters)
    gradients = [part.grad for part in parameters if part.grad is not None]
    norm = full_tensor(torch.nn.utils.get_total_norm(gradients))
    if largest_norm < norm < math.inf:
        torch.nn.utils.clip_grads_with_norm_(parameters, largest_norm, norm)


class RngState(TypedDict):
    cpu: torch.Tensor
    cuda: torch.Tensor | None


def get_rng_state() -> RngState:
    """The state of every generator that a network draws from, so that dropout can be repeated."""
    cuda = torch.cuda.get_rng_state() if torch.cuda.is_available() else None
    return {"cpu": torch.get_rng_state(), "cuda": cuda}


def set_rng_state(saved: RngState) -> None:
    torch.set_rng_state(saved["cpu"])
    if saved["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(saved["cuda"])
