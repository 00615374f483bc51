"""What teaching and asking a language model takes, measured with the small model from scratch on
two cores of a 2024 server processor; others by their catalog `speed`. Free of torch."""

from engine.spec import GenerationHyperparameters

TRAINED_TOKENS = {"cpu": 8000.0, "cuda": 800_000.0}  # Per second, forward and backward.
WRITTEN_TOKENS = {"cpu": 600.0, "cuda": 6000.0}  # Per second, several answers side by side.
START_SECONDS = 15.0  # Imports, loading, export and its check.
LORA_SHARE = 0.8  # Of the time of a step in which every weight learns.


def seconds_to_teach(
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
    share = LORA_SHARE if method == "lora" else 1.0
    return epochs * rows * tokens * share * speed / TRAINED_TOKENS[device]


def seconds_to_test(
    hyperparameters: GenerationHyperparameters,
    *,
    rows: int,
    speed: float,
    models: int,
    device: str,
) -> float:
    """Answering the test rows by this many models, and measuring their losses."""
    asked = min(rows, hyperparameters.generated_rows)
    written = asked * hyperparameters.generated_tokens
    # Writing waits for memory more than for arithmetic: less than in proportion to the size.
    return 2 + models * written * float(speed**0.8) / WRITTEN_TOKENS[device]
