"""Words on pages for the options of hyperparameters, whose own names are for the API."""

OPTION_WORDS = {
    "auto": "Automatic",
    "none": "None",
    "full": "Everything",
    "adamw": "AdamW",
    "adafactor": "Adafactor",
    "sgd": "SGD",
    "linear": "Linear",
    "cosine": "Cosine",
    "constant": "Constant",
    "head": "Last layer only",
    "upper": "Upper layers",
    "probe": "Quick: one layer on a frozen model",
    "lora": "LoRA",
    "network": "Neural network",
    "trees": "Boosted trees",
    "random_trees": "Extremely randomised trees",
    "one": "One",
    "several": "Several",
    "balanced": "Balanced",
    "light": "Light",
    "strong": "Strong",
}


def option_words(value: object) -> str:
    """The words for an option; itself where it is a number or a technical term."""
    return OPTION_WORDS.get(str(value), str(value))
