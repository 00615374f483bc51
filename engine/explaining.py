"""Which words, columns or pixels made the answer: attributions with captum, signed.

Positive speaks for the explained label, negative against it. Texts need the network (integrated
gradients); tables and images only a function that answers, so what is served can be explained.
"""

from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from engine.attacking import Forward

STEPS = 24
SHAPLEY_DRAWS = 20
PATCHES = 14  # An image is explained on a grid of so many squares each way.
LARGEST_SHOWN_TABLE = 40
METHOD = f"integrated gradients on token embeddings, {STEPS} steps, captum {version('captum')}"


def text_explainer(
    forward: Forward, embedding: nn.Module, tokenizer: Tokenizer, max_length: int
) -> Callable[[str, int], dict[str, Any]]:
    """A function of text and target giving its words with their attribution to that output.

    `forward(ids, mask)` -> (rows, outputs); target is a column of them.
    """
    from captum.attr import LayerIntegratedGradients

    method = LayerIntegratedGradients(forward, embedding)

    def explain(text: str, target: int) -> dict[str, Any]:
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_length)
        encoding = tokenizer.encode(text.strip())
        ids = torch.tensor([encoding.ids], dtype=torch.long)
        if not ids.numel():
            return {"words": [], "method": METHOD, "unexplained": 0.0}
        mask = torch.ones_like(ids)
        found, delta = method.attribute(
            ids,
            baselines=_blank(encoding, tokenizer),
            target=target,
            additional_forward_args=(mask,),
            n_steps=STEPS,
            internal_batch_size=STEPS,
            return_convergence_delta=True,
        )
        scores = found.sum(dim=-1)[0].detach().numpy()  # (tokens,)
        words = _words(text.strip(), encoding, scores)
        return {
            "words": words,
            "method": METHOD,
            "unexplained": float(delta.abs().max()),
        }

    return explain


def _blank(encoding: Any, tokenizer: Tokenizer) -> Tensor:
    """The same length with nothing said: padding in place of words, special tokens kept."""
    names = ("[PAD]", "<pad>", "[MASK]", "<mask>")
    known = (tokenizer.token_to_id(name) for name in names)
    nothing = next((number for number in known if number is not None), 0)
    pairs = zip(encoding.ids, encoding.special_tokens_mask, strict=True)
    return torch.tensor([[number if special else nothing for number, special in pairs]])


def _words(text: str, encoding: Any, scores: Any) -> list[dict[str, Any]]:
    """Pieces of one word are added up; what stands between words keeps its place in the text."""
    words: list[dict[str, Any]] = []
    last: int | None = None
    for word, (start, end), score in zip(encoding.word_ids, encoding.offsets, scores, strict=True):
        if word is None or end <= start:
            continue
        if word == last:
            words[-1]["end"], words[-1]["score"] = end, words[-1]["score"] + float(score)
        else:
            words.append({"start": start, "end": end, "score": float(score)})
        last = word
    for entry in words:
        entry["text"] = text[entry["start"] : entry["end"]]
    return words


def explain_cells(
    answer: Callable[[list[dict[str, Any]]], Sequence[float]],
    row: dict[str, Any],
    typical: dict[str, Any],
) -> dict[str, Any]:
    """Shapley values of one row's cells: how much each moves the answer away from a typical row's.

    `answer` gives the explained output (a probability or a number) of rows of any cells.
    """
    from captum.attr import ShapleyValueSampling

    names = list(row)

    def forward(present: Tensor) -> Tensor:
        rows = [
            {
                name: (row if kept else typical).get(name)
                for name, kept in zip(names, mask, strict=True)
            }
            for mask in present.bool().tolist()
        ]
        return torch.tensor(list(answer(rows)), dtype=torch.float32)

    torch.manual_seed(0)
    found = ShapleyValueSampling(forward).attribute(
        torch.ones(1, len(names)),
        baselines=torch.zeros(1, len(names)),
        n_samples=SHAPLEY_DRAWS,
        perturbations_per_eval=16,
    )[0]
    cells = [
        {"column": name, "value": row[name], "score": float(score)}
        for name, score in zip(names, found, strict=True)
    ]
    cells.sort(key=lambda cell: -abs(cell["score"]))
    return {
        "cells": cells[:LARGEST_SHOWN_TABLE],
        "method": f"Shapley values by sampling, {SHAPLEY_DRAWS} orders, captum {version('captum')}",
    }


def column_importance(
    loss: Callable[[dict[str, list[Any]]], float],
    table: dict[str, list[Any]],
    seed: int = 0,
    repeats: int = 5,
) -> dict[str, Any]:
    """How much worse `loss` gets when one column is shuffled: mean and spread over repeats."""
    dice, before = np.random.default_rng(seed), loss(table)
    found = []
    for name, cells in table.items():
        worse = []
        for _ in range(repeats):
            order = dice.permutation(len(cells))
            worse.append(loss({**table, name: [cells[place] for place in order]}) - before)
        found.append(
            {"column": name, "score": float(np.mean(worse)), "spread": float(np.std(worse))}
        )
    found.sort(key=lambda one: -float(str(one["score"])))
    return {
        "columns": found[:LARGEST_SHOWN_TABLE],
        "method": f"permutation importance on the test rows, {repeats} shuffles (Breiman 2001)",
    }


def explain_pixels(
    answer: Callable[[npt.NDArray[np.float32]], Sequence[float]], image: npt.NDArray[np.float32]
) -> dict[str, Any]:
    """How much the answer falls when a square of the image is greyed out, on a PATCHES grid.

    `answer` gives the explained output of images (rows, height, width, channels).
    """
    from captum.attr import FeatureAblation

    height, width = image.shape[:2]
    rows = np.minimum(np.arange(height) * PATCHES // height, PATCHES - 1)
    columns = np.minimum(np.arange(width) * PATCHES // width, PATCHES - 1)
    squares = torch.from_numpy(rows[:, None] * PATCHES + columns[None, :])  # (height, width)

    def forward(inputs: Tensor) -> Tensor:
        return torch.tensor(list(answer(inputs.numpy())), dtype=torch.float32)

    pixels = torch.tensor(image, dtype=torch.float32)[None]
    found = FeatureAblation(forward).attribute(
        pixels,
        baselines=float(image.mean()),
        feature_mask=squares[None, :, :, None].expand_as(pixels),
        perturbations_per_eval=16,
    )[0]
    grid = np.zeros(PATCHES * PATCHES)
    grid[squares.numpy().ravel()] = found[..., 0].numpy().ravel()
    return {
        "grid": grid.reshape(PATCHES, PATCHES).tolist(),
        "method": f"squares greyed out one by one, {PATCHES} by {PATCHES}, captum"
        f" {version('captum')}",
    }
