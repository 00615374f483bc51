"""A tiny random BERT and labelled texts made in code: no download, no GPU, no database."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).resolve().parents[2]
TOPICS = {
    "fruit": ["apple", "pear", "plum", "cherry", "grape", "melon"],
    "tools": ["hammer", "saw", "drill", "wrench", "chisel", "file"],
    "cities": ["oslo", "paris", "lima", "cairo", "tokyo", "rome"],
}
FILLER = ["the", "a", "my", "old", "new", "some", "nice", "we", "it", "today", "with", "many"]


@pytest.fixture(scope="session")
def models_folder(tmp_path_factory):
    """A LATHE_MODELS_DIR whose all-MiniLM-L6-v2 is a two-layer random BERT."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("models") / "all-MiniLM-L6-v2"
    words = sorted({*FILLER, *(word for topic in TOPICS.values() for word in topic)})
    vocabulary = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3}
    vocabulary |= {word: 4 + number for number, word in enumerate(words)}
    vocabulary |= {f"never{number}": len(vocabulary) + number for number in range(40)}
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder.parent


@pytest.fixture(autouse=True)
def _tiny_models(models_folder, monkeypatch):
    monkeypatch.setenv("LATHE_MODELS_DIR", str(models_folder))


@pytest.fixture(autouse=True)
def _full_matmul_precision():
    """Jobs allow bf16 products, which processors with AMX make use of, for the whole process."""
    import torch

    torch.set_float32_matmul_precision("highest")


def labelled_rows(rows: int, seed: int = 0) -> tuple[list[str], list[str]]:
    rng = random.Random(seed)
    texts, labels = [], []
    for _ in range(rows):
        label = rng.choice(list(TOPICS))
        words = rng.choices(FILLER, k=rng.randint(2, 9)) + rng.choices(TOPICS[label], k=2)
        rng.shuffle(words)
        texts.append(" ".join(words))
        labels.append(label)
    return texts, labels


@pytest.fixture
def write_spec(tmp_path):
    """Writes data and a spec; returns the spec's path. Keyword arguments replace spec fields."""

    def write(name: str = "job", rows: int = 400, columns: dict | None = None, **changes) -> Path:
        if columns is None:
            texts, labels = labelled_rows(rows)
            columns = {"text": texts, "label": labels}
        data = tmp_path / f"{name}.parquet"
        pq.write_table(pa.table(columns), data)
        spec = {
            "data": str(data),
            "text_columns": ["text"],
            "target_column": "label",
            "output": str(tmp_path / name / "artifact"),
            "work": str(tmp_path / name / "work"),
            "threads": 1,
            "hyperparameters": {"epochs": 2, "batch_tokens": 128, "precision": "fp32"},
        }
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(spec | changes))
        return path

    return write


def engine_process(*arguments: object, **options) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "engine", *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"LATHE_MODELS_DIR": os.environ["LATHE_MODELS_DIR"]},
        **options,
    )
