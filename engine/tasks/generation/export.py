"""A finished language model as one folder of safetensors: adapters merged in, tokenizer and chat
template beside the weights, so that transformers opens it with AutoModelForCausalLM."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from engine.artifact import Manifest, verify
from engine.errors import BadTrainingData
from engine.events import PhaseName, Reporter
from engine.export.pruning import count_parameters
from engine.export.single_file import with_variant_comparison
from engine.export.variant_comparison import ModelVariant, VariantComparison, compare_variants
from engine.loop.checkpoints import TrainingState
from engine.metrics import GenerationPredictions
from engine.network_loading import one_network_at_a_time
from engine.progress import ProgressTracker
from engine.spec import GenerationSpec
from engine.stop_signal import StopSignal
from engine.tasks import EvaluationResult, Task
from engine.tasks.generation import base_models
from engine.tasks.generation.chat_template import encode_prompt
from engine.tasks.generation.fitting import FittedChats
from engine.tasks.generation.learner import compute_row_losses
from engine.tasks.generation.messages import format_chat, prompt_messages
from engine.tasks.generation.prepare import PreparedChats, prepare
from engine.tasks.generation.task import (
    MAX_LOGIT_DIFFERENCE,
    MODEL_FILE,
    GenerationTask,
    compute_logits,
    load_exported_model,
    sample_test_rows,
)
from engine.tasks.shared import Array, require_exact_parity

DTYPES = {"safetensors": torch.float32, "safetensors-bf16": torch.bfloat16}
MAX_LOGIT_DIFFERENCE_BY_FORMAT = {"safetensors": MAX_LOGIT_DIFFERENCE, "safetensors-bf16": 1.0}
PROMPTS, PROMPT_TOKENS, MAX_DISPLAY_CHARACTERS = 8, 256, 160


class GenerationExport(GenerationTask):
    """The rows, split and metrics of a generation task; the network is a finished model's."""

    def prepare(
        self, spec: GenerationSpec, progress: ProgressTracker, report: Reporter
    ) -> PreparedChats:
        prepared = prepare(spec, progress, report)
        source = prepared.export_spec.source
        verify(source)
        tokenizer = base_models.load_tokenizer(source)
        if tokenizer.get_vocab() != prepared.tokenizer.get_vocab():
            raise BadTrainingData(
                "other_rows", "The data no longer has the rows that the model was taught."
            )
        return replace(prepared, tokenizer=tokenizer)

    def estimate_phase_seconds(self, prepared: PreparedChats) -> dict[PhaseName, float]:
        return super().estimate_phase_seconds(prepared) | {"training": 0.1}

    def fit(
        self,
        prepared: PreparedChats,
        progress: ProgressTracker,
        report: Reporter,
        stop: StopSignal,
    ) -> FittedChats:
        progress.start_phase("training")
        network = base_models.load_network(prepared.export_spec.source, "sdpa").eval()
        return FittedChats(network, prepared.method, TrainingState(finished=True), 0.1)

    def export(self, prepared: PreparedChats, trained: FittedChats, folder: Path) -> Manifest:
        export = prepared.export_spec
        source = verify(export.source)
        expected = compute_logits(trained.network, prepared)
        trained.network.to(DTYPES[export.format]).save_pretrained(folder, max_shard_size="1000GB")
        prepared.tokenizer.save_pretrained(folder)
        training = source.training | {"method": export.format}
        manifest = source.model_copy(update={"files": {}, "training": training})
        outputs = compute_logits(load_exported_model(folder, manifest).network, prepared)
        limit = MAX_LOGIT_DIFFERENCE_BY_FORMAT[export.format]
        parity = require_exact_parity(expected, outputs, limit)
        return manifest.model_copy(update={"parity": {MODEL_FILE: parity, "served": MODEL_FILE}})

    def evaluate(
        self, prepared: PreparedChats, trained: FittedChats, folder: Path, manifest: Manifest
    ) -> EvaluationResult:
        evaluated = super().evaluate(prepared, trained, folder, manifest)
        return with_variant_comparison(evaluated, lambda: _compare_with_original(prepared, folder))


TASK: Task[PreparedChats, FittedChats] = GenerationExport()


def _compare_with_original(prepared: PreparedChats, folder: Path) -> VariantComparison:
    """Losses of the same answers by both, and how far apart their next tokens' logits are."""
    export, rows = prepared.export_spec, sample_test_rows(prepared)
    prompts = [prompt_messages(prepared.chats.chats[row]) for row in rows[:PROMPTS]]
    ids = [encode_prompt(prepared.tokenizer, prompt)[-PROMPT_TOKENS:] for prompt in prompts]
    original = _measure_variant(prepared, export.source, "original", rows, ids)
    # As its receiver opens it, with the folder's own tokenizer and template.
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    ids = [encode_prompt(tokenizer, prompt)[-PROMPT_TOKENS:] for prompt in prompts]
    variant = _measure_variant(prepared, folder, export.format, rows, ids)
    card = compare_variants(export, original, variant)
    same = (original.raw_outputs.argmax(1) == variant.raw_outputs.argmax(1)).tolist()
    differences = np.abs(original.raw_outputs - variant.raw_outputs).max(1).tolist()
    return {
        **card,
        "agreement": sum(same) / len(same),
        "prompts": [
            {
                "prompt": format_chat(prompt)[-MAX_DISPLAY_CHARACTERS:],
                "same": is_same,
                "difference": difference,
            }
            for prompt, is_same, difference in zip(prompts, same, differences, strict=True)
        ],
    }


def _measure_variant(
    prepared: PreparedChats, folder: Path, name: str, rows: list[int], prompts: list[list[int]]
) -> ModelVariant:
    """The model of a folder: its losses on these rows and the logits after these prompts."""
    with one_network_at_a_time():
        network = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True, trust_remote_code=False
        ).eval()
    losses, tokens = compute_row_losses(network, prepared, rows)
    references = [prepared.chats.chats[row][-1]["content"] for row in rows]

    def next_token_logits(row: int) -> Array:
        with torch.inference_mode():
            ids = torch.tensor([prompts[row % len(prompts)]])
            return np.asarray(network(input_ids=ids).logits[0, -1].float().numpy())

    return ModelVariant(
        name=name,
        file_bytes=(folder / MODEL_FILE).stat().st_size,
        parameters=count_parameters(network),
        predictions=GenerationPredictions(references, references, losses, tokens),
        raw_outputs=np.stack([next_token_logits(row) for row in range(len(prompts))]),
        predict_row=next_token_logits,
    )
