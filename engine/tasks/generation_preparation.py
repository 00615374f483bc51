"""From a spec to chats as tokens, a split and a tokenizer: all before the first step."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

from engine import catalog
from engine import loading as base_models
from engine.device import Device, prepare_device
from engine.errors import BadTrainingData
from engine.events import Data, Reporter
from engine.generation import loading
from engine.generation.batches import learnt_tokens
from engine.generation.chats import BadChat, Chats, prompt_of, read_chats, shown
from engine.generation.rendering import Taught, cut, teach
from engine.progress import JobClock
from engine.spec import GenerationSpec
from engine.splitting import Indices, Split, split

# Of a tokenizer learnt from the training rows: a piece must be seen often to be learnt.
FEWEST_PIECES, MOST_PIECES, CHARACTERS_PER_PIECE = 512, 4096, 50
FEW_TEST_ROWS = 30


@dataclass
class Prepared:
    """Everything known before the first step. Row numbers count usable chats."""

    spec: GenerationSpec
    chats: Chats
    split: Split
    tokenizer: Any
    taught: dict[int, list[Taught]]  # By chat; those without learnable tokens are left out.
    max_length: int
    base_folder: Path | None  # None: random weights.
    device: Device
    warnings: list[str]

    @property
    def method(self) -> str:
        return self.spec.hyperparameters.chosen_method(from_scratch=self.base_folder is None)

    @property
    def epochs(self) -> int:
        return self.spec.hyperparameters.planned_epochs(
            len(self.split.train), from_scratch=self.base_folder is None
        )

    def sequences(self, rows: Indices) -> list[Taught]:
        return [one for row in rows.tolist() for one in self.taught.get(row, [])]

    def new_network(self) -> PreTrainedModel:
        """The base model as it was, on the device; random weights from the seed."""
        dials, attention = self.spec.hyperparameters, loading.attention_for(self.device)
        torch.manual_seed(dials.seed)
        if self.base_folder is None:
            entry = catalog.find(self.spec.base_model)
            network = loading.new_network(entry, self.tokenizer, attention, dials.dropout)
        else:
            network = loading.load_network(self.base_folder, attention, dials.dropout)
        return network.to(self.device.name)


def prepare(spec: GenerationSpec, clock: JobClock, report: Reporter) -> Prepared:
    """Read, divide and tokenise the chats and find the base model."""
    clock.enter("loading")
    device = prepare_device(spec)
    chats = read_chats(spec)
    prompts = [shown(prompt_of(chat)) for chat in chats.chats]
    # Equal questions stay together: on both sides of a split they would be known by heart.
    divided = split(prompts, [0] * len(prompts), spec.split, chats.split_values)
    if not len(divided.test):
        raise BadTrainingData(
            "too_few_rows",
            "No rows could be set aside for the test: too few different prompts. Add rows.",
        )
    entry, folder = catalog.find(spec.base_model), None
    if entry.source.kind != "scratch":
        folder = base_models.locate(entry, lambda: clock.enter("downloading"))
    clock.enter("preparing")
    tokenizer, longest = _tokenizer(entry, folder, chats, divided)
    longest = min(longest, spec.hyperparameters.max_length)
    taught, lengths = _taught(tokenizer, chats, longest)
    warnings = [*chats.warnings, *divided.warnings, *lengths, *_cautions(divided)]
    _refuse_unteachable(taught, divided)
    report(
        Data(
            train_rows=len(divided.train),
            validation_rows=len(divided.validation),
            test_rows=len(divided.test),
            labels=[],
            warnings=warnings,
        )
    )
    return Prepared(spec, chats, divided, tokenizer, taught, longest, folder, device, warnings)


def _tokenizer(
    entry: catalog.BaseModelEntry, folder: Path | None, chats: Chats, divided: Split
) -> tuple[Any, int]:
    """The base model's, and its longest input; else one learnt from the training rows alone."""
    if folder is not None:
        config = base_models.read_config(folder)
        return loading.load_tokenizer(folder), loading.longest_context(config)
    texts = [one["content"] for row in divided.train for one in chats.chats[row]]
    pieces = min(MOST_PIECES, max(FEWEST_PIECES, sum(map(len, texts)) // CHARACTERS_PER_PIECE))
    tokenizer = loading.new_tokenizer(texts, pieces)
    return tokenizer, int(entry.source.config["max_position_embeddings"])


def _taught(
    tokenizer: Any, chats: Chats, longest: int
) -> tuple[dict[int, list[Taught]], list[str]]:
    """Sequences of every chat, and what had to be cut, in words."""
    taught: dict[int, list[Taught]] = {}
    sides: dict[str, int] = {"": 0, "start": 0, "end": 0}
    for number, chat in enumerate(chats.chats):
        try:
            whole = teach(tokenizer, chat, number)
        except BadChat as problem:
            raise BadTrainingData(
                "bad_chats", f"Row {chats.rows[number] + 1}: the chat {problem}"
            ) from None
        for one in whole:
            kept, side = cut(one, longest)
            sides[side] += 1
            if learnt_tokens(kept):
                taught.setdefault(number, []).append(kept)
    said = []
    if sides["start"] or sides["end"]:
        words = f"{sides['start'] + sides['end']:,} examples are longer than {longest:,} tokens:"
        words += " their ends are cut."
        if sides["start"]:
            words += f" Of {sides['start']:,} the beginning is too, so that answers are seen."
        said.append(words)
    return taught, said


def _refuse_unteachable(taught: dict[int, list[Taught]], divided: Split) -> None:
    if not any(row in taught for row in divided.train.tolist()):
        raise BadTrainingData(
            "nothing_to_learn", "No training row holds an answer that fits the longest example."
        )


def _cautions(divided: Split) -> list[str]:
    said = [
        f"A model tuned on {len(divided.train):,} examples can repeat them word for word, names"
        " and secrets included: share it only with those who may read the rows."
    ]
    if len(divided.test) < FEW_TEST_ROWS:
        said.append(f"Only {len(divided.test)} test rows: the reported numbers are rough.")
    return said


def lengths_of(sequences: list[Taught]) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.array([len(one.ids) for one in sequences], dtype=np.int64)
