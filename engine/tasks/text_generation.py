"""Text generation: from chats to a language model that answers like them, exported and tested."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import GenerationConfig

from engine import catalog
from engine.artifact import Inputs, Manifest, Serving, Target
from engine.errors import BrokenExport
from engine.evaluation import Contender, TestRows, other_columns
from engine.events import PhaseName, Reporter
from engine.generation import loading
from engine.generation.answering import Answerer
from engine.generation.chats import prompt_of, shown
from engine.generation.costs import seconds_to_teach, seconds_to_test
from engine.generation.options import Sampling
from engine.generation.rendering import stop_ids
from engine.metrics import Generations
from engine.progress import JobClock
from engine.serving.generation import GenerationModel
from engine.spec import GenerationSpec
from engine.stopping import StopSignal
from engine.tasks import Evaluated, Task
from engine.tasks.generation_learning import Trained, fit, losses_of
from engine.tasks.generation_preparation import Prepared, lengths_of, prepare
from engine.tasks.outcome import about_training

MODEL_FILE, ADAPTER = "model.safetensors", "adapter"
PARITY_SEQUENCES, PARITY_TOKENS = 8, 128
LARGEST_DIFFERENCE = 1e-2  # Of logits, whose size is about ten.
SCRATCH = (
    "It began from random weights and has read nothing but these rows: it has learnt their words"
    " and form, not to know what it says."
)
SCRATCH_NEXT = (
    "Read the samples. For answers to rely on, start from a pretrained base model on a GPU machine."
)
SHORTEST_REPEAT = 30  # Characters; shorter answers are often equal without being remembered.


class TextGeneration:
    """Chats in, the next answer out."""

    def prepare(self, spec: GenerationSpec, clock: JobClock, report: Reporter) -> Prepared:
        return prepare(spec, clock, report)

    def expected_costs(self, prepared: Prepared) -> dict[PhaseName, float]:
        dials, device = prepared.spec.hyperparameters, prepared.device.name
        speed, is_scratch = catalog.find(prepared.spec.base_model).speed, not prepared.base_folder
        train = lengths_of(prepared.sequences(prepared.split.train))
        teaching = seconds_to_teach(
            dials,
            rows=len(prepared.split.train),
            tokens=float(train.sum()) / len(prepared.split.train),
            speed=speed,
            is_scratch=is_scratch,
            device=device,
        )
        testing = seconds_to_test(
            dials,
            rows=len(prepared.split.test),
            speed=speed,
            models=2,
            device=device,
        )
        return {
            "loading": 4.0,
            "preparing": 2 + 1e-3 * len(prepared.chats.chats),
            "training": teaching,
            "exporting": 2 + 0.1 * speed,
            "evaluating": testing,
            "saving": 0.5,
        }

    def fit(
        self, prepared: Prepared, clock: JobClock, report: Reporter, stop: StopSignal
    ) -> Trained:
        return fit(prepared, clock, report, stop)

    def export(self, prepared: Prepared, trained: Trained, folder: Path) -> Manifest:
        wanted = logits_of(trained.network, prepared)
        _write(prepared, trained, folder)
        spec = prepared.spec
        prompts = [spec.messages_column] if spec.messages_column else spec.prompt_columns
        manifest = Manifest(
            task=spec.task,
            base_model=spec.base_model,
            inputs=Inputs(
                kind="chat",
                columns=[name for name in prompts if name],
                max_length=loading.longest_context(trained.network.config),
                chat_template=prepared.tokenizer.chat_template,
            ),
            target=Target(kind="text", column=spec.completion_column),
            serving=Serving(file=MODEL_FILE, format="transformers", inputs=["input_ids"]),
            training=about_training(
                spec,
                prepared.device,
                trained.state,
                method=prepared.method,
                reason="",
                seconds=trained.seconds,
            ),
        )
        parity = parity_of(wanted, logits_of(opened(folder, manifest).network, prepared))
        return manifest.model_copy(update={"parity": {MODEL_FILE: parity, "served": MODEL_FILE}})

    def evaluate(
        self, prepared: Prepared, trained: Trained, folder: Path, manifest: Manifest
    ) -> Evaluated:
        chosen = asked(prepared)
        served = opened(folder, manifest)
        given = _answers(prepared, served, chosen)
        source_rows = [prepared.chats.rows[row] for row in chosen]
        used = [*manifest.inputs.columns, prepared.spec.completion_column or ""]
        rows = TestRows(
            texts=[shown(prompt_of(prepared.chats.chats[row])) for row in chosen],
            lengths=[int(lengths_of(prepared.taught[row]).sum()) for row in chosen],
            source_rows=source_rows,
            columns=other_columns(prepared.spec.data, source_rows, used),
        )
        del served
        about, contenders = _about_data(prepared, given), _contenders(prepared, chosen)
        checks = None if prepared.base_folder else _from_scratch
        return Evaluated(given, rows, contenders, about, checks)


TASK: Task[Prepared, Trained] = TextGeneration()


def opened(folder: Path, manifest: Manifest) -> GenerationModel:
    return GenerationModel(folder, threads=torch.get_num_threads(), manifest=manifest)


def logits_of(network: Any, prepared: Prepared) -> list[Any]:
    """At full precision, after every token of a few held-out sequences; (tokens, vocabulary)."""
    divided = prepared.split
    chosen = prepared.sequences(np.concatenate([divided.validation, divided.train]))
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    device = next(network.parameters()).device
    found = []
    with torch.inference_mode():
        for one in chosen[:PARITY_SEQUENCES]:
            ids = torch.from_numpy(one.ids[:PARITY_TOKENS].astype(np.int64)).to(device)
            found.append(network(input_ids=ids[None]).logits[0].float().cpu().numpy())
    torch.set_float32_matmul_precision(precision)
    return found


def _write(prepared: Prepared, trained: Trained, folder: Path) -> None:
    """Weights with LoRA merged in, the adapter beside them, tokenizer and template."""
    network, tokenizer = trained.network, prepared.tokenizer
    if prepared.method == "lora":
        reference = catalog.find(prepared.spec.base_model).source.reference
        network.peft_config["default"].base_model_name_or_path = reference
        network.save_pretrained(folder / ADAPTER, save_embedding_layers=False)
        (folder / ADAPTER / "README.md").unlink(missing_ok=True)  # A form with nothing filled in.
        network = network.merge_and_unload()
        trained.network = network
    configured = network.generation_config
    network.generation_config = GenerationConfig(
        eos_token_id=stop_ids(tokenizer, configured.eos_token_id if configured else None),
        pad_token_id=tokenizer.pad_token_id or tokenizer.eos_token_id,
        bos_token_id=tokenizer.bos_token_id,
    )
    network.save_pretrained(folder, max_shard_size="1000GB")  # One file.
    tokenizer.save_pretrained(folder)


def parity_of(
    wanted: list[Any], given: list[Any], largest: float = LARGEST_DIFFERENCE
) -> dict[str, Any]:
    """The file against the trained network. Raises BrokenExport when they differ."""
    pairs = list(zip(wanted, given, strict=True))
    difference = max(float(np.abs(one - other).max()) for one, other in pairs)
    if not difference <= largest:  # Also when it is not a number.
        raise BrokenExport(
            "The exported model does not compute what the trained model computes"
            f" (largest difference {difference:.3g}). Nothing was charged; please tell support."
        )
    same = [(one.argmax(-1) == other.argmax(-1)).mean() for one, other in pairs]
    return {
        "rows": len(pairs),
        "largest_logit_difference": difference,
        "label_agreement": float(np.mean(same)),
        "accepted": True,
        "reason": f"kept: largest difference at most {largest}",
    }


def asked(prepared: Prepared) -> list[int]:
    """The test rows to answer, drawn evenly."""
    most = prepared.spec.hyperparameters.generated_rows
    teachable = [row for row in prepared.split.test.tolist() if row in prepared.taught]
    known = teachable or prepared.split.train.tolist()[:1]
    places = np.unique(np.linspace(0, len(known) - 1, min(most, len(known))).astype(int))
    return [known[place] for place in places]


def _answers(prepared: Prepared, model: Answerer, chosen: list[int]) -> Generations:
    """The likeliest answers to these rows, and how likely the true ones are to the model."""
    most = prepared.spec.hyperparameters.generated_tokens
    chats = [prepared.chats.chats[row] for row in chosen]
    room = max(1, model.context - most)
    prompts = [model.tokens_of(prompt_of(chat))[-room:] for chat in chats]
    said = model.complete_all(prompts, Sampling(max_tokens=most))
    device = str(next(model.network.parameters()).device)
    losses, tokens = np.zeros(len(chosen)), np.zeros(len(chosen), dtype=np.int64)
    for place, row in enumerate(chosen):
        each, learnt = losses_of(model.network, prepared.taught[row], device)
        losses[place], tokens[place] = each.sum(), learnt.sum()
    outputs = [one.text.strip() for one in said]
    return Generations([chat[-1]["content"] for chat in chats], outputs, losses, tokens)


def _contenders(prepared: Prepared, chosen: list[int]) -> list[Contender]:
    """The base model as it was, on the same rows; from scratch, the same random weights."""
    network = prepared.new_network().eval()
    base = Answerer(network, prepared.tokenizer, loading.longest_context(network.config))
    if prepared.base_folder is None:
        name, note = "the same network before training", "random weights"
    else:
        name, note = f"{prepared.spec.base_model} untuned", "with the same template"
    return [Contender("base", name, _answers(prepared, base, chosen), note)]


def _from_scratch(report: dict[str, Any]) -> dict[str, Any]:
    """Beating random weights is no praise: say what such a model is and is not."""
    return {"headline": f"{report['headline']} {SCRATCH}", "next_step": SCRATCH_NEXT}


def _about_data(prepared: Prepared, given: Generations) -> dict[str, Any]:
    divided, warnings = prepared.split, list(prepared.warnings)
    if len(given.outputs) < len(divided.test):
        warnings.append(
            f"Of {len(divided.test):,} test rows {len(given.outputs):,}, drawn evenly, were"
            " answered and measured."
        )
    return {
        "train_rows": len(divided.train),
        "validation_rows": len(divided.validation),
        "test_rows": len(divided.test),
        "mean_tokens": float(lengths_of(prepared.sequences(divided.train)).mean()),
        "warnings": [*warnings, *_repeats(prepared, given)],
    }


def _repeats(prepared: Prepared, given: Generations) -> list[str]:
    """Whether answers are training answers word for word."""
    chats = prepared.chats.chats
    known = {
        one["content"]
        for row in prepared.split.train.tolist()
        for one in chats[row]
        if one["role"] == "assistant" and len(one["content"]) >= SHORTEST_REPEAT
    }
    count = sum(output in known for output in given.outputs)
    if not count:
        return []
    return [
        f"{count:,} of {len(given.outputs):,} test answers repeat a training answer word for word:"
        " the model has learnt rows by heart. Fewer epochs or more rows help."
    ]
