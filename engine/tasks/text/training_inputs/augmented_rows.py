"""Training rows as augmented token ids, and how well a network reads such rows."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engine.data.augmentation.texts import augment_texts
from engine.data.tokenization import pad_token_ids, tokenize_texts
from engine.tasks.shared import Rows
from engine.tasks.text.embeddings import predict
from engine.tasks.text.network import TextNetwork
from engine.tasks.text.prepare import PreparedTexts

MAX_DRAWS = 6  # Later epochs read the same draws again: tokens are computed before the first step.
VALIDATION_DRAW = -1
MAX_MEASURED_ROWS = 300


class AugmentedRows:
    """Some draws of every training row. Indices count within the training rows."""

    def __init__(self, prepared: PreparedTexts, train: Rows) -> None:
        draws = range(min(max(1, prepared.epochs), MAX_DRAWS))
        self._draws = [_draw_ids(prepared, train, draw) for draw in draws]

    def padded(self, indices: Rows, epoch: int, device: str) -> tuple[Tensor, Tensor]:
        """Ids and mask, (rows, tokens), int64."""
        draw = self._draws[epoch % len(self._draws)]
        ids, mask = pad_token_ids([draw[index] for index in indices])
        return torch.from_numpy(ids).to(device), torch.from_numpy(mask).to(device)

    def token_ids(self) -> npt.NDArray[np.int32]:
        """Every token that occurs, each once."""
        return np.unique(np.concatenate([ids for draw in self._draws for ids in draw]))


def _draw_ids(
    prepared: PreparedTexts, rows: Rows, draw: int, **options: float
) -> list[npt.NDArray[np.int32]]:
    hyperparameters = prepared.spec.hyperparameters
    texts = augment_texts(
        prepared.examples.texts, rows,
        kind=hyperparameters.augmentation, seed=hyperparameters.seed, draw=draw, **options,
    )  # fmt: skip
    return tokenize_texts(prepared.tokenizer, texts, prepared.rows.max_length).ids


def measure_augmented_quality(prepared: PreparedTexts, network: TextNetwork) -> float | None:
    """Quality of the network as it stands on validation rows that are all changed; None without
    augmentation or validation rows."""
    rows = prepared.split.validation[:MAX_MEASURED_ROWS]
    if prepared.spec.hyperparameters.augmentation == "none" or not len(rows):
        return None
    ids = list(prepared.rows.ids)
    changed = _draw_ids(prepared, rows, VALIDATION_DRAW, unchanged_share=0.0)
    for row, own in zip(rows.tolist(), changed, strict=True):
        ids[row] = own
    disturbed = replace(prepared, rows=replace(prepared.rows, ids=ids))
    return prepared.prediction_head.quality(predict(disturbed, network, rows), rows)
