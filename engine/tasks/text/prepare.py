"""From a spec to tokenised rows, a split and a loaded base model: all before the first step."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from engine import catalog
from engine.data import baselines
from engine.data.splitting import Indices, Split
from engine.data.targets import GroundTruth
from engine.data.text_examples import TextExamples, read_examples, split_examples
from engine.data.tokenization import TokenizedRows, tokenize_texts
from engine.events import Reporter
from engine.loop.device import prepare_device
from engine.prediction_heads import MultiClass, MultiLabel, PredictionHead, Regression
from engine.progress import ProgressTracker
from engine.spec import TextHyperparameters, TextSpec
from engine.spec.text import SCRATCH_EPOCHS
from engine.tasks.shared import PreparedJob
from engine.tasks.text import base_models
from engine.tasks.text.frozen_encoder import Features
from engine.tasks.text.network import TextNetwork
from engine.tasks.unknown_tokens import share_of_unknown, warn_of_unknown

SCRATCH_LENGTH = 512
MAX_VOCABULARY_SIZE = 8000  # Of a tokenizer learnt from the training rows.
MAX_RELEARNT_COST = 400_000  # Rows times outputs: more take seconds to fit once more.


@dataclass
class PreparedTexts(PreparedJob[TextSpec]):
    """Tokenised texts, what the outputs mean, and the base model."""

    examples: TextExamples
    tokenizer: Tokenizer
    rows: TokenizedRows
    prediction_head: PredictionHead
    base_folder: Path | None  # None: the encoder starts from random weights.
    # The frozen base model's embeddings; the trials of a search share them.
    embedding_cache: list[Features] = field(default_factory=list)

    @property
    def method(self) -> str:
        """The training method, "auto" decided."""
        if self.base_folder is None and self.spec.hyperparameters.method in ("auto", "upper"):
            return "full"  # Random weights are no base to build on.
        outputs = 1 if self.examples.truth.kind == "number" else self.prediction_head.outputs
        return self.spec.hyperparameters.chosen_method(len(self.split.train), outputs)

    @property
    def epochs(self) -> int:
        """The number of epochs, zero decided; random weights need more."""
        hyperparameters = self.spec.hyperparameters
        planned = hyperparameters.planned_epochs(len(self.split.train))
        is_planned = hyperparameters.epochs or self.base_folder
        return planned if is_planned else SCRATCH_EPOCHS * planned

    @property
    def learnt_rows(self) -> Indices:
        """What the probe and the n-grams learn from once the validation rows have chosen: these
        too, but where thresholds need rows unseen, or there are so many that it gains little."""
        train, validation = self.split.train, self.split.validation
        rows = len(train) + len(validation)
        is_cheap = (
            rows <= baselines.MAX_BASELINE_ROWS
            and rows * self.prediction_head.outputs <= MAX_RELEARNT_COST
        )
        has_chosen = (
            self.spec.hyperparameters.contenders and not self.prediction_head.has_thresholds
        )
        return np.union1d(train, validation) if is_cheap and has_chosen else train

    def create_network(self) -> TextNetwork:
        """The base model with an untrained layer on top; the same at every call."""
        hyperparameters = self.spec.hyperparameters
        torch.manual_seed(hyperparameters.seed)
        if self.base_folder is None:
            vocabulary = self.tokenizer.get_vocab_size()
            encoder = base_models.create_encoder(
                self.base_model, vocabulary, hyperparameters.dropout
            )
        else:
            encoder = base_models.load_encoder(self.base_folder, hyperparameters.dropout)
        if hyperparameters.gradient_checkpointing:
            encoder.activation_checkpointing_enable({"use_reentrant": False})
        return TextNetwork(encoder, self.prediction_head.outputs, dropout=hyperparameters.dropout)


def prepare(spec: TextSpec, progress: ProgressTracker, report: Reporter) -> PreparedTexts:
    """Read, split and tokenise the rows and find the base model."""
    progress.start_phase("loading")
    device = prepare_device(spec)
    examples = read_examples(spec)
    split = split_examples(examples, spec)
    entry = catalog.get_base_model(spec.base_model)
    folder, longest = None, SCRATCH_LENGTH
    if entry.source.kind == "scratch":
        train_texts = [examples.texts[row] for row in split.train]
        tokenizer = base_models.train_tokenizer(train_texts, MAX_VOCABULARY_SIZE)
    else:
        folder = base_models.locate_base_model(
            entry, on_download=lambda: progress.start_phase("downloading")
        )
        tokenizer = base_models.load_tokenizer(folder)
        longest = base_models.max_input_tokens(folder)
    progress.start_phase("preparing")
    rows = tokenize_texts(tokenizer, examples.texts, min(spec.hyperparameters.max_length, longest))
    prepared = PreparedTexts(
        spec=spec,
        split=split,
        device=device,
        warnings=[
            *examples.warnings,
            *split.warnings,
            *warn_of_unknown(
                entry, share_of_unknown(tokenizer, [rows.ids[row] for row in split.train])
            ),
            *_data_warnings(rows, split),
        ],
        examples=examples,
        tokenizer=tokenizer,
        rows=rows,
        prediction_head=build_prediction_head(examples.truth, split.train, spec.hyperparameters),
        base_folder=folder,
    )
    truth = examples.truth
    prepared.report_dataset(
        report, examples.label_names, None if truth.kind == "number" else truth.values
    )
    return prepared


def build_prediction_head(
    truth: GroundTruth, train: Indices, hyperparameters: TextHyperparameters
) -> PredictionHead:
    """What outputs mean, with the statistics of these training rows."""
    if truth.kind == "number":
        return Regression(truth.values, train)
    kind = MultiClass if truth.kind == "label" else MultiLabel
    return kind(
        truth.values,
        truth.label_names,
        train,
        smoothing=hyperparameters.label_smoothing,
        balanced=hyperparameters.class_weights == "balanced",
    )


def _data_warnings(rows: TokenizedRows, split: Split) -> list[str]:
    warnings = []
    if cut := rows.truncated_rows:
        warnings.append(
            f"1 text is longer than {rows.max_length} tokens: its end is cut."
            if cut == 1
            else f"{cut:,} texts are longer than {rows.max_length} tokens: their ends are cut."
        )
    if (tested := len(split.test)) < 100:
        warnings.append(
            f"Only {'1 test row' if tested == 1 else f'{tested} test rows'}: where it is quick, the"
            " model is fitted again to other rows, so that figures rest on more. More data helps."
        )
    return warnings
