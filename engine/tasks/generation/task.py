"""Text generation: from chats to a language model that answers like them, exported and tested."""

from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn
from transformers import GenerationConfig

from engine.artifact import Inputs, Manifest, Serving, Target
from engine.data.nearest_answer import MAX_ROWS, find_nearest
from engine.estimate.generation import seconds_to_fit, seconds_to_test
from engine.evaluation import Contender, Report, TestRows, read_slice_columns
from engine.events import PhaseName, Reporter
from engine.loop.device import full_matmul_precision
from engine.metrics import GenerationPredictions
from engine.progress import ProgressTracker
from engine.serving.generation import ADAPTER_FOLDER, GenerationModel
from engine.spec import GenerationSpec
from engine.stop_signal import StopSignal
from engine.tasks import DataSummary, EvaluationResult, ExtraSections, Task
from engine.tasks.generation import base_models
from engine.tasks.generation.chat_template import stop_token_ids
from engine.tasks.generation.fitting import FittedChats, fit
from engine.tasks.generation.generator import TextGenerator
from engine.tasks.generation.learner import compute_row_losses
from engine.tasks.generation.messages import format_chat, prompt_messages
from engine.tasks.generation.preferences import report_sentence
from engine.tasks.generation.prepare import PreparedChats, prepare, sequence_lengths
from engine.tasks.generation.sampling import Sampling, default_sampling
from engine.tasks.shared import Array, require_exact_parity

MODEL_FILE = "model.safetensors"
PARITY_SEQUENCES, PARITY_TOKENS = 8, 128
MAX_LOGIT_DIFFERENCE = 1e-2  # Of logits, whose size is about ten.
FROM_SCRATCH_NOTICE = (
    "It began from random weights and has read nothing but these rows: it has learnt their words"
    " and form, not to know what it says."
)
FROM_SCRATCH_NEXT_STEP = (
    "Read the samples. For answers to rely on, start from a pretrained base model on a GPU machine."
)
MIN_REPEAT_CHARACTERS = 30  # Shorter answers are often equal without being memorised.


class GenerationTask:
    """Chats in, the next answer out."""

    def prepare(
        self, spec: GenerationSpec, progress: ProgressTracker, report: Reporter
    ) -> PreparedChats:
        return prepare(spec, progress, report)

    def estimate_phase_seconds(self, prepared: PreparedChats) -> dict[PhaseName, float]:
        hyperparameters, device = prepared.spec.hyperparameters, prepared.device.name
        speed, split = prepared.base_model.speed, prepared.split
        tokens = sequence_lengths(prepared.sequences(split.train)).sum()
        tokens += sequence_lengths(list(prepared.rejected.values())).sum()
        return {
            "loading": 4.0,
            "preparing": 2 + 1e-3 * len(prepared.chats.chats),
            "training": seconds_to_fit(
                hyperparameters,
                rows=len(split.train),
                tokens=float(tokens) / len(split.train),
                speed=speed,
                is_scratch=prepared.is_from_scratch,
                device=device,
            ),
            "exporting": 2 + 0.1 * speed,
            "evaluating": seconds_to_test(
                hyperparameters, rows=len(split.test), speed=speed, device=device
            ),
            "saving": 0.5,
        }

    def fit(
        self,
        prepared: PreparedChats,
        progress: ProgressTracker,
        report: Reporter,
        stop: StopSignal,
    ) -> FittedChats:
        return fit(prepared, progress, report, stop)

    def export(self, prepared: PreparedChats, trained: FittedChats, folder: Path) -> Manifest:
        expected = compute_logits(trained.network, prepared)
        _save_model(prepared, trained, folder)
        spec = prepared.spec
        columns = [spec.messages_column] if spec.messages_column else spec.prompt_columns
        # Tokens count as often as they were read.
        tokens = sequence_lengths(prepared.sequences(prepared.split.train)).sum()
        manifest = Manifest(
            task=spec.task,
            base_model=spec.base_model,
            inputs=Inputs(
                kind="chat",
                columns=[name for name in columns if name],
                max_length=base_models.max_context_tokens(trained.network.config),
                chat_template=prepared.tokenizer.chat_template,
            ),
            target=Target(kind="text", column=spec.completion_column),
            serving=Serving(file=MODEL_FILE, format="transformers", inputs=["input_ids"]),
            training=prepared.training_summary(trained)
            | {"tokens": round(float(tokens) * trained.state.epoch)},
        )
        outputs = compute_logits(load_exported_model(folder, manifest).network, prepared)
        parity = require_exact_parity(expected, outputs, MAX_LOGIT_DIFFERENCE)
        return manifest.model_copy(update={"parity": {MODEL_FILE: parity, "served": MODEL_FILE}})

    def evaluate(
        self, prepared: PreparedChats, trained: FittedChats, folder: Path, manifest: Manifest
    ) -> EvaluationResult:
        sample = sample_test_rows(prepared)
        model = load_exported_model(folder, manifest)
        predictions = _generate_answers(prepared, model, sample)
        del model
        contenders = [
            _base_model_contender(prepared, sample),
            _nearest_answer_contender(prepared, sample),
        ]
        source_rows = [prepared.chats.rows[row] for row in sample]
        used = [*manifest.inputs.columns, prepared.spec.completion_column or ""]
        rows = TestRows(
            texts=[format_chat(prompt_messages(prepared.chats.chats[row])) for row in sample],
            lengths=[int(sequence_lengths(prepared.tokenized_chats[row]).sum()) for row in sample],
            source_rows=source_rows,
            columns=read_slice_columns(prepared.spec.data, source_rows, used),
        )
        return EvaluationResult(
            predictions,
            rows,
            [one for one in contenders if one is not None],
            _data_summary(prepared, predictions),
            partial(_extra_sections, prepared, _preference_sentence(prepared, trained, sample)),
        )


