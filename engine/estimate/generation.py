"""Seconds and bytes of a job that teaches a language model."""

from engine import catalog
from engine.estimate.facts import ComputeDevice, DataFacts, Workload
from engine.generation.costs import START_SECONDS, seconds_to_teach, seconds_to_test
from engine.spec import GenerationSpec

CHARACTERS_PER_TOKEN = 3.8  # English; a tokenizer learnt from few rows has shorter pieces.
TEMPLATE_TOKENS = 12
PROCESS_BYTES = 1300 * 2**20
TRAINED_BYTES = 20  # For each parameter: weights, gradient, two Adam moments, the best weights.
FROZEN_BYTES = 6  # For each parameter under LoRA: weights, and room to merge and check them.
VOCABULARY_BYTES = 4 * 3 * 50_000  # Logits of one learnt token and their gradient.


def workload(spec: GenerationSpec, facts: DataFacts, device: ComputeDevice) -> Workload:
    """Raises UnknownBaseModel."""
    entry, dials = catalog.find(spec.base_model), spec.hyperparameters
    is_scratch = entry.source.kind == "scratch"
    columns = [*spec.prompt_columns, spec.completion_column, spec.messages_column]
    characters = facts.total([name for name in columns if name], "mean_length")
    tokens = min(dials.max_length, TEMPLATE_TOKENS + characters / CHARACTERS_PER_TOKEN)
    rows = int(0.85 * facts.rows)
    taught = seconds_to_teach(
        dials, rows=rows, tokens=tokens, speed=entry.speed, is_scratch=is_scratch, device=device
    )
    tested = seconds_to_test(
        dials,
        rows=int(spec.split.test_fraction * facts.rows),
        speed=entry.speed,
        models=2,
        device=device,
    )
    return Workload(
        seconds=START_SECONDS + (taught if spec.export is None else 0) + tested,
        memory_bytes=_memory(spec, entry, facts.rows * tokens),
        advice="Lower the tokens per batch, or choose LoRA or a smaller base model.",
    )


def _memory(spec: GenerationSpec, entry: catalog.BaseModelEntry, tokens: float) -> int:
    dials = spec.hyperparameters
    method = dials.chosen_method(from_scratch=entry.source.kind == "scratch")
    weights = entry.parameters * (FROZEN_BYTES if method == "lora" else TRAINED_BYTES)
    # What autograd keeps grows with width times depth, about as the root of the parameters.
    activations = dials.batch_tokens * (entry.parameters**0.5 * 60 + VOCABULARY_BYTES / 4)
    return int(PROCESS_BYTES + weights + activations + tokens * 40)
