"""From a spec to chats as tokens, a split and a tokenizer: all before the first step."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import PreTrainedModel

from engine import catalog
from engine.artifact import verify
from engine.catalog import BaseModelEntry
from engine.data.splitting import Indices, Split
from engine.errors import BadTrainingData
from engine.events import Reporter
from engine.loop.device import prepare_device
from engine.progress import ProgressTracker
from engine.spec import GenerationSpec
from engine.tasks.generation import base_models
from engine.tasks.generation.chat_template import TokenizedExample, tokenize_chat, truncate
from engine.tasks.generation.chats import (
    ChatDataset,
    read_chats,
    split_chats,
)
from engine.tasks.generation.messages import Chat, InvalidChat
from engine.tasks.generation.packing import count_target_tokens
from engine.tasks.shared import PreparedJob
from engine.tasks.text.base_models import locate_base_model, read_config

# Of a tokenizer learnt from the training rows: a piece must be seen often to be learnt.
MIN_VOCABULARY_SIZE, MAX_VOCABULARY_SIZE, CHARACTERS_PER_TOKEN = 512, 4096, 50
FEW_TEST_ROWS = 30


@dataclass
class PreparedChats(PreparedJob[GenerationSpec]):
    """Tokenised chats. Row numbers count usable chats."""

    chats: ChatDataset
    tokenizer: Any
    # By chat; those without tokens to learn are left out.
    tokenized_chats: dict[int, list[TokenizedExample]]
    # The same chats with the answer to avoid; empty without preferences.
    rejected: dict[int, TokenizedExample]
    max_length: int
    base_folder: Path | None  # None: random weights.

    @property
    def is_from_scratch(self) -> bool:
        return self.base_folder is None

    @property
    def recommended_learning_rate(self) -> float:
        return super().recommended_learning_rate * self.spec.rate_factor

    @property
    def method(self) -> str:
        return self.spec.hyperparameters.chosen_method(from_scratch=self.is_from_scratch)

    @property
    def epochs(self) -> int:
        return self.spec.hyperparameters.planned_epochs(
            len(self.split.train), from_scratch=self.is_from_scratch
        )

    def sequences(self, rows: Indices) -> list[TokenizedExample]:
        """All sequences of these rows, in order."""
        return [one for row in rows.tolist() for one in self.tokenized_chats.get(row, [])]

    def create_network(self) -> PreTrainedModel:
        """The base model before training, on the device; random weights from the seed."""
        hyperparameters = self.spec.hyperparameters
        # Eager is quicker than the fused kernel on processors at full precision, and only there.
        is_exact_cpu = self.device.name == "cpu" and self.device.precision == "fp32"
        attention, dropout = "eager" if is_exact_cpu else "sdpa", hyperparameters.dropout
        torch.manual_seed(hyperparameters.seed)
        if self.base_folder is None:
            network = base_models.create_network(
                self.base_model, self.tokenizer, attention, dropout
            )
        else:
            network = base_models.load_network(self.base_folder, attention, dropout)
        return network.to(self.device.name)


def prepare(spec: GenerationSpec, progress: ProgressTracker, report: Reporter) -> PreparedChats:
    """Read, split and tokenise the chats and find the base model."""
    progress.start_phase("loading")
    device = prepare_device(spec)
    chats = read_chats(spec)
    split = split_chats(chats, spec)
    entry, folder = catalog.get_base_model(spec.base_model), None
    if spec.initial_model is not None:
        verify(spec.initial_model)
        folder = spec.initial_model
    elif entry.source.kind != "scratch":
        folder = locate_base_model(entry, lambda: progress.start_phase("downloading"))
    progress.start_phase("preparing")
    tokenizer, longest = _load_or_train_tokenizer(entry, folder, chats, split)
    longest = min(longest, spec.hyperparameters.max_length)
    tokenized_chats, length_warnings = _tokenize_chats(tokenizer, chats, chats.chats, longest)
    rejected = {}
    if spec.is_preference:
        others, more_warnings = _tokenize_chats(tokenizer, chats, chats.rejected, longest)
        length_warnings += more_warnings
        both = tokenized_chats.keys() & others.keys()
        tokenized_chats = {row: tokenized_chats[row] for row in sorted(both)}
        rejected = {row: others[row][0] for row in tokenized_chats}
    if not any(row in tokenized_chats for row in split.train.tolist()):
        raise BadTrainingData(
            "nothing_to_learn", "No training row holds an answer that fits the longest example."
        )
    prepared = PreparedChats(
        spec=spec,
        split=split,
        device=device,
        warnings=[*chats.warnings, *split.warnings, *length_warnings, *_data_warnings(split)],
        chats=chats,
        tokenizer=tokenizer,
        tokenized_chats=tokenized_chats,
        rejected=rejected,
        max_length=longest,
        base_folder=folder,
    )
    prepared.report_dataset(report, labels=[])
    return prepared


def _load_or_train_tokenizer(
    entry: BaseModelEntry, folder: Path | None, chats: ChatDataset, split: Split
) -> tuple[Any, int]:
    """The base model's, and its longest input; else one learnt from the training rows alone."""
    if folder is not None:
        longest = base_models.max_context_tokens(read_config(folder))
        return base_models.load_tokenizer(folder), longest
    texts = [message["content"] for row in split.train for message in chats.chats[row]]
    affordable = sum(map(len, texts)) // CHARACTERS_PER_TOKEN
    vocabulary = min(MAX_VOCABULARY_SIZE, max(MIN_VOCABULARY_SIZE, affordable))
    tokenizer = base_models.train_tokenizer(texts, vocabulary)
    return tokenizer, int(entry.source.config["max_position_embeddings"])


def _tokenize_chats(
    tokenizer: Any, source: ChatDataset, chats: list[Chat], longest: int
) -> tuple[dict[int, list[TokenizedExample]], list[str]]:
    """Sequences of every chat, and warnings on what had to be cut. `source` knows their rows."""
    tokenized: dict[int, list[TokenizedExample]] = {}
    cut_sides: list[str] = []
    for index, chat in enumerate(chats):
        try:
            examples = tokenize_chat(tokenizer, chat, index)
        except InvalidChat as problem:
            raise BadTrainingData(
                "bad_chats", f"Row {source.rows[index] + 1}: the chat {problem}"
            ) from None
        for example in examples:
            truncated, side = truncate(example, longest)
            cut_sides.append(side)
            if count_target_tokens(truncated):
                tokenized.setdefault(index, []).append(truncated)
    both, ends = cut_sides.count("start"), cut_sides.count("end")
    if not both and not ends:
        return tokenized, []
    cut = both + ends
    warning = (
        f"1 example is longer than {longest:,} tokens: its end is cut."
        if cut == 1
        else f"{cut:,} examples are longer than {longest:,} tokens: their ends are cut."
    )
    if both:
        warning += f" Of {both:,} the beginning is too, so that answers are seen."
    return tokenized, [warning]


def _data_warnings(split: Split) -> list[str]:
    warnings = [
        f"A model tuned on {len(split.train):,} examples can repeat them word for word, names"
        " and secrets included: share it only with those who may read the rows."
    ]
    if len(split.test) < FEW_TEST_ROWS:
        warnings.append(
            f"Only {'1 test row' if len(split.test) == 1 else f'{len(split.test)} test rows'}: the"
            " reported numbers are rough."
        )
    return warnings


def sequence_lengths(sequences: list[TokenizedExample]) -> npt.NDArray[np.int64]:
    """Tokens of each sequence."""
    return np.array([len(sequence.ids) for sequence in sequences], dtype=np.int64)
