"""Gradient-based attacks on a text model's embeddings, FGSM and PGD, and its accuracy under them.

An upper bound on how fragile a model is: no typed text changes embeddings so precisely. Step sizes
are relative to the mean length of the attacked embeddings, so that models can be compared.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.data.tokenization import pad_token_ids
from engine.evaluation.schema import AccuracyInterval, AttackReport, AttackResult
from engine.metrics.paired import mcnemar_test_of_correctness
from engine.metrics.resampling import percentile_interval
from engine.metrics.shapes import Bools

EPSILONS = (0.03, 0.1)  # Of the mean embedding length.
PGD_STEPS = 3
MAX_TOKENS = 1500  # Of all attacked rows: the attacks cost thirty passes.
BATCH_ROWS = 16
ATTACK_METHOD = (
    "FGSM (Goodfellow et al. 2015) and PGD (Madry et al. 2018) on token embeddings, L2 steps"
    f" relative to their mean length; {PGD_STEPS} steps for PGD"
)
ForwardFunction = Callable[[Tensor, Tensor], Tensor]
TokenIdRows = Sequence[Sequence[int]]


@contextmanager
def perturb_embeddings(embedding: nn.Module, shift: Tensor) -> Iterator[None]:
    """Add `shift` (batch, tokens, width) to the output of the embedding layer."""
    handle = embedding.register_forward_hook(lambda _module, _inputs, output: output + shift)
    try:
        yield
    finally:
        handle.remove()


def evaluate_attacks(
    forward: ForwardFunction, embedding: nn.Module, encoded: TokenIdRows, true: Sequence[int]
) -> AttackReport:
    """Accuracy of `forward(ids, mask)` -> logits without and under attack, on the first rows that
    have MAX_TOKENS together; `embedding` is the layer that turns ids into vectors."""
    tokens_so_far = np.cumsum([len(row) for row in encoded])
    count = max(1, int((tokens_so_far <= MAX_TOKENS).sum()))
    rows, labels = list(encoded[:count]), torch.tensor(list(true[:count]))
    clean = _correct_rows(forward, embedding, rows, labels)
    results: list[AttackResult] = []
    for epsilon in EPSILONS:
        for name, steps in (("FGSM", 1), ("PGD", PGD_STEPS)):
            correct = _correct_rows(forward, embedding, rows, labels, epsilon=epsilon, steps=steps)
            interval = accuracy_with_interval(correct)
            results.append(
                {
                    "attack": name,
                    "epsilon": epsilon,
                    "accuracy": interval["accuracy"],
                    "low": interval["low"],
                    "high": interval["high"],
                    "significance": mcnemar_test_of_correctness(correct, clean, "accuracy"),
                }
            )
    return {
        "rows": count,
        "clean": accuracy_with_interval(clean),
        "attacks": results,
        "method": ATTACK_METHOD,
    }


def _correct_rows(
    forward: ForwardFunction,
    embedding: nn.Module,
    rows: TokenIdRows,
    labels: Tensor,
    *,
    epsilon: float = 0.0,
    steps: int = 0,
) -> Bools:
    """Which rows are answered correctly under an attack of this strength; no steps, no attack."""
    correct = []
    for start in range(0, len(rows), BATCH_ROWS):
        padded = pad_token_ids(rows[start : start + BATCH_ROWS])
        ids, mask = map(torch.from_numpy, padded)  # (rows, tokens), int64
        truth = labels[start : start + BATCH_ROWS]
        shift = compute_perturbation(
            forward,
            embedding,
            ids,
            mask,
            partial(functional.cross_entropy, target=truth),
            epsilon=epsilon,
            steps=steps,
        )
        with torch.no_grad(), perturb_embeddings(embedding, shift):
            correct.append((forward(ids, mask).argmax(dim=1) == truth).numpy())
    return np.concatenate(correct)


def compute_perturbation(
    forward: ForwardFunction,
    embedding: nn.Module,
    ids: Tensor,
    mask: Tensor,
    loss_of: Callable[[Tensor], Tensor],
    *,
    epsilon: float,
    steps: int = 1,
) -> Tensor:
    """The shift (batch, tokens, width) of embeddings that raises the loss most, for each token at
    most epsilon times their mean length: one step is FGSM, several with projection are PGD."""
    with torch.no_grad():
        vectors = embedding(ids)  # (batch, tokens, width)
    real = mask.unsqueeze(-1).to(vectors.dtype)
    radius = epsilon * (vectors.norm(dim=-1, keepdim=True) * real).sum() / real.sum().clamp(min=1)
    shift = torch.zeros_like(vectors)
    for _ in range(steps):
        shift = shift.detach().requires_grad_(True)
        with torch.enable_grad(), perturb_embeddings(embedding, shift):
            (gradient,) = torch.autograd.grad(loss_of(forward(ids, mask)), shift)
        step_size = radius if steps == 1 else 2.5 * radius / steps
        step = step_size * gradient / gradient.norm(dim=-1, keepdim=True).clamp(min=1e-12)
        moved = (shift + step).detach() * real
        length = moved.norm(dim=-1, keepdim=True).clamp(min=1e-12)
        shift = moved * (radius / length).clamp(max=1)
    return shift.detach()


def accuracy_with_interval(correct: Bools) -> AccuracyInterval:
    """Share of True with its 95% interval."""
    share = float(correct.mean())
    draws = np.random.default_rng(0).binomial(len(correct), share, size=1000) / len(correct)
    low, high = percentile_interval(draws)
    return {"accuracy": share, "low": low, "high": high}
