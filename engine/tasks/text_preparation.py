"""From a spec to tokenised rows, a split and a loaded base model: all before the first step."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from engine import catalog, loading
from engine.device import Device, prepare_device
from engine.errors import BadTrainingData
from engine.events import Data, Reporter
from engine.examples import Examples, read_examples
from engine.goals import Goal, Number, OneLabel, SeveralLabels
from engine.network import TextNetwork
from engine.progress import JobClock
from engine.spec import TextHyperparameters, TextSpec
from engine.spec.text import SCRATCH_EPOCHS
from engine.splitting import Indices, Split, split
from engine.targets import Truth
from engine.tokenised import TokenisedRows, tokenise

SCRATCH_LENGTH = 512
MOST_PIECES = 8000  # Of a tokenizer learnt from the training rows.


@dataclass
class Prepared:
    """Everything known before the first step."""

    spec: TextSpec
    examples: Examples
    split: Split
    tokenizer: Tokenizer
    rows: TokenisedRows
    goal: Goal
    base_folder: Path | None  # None: the encoder starts from random weights.
    device: Device
    warnings: list[str] = field(default_factory=list)
    # What the frozen base made of rows, by text_embedding.embed; trials of a search share it.
    embedded: list[Any] = field(default_factory=list)

    @property
    def method(self) -> str:
        """How to train, "auto" decided."""
        if self.base_folder is None and self.spec.hyperparameters.method in ("auto", "upper"):
            return "full"  # Random weights are no base to build on.
        outputs = 1 if self.examples.truth.kind == "number" else self.goal.outputs
        return self.spec.hyperparameters.chosen_method(len(self.split.train), outputs)

    @property
    def epochs(self) -> int:
        """How many, zero decided; an encoder that knows nothing needs more."""
        dials = self.spec.hyperparameters
        planned = dials.planned_epochs(len(self.split.train))
        return planned if dials.epochs or self.base_folder else SCRATCH_EPOCHS * planned

    def new_network(self) -> TextNetwork:
        """The base model with an untrained layer on top; the same whenever it is asked for."""
        dials = self.spec.hyperparameters
        torch.manual_seed(dials.seed)
        if self.base_folder is None:
            entry = catalog.find(self.spec.base_model)
            size = self.tokenizer.get_vocab_size()
            encoder = loading.new_encoder(entry, size, dials.dropout)
        else:
            encoder = loading.load_encoder(self.base_folder, dials.dropout)
        if dials.gradient_checkpointing:
            encoder.activation_checkpointing_enable({"use_reentrant": False})
        return TextNetwork(encoder, self.goal.outputs, dropout=dials.dropout)


def prepare(spec: TextSpec, clock: JobClock, report: Reporter) -> Prepared:
    """Read, divide and tokenise the rows and find the base model."""
    clock.enter("loading")
    device = prepare_device(spec)
    examples = read_examples(spec)
    divided = split(examples.texts, examples.strata, spec.split, examples.split_values)
    _refuse_useless(divided, examples)
    entry = catalog.find(spec.base_model)
    folder, tokenizer, longest = None, None, SCRATCH_LENGTH
    if entry.source.kind == "scratch":
        texts = [examples.texts[row] for row in divided.train]
        tokenizer = loading.new_tokenizer(texts, MOST_PIECES)
    else:
        folder = loading.locate(entry, on_download=lambda: clock.enter("downloading"))
        tokenizer, longest = loading.load_tokenizer(folder), loading.longest_input(folder)
    clock.enter("preparing")
    rows = tokenise(tokenizer, examples.texts, min(spec.hyperparameters.max_length, longest))
    goal = goal_for(examples.truth, divided.train, spec.hyperparameters)
    warnings = [*examples.warnings, *divided.warnings, *_about(rows, divided)]
    report(
        Data(
            train_rows=len(divided.train),
            validation_rows=len(divided.validation),
            test_rows=len(divided.test),
            labels=examples.label_names,
            warnings=warnings,
        )
    )
    return Prepared(spec, examples, divided, tokenizer, rows, goal, folder, device, warnings)


def goal_for(truth: Truth, train: Indices, dials: TextHyperparameters) -> Goal:
    """What outputs mean, as seen from these training rows."""
    if truth.kind == "number":
        return Number(truth.values, train)
    kind = OneLabel if truth.kind == "label" else SeveralLabels
    return kind(
        truth.values,
        truth.names,
        train,
        smoothing=dials.label_smoothing,
        balanced=dials.class_weights == "balanced",
    )


def _refuse_useless(divided: Split, examples: Examples) -> None:
    truth = examples.truth
    if truth.kind == "label" and len(set(truth.values[divided.train].tolist())) < 2:
        raise BadTrainingData(
            "too_few_labels",
            "The training rows have only one label; the others are all in the validation or test"
            " rows. Change the split column.",
        )
    if not len(divided.test):
        raise BadTrainingData(
            "too_few_texts",
            "No rows could be set aside for the test: too few different texts per label."
            " Add rows with other texts.",
        )


def _about(rows: TokenisedRows, divided: Split) -> list[str]:
    warnings = []
    if rows.cut_rows:
        warnings.append(
            f"{rows.cut_rows:,} texts are longer than {rows.max_length} tokens: their ends are cut."
        )
    if len(divided.test) < 100:
        warnings.append(
            f"Only {len(divided.test)} test rows: the reported numbers are rough. More data helps."
        )
    return warnings
