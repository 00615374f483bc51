"""From a spec to tokenised rows, a split and a loaded base model: all before the first step."""

from dataclasses import dataclass, field
from pathlib import Path

import torch
from tokenizers import Tokenizer

from engine import catalog, loading
from engine.device import Device, prepare_device
from engine.errors import BadTrainingData
from engine.events import Data, Reporter
from engine.examples import Examples, read_examples
from engine.network import TextClassifierNetwork
from engine.progress import JobClock
from engine.spec import TextSpec
from engine.splitting import Split, split
from engine.tokenised import TokenisedRows, tokenise


@dataclass
class Prepared:
    """Everything known before the first step."""

    spec: TextSpec
    examples: Examples
    split: Split
    tokenizer: Tokenizer
    rows: TokenisedRows
    base_folder: Path
    device: Device
    network: TextClassifierNetwork
    warnings: list[str] = field(default_factory=list)


def prepare(spec: TextSpec, clock: JobClock, report: Reporter) -> Prepared:
    """Read, divide and tokenise the rows and load the base model."""
    clock.enter("loading")
    device = prepare_device(spec)
    examples = read_examples(spec)
    divided = split(examples.texts, examples.labels, spec.split, examples.split_values)
    _refuse_useless(divided, examples)
    entry = catalog.find(spec.base_model)
    folder = loading.locate(entry, on_download=lambda: clock.enter("downloading"))
    tokenizer, encoder = loading.load_tokenizer(folder), loading.load_encoder(folder)
    clock.enter("preparing")
    torch.manual_seed(spec.hyperparameters.seed)
    network = TextClassifierNetwork(encoder, len(examples.label_names)).to(device.name)
    max_length = min(spec.hyperparameters.max_length, loading.longest_input(encoder))
    rows = tokenise(tokenizer, examples, max_length)
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
    return Prepared(spec, examples, divided, tokenizer, rows, folder, device, network, warnings)


def _refuse_useless(divided: Split, examples: Examples) -> None:
    if len({examples.labels[row] for row in divided.train}) < 2:
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
