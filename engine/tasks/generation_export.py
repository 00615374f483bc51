"""A finished language model as one folder of safetensors: adapters merged in, tokenizer and chat
template beside the weights, so that transformers opens it with AutoModelForCausalLM."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from engine.artifact import Manifest, verify
from engine.cards import Side, card_of
from engine.checkpoints import TrainingState
from engine.errors import BadTrainingData
from engine.events import PhaseName, Reporter
from engine.generation import loading
from engine.generation.chats import prompt_of, shown
from engine.generation.rendering import prompt_ids
from engine.metrics import Generations
from engine.progress import JobClock
from engine.shrinking import parameters_of
from engine.spec import ExportSpec, GenerationSpec
from engine.stopping import StopSignal
from engine.tasks import Evaluated, Task
from engine.tasks.generation_learning import Trained, losses_of
from engine.tasks.generation_preparation import Prepared, prepare
from engine.tasks.one_form import with_card
from engine.tasks.text_generation import (
    LARGEST_DIFFERENCE,
    MODEL_FILE,
    TextGeneration,
    asked,
    logits_of,
    opened,
    parity_of,
)

DTYPES = {"safetensors": torch.float32, "safetensors-bf16": torch.bfloat16}
LARGEST_DIFFERENCES = {"safetensors": LARGEST_DIFFERENCE, "safetensors-bf16": 1.0}  # Of logits.
PROMPTS, PROMPT_TOKENS, SHOWN_CHARACTERS = 8, 256, 160


class GenerationExport(TextGeneration):
    """The rows, split and metrics of a generation task; the network is a finished model's."""

    def prepare(self, spec: GenerationSpec, clock: JobClock, report: Reporter) -> Prepared:
        prepared = prepare(spec, clock, report)
        source = _export_of(prepared).source
        verify(source)
        tokenizer = loading.load_tokenizer(source)
        if tokenizer.get_vocab() != prepared.tokenizer.get_vocab():
            raise BadTrainingData(
                "other_rows", "The data no longer has the rows that the model was taught."
            )
        return replace(prepared, tokenizer=tokenizer)

    def expected_costs(self, prepared: Prepared) -> dict[PhaseName, float]:
        return super().expected_costs(prepared) | {"training": 0.1}

    def fit(
        self, prepared: Prepared, clock: JobClock, report: Reporter, stop: StopSignal
    ) -> Trained:
        clock.enter("training")
        network = loading.load_network(_export_of(prepared).source, "sdpa").eval()
        return Trained(network, TrainingState(finished=True), 0.1)

    def export(self, prepared: Prepared, trained: Trained, folder: Path) -> Manifest:
        export = _export_of(prepared)
        source = verify(export.source)
        wanted = logits_of(trained.network, prepared)
        trained.network.to(DTYPES[export.format]).save_pretrained(folder, max_shard_size="1000GB")
        prepared.tokenizer.save_pretrained(folder)
        training = source.training | {"method": export.format}
        manifest = source.model_copy(update={"files": {}, "training": training})
        given = logits_of(opened(folder, manifest).network, prepared)
        parity = parity_of(wanted, given, LARGEST_DIFFERENCES[export.format])
        return manifest.model_copy(update={"parity": {MODEL_FILE: parity, "served": MODEL_FILE}})

    def evaluate(
        self, prepared: Prepared, trained: Trained, folder: Path, manifest: Manifest
    ) -> Evaluated:
        evaluated = super().evaluate(prepared, trained, folder, manifest)
        return with_card(evaluated, partial(_card, prepared, folder))


TASK: Task[Prepared, Trained] = GenerationExport()


def _export_of(prepared: Prepared) -> ExportSpec:
    assert prepared.spec.export is not None
    return prepared.spec.export


def _card(prepared: Prepared, folder: Path) -> dict[str, Any]:
    """Losses of the same answers by both, and how far their next tokens are from each other."""
    export, chosen = _export_of(prepared), asked(prepared)
    prompts = [prompt_of(prepared.chats.chats[row]) for row in chosen[:PROMPTS]]
    ids = [prompt_ids(prepared.tokenizer, one)[-PROMPT_TOKENS:] for one in prompts]
    original = _side(prepared, export.source, "original", chosen, ids)
    # As its receiver opens it, template and all.
    theirs = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    same = [prompt_ids(theirs, one)[-PROMPT_TOKENS:] for one in prompts]
    made = _side(prepared, folder, export.format, chosen, same)
    card = card_of(export, original, made)
    near = (original.raw.argmax(1) == made.raw.argmax(1)).tolist()
    gaps = np.abs(original.raw - made.raw).max(1).tolist()
    return card | {
        "agreement": sum(near) / len(near),
        "prompts": [
            {"prompt": shown(one)[-SHOWN_CHARACTERS:], "same": is_same, "difference": gap}
            for one, is_same, gap in zip(prompts, near, gaps, strict=True)
        ],
    }


def _side(
    prepared: Prepared, folder: Path, name: str, chosen: list[int], prompts: list[list[int]]
) -> Side:
    network = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, use_safetensors=True, trust_remote_code=False
    ).eval()
    losses, tokens = np.zeros(len(chosen)), np.zeros(len(chosen), dtype=np.int64)
    for place, row in enumerate(chosen):
        each, learnt = losses_of(network, prepared.taught[row], "cpu")
        losses[place], tokens[place] = each.sum(), learnt.sum()
    references = [prepared.chats.chats[row][-1]["content"] for row in chosen]

    def ask(place: int) -> Any:
        with torch.inference_mode():
            given = torch.tensor([prompts[place % len(prompts)]])
            return network(input_ids=given).logits[0, -1].float().numpy()

    return Side(
        name=name,
        file_bytes=(folder / MODEL_FILE).stat().st_size,
        parameters=parameters_of(network),
        given=Generations(references, references, losses, tokens),
        raw=np.stack([ask(place) for place in range(len(prompts))]),
        ask=ask,
    )