TASK: Task[PreparedChats, FittedChats] = GenerationTask()


def load_exported_model(folder: Path, manifest: Manifest) -> GenerationModel:
    return GenerationModel(folder, threads=torch.get_num_threads(), manifest=manifest)


def compute_logits(network: nn.Module, prepared: PreparedChats) -> list[Array]:
    """After every token of a few held-out sequences; (tokens, vocabulary) each."""
    split = prepared.split
    sequences = prepared.sequences(np.concatenate([split.validation, split.train]))
    device = next(network.parameters()).device
    logits = []
    with torch.inference_mode(), full_matmul_precision():
        for sequence in sequences[:PARITY_SEQUENCES]:
            ids = torch.from_numpy(sequence.ids[:PARITY_TOKENS].astype(np.int64)).to(device)
            logits.append(network(input_ids=ids[None]).logits[0].float().cpu().numpy())
    return logits


def _save_model(prepared: PreparedChats, trained: FittedChats, folder: Path) -> None:
    """Weights with LoRA merged in, the adapter beside them, tokenizer and template."""
    network, tokenizer = trained.network, prepared.tokenizer
    if prepared.method == "lora":
        reference = prepared.base_model.source.reference
        if spec_model := prepared.spec.initial_model:  # Its weights are in no hub.
            reference = (
                f"model.safetensors of the model that training began from ({spec_model.name})"
            )
        network.peft_config["default"].base_model_name_or_path = reference
        network.save_pretrained(folder / ADAPTER_FOLDER, save_embedding_layers=False)
        # peft's README is a model card with nothing filled in.
        (folder / ADAPTER_FOLDER / "README.md").unlink(missing_ok=True)
        network = network.merge_and_unload()
        trained.network = network
    configured = network.generation_config
    sampling = default_sampling(configured, prepared.base_model.sampling)
    network.generation_config = GenerationConfig(
        do_sample=True if sampling else None,
        **sampling,
        eos_token_id=stop_token_ids(tokenizer, configured.eos_token_id if configured else None),
        pad_token_id=tokenizer.pad_token_id or tokenizer.eos_token_id,
        bos_token_id=tokenizer.bos_token_id,
    )
    network.save_pretrained(folder, max_shard_size="1000GB")  # One file.
    tokenizer.save_pretrained(folder)


def sample_test_rows(prepared: PreparedChats) -> list[int]:
    """The test rows to answer, drawn evenly."""
    most = prepared.spec.hyperparameters.generated_rows
    tokenized = [row for row in prepared.split.test.tolist() if row in prepared.tokenized_chats]
    rows = tokenized or prepared.split.train.tolist()[:1]
    indices = np.unique(np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(int))
    return [rows[index] for index in indices]


