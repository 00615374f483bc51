"""The trainers that benchmarks.training measures beside the engine: one of them, in this process.

    python -m benchmarks.training_rivals NAME REQUEST.json

The request says which texts, labels, base model, and how many rows or seconds; the answer is one
JSON line. Time is that of training alone: imports, loading and evaluation are not counted.
"""

import json
import logging
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

logging.getLogger("transformers").setLevel(logging.ERROR)
SETFIT_BATCH = 16
SETFIT_PAIRS = 5  # Of each row, alike and unlike: more than time allows, where all fill the memory.


@dataclass(frozen=True)
class Request:
    """`steps` ends the training, and its schedule, there; None: after `epochs`."""

    base_model: str
    train: list[list[Any]]  # Text and number of its label.
    test: list[list[Any]]
    labels: int
    epochs: int = 1
    steps: int | None = None
    seconds: float | None = None  # For SetFit, whose schedule does not need to know its end.
    max_length: int = 256
    attention: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)  # Of transformers.Trainer.


def trainer(request: Request) -> dict[str, float]:
    """transformers.Trainer with these settings, each batch padded to its own longest text."""
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(request.base_model)
    model = AutoModelForSequenceClassification.from_pretrained(
        request.base_model, num_labels=request.labels, attn_implementation=request.attention
    )
    rows = _encoded(tokenizer, request.train, request.max_length)
    arguments = TrainingArguments(
        output_dir="/nonexistent",
        num_train_epochs=request.epochs,
        max_steps=request.steps or -1,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        logging_strategy="no",
        use_cpu=True,
        **request.settings,
    )
    fitting = Trainer(
        model, arguments, train_dataset=rows, data_collator=DataCollatorWithPadding(tokenizer)
    )
    started_at = time.perf_counter()
    fitting.train()
    seconds = time.perf_counter() - started_at
    trained = fitting.state.global_step * arguments.per_device_train_batch_size
    trained = min(trained, len(rows) * request.epochs) if request.steps is None else trained
    found: dict[str, float] = {"rows": trained, "seconds": seconds}
    if request.test:
        answers = fitting.predict(_encoded(tokenizer, request.test, request.max_length))
        # Grouped by length, test rows come in another order; their labels come with them.
        found["accuracy"] = float((answers.predictions.argmax(axis=1) == answers.label_ids).mean())
    return found


def _encoded(tokenizer: Any, rows: list[list[Any]], max_length: int) -> list[dict[str, Any]]:
    encoded = tokenizer([text for text, _ in rows], truncation=True, max_length=max_length)
    return [
        {"input_ids": ids, "attention_mask": mask, "labels": label}
        for ids, mask, (_, label) in zip(
            encoded["input_ids"], encoded["attention_mask"], rows, strict=True
        )
    ]


class _UntilTime(TrainerCallback):
    def __init__(self, seconds: float) -> None:
        self._deadline = time.perf_counter() + seconds

    def on_step_end(self, _arguments: Any, _state: Any, control: Any, **_: Any) -> None:
        if time.perf_counter() >= self._deadline:
            control.should_training_stop = True


def setfit(request: Request) -> dict[str, float]:
    """How SetFit does on the test rows."""
    model, seconds = fit_setfit(request)
    answers = np.asarray(model.predict([text for text, _ in request.test]))
    truth = np.array([label for _, label in request.test])
    # Of pairs, not rows: its speed compares by time to accuracy only.
    return {"rows": 0, "seconds": seconds, "accuracy": float((answers == truth).mean())}


def fit_setfit(request: Request) -> tuple[Any, float]:
    """SetFit's contrastive fine-tuning, for the seconds allowed, then its own linear head: the
    model and the seconds it took."""
    import setfit as library
    from datasets import Dataset

    torch.manual_seed(0)
    columns = {
        "text": [row[0] for row in request.train],
        "label": [row[1] for row in request.train],
    }
    model = library.SetFitModel.from_pretrained(request.base_model)
    arguments = library.TrainingArguments(
        batch_size=SETFIT_BATCH,
        num_epochs=1,
        num_iterations=SETFIT_PAIRS,
        save_strategy="no",
        report_to="none",
    )
    started_at = time.perf_counter()
    fitting = library.Trainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_dict(columns),
        callbacks=[_UntilTime(request.seconds or 60)],
    )
    fitting.train()
    seconds = time.perf_counter() - started_at
    return model, seconds


def main(name: str, path: str) -> None:
    request = Request(**json.loads(Path(path).read_text()))
    sys.stdout.flush()
    found = {"trainer": trainer, "setfit": setfit}[name](request)
    print("\n" + json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
