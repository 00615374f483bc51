"""Attributions with captum: how much each word, column or pixel adds to an answer.

Positive scores count for the explained label, negative ones against it. Texts need the network
(integrated gradients); tables and images only need a function that predicts, such as a served file.
"""

import re
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from typing_extensions import TypedDict

from engine.analysis.adversarial_attacks import ForwardFunction

INTEGRATION_STEPS = 24
SHAPLEY_SAMPLES = 20
PATCHES_PER_SIDE = 14  # An image is explained on a grid of so many squares each way.
MAX_DISPLAY_COLUMNS = 40
CAPTUM = f"captum {version('captum')}"
TEXT_ATTRIBUTION_METHOD = (
    f"integrated gradients on token embeddings, {INTEGRATION_STEPS} steps, {CAPTUM}"
)

NGRAM_ATTRIBUTION_METHOD = "exact: what each word adds to the linear model's output"
WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\u0e00-\u0e7f]|[^\W_]+|[^\w\s]")


class WordScore(TypedDict):
    start: int
    end: int
    text: str
    score: float


class TextAttribution(TypedDict):
    words: list[WordScore]
    method: str
    unexplained: float


class CellScore(TypedDict):
    column: str
    value: Any
    score: float


class RowAttribution(TypedDict):
    cells: list[CellScore]
    method: str


class ColumnImportance(TypedDict):
    column: str
    score: float
    spread: float


class TableImportance(TypedDict):
    columns: list[ColumnImportance]
    method: str


class ImageAttribution(TypedDict):
    grid: list[list[float]]
    method: str


def make_text_explainer(
    forward: ForwardFunction, embedding: nn.Module, tokenizer: Tokenizer, max_length: int
) -> Callable[[str, int], TextAttribution]:
    """A function of a text and an output that returns the words with their attributions to it.

    `forward(ids, mask)` -> (rows, outputs); the output is a column of them.
    """
    from captum.attr import LayerIntegratedGradients

    method = LayerIntegratedGradients(forward, embedding)

    def explain(text: str, target: int) -> TextAttribution:
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_length)
        encoding = tokenizer.encode(text.strip())
        ids = torch.tensor([encoding.ids], dtype=torch.long)
        if not ids.numel():
            return {"words": [], "method": TEXT_ATTRIBUTION_METHOD, "unexplained": 0.0}
        mask = torch.ones_like(ids)
        attributions, delta = method.attribute(
            ids,
            baselines=_baseline_token_ids(encoding, tokenizer),
            target=target,
            additional_forward_args=(mask,),
            n_steps=INTEGRATION_STEPS,
            internal_batch_size=INTEGRATION_STEPS,
            return_convergence_delta=True,
        )
        scores = attributions.sum(dim=-1)[0].detach().numpy()  # (tokens,)
        return {
            "words": _merge_word_scores(text.strip(), encoding, scores),
            "method": TEXT_ATTRIBUTION_METHOD,
            "unexplained": float(delta.abs().max()),
        }

    return explain


def make_ngram_explainer(
    contributions: Callable[[Sequence[int], int], Sequence[float]],
    tokenizer: Tokenizer,
    max_length: int,
) -> Callable[[str, int], TextAttribution]:
    """The same for a linear model on n-grams, exactly: `contributions(ids, output)` of each token
    add up, with the bias, to the output."""

    def explain(text: str, target: int) -> TextAttribution:
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_length)
        stripped = text.strip()
        encoding = tokenizer.encode(stripped)
        scores = contributions(encoding.ids, target)
        places = zip(encoding.offsets, scores, strict=True)
        tokens = [(start, end, score) for (start, end), score in places if end > start]
        words = _join_characters(stripped, tokens)
        return {"words": words, "method": NGRAM_ATTRIBUTION_METHOD, "unexplained": 0.0}

    return explain


def _join_characters(text: str, tokens: Sequence[tuple[int, int, float]]) -> list[WordScore]:
    """Words of the text with the scores of their tokens added up; each character of a script that
    is written without blanks is a word."""
    words: list[WordScore] = []
    for match in WORD.finditer(text):
        score = sum(score for start, _, score in tokens if match.start() <= start < match.end())
        words.append(
            {"start": match.start(), "end": match.end(), "text": match.group(), "score": score}
        )
    return words


def _baseline_token_ids(encoding: Any, tokenizer: Tokenizer) -> Tensor:
    """The same length without content: padding in place of words, special tokens kept."""
    names = ("[PAD]", "<pad>", "[MASK]", "<mask>")
    known = (tokenizer.token_to_id(name) for name in names)
    padding = next((token for token in known if token is not None), 0)
    pairs = zip(encoding.ids, encoding.special_tokens_mask, strict=True)
    return torch.tensor([[token if is_special else padding for token, is_special in pairs]])


