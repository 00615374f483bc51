"""Three ways to launch without reading about hyperparameters, and what to expect of each."""

from dataclasses import dataclass, replace

from training.jobs.launch import LaunchRequest
from training.jobs.recipes import SearchOptions

DEFAULT_PRESET = "balanced"
EXPERT = "expert"  # Not a preset: the form's own values count.
QUICK_EPOCHS = 2
BEST_TRIALS = 8


@dataclass(frozen=True)
class Preset:
    key: str
    title: str
    about: str
    quality: str  # In words, beside the others: what it came to is measured, not promised.


PRESETS = (
    Preset("quick", "Quick", "To see whether the data works.", "Usually below Balanced."),
    Preset("balanced", "Balanced", "The suggested settings.", "Enough for most models."),
    Preset(
        "best",
        "Best",
        f"Searches {BEST_TRIALS} settings and keeps the best.",
        "Usually as good as Balanced, or better.",
    ),
)
PRESETS_BY_KEY = {preset.key: preset for preset in PRESETS}


def apply_preset(request: LaunchRequest, key: str) -> LaunchRequest:
    """The same columns, base model and machine, with the preset's settings."""
    task = request.task or ""
    if key == "quick":
        # The probe takes seconds; else few epochs.
        has_probe = task in ("text-classification", "text-regression")
        return replace(
            request,
            hyperparameters={"method": "probe"} if has_probe else {"epochs": QUICK_EPOCHS},
            search=None,
        )
    if key == "best":
        search: SearchOptions = {"trials": BEST_TRIALS, "parameters": []}
        return replace(request, hyperparameters={}, search=search)
    return replace(request, hyperparameters={}, search=None)
