"""Seconds and bytes of a job on images, from speeds measured on two cores of a 2024 server
processor.

From whole jobs on an otherwise idle machine: 240 phone photos of clothes at defaults take 49 s,
36 of them the network's epochs.
"""

from engine import catalog
from engine.estimate.cross_validation import seconds_to_cross_validate
from engine.estimate.types import ComputeDevice, DatasetStats, Workload
from engine.spec import ImageHyperparameters, ImageSpec

START_SECONDS = 12.0  # Imports, export, contenders and evaluation of a few hundred images.
DEFAULT_SCRATCH_SIDE, DEFAULT_PRETRAINED_SIDE = 96, 224
IMAGES_DECODED_PER_SECOND = 250.0  # Phone photos of half a megapixel.
IMAGES_TRAINED_PER_SECOND = 260.0  # small-resnet at the usual side, augmentation included.
IMAGES_PREDICTED_PER_SECOND = 900.0
SECONDS_OF_A_FIT, SECONDS_PER_PICTURE_FITTED = 0.5, 0.004
PROCESS_BYTES = 1100 * 2**20
BYTES_PER_PARAMETER = 20  # Weights, gradient, two Adam moments, one copy of the best weights.
ACTIVATION_BYTES_PER_PIXEL = 900.0  # small-resnet, for each pixel of an image in the batch.
# Of one row, both views of it, in the copies that fitting makes.
FEATURE_BYTES_PER_ROW = 2148 * 4 * 6
MAX_FITTED_ROWS = 20_000
GPU_SPEEDUP = 20.0  # Not measured: a cautious guess.


def estimate_workload(spec: ImageSpec, stats: DatasetStats, device: ComputeDevice) -> Workload:
    """Raises UnknownBaseModel."""
    entry = catalog.get_base_model(spec.base_model)
    hyperparameters = spec.hyperparameters.model_copy(update={"method": spec.effective_method})
    is_scratch = entry.source.kind == "scratch"
    fitting = seconds_to_fit(
        hyperparameters, int(0.7 * stats.rows), entry.speed, is_scratch=is_scratch
    )
    seconds = START_SECONDS + stats.rows / IMAGES_DECODED_PER_SECOND
    if hyperparameters.method == "head":
        again = seconds_to_fit_again(int(0.85 * stats.rows))
        seconds += seconds_to_cross_validate(stats.rows, spec, again)
    if spec.export is None:
        seconds += fitting / (GPU_SPEEDUP if device == "cuda" else 1)
    pixels = hyperparameters.batch_rows * image_side(hyperparameters, is_scratch=is_scratch) ** 2
    activations = pixels * ACTIVATION_BYTES_PER_PIXEL * max(1, entry.speed**0.5)
    if hyperparameters.method == "head":
        activations = 0
    memory = PROCESS_BYTES + entry.parameters * BYTES_PER_PARAMETER + activations
    memory += min(stats.rows, MAX_FITTED_ROWS) * FEATURE_BYTES_PER_ROW
    return Workload(
        seconds=seconds,
        memory_bytes=int(memory),
        advice="Lower the pictures per batch or the picture size.",
    )


def seconds_to_fit_again(rows: int) -> float:
    """The layer on frozen features, which are known, and the contender on small pictures."""
    return SECONDS_OF_A_FIT + SECONDS_PER_PICTURE_FITTED * rows


def image_side(hyperparameters: ImageHyperparameters, *, is_scratch: bool) -> int:
    """Pixels each way that the model reads."""
    default = DEFAULT_SCRATCH_SIDE if is_scratch else DEFAULT_PRETRAINED_SIDE
    return hyperparameters.image_size or default


def seconds_to_fit(
    hyperparameters: ImageHyperparameters, rows: int, speed: float, *, is_scratch: bool
) -> float:
    """The network's epochs with a validation after each, and the layer on frozen features."""
    # A catalog speed holds for the base model's own size.
    default_side = DEFAULT_SCRATCH_SIDE if is_scratch else DEFAULT_PRETRAINED_SIDE
    area = (image_side(hyperparameters, is_scratch=is_scratch) / default_side) ** 2
    head = 2 + rows * area * (0.004 if is_scratch else speed / IMAGES_PREDICTED_PER_SECOND)
    if hyperparameters.method == "head":
        return head
    trained_images = hyperparameters.planned_epochs(rows) * rows * area * speed
    seconds_per_image = 1 / IMAGES_TRAINED_PER_SECOND + 0.2 / IMAGES_PREDICTED_PER_SECOND
    return head + trained_images * seconds_per_image