def _generate_answers(
    prepared: PreparedChats, model: TextGenerator, rows: list[int]
) -> GenerationPredictions:
    """The likeliest answers to these rows, and how likely the model finds the true ones."""
    max_tokens = prepared.spec.hyperparameters.generated_tokens
    chats = [prepared.chats.chats[row] for row in rows]
    room = max(1, model.context - max_tokens)
    prompts = [model.encode_row(prompt_messages(chat))[-room:] for chat in chats]
    completions = model.generate_all(prompts, Sampling(max_tokens=max_tokens))
    losses, tokens = compute_row_losses(model.network, prepared, rows)
    return GenerationPredictions(
        [chat[-1]["content"] for chat in chats],
        [completion.text.strip() for completion in completions],
        losses,
        tokens,
    )


def _base_model_contender(prepared: PreparedChats, rows: list[int]) -> Contender:
    """The base model before training on the same rows; from scratch, the same random weights."""
    network = prepared.create_network().eval()
    context = base_models.max_context_tokens(network.config)
    model = TextGenerator(network, prepared.tokenizer, context)
    if prepared.spec.initial_model is not None:
        name, note = "the model that training began from", "with the same template"
    elif prepared.is_from_scratch:
        name, note = "the same network before training", "random weights"
    else:
        name, note = f"{prepared.spec.base_model} untuned", "with the same template"
    return Contender("base", name, _generate_answers(prepared, model, rows), note)


def _preference_sentence(prepared: PreparedChats, trained: FittedChats, rows: list[int]) -> str:
    """How the answers of preference pairs are ordered now; empty where none were learnt."""
    if not prepared.spec.is_preference or prepared.spec.export is not None:
        return ""
    return report_sentence(prepared, trained.network, prepared.create_network(), rows)


def _extra_sections(prepared: PreparedChats, preference: str, report: Report) -> ExtraSections:
    """Being better than random weights says little: the report says what such a model is."""
    sections: ExtraSections = {}
    if preference:
        sections["headline"] = f"{report['headline']} {preference}"
    if prepared.is_from_scratch:
        headline = sections.get("headline", report["headline"])
        sections["headline"] = f"{headline} {FROM_SCRATCH_NOTICE}"
        sections["next_step"] = FROM_SCRATCH_NEXT_STEP
    return sections


def _nearest_answer_contender(prepared: PreparedChats, rows: list[int]) -> Contender | None:
    """By the last message before the answer."""
    chats = prepared.chats.chats
    train = [row for row in prepared.split.train.tolist() if len(chats[row]) > 1]

    def questions(chosen: list[int]) -> list[str]:
        prompts = (prompt_messages(chats[row])[-1:] for row in chosen)
        return ["".join(message["content"] for message in messages) for messages in prompts]

    nearest = find_nearest(questions(train), questions(rows))
    if nearest is None:
        return None
    answers = [chats[train[place]][-1]["content"].strip() for place in nearest]
    references = [chats[row][-1]["content"] for row in rows]
    note = f"out of {min(len(train), MAX_ROWS):,} training rows, word for word"
    name = "the answer of the nearest training question"
    predictions = GenerationPredictions(references, answers, None, None)
    return Contender("nearest", name, predictions, note)


def _data_summary(prepared: PreparedChats, predictions: GenerationPredictions) -> DataSummary:
    split, summary = prepared.split, prepared.data_summary()
    summary["mean_tokens"] = float(sequence_lengths(prepared.sequences(split.train)).mean())
    warnings = list(prepared.warnings)
    answered = len(predictions.outputs)
    if answered < len(split.test):
        warnings.append(
            f"Of {len(split.test):,} test rows {answered:,}, drawn evenly, were answered and"
            " measured."
        )
    train_answers = {
        message["content"]
        for row in split.train.tolist()
        for message in prepared.chats.chats[row]
        if message["role"] == "assistant" and len(message["content"]) >= MIN_REPEAT_CHARACTERS
    }
    repeated = sum(output in train_answers for output in predictions.outputs)
    if repeated:
        warnings.append(
            f"Test answers that repeat a training answer word for word: {repeated:,} of"
            f" {answered:,}. The model has learnt rows by heart. Fewer epochs or more rows help."
        )
    summary["warnings"] = warnings
    return summary
