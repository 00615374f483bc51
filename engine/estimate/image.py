"""Seconds and bytes of a job on pictures, from speeds measured on two server cores."""

from engine import catalog
from engine.estimate.facts import ComputeDevice, DataFacts, Workload
from engine.images.costs import DECODED_PER_SECOND, START_SECONDS, seconds_to_fit, side_of
from engine.spec import ImageSpec

PROCESS_BYTES = 1100 * 2**20
BYTES_PER_PARAMETER = 20  # Weights, gradient, two Adam moments, one copy of the best weights.
ACTIVATION_BYTES = 900.0  # small-resnet, for each pixel of a picture in the batch.
FEATURE_BYTES = 2148 * 4 * 6  # Of one row, both views of it, in the copies that fitting makes.
MOST_FITTED = 20_000
GPU_GAIN = 20.0  # Not measured: a cautious guess.


def workload(spec: ImageSpec, facts: DataFacts, device: ComputeDevice) -> Workload:
    """Raises UnknownBaseModel."""
    entry, hyperparameters = catalog.find(spec.base_model), spec.hyperparameters
    is_scratch = entry.source.kind == "scratch"
    fitting = seconds_to_fit(
        hyperparameters, int(0.7 * facts.rows), entry.speed, is_scratch=is_scratch
    )
    seconds = START_SECONDS + facts.rows / DECODED_PER_SECOND
    if spec.export is None:
        seconds += fitting / (GPU_GAIN if device == "cuda" else 1)
    side = side_of(hyperparameters, is_scratch=is_scratch)
    activations = hyperparameters.batch_rows * side**2 * ACTIVATION_BYTES * max(1, entry.speed**0.5)
    if hyperparameters.method == "head":
        activations = 0
    memory = PROCESS_BYTES + entry.parameters * BYTES_PER_PARAMETER + activations
    memory += min(facts.rows, MOST_FITTED) * FEATURE_BYTES
    return Workload(
        seconds=seconds,
        memory_bytes=int(memory),
        advice="Lower the pictures per batch or the picture size.",
    )