def _merge_word_scores(text: str, encoding: Any, scores: Sequence[float]) -> list[WordScore]:
    """Scores of whole words: those of a word's tokens are added up."""
    words: list[WordScore] = []
    last: int | None = None
    for word, (start, end), score in zip(encoding.word_ids, encoding.offsets, scores, strict=True):
        if word is None or end <= start:
            continue
        if word == last:
            words[-1]["end"], words[-1]["score"] = end, words[-1]["score"] + float(score)
        else:
            words.append({"start": start, "end": end, "text": "", "score": float(score)})
        last = word
    for entry in words:
        entry["text"] = text[entry["start"] : entry["end"]]
    return words


def explain_row(
    answer: Callable[[list[dict[str, Any]]], Sequence[float]],
    row: dict[str, Any],
    typical: dict[str, Any],
) -> RowAttribution:
    """Shapley values of one row's cells: how much each changes the answer from a typical row's.

    `answer` returns the explained output, a probability or a number, of any rows.
    """
    from captum.attr import ShapleyValueSampling

    names = list(row)

    def forward(present: Tensor) -> Tensor:
        rows = [
            {
                name: (row if is_used else typical).get(name)
                for name, is_used in zip(names, mask, strict=True)
            }
            for mask in present.bool().tolist()
        ]
        return torch.tensor(list(answer(rows)), dtype=torch.float32)

    torch.manual_seed(0)
    scores = ShapleyValueSampling(forward).attribute(
        torch.ones(1, len(names)),
        baselines=torch.zeros(1, len(names)),
        n_samples=SHAPLEY_SAMPLES,
        perturbations_per_eval=16,
    )[0]
    cells: list[CellScore] = [
        {"column": name, "value": row[name], "score": float(score)}
        for name, score in zip(names, scores, strict=True)
    ]
    cells.sort(key=lambda cell: -abs(cell["score"]))
    return {
        "cells": cells[:MAX_DISPLAY_COLUMNS],
        "method": f"Shapley values by sampling, {SHAPLEY_SAMPLES} orders, {CAPTUM}",
    }


def permutation_importance(
    loss: Callable[[dict[str, list[Any]]], float],
    table: dict[str, list[Any]],
    seed: int = 0,
    repeats: int = 5,
) -> TableImportance:
    """How much worse `loss` gets when one column is shuffled: mean and spread over repeats."""
    rng, before = np.random.default_rng(seed), loss(table)
    columns: list[ColumnImportance] = []
    for name, cells in table.items():
        increases = []
        for _ in range(repeats):
            order = rng.permutation(len(cells))
            increases.append(loss({**table, name: [cells[place] for place in order]}) - before)
        score, spread = float(np.mean(increases)), float(np.std(increases))
        columns.append({"column": name, "score": score, "spread": spread})
    columns.sort(key=lambda column: -column["score"])
    return {
        "columns": columns[:MAX_DISPLAY_COLUMNS],
        "method": f"permutation importance on the test rows, {repeats} shuffles (Breiman 2001)",
    }


def explain_image(
    answer: Callable[[npt.NDArray[np.float32]], Sequence[float]], image: npt.NDArray[np.float32]
) -> ImageAttribution:
    """How much the answer falls when a square of the image is greyed out, on a grid of
    PATCHES_PER_SIDE squares each way.

    `answer` returns the explained output of images (rows, height, width, channels).
    """
    from captum.attr import FeatureAblation

    height, width = image.shape[:2]
    rows = np.minimum(np.arange(height) * PATCHES_PER_SIDE // height, PATCHES_PER_SIDE - 1)
    columns = np.minimum(np.arange(width) * PATCHES_PER_SIDE // width, PATCHES_PER_SIDE - 1)
    squares = torch.from_numpy(
        rows[:, None] * PATCHES_PER_SIDE + columns[None, :]
    )  # (height, width)

    def forward(inputs: Tensor) -> Tensor:
        return torch.tensor(list(answer(inputs.numpy())), dtype=torch.float32)

    pixels = torch.tensor(image, dtype=torch.float32)[None]
    attributions = FeatureAblation(forward).attribute(
        pixels,
        baselines=float(image.mean()),
        feature_mask=squares[None, :, :, None].expand_as(pixels),
        perturbations_per_eval=16,
    )[0]
    grid = np.zeros(PATCHES_PER_SIDE * PATCHES_PER_SIDE)
    grid[squares.numpy().ravel()] = attributions[..., 0].numpy().ravel()
    return {
        "grid": grid.reshape(PATCHES_PER_SIDE, PATCHES_PER_SIDE).tolist(),
        "method": f"squares greyed out one by one, {PATCHES_PER_SIDE} by {PATCHES_PER_SIDE},"
        f" {CAPTUM}",
    }
