"""Seconds and bytes of a text job, from speeds measured with all-MiniLM-L6-v2."""

from pydantic import BaseModel, ConfigDict

from engine import catalog
from engine.estimate.cross_validation import seconds_to_cross_validate
from engine.estimate.types import ComputeDevice, DatasetStats, Workload
from engine.spec import TextHyperparameters, TextSpec
from engine.spec.text import SCRATCH_EPOCHS, STEP_TIME_RATIOS

SECONDS_OF_A_FIT = 0.5  # Of the cheap contenders, however few rows there are,
SECONDS_PER_OUTPUT = 4e-5  # and for each row and output.
CHARACTERS_PER_TOKEN = 4.3  # English, WordPiece; banking77 measured 4.2 without special tokens.


class DeviceSpeed(BaseModel):
    """Speeds for all-MiniLM-L6-v2; other base models scale by their catalog `speed`."""

    model_config = ConfigDict(frozen=True)

    trained_tokens: float  # Per second, forward and backward.
    embedded_tokens: float  # Per second, forward only.
    start_seconds: float  # Imports, loading, export and evaluation of a tiny job.
    frozen_start_seconds: float  # The same where the encoder is kept as it is.


SPEEDS: dict[ComputeDevice, DeviceSpeed] = {
    # Two cores of a 2024 server processor with AVX-512 bf16.
    "cpu": DeviceSpeed(
        trained_tokens=2700,
        embedded_tokens=14_000,
        start_seconds=25,
        frozen_start_seconds=15,
    ),
    # Not measured: a cautious tenth of what a data-centre GPU's bf16 peak would allow.
    "cuda": DeviceSpeed(
        trained_tokens=60_000,
        embedded_tokens=200_000,
        start_seconds=30,
        frozen_start_seconds=20,
    ),
}
PROCESS_BYTES = 1300 * 2**20  # Libraries and freed blocks kept for reuse; 1.8 GiB peak in all.
BYTES_PER_PARAMETER = 20  # Weights, gradient, two Adam moments, one copy of the best weights.
ACTIVATION_BYTES_PER_TOKEN = 160_000  # MiniLM, all six layers, eager attention on short rows.
ATTENTION_BYTES = 12 * 6 * 10  # Heads times layers times bytes kept for each pair of tokens.
BYTES_PER_ROW_TOKEN = 40  # Token ids, text and its Python objects.
CACHED_BYTES_PER_TOKEN = 384 * 2  # MiniLM's states behind its lower half, in bfloat16,
MAX_CACHED_BYTES = 2**30  # as engine.tasks.text.training_inputs.activation_cache bounds them.


def estimate_workload(spec: TextSpec, stats: DatasetStats, device: ComputeDevice) -> Workload:
    """Raises UnknownBaseModel."""
    entry, hyperparameters = catalog.get_base_model(spec.base_model), spec.hyperparameters
    characters = stats.total(spec.text_columns, "mean_length")
    is_number = spec.task == "text-regression"
    labels = 1 if is_number else len(spec.target_columns) or stats.count_labels(spec.target_name)
    tokens = min(hyperparameters.max_length, 2 + characters / CHARACTERS_PER_TOKEN)
    method = hyperparameters.chosen_method(int(0.85 * stats.rows), labels)
    if entry.source.kind == "scratch" and hyperparameters.method in ("auto", "upper"):
        method = "full"
    memory = _memory_bytes(stats.rows, tokens, hyperparameters, entry)
    if method == "upper":
        states = stats.rows * tokens * CACHED_BYTES_PER_TOKEN
        memory += int(min(MAX_CACHED_BYTES, states))
    seconds, training = _seconds(stats.rows, tokens, labels, method, hyperparameters, entry, device)
    again = seconds_to_fit_again(int(0.85 * stats.rows), labels)
    again += 0 if method == "probe" else training
    return Workload(
        seconds=seconds + seconds_to_cross_validate(stats.rows, spec, again),
        memory_bytes=memory,
        advice="Lower the tokens per batch.",
    )


def _seconds(
    rows: int,
    tokens: float,
    labels: int,
    method: str,
    hyperparameters: TextHyperparameters,
    entry: catalog.BaseModelEntry,
    device: ComputeDevice,
) -> tuple[float, float]:
    """Of the whole job but a cross-validation, and of the training in it."""
    speed, train_rows = SPEEDS[device], 0.85 * rows
    # The probe and the word model are fitted on at most 20,000 rows; cost grows with labels.
    fitting = min(rows, 20_000) * labels * 1e-5
    probing = min(rows, 20_000) * tokens * entry.speed / speed.embedded_tokens + fitting
    trained_tokens = train_rows * tokens * entry.speed
    if method == "head":  # The frozen encoder reads every row, once.
        training = trained_tokens / speed.embedded_tokens + train_rows * 2e-4
    else:
        epochs = hyperparameters.planned_epochs(int(train_rows))
        if entry.source.kind == "scratch" and not hyperparameters.epochs:
            epochs *= SCRATCH_EPOCHS
        training = epochs * trained_tokens / speed.trained_tokens * STEP_TIME_RATIOS[method]
    start = speed.frozen_start_seconds if method in ("head", "probe") else speed.start_seconds
    whole = start + probing + training + hyperparameters.folds * (training + fitting)
    return whole, training


def seconds_to_fit_again(train_rows: int, outputs: int) -> float:
    """The cheap contenders, on other rows that have their embeddings."""
    return SECONDS_OF_A_FIT + train_rows * outputs * SECONDS_PER_OUTPUT


def _memory_bytes(
    rows: int, tokens: float, hyperparameters: TextHyperparameters, entry: catalog.BaseModelEntry
) -> int:
    batch = hyperparameters.planned_batch_tokens(rows)
    if hyperparameters.method in ("probe", "head"):
        batch = batch // 8
    longest = min(hyperparameters.max_length, 4 * tokens)
    activations = batch * (ACTIVATION_BYTES_PER_TOKEN + ATTENTION_BYTES * longest) * entry.speed
    weights = entry.parameters * BYTES_PER_PARAMETER
    return int(PROCESS_BYTES + weights + activations + rows * tokens * BYTES_PER_ROW_TOKEN)
