"""Will it fit, and how long will it take: said before launching, from measured speeds.

The ranges are wide on purpose: shared processors vary twofold from minute to minute.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from engine import catalog
from engine.spec import Hyperparameters

ComputeDevice = Literal["cpu", "cuda"]
CHARACTERS_PER_TOKEN = 4.3  # English, WordPiece; banking77 measured 4.2 without special tokens.
GIBIBYTE = 2**30


class DeviceSpeed(BaseModel):
    """Speeds for all-MiniLM-L6-v2; other base models scale by their catalog `speed`."""

    model_config = ConfigDict(frozen=True)

    trained_tokens: float  # Per second, forward and backward.
    embedded_tokens: float  # Per second, forward only.
    start_seconds: float  # Imports, loading, export and evaluation of a tiny job.
    low: float  # The quickest plausible run, as a share of the estimate.
    high: float  # The slowest.
    memory_bytes: int


SPEEDS: dict[ComputeDevice, DeviceSpeed] = {
    # Two cores of a 2024 server processor with AVX-512 bf16: 277 rows/s of 16 tokens in quiet
    # minutes (low), a third of that beside busy neighbours (high).
    "cpu": DeviceSpeed(
        trained_tokens=3000,
        embedded_tokens=9000,
        start_seconds=25,
        low=0.6,
        high=2.2,
        memory_bytes=8 * GIBIBYTE,
    ),
    # Not measured: a cautious tenth of what a data-centre GPU's bf16 peak would allow.
    "cuda": DeviceSpeed(
        trained_tokens=60_000,
        embedded_tokens=200_000,
        start_seconds=30,
        low=0.3,
        high=3.0,
        memory_bytes=20 * GIBIBYTE,
    ),
}
PROCESS_BYTES = 1300 * 2**20  # Libraries and freed blocks kept for reuse; 1.8 GiB peak in all.
BYTES_PER_PARAMETER = 20  # Weights, gradient, two Adam moments, one copy of the best weights.
ACTIVATION_BYTES_PER_TOKEN = 160_000  # MiniLM, all six layers, eager attention on short rows.
ATTENTION_BYTES = 12 * 6 * 10  # Heads times layers times bytes kept for each pair of tokens.
BYTES_PER_ROW_TOKEN = 40  # Token ids, text and its Python objects.


class Estimate(BaseModel):
    model_config = ConfigDict(frozen=True)

    fits: bool
    memory_bytes: int
    seconds_low: float
    seconds_high: float
    sentence: str


def estimate(
    rows: int,
    mean_characters: float,
    labels: int,
    hyperparameters: Hyperparameters,
    *,
    base_model: str = "all-MiniLM-L6-v2",
    device: ComputeDevice = "cpu",
    memory_limit_bytes: int | None = None,
) -> Estimate:
    """Time and memory of a whole job over `rows` rows of on average `mean_characters` of text.

    Raises UnknownBaseModel. `memory_limit_bytes` replaces the device's usual memory.
    """
    entry, speed = catalog.find(base_model), SPEEDS[device]
    tokens = min(hyperparameters.max_length, 2 + mean_characters / CHARACTERS_PER_TOKEN)
    seconds = _seconds(rows, tokens, labels, hyperparameters, entry.speed, speed)
    memory = _memory(rows, tokens, hyperparameters, entry)
    limit = memory_limit_bytes or speed.memory_bytes
    fits = memory <= limit
    low, high = seconds * speed.low, seconds * speed.high
    return Estimate(
        fits=fits,
        memory_bytes=memory,
        seconds_low=round(low, 1),
        seconds_high=round(high, 1),
        sentence=_sentence(fits, memory, limit, low, high),
    )


def _seconds(
    rows: int,
    tokens: float,
    labels: int,
    hyperparameters: Hyperparameters,
    model_speed: float,
    speed: DeviceSpeed,
) -> float:
    train_rows = 0.85 * rows
    seconds = speed.start_seconds
    # The probe and the word model are fitted on at most 20,000 rows; cost grows with labels.
    seconds += min(rows, 20_000) * (tokens * model_speed / speed.embedded_tokens + labels * 1e-5)
    if hyperparameters.method == "full":
        epochs = hyperparameters.planned_epochs(int(train_rows))
        seconds += epochs * train_rows * tokens * model_speed / speed.trained_tokens
    return seconds


def _memory(
    rows: int, tokens: float, hyperparameters: Hyperparameters, entry: catalog.BaseModelEntry
) -> int:
    batch = hyperparameters.batch_tokens
    if hyperparameters.method == "probe":
        batch = batch // 8
    longest = min(hyperparameters.max_length, 4 * tokens)
    activations = batch * (ACTIVATION_BYTES_PER_TOKEN + ATTENTION_BYTES * longest) * entry.speed
    weights = entry.parameters * BYTES_PER_PARAMETER
    return int(PROCESS_BYTES + weights + activations + rows * tokens * BYTES_PER_ROW_TOKEN)


def _sentence(fits: bool, memory: int, limit: int, low: float, high: float) -> str:
    needed = f"{memory / GIBIBYTE:.1f} GiB of {limit / GIBIBYTE:.0f} GiB memory"
    if not fits:
        return f"This does not fit: it needs about {needed}. Lower the tokens per batch."
    return f"Takes {_duration(low)} to {_duration(high)} and about {needed}."


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{round(seconds)} seconds"
    if seconds < 5400:
        return f"{round(seconds / 60)} minutes"
    return f"{seconds / 3600:.1f} hours"
