"""Seconds and bytes of a language model job: training, and generating answers in the test.

Measured with the small model from scratch on two cores of a 2024 server processor; other base
models scale by their catalog `speed`.
"""

from engine import catalog
from engine.estimate.types import ComputeDevice, DatasetStats, Workload
from engine.spec import GenerationHyperparameters, GenerationSpec

# Forward and backward; and several answers side by side.
TOKENS_TRAINED_PER_SECOND = {"cpu": 8000.0, "cuda": 800_000.0}
TOKENS_GENERATED_PER_SECOND = {"cpu": 600.0, "cuda": 6000.0}
START_SECONDS = 15.0  # Imports, loading, export and its check.
LORA_STEP_TIME_RATIO = 0.8  # Of the time of a step in which every weight learns.
TESTED_MODELS = 2  # The trained one and the base model.
CHARACTERS_PER_TOKEN = 3.8  # English; a tokenizer learnt from few rows has shorter pieces.
TEMPLATE_TOKENS = 12
PROCESS_BYTES = 1300 * 2**20
# For each parameter: weights, gradient, two Adam moments, the best weights.
BYTES_PER_TRAINED_PARAMETER = 20
# For each parameter under LoRA: weights, and room to merge and check them.
BYTES_PER_FROZEN_PARAMETER = 6
LOGIT_BYTES_PER_TOKEN = 4 * 3 * 50_000  # Logits of one learnt token and their gradient.


def estimate_workload(spec: GenerationSpec, stats: DatasetStats, device: ComputeDevice) -> Workload:
    """Raises UnknownBaseModel."""
    entry, hyperparameters = catalog.get_base_model(spec.base_model), spec.hyperparameters
    columns = [*spec.prompt_columns, spec.completion_column, spec.messages_column]
    if spec.is_preference:  # Both answers are read after the same question.
        columns = [*columns, *columns[:-2], spec.rejected_column]
    characters = stats.total([name for name in columns if name], "mean_length")
    tokens = min(hyperparameters.max_length, TEMPLATE_TOKENS + characters / CHARACTERS_PER_TOKEN)
    fitting = seconds_to_fit(
        hyperparameters,
        rows=int(0.85 * stats.rows),
        tokens=tokens,
        speed=entry.speed,
        is_scratch=entry.source.kind == "scratch",
        device=device,
    )
    testing = seconds_to_test(
        hyperparameters,
        rows=int(spec.split.test_fraction * stats.rows),
        speed=entry.speed,
        device=device,
    )
    return Workload(
        seconds=START_SECONDS + (fitting if spec.export is None else 0) + testing,
        memory_bytes=_memory_bytes(spec, entry, stats.rows * tokens),
        advice="Lower the tokens per batch, or choose LoRA or a smaller base model.",
    )


def _memory_bytes(spec: GenerationSpec, entry: catalog.BaseModelEntry, tokens: float) -> int:
    hyperparameters = spec.hyperparameters
    method = hyperparameters.chosen_method(from_scratch=entry.source.kind == "scratch")
    weights = entry.parameters * (
        BYTES_PER_FROZEN_PARAMETER if method == "lora" else BYTES_PER_TRAINED_PARAMETER
    )
    # What autograd keeps grows with width times depth, about as the root of the parameters.
    bytes_per_token = entry.parameters**0.5 * 60 + LOGIT_BYTES_PER_TOKEN / 4
    activations = hyperparameters.batch_tokens * bytes_per_token
    return int(PROCESS_BYTES + weights + activations + tokens * 40)


def seconds_to_fit(
    hyperparameters: GenerationHyperparameters,
    *,
    rows: int,
    tokens: float,
    speed: float,
    is_scratch: bool,
    device: str,
) -> float:
    """All epochs; `tokens` is the mean of a row."""
    epochs = hyperparameters.planned_epochs(rows, from_scratch=is_scratch)
    method = hyperparameters.chosen_method(from_scratch=is_scratch)
    ratio = LORA_STEP_TIME_RATIO if method == "lora" else 1.0
    return epochs * rows * tokens * ratio * speed / TOKENS_TRAINED_PER_SECOND[device]


def seconds_to_test(
    hyperparameters: GenerationHyperparameters, *, rows: int, speed: float, device: str
) -> float:
    """Answering the test rows by both models, and measuring their losses."""
    tokens = min(rows, hyperparameters.generated_rows) * hyperparameters.generated_tokens
    # Writing waits for memory more than for arithmetic: less than in proportion to the size.
    seconds_per_token = float(speed**0.8) / TOKENS_GENERATED_PER_SECOND[device]
    return 2 + TESTED_MODELS * tokens * seconds_per_token
