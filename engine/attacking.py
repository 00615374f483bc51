"""Gradient-based attacks on the embeddings of a text model: FGSM and PGD, and its accuracy then.

An upper bound on how fragile a model is: no typed text moves embeddings so precisely. The size of
a step is relative to the mean length of the embeddings under attack, so models can be compared.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.metrics.paired import compare_right
from engine.metrics.resampling import percentiles

EPSILONS = (0.03, 0.1)  # Of the mean embedding length.
PGD_STEPS = 3
MOST_TOKENS = 1500  # Of all attacked rows: an attack costs thirty passes.
BATCH_ROWS = 16
METHOD = (
    "FGSM (Goodfellow et al. 2015) and PGD (Madry et al. 2018) on token embeddings, L2 steps"
    f" relative to their mean length; {PGD_STEPS} steps for PGD"
)
Forward = Callable[[Tensor, Tensor], Tensor]
Encoded = Sequence[Sequence[int]]


@contextmanager
def shifted(embedding: nn.Module, shift: Tensor) -> Iterator[None]:
    """Add `shift` (batch, tokens, width) to what the embedding layer gives."""
    handle = embedding.register_forward_hook(lambda _module, _inputs, output: output + shift)
    try:
        yield
    finally:
        handle.remove()


def attack(
    forward: Forward, embedding: nn.Module, encoded: Encoded, true: Sequence[int]
) -> dict[str, Any]:
    """Accuracy of `forward(ids, mask)` -> logits on the first rows, MOST_TOKENS together, without
    and under attack; `embedding` is the layer that turns ids into vectors."""
    reached = np.cumsum([len(row) for row in encoded])
    count = max(1, int((reached <= MOST_TOKENS).sum()))
    rows, labels = list(encoded[:count]), torch.tensor(list(true[:count]))
    clean = _right(forward, embedding, rows, labels, lambda *_: None)
    results = []
    for epsilon in EPSILONS:
        for name, steps in (("FGSM", 1), ("PGD", PGD_STEPS)):
            attacker = _attacker(forward, embedding, epsilon, steps)
            right = _right(forward, embedding, rows, labels, attacker)
            found = {"attack": name, "epsilon": epsilon, **accuracy_of(right)}
            results.append(found | {"significance": compare_right(right, clean, "accuracy")})
    return {"rows": count, "clean": accuracy_of(clean), "attacks": results, "method": METHOD}


Attacker = Callable[[Tensor, Tensor, Tensor], Tensor | None]


def _attacker(forward: Forward, embedding: nn.Module, epsilon: float, steps: int) -> Attacker:
    def attacker(ids: Tensor, mask: Tensor, labels: Tensor) -> Tensor:
        def loss_of(outputs: Tensor) -> Tensor:
            return functional.cross_entropy(outputs, labels)

        return perturbation(forward, embedding, ids, mask, loss_of, epsilon=epsilon, steps=steps)

    return attacker


def _right(
    forward: Forward, embedding: nn.Module, rows: Encoded, labels: Tensor, attacker: Attacker
) -> Any:
    """Which rows are answered right under this attack."""
    found = []
    for start in range(0, len(rows), BATCH_ROWS):
        ids, mask = padded(rows[start : start + BATCH_ROWS])
        truth = labels[start : start + BATCH_ROWS]
        shift = attacker(ids, mask, truth)
        with torch.no_grad(), _maybe_shifted(embedding, shift):
            found.append((forward(ids, mask).argmax(dim=1) == truth).numpy())
    return np.concatenate(found)


def _maybe_shifted(embedding: nn.Module, shift: Tensor | None) -> AbstractContextManager[None]:
    return nullcontext() if shift is None else shifted(embedding, shift)


def perturbation(
    forward: Forward,
    embedding: nn.Module,
    ids: Tensor,
    mask: Tensor,
    loss_of: Callable[[Tensor], Tensor],
    *,
    epsilon: float,
    steps: int = 1,
) -> Tensor:
    """The shift of embeddings, at most epsilon times their mean length per token, that raises the
    loss most: one step is FGSM, several with projection PGD. Shape (batch, tokens, width)."""
    with torch.no_grad():
        vectors = embedding(ids)  # (batch, tokens, width)
    real = mask.unsqueeze(-1).to(vectors.dtype)
    reach = epsilon * (vectors.norm(dim=-1, keepdim=True) * real).sum() / real.sum().clamp(min=1)
    shift = torch.zeros_like(vectors)
    for _ in range(steps):
        shift = shift.detach().requires_grad_(True)
        with torch.enable_grad(), shifted(embedding, shift):
            (slope,) = torch.autograd.grad(loss_of(forward(ids, mask)), shift)
        stride = reach if steps == 1 else 2.5 * reach / steps
        step = stride * slope / slope.norm(dim=-1, keepdim=True).clamp(min=1e-12)
        moved = (shift + step).detach() * real
        length = moved.norm(dim=-1, keepdim=True).clamp(min=1e-12)
        shift = moved * (reach / length).clamp(max=1)
    return shift.detach()


def padded(rows: Encoded) -> tuple[Tensor, Tensor]:
    """Ids and mask (rows, tokens), int64."""
    longest = max(map(len, rows))
    ids, mask = (torch.zeros((len(rows), longest), dtype=torch.long) for _ in range(2))
    for place, row in enumerate(rows):
        ids[place, : len(row)] = torch.tensor(list(row), dtype=torch.long)
        mask[place, : len(row)] = 1
    return ids, mask


def accuracy_of(right: Any) -> dict[str, float | None]:
    """Share of True with its 95% interval."""
    share = float(right.mean())
    draws = np.random.default_rng(0).binomial(len(right), share, size=1000) / len(right)
    low, high = percentiles(draws)
    return {"accuracy": share, "low": low, "high": high}
