"""What pictures take, in seconds on two cores of a 2024 server processor. Free of torch.

From whole jobs on an otherwise idle machine: 240 phone photos of clothes at defaults take 49 s,
36 of them the network's epochs.
"""

from engine.spec import ImageHyperparameters

START_SECONDS = 12.0  # Imports, export, contenders and evaluation of a few hundred pictures.
USUAL_SIDE = 96
DECODED_PER_SECOND = 250.0  # Phone photos of half a megapixel.
TRAINED_PER_SECOND = 260.0  # small-resnet at the usual side, augmentation included.
ASKED_PER_SECOND = 900.0


def side_of(hyperparameters: ImageHyperparameters, *, is_scratch: bool) -> int:
    return hyperparameters.image_size or (USUAL_SIDE if is_scratch else 224)


def seconds_to_fit(
    hyperparameters: ImageHyperparameters, rows: int, speed: float, *, is_scratch: bool
) -> float:
    """The network's epochs with a validation after each, and the layer on frozen features."""
    # A catalog speed holds for the base model's own size.
    usual = USUAL_SIDE if is_scratch else 224
    area = (side_of(hyperparameters, is_scratch=is_scratch) / usual) ** 2
    head = 2 + rows * area * (0.004 if is_scratch else speed / ASKED_PER_SECOND)
    if hyperparameters.method == "head":
        return head
    taught = hyperparameters.planned_epochs(rows) * rows * area * speed
    return head + taught * (1 / TRAINED_PER_SECOND + 0.2 / ASKED_PER_SECOND)
