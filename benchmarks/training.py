"""How much faster the engine trains than the usual loops, on this machine, in one interleaved run.

    python -m benchmarks.training [--rounds 3] [--rows 640] [--csv FILE --text COLUMN]

Rivals are written out here in plain torch and transformers, at the settings people meet first:
`padded` pads every row to 128 tokens in batches of 8, float32, dropout on; `dynamic` pads to the
longest of 32 rows; `grouped` also groups by length and uses bf16, a well-set loop. All train the
same base model on the same rows; what is printed is the median of rows per second and its ratio.
"""

import argparse
import csv
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

import numpy as np
import torch
from torch.nn import functional
from transformers import AutoModelForSequenceClassification

from engine import catalog, loading, sample_tickets
from engine.batching import batches_by_length, epoch_steps
from engine.device import prepare_device
from engine.network import TextNetwork, VocabularyTrim
from engine.spec import TextSpec
from engine.tokenised import TokenisedRows, tokenise

PADDED_TOKENS, LABELS = 128, 12


def read_texts(options: argparse.Namespace) -> list[str]:
    path = options.csv
    if path is None:
        path = Path(tempfile.mkdtemp()) / "tickets.csv"
        sample_tickets.write_csv(path, rows=options.rows)
    with path.open(newline="", encoding="utf-8") as file:
        texts = [row[options.text] for row in csv.DictReader(file)]
    return texts[: options.rows]


def stock_model(folder: Path) -> torch.nn.Module:
    return AutoModelForSequenceClassification.from_pretrained(folder, num_labels=LABELS).train()


def stock_loop(
    folder: Path, batches: Iterator[tuple[torch.Tensor, torch.Tensor]], *, bf16: bool
) -> None:
    model = stock_model(folder)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-5)
    for ids, mask in batches:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits = model(input_ids=ids, attention_mask=mask).logits
        functional.cross_entropy(logits.float(), torch.zeros(len(ids), dtype=torch.long)).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()


def padded_to(rows: TokenisedRows, chosen: np.ndarray, tokens: int):
    ids, mask = rows.padded(chosen, "cpu")
    return functional.pad(ids, (0, tokens - ids.shape[1])), functional.pad(
        mask, (0, tokens - mask.shape[1])
    )


def engine_loop(folder: Path, rows: TokenisedRows) -> None:
    network = TextNetwork(loading.load_encoder(folder), LABELS).train()
    VocabularyTrim(network.encoder, np.unique(np.concatenate(rows.ids)).tolist())
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-4, fused=True)
    for step in epoch_steps(rows.lengths, 512, seed=0, epoch=0):
        count = sum(map(len, step))
        for batch in step:
            ids, mask = rows.padded(batch, "cpu")
            with torch.autocast("cpu", torch.bfloat16):
                logits = network(ids, mask).float()
            target = torch.zeros(len(batch), dtype=torch.long)
            (functional.cross_entropy(logits, target) * (len(batch) / count)).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()


def contenders(folder: Path, rows: TokenisedRows) -> dict[str, tuple[int, Callable[[], None]]]:
    """Name to rows trained and the run itself; slow ones get fewer rows."""
    total, few = len(rows.ids), max(64, len(rows.ids) // 8)
    eights = (padded_to(rows, np.arange(s, s + 8), PADDED_TOKENS) for s in range(0, few - 7, 8))
    grouped = batches_by_length(rows.lengths, 32 * max(rows.lengths))
    dynamic = (rows.padded(np.arange(s, s + 32), "cpu") for s in range(0, total // 2 - 31, 32))
    return {
        "padded": (few // 8 * 8, lambda: stock_loop(folder, eights, bf16=False)),
        "dynamic": (total // 2 // 32 * 32, lambda: stock_loop(folder, dynamic, bf16=False)),
        "grouped": (
            total,
            lambda: stock_loop(
                folder,
                (
                    rows.padded(part, "cpu")
                    for batch in grouped
                    for part in np.array_split(batch, -(-len(batch) // 32))
                ),
                bf16=True,
            ),
        ),
        "engine": (total, lambda: engine_loop(folder, rows)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=640)
    parser.add_argument("--csv", type=Path)
    parser.add_argument("--text", default="message")
    options = parser.parse_args()
    texts = read_texts(options)
    folder = loading.locate(catalog.find("all-MiniLM-L6-v2"))
    rows = tokenise(loading.load_tokenizer(folder), texts, PADDED_TOKENS)
    spec = TextSpec(data="-", text_columns=["t"], target_column="l", output="-", work="-")
    speeds: dict[str, list[float]] = {}
    for _ in range(options.rounds):
        for name in ("padded", "dynamic", "grouped", "engine"):
            count, run = contenders(folder, rows)[name]
            # Only ours asks for the quick float32 kernels.
            torch.set_float32_matmul_precision("highest")
            if name == "engine":
                prepare_device(spec)
            started_at = time.perf_counter()
            run()
            speeds.setdefault(name, []).append(count / (time.perf_counter() - started_at))
    ours = statistics.median(speeds["engine"])
    print(f"{len(texts)} rows, {np.mean(rows.lengths):.0f} tokens on average, model load included")
    for name, measured in speeds.items():
        speed = statistics.median(measured)
        print(f"{name:8} {speed:7.1f} rows/s   engine is {ours / speed:4.1f}x")


if __name__ == "__main__":
    main()
