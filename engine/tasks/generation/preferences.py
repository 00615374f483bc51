"""Direct preference optimisation (DPO): of two answers to one question, the preferred one is made
likelier than the base model finds it, and the rejected one less likely.

Rafailov et al., "Direct Preference Optimization: Your Language Model is Secretly a Reward Model",
2023, equation 7.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from engine.data.batching import Batch, length_grouped_batches
from engine.tasks.generation.chat_template import TokenizedExample
from engine.tasks.generation.learner import (
    MAX_VALIDATION_SEQUENCES,
    GenerationLearner,
    compute_sequence_losses,
)
from engine.tasks.generation.packing import (
    batches_of_rows,
    build_padded_batch,
    compute_token_losses,
)
from engine.tasks.generation.prepare import PreparedChats

Pairs = list[tuple[TokenizedExample, TokenizedExample]]  # The preferred and the rejected answer.


def preference_loss(policy: Tensor, reference: Tensor, beta: float) -> Tensor:
    """-log sigmoid(beta * how much further apart the policy holds the two answers), (pairs,).

    Both are (pairs, 2): the summed log-probability of the preferred and of the rejected answer.
    """
    margins = policy - reference
    return -functional.logsigmoid(beta * (margins[:, 0] - margins[:, 1]))


def pairs_of(prepared: PreparedChats, rows: Iterable[int]) -> Pairs:
    """The answers of these rows, as far as both can be learnt from."""
    return [
        (prepared.tokenized_chats[row][0], prepared.rejected[row])
        for row in rows
        if row in prepared.rejected
    ]


def log_probabilities(
    network: torch.nn.Module, pairs: Pairs, device: str, check: Iterable[None] = ()
) -> Tensor:
    """Summed over the tokens of each answer: (pairs, 2), float64, without gradients."""
    flat = [one for pair in pairs for one in pair]
    losses, _ = compute_sequence_losses(network, flat, device, check)
    return torch.from_numpy(-losses).reshape(-1, 2)


class PreferenceLearner(GenerationLearner):
    """Answers for the training loop. Batch numbers count pairs of the training split."""

    def __init__(self, prepared: PreparedChats) -> None:
        super().__init__(prepared)
        self._pairs = pairs_of(prepared, prepared.split.train.tolist())
        held_out = pairs_of(prepared, prepared.split.validation.tolist())
        self._held_out = held_out[:MAX_VALIDATION_SEQUENCES]
        self._lengths = [sum(len(one.ids) for one in pair) for pair in self._pairs]
        # The network is the base model still: a resumed job restores its weights afterwards.
        self._reference = self._log_probabilities(self._pairs)
        self._held_out_reference = self._log_probabilities(self._held_out)

    def _log_probabilities(self, pairs: Pairs, check: Iterable[None] = ()) -> Tensor:
        device = self._prepared.device
        with device.autocast():
            return log_probabilities(self.network, pairs, device.name, check)

    def epoch_batches(self, epoch: int) -> list[list[Batch]]:
        chosen = self._prepared.spec.hyperparameters
        if chosen.rows_per_step:
            return batches_of_rows(
                self._lengths,
                chosen.rows_per_step,
                chosen.batch_tokens,
                seed=chosen.seed,
                epoch=epoch,
            )
        return length_grouped_batches(
            self._lengths, chosen.batch_tokens, seed=chosen.seed, epoch=epoch
        )

    def loss(self, rows: Batch) -> Tensor:
        flat = [one for row in rows.tolist() for one in self._pairs[row]]
        batch = build_padded_batch(flat, self._prepared.device.name)
        losses, lines = compute_token_losses(self.network, batch)
        sums = torch.zeros(len(flat), device=losses.device).index_add(0, lines, losses)
        reference = self._reference[rows].to(losses.device, torch.float32)
        beta = self._prepared.spec.hyperparameters.beta
        return preference_loss(-sums.reshape(-1, 2), reference, beta).mean()

    def weight(self, rows: Batch) -> float:
        return float(len(rows))

    def memory_cost(self, rows: Batch) -> float:
        return float(len(rows) * max(self._lengths[row] for row in rows.tolist()))

    def validate(self, check: Iterable[None]) -> dict[str, float]:
        """The loss, and the share of pairs that are ordered rightly against the base model."""
        if not self._held_out:
            return {}
        policy = self._log_probabilities(self._held_out, check)
        beta = self._prepared.spec.hyperparameters.beta
        return {
            "validation_loss": float(
                preference_loss(policy, self._held_out_reference, beta).mean()
            ),
            "validation_preference_accuracy": ordered_share(policy, self._held_out_reference),
        }

    def summary(self, metrics: dict[str, float]) -> str:
        return (
            f"loss of a pair {metrics['validation_loss']:.3f}, the preferred answer gained on the"
            f" rejected one in {metrics['validation_preference_accuracy']:.0%} of pairs"
        )


def ordered_share(policy: Tensor, reference: Tensor) -> float:
    """Of pairs, (pairs, 2) each: how many the policy moved towards the preferred answer."""
    margins = policy - reference
    return float((margins[:, 0] > margins[:, 1]).double().mean())


def report_sentence(
    prepared: PreparedChats,
    network: torch.nn.Module,
    reference: torch.nn.Module,
    rows: Sequence[int],
) -> str:
    """How the trained network orders the answers of test rows, for the report."""
    pairs = pairs_of(prepared, rows)
    if not pairs:
        return ""
    device = str(next(network.parameters()).device)
    ours, base = (log_probabilities(one, pairs, device) for one in (network, reference))
    gained = np.round(100 * ordered_share(ours, base))
    return (
        f"Of {'1 test pair' if len(pairs) == 1 else f'{len(pairs):,} test pairs'}"
        " the preferred answer gained on the rejected one in"
        f" {gained:.0f} %, against the model before training."
    )
